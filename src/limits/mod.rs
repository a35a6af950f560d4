//! The limits of a server: their names, and the report of each hit.
//!
//! A check that refuses, drops or closes reports a [`LimitHit`] to the [`LimitHooks`] of its server,
//! which count it and call the program. The checks themselves are where the bytes are, and the
//! configured values are in `config/`. Sessions, sockets and HTTP are not known here.

mod hit;
mod hooks;
mod limit;

pub use hit::LimitHit;
pub(crate) use hooks::LimitHooks;
pub use limit::Limit;
