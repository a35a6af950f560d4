//! The server side of the Admin UI of Socket.IO: the protocol of the npm package
//! `@socket.io/admin-ui`.
//!
//! Logins and commands of the page enter as events of a namespace of its own. Statistics leave for
//! it, and in development mode each change of a socket and each event. The statistics are counted
//! from the hooks of `session/`; sockets and events are seen by hooks of the handlers' table, of the
//! rooms and of deliveries. No hook changes what the program or a client sees. Neither the `sid`, an
//! `auth` payload nor a header with credentials leaves.

mod attempts;
mod commands;
mod counts;
mod details;
mod instrument;
mod listing;
mod login;
mod options;
mod reporter;
mod sessions;
mod stats;

pub use options::{AdminError, AdminMode, AdminOptions};
