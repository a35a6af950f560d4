//! The data that a program keeps for a client.
//!
//! A [`Session`] has values by key; it may be kept in a store, which [`stored`] loads and saves. A
//! [`SocketExtensions`] has values by type, for one socket; [`Values`] is the map of both. Nothing
//! here depends on a link, a socket or a client: the owner of the data passes them on.

mod extensions;
mod session;
mod stored;
mod values;

#[allow(
    unused_imports,
    reason = "the benchmarks take this room without the sockets"
)]
pub(crate) use extensions::SocketExtensions;
pub use session::Session;
pub(crate) use values::Values;
#[allow(
    unused_imports,
    reason = "stores are made by the crate's feature `session`"
)]
pub(crate) use {
    session::Entries,
    stored::{Changes, Done, SessionStore},
};
