//! Clusters: several nodes, which send to each other through a broker.

mod failures;
mod formats;
mod forwarding;
#[cfg(feature = "metrics")]
mod metrics;
mod operations;
mod outbox;
mod questions;
mod recovery;
mod stop;
