//! The other nodes of a cluster, through a broker.
//!
//! A message leaves through `sending` and the broker. A message of another node enters through
//! `receiving`, which delivers it to this node's sockets. A broker (the contract is [`broker`])
//! transports bytes, a [`format`] encodes messages: the two are chosen independently. [`node`] owns
//! the parts. Sockets and namespaces depend only on the trait [`Adapter`](crate::members::Adapter).

mod broker;
mod connections;
mod context;
#[cfg(feature = "redis")]
mod emitter;
mod format;
mod forwarding;
mod health;
mod log_entry;
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
mod tail;

#[cfg(feature = "redis")]
pub use self::redis::RedisAdapter;
pub(crate) use connections::start;
#[cfg(feature = "redis")]
pub use emitter::{Emitter, EmitterBroadcast};
#[cfg(feature = "testing")]
pub use memory::MemoryBroker;
pub use setup::AdapterSetup;
