//! The options of metrics and spans.

#[cfg(feature = "tracing")]
use std::sync::Arc;

use crate::server::{Buildable, Builder};
#[cfg(feature = "metrics")]
use crate::telemetry::Metrics;
#[cfg(feature = "tracing")]
use crate::telemetry::TraceParent;

/// The options of metrics.
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
impl<S: Buildable> Builder<S> {
    /// Sets the recorder of this server's metrics. Without it they go to the recorder that
    /// `metrics::set_global_recorder` has installed, which must be done before
    /// [`start`](Self::start). Several servers in one process need a recorder each, because their
    /// gauges have the same names.
    ///
    /// docs/operations.md has a table of the metrics.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    /// use metrics_exporter_prometheus::PrometheusBuilder;
    ///
    /// let recorder = PrometheusBuilder::new().build_recorder();
    /// let page = recorder.handle();
    /// let builder = SocketIo::builder().metrics_recorder(recorder);
    /// // The text of the page that Prometheus reads.
    /// assert_eq!(page.render(), "");
    /// ```
    pub fn metrics_recorder<R>(mut self, recorder: R) -> Self
    where
        R: metrics::Recorder + Send + Sync + 'static,
    {
        self.config.telemetry.metrics = Metrics::to(recorder);
        self
    }
}

/// The options of spans.
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
impl<S: Buildable> Builder<S> {
    /// Calls `adopt` for each span of this server whose client has sent a `traceparent`: by a
    /// header of its first request, or with an event ([`event_traceparent`]). The crate `tracing`
    /// has no parents of other processes, so the program hands the parent to its exporter here.
    ///
    /// The spans are `handshake`, `connect` and `event`; those that begin in them, such as `call`
    /// and `broadcast`, follow. The field `trace_id` of a span has the id without this hook too. If
    /// `adopt` panics, the span has no parent and the log has a line.
    ///
    /// # Examples
    ///
    /// With the crates `opentelemetry` and `tracing-opentelemetry`:
    ///
    /// ```
    /// use actix_socketio::{SocketIo, TraceParent};
    /// use opentelemetry::Context;
    /// use opentelemetry::trace::{
    ///     SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    /// };
    /// use tracing::Span;
    /// use tracing_opentelemetry::OpenTelemetrySpanExt;
    ///
    /// fn adopt(span: &Span, parent: &TraceParent) {
    ///     let parent = SpanContext::new(
    ///         TraceId::from(parent.trace_id()),
    ///         SpanId::from(parent.span_id()),
    ///         TraceFlags::default().with_sampled(parent.is_sampled()),
    ///         true,
    ///         TraceState::default(),
    ///     );
    ///     // Without an exporter there is nothing to connect.
    ///     let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    /// }
    ///
    /// let builder = SocketIo::builder().trace_parent(adopt);
    /// ```
    ///
    /// [`event_traceparent`]: Self::event_traceparent
    pub fn trace_parent<F>(mut self, adopt: F) -> Self
    where
        F: Fn(&tracing::Span, &TraceParent) + Send + Sync + 'static,
    {
        self.config.telemetry.spans.set_adopt_hook(Arc::new(adopt));
        self
    }

    /// Sets whether the last argument of an event may be its `traceparent`; by default it may not.
    /// It is an object with this member and no other except `tracestate`, as
    /// `socket.emit("save", text, { traceparent })` sends it. Handlers do not get it. The span of
    /// such an event has this parent instead of that of the client's first request.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::SocketIo;
    ///
    /// let builder = SocketIo::builder().event_traceparent(true);
    /// ```
    pub fn event_traceparent(mut self, read: bool) -> Self {
        self.config.telemetry.spans.set_reads_events(read);
        self
    }
}
