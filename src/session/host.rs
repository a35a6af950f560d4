//! The contract between a session and the table that made it.

use std::sync::Arc;

use actix::{Actor, Addr};

use crate::config::Transport;
use crate::id::Id;
use crate::link::Link;
use crate::reason::CloseReason;
use crate::supervision::ChildPanic;

/// The table that finds sessions by their ids. A session reports its moves and its end to it. `A` is
/// the actor of a session.
///
/// None of these is called for a packet.
pub(crate) trait SessionHost<A: Actor>: Send + Sync {
    /// A session has moved to another transport, with another actor.
    fn moved(&self, id: Id, session: Addr<A>, transport: Transport);

    /// A session has closed: it is no longer counted, and only its client can find it.
    fn closed(&self, id: Id, reason: CloseReason);

    /// A session has ended, and cannot be found. It may be called twice.
    fn forgotten(&self, link: &Arc<Link>);

    /// A session has panicked.
    fn crashed(&self, fall: ChildPanic);

    /// Returns `true` if the server stops.
    fn is_closing(&self) -> bool;
}

/// Receives the changes of all sessions of a server. None of its methods is called for a packet.
pub(crate) trait SessionWatcher: Send + Sync {
    fn opened(&self);

    /// The session of this number has moved to this transport.
    fn upgraded(&self, number: u64, transport: &'static str);

    fn closed(&self, reason: CloseReason);
}
