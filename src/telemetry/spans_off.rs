//! Spans of a server without the feature `tracing`: empty values that do nothing.
//!
//! Each type and method has its twin in `spans.rs`.

#![allow(
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "the twins of methods that need their value"
)]

use std::fmt::Display;
use std::future::Future;

use crate::telemetry::EventParts;

#[derive(Clone, Debug, Default)]
pub(crate) struct Spans;

impl Spans {
    pub(crate) fn handshake<'a>(
        &self,
        _transport: &'static str,
        _parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        SpanScope
    }

    pub(crate) fn connect<'a>(
        &self,
        _namespace: &str,
        _socket: &dyn Display,
        _parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        SpanScope
    }

    pub(crate) fn reads_events(&self) -> bool {
        false
    }

    pub(crate) fn event<'a>(
        &self,
        _parts: &EventParts<'_>,
        _own: Option<&str>,
        _session_parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        SpanScope
    }
}

#[derive(Debug)]
pub(crate) struct SpanScope;

impl SpanScope {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn call(_namespace: &str, _event: &str, _socket: &dyn Display) -> Self {
        Self
    }

    pub(crate) fn broadcast(_namespace: &str, _event: &str) -> Self {
        Self
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn delivery(_namespace: &str) -> Self {
        Self
    }

    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }

    pub(crate) fn follow<F: Future>(self, future: F) -> InSpan<F> {
        future
    }
}

pub(crate) type InSpan<F> = F;
