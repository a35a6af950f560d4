//! The protocols on top of a session: Socket.IO, or the program's own messages.
//!
//! A client's packets enter from its session and go to the handlers of its sockets, in the order of
//! arrival. The registry has the namespaces. The transport of a packet is not known here.

mod assembling;
mod expiring;
mod limiting;
mod message;
mod parsing;
mod passing;
mod rates;
mod raw;
mod refusing;
mod resuming;
mod sockets;
mod state;

pub(crate) use raw::{Callbacks, Raw, Running};
pub use raw::{EngineSession, ReadyState};
pub(crate) use state::Client;
