//! Many sockets of a namespace: events to them, calls, and changes of their rooms.
//!
//! A program chooses the recipients step by step (`operator.rs`). An event goes to the sockets of
//! this node first, then as a message to the adapter.

mod call;
mod emit;
mod operator;
mod sockets;

pub use operator::Broadcast;
pub(crate) use operator::MESSAGE;
