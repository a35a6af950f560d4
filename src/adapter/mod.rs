//! The other nodes of a cluster, through Redis.
//!
//! What this node tells and asks leaves by a bounded queue, [`format`] says how it looks, and
//! [`connection`] carries it; what others say is read there and done to this node's sockets by
//! [`delivery`]. The actor keeps the connections and makes them anew. Sockets and namespaces know
//! nothing of it but the trait [`Adapter`](crate::socket::Adapter).

mod broker;
mod connections;
mod context;
mod emitter;
mod format;
mod forwarding;
mod health;
mod namespaces;
mod node;
mod questions;
mod receiving;
mod recovery;
mod redis;
mod retry;
mod roster;
mod sending;
mod subscriptions;
mod tasks;

pub use self::redis::RedisAdapter;
pub(crate) use self::redis::start;
pub use emitter::{Emitter, EmitterBroadcast};
