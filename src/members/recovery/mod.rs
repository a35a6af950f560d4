//! Connection state recovery: the missed events of a client, and its previous state.
//!
//! A namespace with recovery numbers its events and keeps the latest. It also keeps the sockets
//! that were disconnected without a request. All numbered events are sent under one lock, so that
//! all clients receive them in order. An event carries its number as its last argument, and the
//! official client sends the last number as its offset when it reconnects. A volatile event is not
//! kept and carries the number of the previous event, so that its own last argument is never taken
//! for an offset. Nothing here sends.
//!
//! If the adapter stores records, a client may be recovered on another node. Then the offset also
//! contains the client's position in the events of the whole cluster, a [`ClusterOffset`].

mod already_received;
mod log;
mod memory;
mod offset;
mod record;
mod state;

pub(crate) use log::Superseded;
pub(crate) use memory::{DetachOutcome, LogGuard, Recovery};
pub(crate) use offset::{EventOffset, EventSource, cluster_offset_of};
pub(crate) use record::{PersistedSocket, persisted};
pub(crate) use state::{
    RecoveryOptions, RecoveryState, ResumeRequest, Resumed, SocketSnapshot, StartFrom,
};
