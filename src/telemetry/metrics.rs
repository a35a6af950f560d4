//! Metrics, on the facade of the crate `metrics`.
//!
//! Each type and method has its twin in `metrics_off.rs`. Rare values are looked up in the recorder
//! by name each time; the histogram of a handler is looked up once, because it is needed for every
//! event.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};

use crate::telemetry::descriptions::{DESCRIPTIONS, MetricType};
use crate::telemetry::{AdapterSample, Sample};

/// The metrics of one server, and where they go.
#[derive(Clone, Default)]
pub(crate) struct Metrics {
    /// `None`: the global recorder of the process.
    recorder: Option<Arc<dyn Recorder + Send + Sync>>,
}

impl Metrics {
    pub(crate) const IS_ON: bool = true;

    /// Makes metrics that go to `recorder`.
    pub(crate) fn to(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self {
            recorder: Some(Arc::new(recorder)),
        }
    }

    /// A session was opened by a handshake over this transport.
    pub(crate) fn opened(&self, transport: &'static str) {
        self.count(
            "socketio_handshakes_total",
            vec![transport_is(transport)],
            1,
        );
    }

    /// A request was refused.
    pub(crate) fn refused(&self, cause: &'static str) {
        self.count(
            "socketio_refusals_total",
            vec![Label::new("cause", cause)],
            1,
        );
    }

    /// An upgrade has ended.
    pub(crate) fn upgraded(&self, outcome: &'static str) {
        let labels = vec![Label::new("outcome", outcome)];
        self.count("socketio_upgrades_total", labels, 1);
    }

    /// A session was closed that was open for this time.
    pub(crate) fn closed(&self, reason: &'static str, transport: &'static str, open: Duration) {
        let labels = vec![reason_is(reason), transport_is(transport)];
        self.histogram("socketio_session_duration_seconds", labels)
            .record(open);
    }

    /// A session was closed because its outbox was full.
    pub(crate) fn slow_client_closed(&self) {
        self.count("socketio_slow_client_disconnects_total", Vec::new(), 1);
    }

    /// A client's CONNECT to a namespace was decided.
    pub(crate) fn connected(&self, namespace: &Arc<str>, outcome: &'static str) {
        let labels = vec![namespace_is(namespace), Label::new("outcome", outcome)];
        self.count("socketio_connects_total", labels, 1);
    }

    /// A socket has left its namespace.
    pub(crate) fn disconnected(&self, namespace: &Arc<str>, reason: &'static str) {
        let labels = vec![namespace_is(namespace), reason_is(reason)];
        self.count("socketio_disconnects_total", labels, 1);
    }

    /// A client has reconnected: it was recovered and had missed this number of events, or it could
    /// not be recovered.
    pub(crate) fn recovered(&self, namespace: &Arc<str>, missed: Option<usize>) {
        let outcome = match missed {
            Some(0) => "nothing_missed",
            Some(_) => "missed_events_sent",
            None => "not_recovered",
        };
        let labels = vec![namespace_is(namespace), Label::new("outcome", outcome)];
        self.count("socketio_recoveries_total", labels, 1);
    }

    /// The program's code, or an actor, has panicked.
    pub(crate) fn panicked(&self, source: &'static str) {
        self.count(
            "socketio_panics_total",
            vec![Label::new("source", source)],
            1,
        );
    }

    /// A child of this supervisor is restarted.
    pub(crate) fn child_restarted(&self, supervisor: &str) {
        let labels = vec![supervisor_is(supervisor)];
        self.count("socketio_child_restarts_total", labels, 1);
    }

    /// A message to a child of this supervisor is a dead letter.
    pub(crate) fn undelivered(&self, supervisor: &str) {
        let labels = vec![supervisor_is(supervisor)];
        self.count("socketio_dead_letters_total", labels, 1);
    }

    /// Publishes the gauges and sums of this moment.
    pub(crate) fn publish(&self, sample: &Sample) {
        for (transport, count) in &sample.sessions {
            self.set("socketio_sessions", vec![transport_is(transport)], *count);
        }
        for (namespace, count) in &sample.sockets {
            self.set("socketio_sockets", vec![namespace_is(namespace)], *count);
        }
        for (limit, hits) in &sample.limit_hits {
            let labels = vec![Label::new("limit", *limit)];
            self.total("socketio_limit_hits_total", labels, *hits);
        }
        for (name, total) in [
            ("socketio_packets_received_total", sample.packets_received),
            ("socketio_received_bytes_total", sample.bytes_received),
            ("socketio_packets_sent_total", sample.packets_sent),
            ("socketio_sent_bytes_total", sample.bytes_sent),
            ("socketio_volatile_dropped_total", sample.volatile_dropped),
        ] {
            self.total(name, Vec::new(), total);
        }
        for (name, value) in [
            ("socketio_outbox_bytes", sample.outbox_bytes),
            ("socketio_outbox_high_water_bytes", sample.outbox_high_water),
            ("socketio_handlers_in_flight", sample.handlers_in_flight),
        ] {
            self.set(name, Vec::new(), value);
        }
        if let Some(adapter) = &sample.adapter {
            self.publish_adapter(adapter);
        }
    }

    fn publish_adapter(&self, adapter: &AdapterSample) {
        let connected = usize::from(adapter.is_connected);
        self.set("socketio_adapter_connected", Vec::new(), connected);
        self.set(
            "socketio_adapter_queue_bytes",
            Vec::new(),
            adapter.queued_bytes,
        );
        if let Some(lag) = adapter.lag_seconds {
            self.gauge("socketio_adapter_lag_seconds", Vec::new())
                .set(lag);
        }
        for (name, total) in [
            ("socketio_adapter_reconnects_total", adapter.reconnects),
            ("socketio_adapter_refused_total", adapter.refused),
            ("socketio_adapter_lost_total", adapter.lost),
            ("socketio_adapter_unreadable_total", adapter.unreadable),
        ] {
            self.total(name, Vec::new(), total);
        }
    }

    /// Gives the recorder the description and the unit of each metric, and the counters whose labels
    /// are known: a rate is not measured from the absence of a counter.
    pub(crate) fn describe(&self) {
        self.count("socketio_slow_client_disconnects_total", Vec::new(), 0);
        self.count(
            "socketio_panics_total",
            vec![Label::new("source", "handler")],
            0,
        );
        for outcome in UPGRADE_OUTCOMES {
            self.count(
                "socketio_upgrades_total",
                vec![Label::new("outcome", outcome)],
                0,
            );
        }
        self.with(|recorder| {
            for (metric_type, name, unit, text) in DESCRIPTIONS {
                let (name, text) = ((*name).into(), SharedString::const_str(text));
                match metric_type {
                    MetricType::Counter => recorder.describe_counter(name, Some(*unit), text),
                    MetricType::Gauge => recorder.describe_gauge(name, Some(*unit), text),
                    MetricType::Histogram => recorder.describe_histogram(name, Some(*unit), text),
                }
            }
        });
    }

    fn count(&self, name: &'static str, labels: Vec<Label>, number: u64) {
        self.counter(name, labels).increment(number);
    }

    fn total(&self, name: &'static str, labels: Vec<Label>, total: u64) {
        self.counter(name, labels).absolute(total);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float, and no number here exceeds its 53 bits"
    )]
    fn set(&self, name: &'static str, labels: Vec<Label>, value: usize) {
        self.gauge(name, labels).set(value as f64);
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        self.with(|recorder| recorder.register_counter(&key(name, labels), &METADATA))
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        self.with(|recorder| recorder.register_gauge(&key(name, labels), &METADATA))
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        self.with(|recorder| recorder.register_histogram(&key(name, labels), &METADATA))
    }

    fn with<T>(&self, use_it: impl FnOnce(&dyn Recorder) -> T) -> T {
        match &self.recorder {
            Some(recorder) => use_it(recorder.as_ref()),
            None => metrics::with_recorder(use_it),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("has_own_recorder", &self.recorder.is_some())
            .finish_non_exhaustive()
    }
}

/// The measurements of the handlers of one event.
#[derive(Debug)]
pub(crate) struct EventTimer {
    /// The value of the label `event`.
    event: Arc<str>,
    /// Looked up at the first event.
    histogram: OnceLock<Histogram>,
}

impl EventTimer {
    pub(crate) fn new(event: &Arc<str>) -> Self {
        Self {
            event: Arc::clone(event),
            histogram: OnceLock::new(),
        }
    }

    /// Starts to measure one call of a handler.
    pub(crate) fn start(&self, metrics: &Metrics, namespace: &Arc<str>) -> RunningTimer {
        let histogram = self.histogram.get_or_init(|| {
            let event = Label::new("event", Arc::clone(&self.event));
            let labels = vec![namespace_is(namespace), event];
            metrics.histogram("socketio_handler_duration_seconds", labels)
        });
        RunningTimer {
            histogram: histogram.clone(),
            started: Instant::now(),
        }
    }
}

/// The copy of a table may belong to another namespace, so it looks its histogram up again.
impl Clone for EventTimer {
    fn clone(&self) -> Self {
        Self::new(&self.event)
    }
}

/// The measurement of one call.
#[derive(Debug)]
pub(crate) struct RunningTimer {
    histogram: Histogram,
    started: Instant,
}

impl RunningTimer {
    /// Records the time since the start.
    pub(crate) fn stop(self) {
        self.histogram.record(self.started.elapsed());
    }
}

/// The values of the label `outcome` of upgrades.
const UPGRADE_OUTCOMES: [&str; 4] = ["completed", "abandoned", "refused", "timed_out"];

fn key(name: &'static str, labels: Vec<Label>) -> Key {
    Key::from_parts(name, labels)
}

fn transport_is(transport: &'static str) -> Label {
    Label::new("transport", transport)
}

fn reason_is(reason: &'static str) -> Label {
    Label::new("reason", reason)
}

fn namespace_is(namespace: &Arc<str>) -> Label {
    Label::new("namespace", Arc::clone(namespace))
}

fn supervisor_is(supervisor: &str) -> Label {
    Label::new("supervisor", supervisor.to_owned())
}

static METADATA: Metadata<'static> =
    Metadata::new("actix_socketio", Level::INFO, Some("actix_socketio"));
