//! The names of sockets and audiences in the log.

use std::fmt;

use crate::id::SocketId;
use crate::logging::{Quoted, TARGET_EVENT, plain};
use crate::socket::membership::{Audience, Membership};
use crate::socket::state::SocketState;

/// Logs that an event of `size` bytes is sent. Separate, so that a program without such lines pays
/// only for a check of the level.
#[cold]
pub(crate) fn log_emit(event: &str, size: usize, to: &dyn fmt::Display) {
    log::debug!(target: TARGET_EVENT, "event {}: {size} bytes to {to}", Quoted(event));
}

/// The same for an event to one socket; broadcasts use the other.
#[cold]
pub(crate) fn log_emit_to(
    membership: &Membership,
    event: &str,
    size: usize,
    recipient: Option<SocketId>,
) {
    match recipient.map(|id| (id, membership.socket(id))) {
        Some((_, Some(socket))) => log_emit(event, size, &socket),
        Some((id, None)) => log_emit(event, size, &format_args!("socket {id}")),
        None => {}
    }
}

/// An audience of a namespace.
pub(crate) struct Many<'a>(pub(crate) &'a Membership, pub(crate) &'a Audience);

impl fmt::Display for Many<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in namespace {}", self.1, plain(self.0.name()))
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.id)?;
        if let Some(address) = self.link.handshake.address() {
            write!(f, " of {address}")?;
        }
        write!(f, " in namespace {}", plain(&self.namespace))
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(socket) = &self.alone {
            return write!(f, "socket {}", socket.id);
        }
        match &self.rooms {
            Some(rooms) => {
                f.write_str("rooms ")?;
                list(f, rooms)?;
            }
            None => f.write_str("all")?,
        }
        if !self.except.is_empty() {
            f.write_str(" except rooms ")?;
            list(f, &self.except)?;
        }
        match self.sender {
            Some(sender) => write!(f, " except socket {}", sender.id),
            None => Ok(()),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    let shown = names.iter().take(SHOWN).map(|name| Quoted(name));
    f.debug_list().entries(shown).finish()?;
    match names.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

/// The number of rooms that a line names.
const SHOWN: usize = 4;
