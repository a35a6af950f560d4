//! The link: the shared handle of a session.
//!
//! Sockets, rooms and handlers on any thread send through a link, and request the close of the
//! session through it. The session itself may move to another worker; its link stays the same.
//! Frames go into the outbox, never through a mailbox; only life-cycle messages reach the actor.

mod deflater;
mod forms;
mod frame;
mod in_flight;
mod inbound;
mod outbox;
mod outgoing;
mod protocol;
mod session_link;
mod stats;

#[allow(
    unused_imports,
    reason = "the benchmarks take this room without the transports"
)]
pub(crate) use deflater::Deflater;
pub(crate) use frame::{BinaryForm, Frame, FramePart};
pub(crate) use in_flight::{InFlight, InFlightGuard, has_waited_for_end, waits_for_end};
#[allow(
    unused_imports,
    reason = "the benchmarks take this room without the sessions"
)]
pub(crate) use inbound::{Inbound, InboundError, InboundMessage, Violation};
pub(crate) use outbox::{Outbox, PollRefused, PushError, Pushed, Stop, Turn, Unsent, WriteFrames};
pub(crate) use outgoing::{EmittedEvent, Outgoing};
#[allow(
    unused_imports,
    reason = "the benchmarks take this room without the sessions"
)]
pub(crate) use protocol::Protocol;
pub(crate) use session_link::{CandidateTurn, Control, Link, PostTurn};
pub use stats::SessionStats;
#[allow(
    unused_imports,
    reason = "the benchmarks take this room without the sessions"
)]
pub(crate) use stats::{Flow, OutboxStats};
