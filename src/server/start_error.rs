//! The error of a server's start.

use std::fmt;
use std::io;

/// The reason why a server did not start: the system refused a thread, or an option is invalid.
///
/// # Examples
///
/// ```
/// use actix_socketio::{SocketIo, StartError};
///
/// fn start() -> Result<SocketIo, StartError> {
///     SocketIo::builder().start()
/// }
/// ```
#[derive(Debug)]
pub struct StartError(pub(crate) io::Error);

impl StartError {
    /// The error of an invalid option.
    pub(crate) fn option(fault: String) -> Self {
        Self(io::Error::new(io::ErrorKind::InvalidInput, fault))
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.kind() == io::ErrorKind::InvalidInput {
            return self.0.fmt(f);
        }
        write!(
            f,
            "the thread of the server's actors cannot be started: {}",
            self.0
        )
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<StartError> for io::Error {
    fn from(error: StartError) -> Self {
        error.0
    }
}
