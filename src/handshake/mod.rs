//! The handshake: the content of a client's first HTTP request, kept for the life of its session.
//!
//! Text and bytes of the request enter once. Each query searches them again. There are many idle
//! clients and few queries, so nothing is parsed in advance: a handshake is the raw text in one
//! allocation and a few words. Nothing here depends on HTTP's machinery.

mod content;
mod extensions;
mod initial_rooms;
mod origin;
mod proxies;
mod revision;

pub(crate) use content::HandshakeMeta;
pub use content::{Handshake, QueryError};
pub use extensions::Extensions;
pub(crate) use initial_rooms::InitialRooms;
pub(crate) use origin::{Origin, OriginError, OriginPattern};
pub(crate) use proxies::{Peer, TrustedProxies};
pub(crate) use revision::Revision;
