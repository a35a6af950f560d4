//! Events without an acknowledgement.

use actix::Message;
use serde::Serialize;

use crate::error::EmitError;
use crate::message::address::{Address, addressed};
use crate::socketio::{Args, ArgsError};

/// Sends an event to many: to everyone in a room when sent to a [`Room`](crate::Room), and to
/// everyone in a namespace, or in some of its rooms, when sent to the [`Server`](crate::Server). A room
/// has a namespace and an audience already, and heeds nothing but `except` and `volatile`.
///
/// # Examples
///
/// ```
/// # use actix_socketio::{Emit, Server};
/// # async fn run(server: actix::Addr<Server>) -> Result<(), Box<dyn std::error::Error>> {
/// server.send(Emit::event("news", "to all of /chat in the lobby").of("/chat").to("lobby")).await??;
/// # Ok(()) }
/// ```
#[derive(Debug, Message)]
#[rtype(result = "Result<(), EmitError>")]
pub struct Emit {
    pub(crate) event: String,
    pub(crate) data: Result<Args, ArgsError>,
    pub(crate) address: Address,
    pub(crate) volatile: bool,
}

impl Emit {
    /// Names the event and its data: a tuple is sent as that many arguments, `()` as none, anything
    /// else as one. Data that cannot be sent is an error of the message's answer.
    pub fn event(name: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            event: name.into(),
            data: Args::from_value(&data),
            address: Address::default(),
            volatile: false,
        }
    }

    /// Drops the event for clients that have something waiting to be sent to them already.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    addressed!();
}
