//! The error of reading or writing arguments.

use std::{error::Error, fmt};

use serde::{Serialize, Serializer};

use crate::socketio::Shortened;

/// Error of reading or writing arguments.
///
/// Arguments are counted from 1, and an event's name is not one of them. The message of serde is
/// part of the text, so [`source`](Error::source) is always `None`.
///
/// # Examples
///
/// ```
/// use actix_socketio::Args;
///
/// let args = Args::from_value("only one")?;
/// let error = args.read::<(String, u32)>().unwrap_err();
///
/// assert_eq!(error.to_string(), "argument 2 is missing");
/// # Ok::<(), actix_socketio::ArgsError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ArgsError {
    /// An argument that the type asks for is missing. The peer caused it.
    #[non_exhaustive]
    Missing {
        /// The first argument that is missing.
        argument: usize,
    },
    /// An argument has the wrong type. The peer caused it.
    #[non_exhaustive]
    Deserialize {
        /// The argument, if it is known.
        argument: Option<usize>,
        /// The error of serde. Its line and column count from the start of the argument.
        cause: serde_json::Error,
    },
    /// A placeholder refers to an attachment that does not exist. The peer caused it.
    #[non_exhaustive]
    NoAttachment {
        /// The argument that holds the placeholder.
        argument: usize,
        /// The attachment's index in the placeholder, counted from 0.
        num: u64,
        /// The number of attachments.
        attachments: usize,
    },
    /// A value has no form in JSON, or its `Serialize` failed. The caller caused it.
    #[non_exhaustive]
    Serialize {
        /// The argument, if it is known.
        argument: Option<usize>,
        /// The error of serde.
        cause: serde_json::Error,
    },
    /// There are more attachments than
    /// [`Builder::max_attachments`](crate::Builder::max_attachments) allows in a packet. Official
    /// clients close the connection if a packet has more than 10.
    #[non_exhaustive]
    TooManyAttachments {
        /// The number of attachments.
        attachments: usize,
        /// The limit.
        limit: usize,
    },
    /// The text and the attachments have more bytes than
    /// [`Builder::packet_limit`](crate::Builder::packet_limit) allows a packet to a client.
    #[non_exhaustive]
    TooLarge {
        /// The number of bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl ArgsError {
    /// A value has no form in the encoding of a client, for this reason.
    pub(crate) fn no_form(cause: impl fmt::Display) -> Self {
        Self::Serialize {
            argument: None,
            cause: serde::ser::Error::custom(cause),
        }
    }
}

impl From<serde_json::Error> for ArgsError {
    fn from(cause: serde_json::Error) -> Self {
        Self::Serialize {
            argument: None,
            cause,
        }
    }
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { argument } => write!(f, "argument {argument} is missing"),
            Self::Deserialize {
                argument: Some(argument),
                cause,
            } => {
                let cause = Shortened(cause);
                write!(f, "argument {argument} cannot be read: {cause}")
            }
            Self::Deserialize {
                argument: None,
                cause,
            } => {
                write!(f, "the arguments cannot be read: {}", Shortened(cause))
            }
            Self::NoAttachment {
                argument,
                num,
                attachments,
            } => write!(
                f,
                "argument {argument} refers to attachment {num}, but the packet has {attachments}"
            ),
            Self::Serialize {
                argument: Some(argument),
                cause,
            } => {
                write!(f, "argument {argument} cannot be written: {cause}")
            }
            Self::Serialize {
                argument: None,
                cause,
            } => {
                write!(f, "the arguments cannot be written: {cause}")
            }
            Self::TooManyAttachments { attachments, limit } => {
                write!(
                    f,
                    "packet with {attachments} attachments, the limit is {limit}"
                )
            }
            Self::TooLarge { bytes, limit } => {
                write!(f, "packet of {bytes} bytes, the limit is {limit} bytes")
            }
        }
    }
}

impl Error for ArgsError {}

/// Serialized as its text, so that a handler may return it.
impl Serialize for ArgsError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
