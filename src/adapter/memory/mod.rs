//! A broker in memory, for tests: several servers of one process are a cluster without Redis.
//!
//! [`Hub`] is shared by the nodes; each node has a [`Memory`], whose tasks publish, subscribe and
//! read. No message is lost, and no connection breaks. A seed decides the order in which messages
//! of several nodes are delivered.

mod broker;
mod hub;
mod options;
mod tasks;

pub use options::MemoryBroker;

/// The name of the stream and of all channels.
const KEY: &str = "socket.io";
