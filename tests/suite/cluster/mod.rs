//! Clusters: several nodes, which send to each other through a broker.

#[cfg(feature = "redis")]
mod failures;
#[cfg(feature = "redis")]
mod formats;
#[cfg(feature = "redis")]
mod forwarding;
#[cfg(feature = "redis")]
mod operations;
#[cfg(feature = "redis")]
mod outbox;
mod questions;
#[cfg(feature = "redis")]
mod recovery;
#[cfg(feature = "redis")]
mod stop;
