//! Metrics and spans: the reports of a running server for its operators.
//!
//! [`Telemetry`] is a value of the options, so every floor may report to it. Names, durations and
//! numbers enter; they leave to the recorder of the crate `metrics` and to the subscriber of the
//! crate `tracing`. Without the features `metrics` and `tracing` the values are empty and each
//! method does nothing, so no caller depends on a feature. The module does not know sessions,
//! sockets or brokers.

#[cfg(feature = "metrics")]
mod descriptions;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "metrics_off.rs"]
mod metrics;
#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "only metrics read a sample")
)]
mod sample;

#[cfg_attr(
    not(feature = "tracing"),
    allow(dead_code, reason = "only spans show the parts of an event")
)]
mod event_parts;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "spans_off.rs"]
mod spans;
#[cfg(feature = "tracing")]
mod trace_parent;

use std::time::Duration;

pub(crate) use event_parts::EventParts;
pub(crate) use metrics::{EventTimer, Metrics, RunningTimer};
pub(crate) use sample::{AdapterSample, Sample};
pub(crate) use spans::{InSpan, SpanScope, Spans};
#[cfg(feature = "tracing")]
pub use trace_parent::TraceParent;

/// The telemetry of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    pub(crate) spans: Spans,
}

/// The interval at which gauges and sums are measured. It is shorter than the usual interval of a
/// scrape, 15 s.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);
