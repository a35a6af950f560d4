//! Why a supervisor or a child does not start.

use std::error::Error;
use std::fmt;

/// Why a supervisor or a child was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The supervisor of this path has ended, or its server was closed.
    Ended(String),
    /// This path is that of another child or supervisor.
    NameTaken(String),
}

impl fmt::Display for SupervisorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(path) => write!(f, "supervisor {path:?} has ended and starts no child"),
            Self::NameTaken(path) => {
                write!(
                    f,
                    "the name of {path:?} is taken: end that child first, or choose another"
                )
            }
        }
    }
}

impl Error for SupervisorError {}
