//! Events without an acknowledgement.

use actix::Message;
use serde::Serialize;

use crate::error::EmitError;
use crate::message::address::{Address, addressed};
use crate::socketio::{Args, ArgsError};

/// Sends an event to many sockets. A [`Room`](crate::Room) sends it to its members. The
/// [`Server`](crate::Server) sends it to a namespace, or to some of its rooms. A room has a
/// namespace and recipients already, so only `except` and `volatile` have an effect there.
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
    /// Names the event and its data: a tuple is sent as that many arguments, `()` as none, any
    /// other type as one. Data that cannot be sent are an error in the message's result.
    pub fn event(name: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            event: name.into(),
            data: Args::from_value(&data),
            address: Address::default(),
            volatile: false,
        }
    }

    /// Drops the event for clients whose outbox is not empty.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    addressed!();
}
