//! The text of an error, as a client receives it.

use std::fmt;

use serde::Serializer;

use crate::socketio::GONE;

/// Writes an error's text. The serde name tells the server if the error's socket is disconnected.
pub(crate) fn marked<S: Serializer>(
    error: &impl fmt::Display,
    is_gone: bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if is_gone {
        serializer.serialize_newtype_struct(GONE, &error.to_string())
    } else {
        serializer.collect_str(error)
    }
}

/// The text that a client receives instead of an internal error.
pub(crate) const INTERNAL: &str = "internal server error";
