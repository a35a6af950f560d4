//! The errors of the public interface: a variant for each cause on which a program can act.
//!
//! Errors of the protocol stay in their codecs. If a peer violates the protocol, its session is
//! closed with a [`CloseReason`](crate::CloseReason) and a log line.

mod call;
mod connect;
mod emit;
mod handler;
mod rejection;
mod room;
mod session;
mod text;
mod user;

pub use call::CallError;
pub use connect::ConnectError;
pub use emit::EmitError;
pub use handler::HandlerError;
pub(crate) use handler::says_gone;
pub use rejection::Rejection;
pub use room::RoomError;
pub use session::SessionError;
pub(crate) use text::INTERNAL;
pub use user::UserError;
