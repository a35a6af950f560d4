//! The recipients of an event, as a value.

use std::fmt;
use std::sync::Arc;

use crate::cluster::Scope;
use crate::id::SocketId;
use crate::logging::Quoted;
use crate::members::socket::SocketState;
use crate::message::Address;

/// The recipients of a broadcast.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    /// This socket alone, even if the namespace does not list it yet.
    pub(crate) alone: Option<Arc<SocketState>>,
    /// The union of these rooms; `None` is the whole namespace.
    pub(crate) rooms: Option<Vec<String>>,
    pub(crate) except: Vec<String>,
    /// The sending socket.
    pub(crate) sender: Option<Sender>,
}

/// A socket that is excluded from its own broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) key: u64,
    pub(crate) id: SocketId,
}

impl Sender {
    pub(crate) fn of(socket: &SocketState) -> Self {
        Self {
            key: socket.key,
            id: socket.id.clone(),
        }
    }
}

impl Audience {
    /// Returns the recipients on other nodes; `None` if there are none.
    pub(crate) fn elsewhere(&self) -> Option<Scope> {
        if self.alone.is_some() || self.rooms.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let mut except = self.except.clone();
        let sender = self.sender.as_ref();
        except.extend(sender.map(|sender| sender.id.as_str().to_owned()));
        Some(Scope {
            rooms: self.rooms.clone().unwrap_or_default(),
            except,
        })
    }
}

impl From<Scope> for Audience {
    fn from(scope: Scope) -> Self {
        Self {
            rooms: (!scope.rooms.is_empty()).then_some(scope.rooms),
            except: scope.except,
            ..Self::default()
        }
    }
}

impl From<Address> for Audience {
    fn from(address: Address) -> Self {
        Self {
            rooms: address.rooms,
            except: address.except,
            ..Self::default()
        }
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
        match &self.sender {
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
