//! Spans, on the facade of the crate `tracing`.
//!
//! Each type and method has its twin in `spans_off.rs`. A span exists only if a subscriber wants
//! it; otherwise no header is read. Names that a client may choose are escaped and cut.

use std::fmt::{self, Display};
use std::future::Future;
use std::sync::Arc;

use log::Level;
use tracing::instrument::{Instrument, Instrumented};
use tracing::{Span, dispatcher, field, info_span};

use crate::logging::{LogKind, LogLimits, cut, plain};
use crate::panics::catch_panic;
use crate::telemetry::{EventParts, TraceParent};

/// The spans of one server.
#[derive(Clone, Default)]
pub(crate) struct Spans {
    /// Connects a span with its parent, which is a span of the client.
    adopt: Option<Arc<AdoptHook>>,
    /// An event's last argument may be its `traceparent`.
    reads_events: bool,
}

/// Its arguments are a span of the server and its parent.
pub(crate) type AdoptHook = dyn Fn(&Span, &TraceParent) + Send + Sync;

impl Spans {
    pub(crate) fn set_adopt_hook(&mut self, hook: Arc<AdoptHook>) {
        self.adopt = Some(hook);
    }

    pub(crate) fn set_reads_events(&mut self, reads: bool) {
        self.reads_events = reads;
    }

    /// The first request of a client.
    pub(crate) fn handshake<'a>(
        &self,
        transport: &'static str,
        parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        let span = recorded(
            || info_span!(target: TARGET, "handshake", transport, trace_id = field::Empty),
        );
        self.adopted(span, parent)
    }

    /// The middleware and the connect handlers of a client.
    pub(crate) fn connect<'a>(
        &self,
        namespace: &str,
        socket: &dyn Display,
        parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        let span = recorded(|| {
            info_span!(
                target: TARGET,
                "connect",
                otel.kind = "server",
                namespace = %plain(namespace),
                socket = %socket,
                trace_id = field::Empty,
            )
        });
        self.adopted(span, parent)
    }

    /// Returns `true` if the last argument of an event may be its `traceparent`.
    pub(crate) fn reads_events(&self) -> bool {
        self.reads_events
    }

    /// The handlers of an event with its own `traceparent`, if it has one. `session_parent` returns
    /// that of the client's first request.
    pub(crate) fn event<'a>(
        &self,
        parts: &EventParts<'_>,
        own: Option<&str>,
        session_parent: impl FnOnce() -> Option<&'a str>,
    ) -> SpanScope {
        let span = recorded(|| {
            info_span!(
                target: TARGET,
                "event",
                otel.kind = "server",
                namespace = %plain(parts.namespace),
                event = %plain(parts.event),
                socket = %parts.socket,
                ack = parts.ack,
                trace_id = field::Empty,
            )
        });
        match own {
            Some(own) => self.adopted(span, || Some(own)),
            None => self.adopted(span, session_parent),
        }
    }

    /// Gives a span its parent, if it has one and is recorded.
    fn adopted<'a>(&self, span: Span, parent: impl FnOnce() -> Option<&'a str>) -> SpanScope {
        if span.is_disabled() {
            return SpanScope(span);
        }
        if let Some(parent) = parent().and_then(TraceParent::parse) {
            span.record(
                "trace_id",
                format_args!("{:032x}", parent.trace_id()).to_string(),
            );
            if let Some(adopt) = &self.adopt
                && let Err(panic) = catch_panic(|| adopt(&span, &parent))
            {
                let line = format_args!("hook `trace_parent` panicked: {}", cut(&panic));
                LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
            }
        }
        SpanScope(span)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("reads_events", &self.reads_events)
            .finish_non_exhaustive()
    }
}

/// A span, in which code and futures run.
#[derive(Debug)]
pub(crate) struct SpanScope(Span);

impl SpanScope {
    /// The span in which the caller runs.
    pub(crate) fn current() -> Self {
        Self(Span::current())
    }

    /// A call to a client, up to its acknowledgement.
    pub(crate) fn call(namespace: &str, event: &str, socket: &dyn Display) -> Self {
        Self(recorded(|| {
            info_span!(
                target: TARGET,
                "call",
                otel.kind = "client",
                namespace = %plain(namespace),
                event = %plain(event),
                socket = %socket,
            )
        }))
    }

    /// A broadcast to the sockets of this node and, by the adapter, to those of others.
    pub(crate) fn broadcast(namespace: &str, event: &str) -> Self {
        let span = recorded(
            || info_span!(target: TARGET, "broadcast", otel.kind = "producer", namespace = %plain(namespace), event = %plain(event)),
        );
        Self(span)
    }

    /// The delivery of a message of another node.
    #[cfg(feature = "cluster")]
    pub(crate) fn delivery(namespace: &str) -> Self {
        let span = recorded(
            || info_span!(target: TARGET, "delivery", otel.kind = "consumer", namespace = %plain(namespace)),
        );
        Self(span)
    }

    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.in_scope(run)
    }

    /// Returns a future that is polled in this span.
    pub(crate) fn follow<F: Future>(self, future: F) -> InSpan<F> {
        future.instrument(self.0)
    }
}

pub(crate) type InSpan<F> = Instrumented<F>;

/// Makes a span if the process has a subscriber. Without one the crate `tracing` may write each span
/// to the log, by a feature that any other crate can switch on.
fn recorded(make: impl FnOnce() -> Span) -> Span {
    if dispatcher::has_been_set() {
        make()
    } else {
        Span::none()
    }
}

/// The target of all spans.
const TARGET: &str = "actix_socketio";
