//! A random number for times that must differ between servers, actors and clients.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns a number from 0 to 1.
pub(crate) fn random() -> f64 {
    // The seeds of hash maps are random.
    let bits = RandomState::new().build_hasher().finish() >> 32;
    bits as f64 / f64::from(u32::MAX)
}
