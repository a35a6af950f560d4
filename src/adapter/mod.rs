//! The other nodes of a cluster, through Redis.
//!
//! What this node tells and asks leaves by a bounded queue, [`format`] says how it looks, and
//! [`connection`] carries it; what others say is read there and done to this node's sockets by
//! [`delivery`]. The actor keeps the connections and makes them anew. Sockets and namespaces know
//! nothing of it but the trait [`Adapter`](crate::socket::Adapter).

mod actor;
mod channels;
mod config;
mod connection;
mod delivery;
mod emitter;
mod format;
mod forward;
mod known;
mod listener;
mod load;
mod node;
mod publisher;
mod queue;
mod reader;
mod records;
mod replay;
mod request;
mod restore;

pub use config::RedisAdapter;
pub(crate) use config::start;
pub use emitter::{Emitter, EmitterBroadcast};
pub(crate) use forward::serve;
