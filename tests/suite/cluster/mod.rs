//! Clusters: several nodes, which send to each other through a broker.

mod failures;
mod formats;
mod forwarding;
mod operations;
mod outbox;
mod questions;
mod recovery;
mod stop;
