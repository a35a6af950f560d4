//! Metrics of a server without the feature `metrics`: empty values that do nothing.
//!
//! Each type and method has its twin in `metrics.rs`.

#![allow(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "the twins of methods that need their value"
)]

use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::Sample;

#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics;

impl Metrics {
    pub(crate) const IS_ON: bool = false;

    pub(crate) fn opened(&self, _transport: &'static str) {}

    pub(crate) fn refused(&self, _cause: &'static str) {}

    pub(crate) fn upgraded(&self, _outcome: &'static str) {}

    pub(crate) fn closed(&self, _reason: &'static str, _transport: &'static str, _open: Duration) {}

    pub(crate) fn slow_client_closed(&self) {}

    pub(crate) fn connected(&self, _namespace: &Arc<str>, _outcome: &'static str) {}

    pub(crate) fn disconnected(&self, _namespace: &Arc<str>, _reason: &'static str) {}

    pub(crate) fn recovered(&self, _namespace: &Arc<str>, _missed: Option<usize>) {}

    pub(crate) fn panicked(&self, _source: &'static str) {}

    pub(crate) fn child_restarted(&self, _supervisor: &str) {}

    pub(crate) fn undelivered(&self, _supervisor: &str) {}

    pub(crate) fn describe(&self) {}

    pub(crate) fn publish(&self, _sample: &Sample) {}
}

#[derive(Clone, Debug)]
pub(crate) struct EventTimer;

impl EventTimer {
    pub(crate) fn new(_event: &Arc<str>) -> Self {
        Self
    }

    pub(crate) fn start(&self, _metrics: &Metrics, _namespace: &Arc<str>) -> RunningTimer {
        RunningTimer
    }
}

#[derive(Debug)]
pub(crate) struct RunningTimer;

impl RunningTimer {
    pub(crate) fn stop(self) {}
}
