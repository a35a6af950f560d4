//! What speaks through a session: Socket.IO, or the program itself.
//!
//! A client's packets come from its session and go to the handlers of its sockets, in the order of
//! arrival. Namespaces are found in the registry. Nothing here knows how a packet came.

mod assembling;
mod passing;
mod raw;
mod refusing;
mod resuming;
mod sockets;
mod state;

pub(crate) use raw::{Callbacks, Raw, Running};
pub use raw::{EngineMessage, EngineSession, ReadyState};
pub(crate) use state::Client;
