//! The other nodes of a cluster, through a broker.
//!
//! A message leaves by `sending` and the broker, and one of another node comes in by `receiving`,
//! which delivers it to this node's sockets. A broker ([`broker`] has the contract) knows how bytes
//! travel, a [`format`] how they are written: the two are chosen apart. [`node`] owns the parts.
//! Sockets and namespaces know nothing of it but the trait [`Adapter`](crate::socket::Adapter).

mod broker;
mod connections;
mod context;
#[cfg(feature = "redis")]
mod emitter;
mod format;
mod forwarding;
mod health;
#[cfg(feature = "testing")]
mod memory;
mod namespaces;
mod node;
mod positions;
mod questions;
mod receiving;
mod recovery;
#[cfg(feature = "redis")]
mod redis;
mod retry;
mod roster;
mod sending;
mod setup;
mod subscriptions;
mod tasks;

#[cfg(feature = "redis")]
pub use self::redis::RedisAdapter;
pub(crate) use connections::start;
#[cfg(feature = "redis")]
pub use emitter::{Emitter, EmitterBroadcast};
#[cfg(feature = "testing")]
pub use memory::MemoryBroker;
pub use setup::AdapterSetup;
