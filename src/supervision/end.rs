//! Why a child has ended.

use std::fmt;

/// Why a life of a child has ended.
///
/// | end | cause | permanent | transient | temporary |
/// | --- | --- | --- | --- | --- |
/// | `Panic` | a panic in `started`, a handler, a future or a stream of its context, or the factory | restarted | restarted | ended |
/// | `Error` | [`ChildContext::fail`](crate::ChildContext::fail) | restarted | restarted | ended |
/// | `Escalated` | a supervisor that is a child: its children have ended too often | restarted | restarted | ended |
/// | `Normal` | `stop` or `terminate` of its context | restarted | ended | ended |
/// | `Shutdown` | its supervisor has stopped it, the server was closed, or its thread has ended | as its supervisor decides | as its supervisor decides | ended |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildEnd {
    /// It has panicked; the text of the panic.
    Panic(String),
    /// It has stopped itself because of an error; the text of the error.
    Error(String),
    /// It is a supervisor, whose children have ended too often; the last of these ends.
    Escalated(String),
    /// It has stopped itself.
    Normal,
    /// It was stopped.
    Shutdown,
}

impl fmt::Display for ChildEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(text) => write!(f, "panic: {text}"),
            Self::Error(text) => write!(f, "error: {text}"),
            Self::Escalated(text) => write!(f, "too many restarts, the last after {text}"),
            Self::Normal => f.write_str("normal end"),
            Self::Shutdown => f.write_str("shutdown"),
        }
    }
}
