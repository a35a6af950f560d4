//! The other nodes of a cluster, through Redis.
//!
//! What this node tells and asks leaves by a bounded queue, [`format`] says how it looks, and
//! [`connection`] carries it; what others say is read there and done to this node's sockets by
//! [`delivery`]. The actor keeps the connections and makes them anew. Sockets and namespaces know
//! nothing of it but the trait [`Adapter`](crate::socket::Adapter).

mod actor;
mod broker;
mod channels;
mod config;
mod connection;
mod context;
mod delivery;
mod emitter;
mod format;
mod forward;
mod health;
mod known;
mod listener;
mod load;
mod namespaces;
mod node;
mod outbound;
mod pending;
mod positions;
mod publisher;
mod queue;
mod reader;
mod records;
mod redis;
mod replay;
mod request;
mod restore;
mod retry;
mod roster;
mod seen;
mod tasks;

pub use config::RedisAdapter;
pub(crate) use config::start;
pub use emitter::{Emitter, EmitterBroadcast};
