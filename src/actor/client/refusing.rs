//! Clients that get no socket: they are refused before the program is asked.

use std::sync::Arc;

use crate::actor::client::Client;
use crate::actor::registry::NoSeat;
use crate::handler::{Environment, FailureCause, failed};
use crate::logging::Quoted;
use crate::reason::{CloseReason, DisconnectReason};
use crate::socket::{Core, Membership, Socket, connect_error};

impl Client {
    /// Notes that the client joins a namespace in which it is already, which closes its session.
    pub(super) fn connected_twice(&self, name: &str) -> CloseReason {
        let number = self.link.number;
        log::debug!("session {number}: second CONNECT for {}", Quoted(name));
        CloseReason::ForcedClose
    }

    /// Refuses the client in a namespace of this name, where no socket was made for it. The program's
    /// default hook sees it by a socket that is in no namespace, or the log has a line.
    pub(super) fn turn_away(&self, name: &str, auth: Option<&str>, cause: FailureCause) {
        let message = match &cause {
            FailureCause::Refused(message) => message.clone(),
            _ => "Invalid namespace".to_owned(),
        };
        self.link.send_vital(connect_error(name, &message.into()));
        let alone = Membership::new(name, Vec::new());
        let core = Core::new(&alone, &self.link, auth);
        core.end(DisconnectReason::ServerNamespaceDisconnect);
        let environment = Environment::within(&self.registry.surroundings);
        failed(&environment, &Socket::new(Arc::new(core)), "connect", cause);
    }
}

impl From<NoSeat> for FailureCause {
    fn from(cause: NoSeat) -> Self {
        match cause {
            NoSeat::Unknown => Self::InvalidNamespace,
            NoSeat::NameTooLong(_) | NoSeat::TooMany => Self::Refused(cause.to_string()),
        }
    }
}
