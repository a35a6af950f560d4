//! The outgoing frames of a session.
//!
//! Any thread pushes frames. The holder of the client's transport drains them: a waiting poll, or
//! the body of the WebSocket's response. The queue is bounded in bytes: `pressure.rs` says which
//! packets may exceed the limit and which wait for room. The first packets of a client are written
//! apart from others (`pause.rs`). A transport is woken only when an empty queue receives a frame. An
//! upgrade changes the reader and loses no frame. The outbox depends on nothing of sessions, rooms
//! or HTTP.

mod drain;
mod form;
mod pause;
mod poll;
mod pressure;
mod queue;

pub(crate) use drain::WriteFrames;
pub(crate) use pause::Stop;
pub(crate) use pressure::Turn;
pub(crate) use queue::{Outbox, PollRefused, PushError, Pushed, Unsent};
