//! The limits of a server: their names, the report of each hit, and the pure parts of admission and
//! rates.
//!
//! A check that refuses, drops or closes reports a [`LimitHit`] to the [`LimitHooks`] of its server,
//! which count it and call the program. The checks themselves are where the bytes are, and the
//! configured values are in `config/`. Sessions, sockets and HTTP are not known here.

mod admission;
mod bucket;
mod hit;
mod hooks;
mod limit;
mod memory;
mod rate;

pub(crate) use admission::{Admission, AdmissionLimits, NotAdmitted, Place};
pub(crate) use bucket::Bucket;
pub use hit::LimitHit;
pub(crate) use hooks::LimitHooks;
pub use limit::Limit;
pub(crate) use memory::MemoryGauge;
pub(crate) use rate::EventRates;
pub use rate::{RateLimit, RatePolicy};
