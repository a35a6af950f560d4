//! The names, types, units and meanings of the metrics.

use metrics::Unit;

/// The type of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric: its type, name, unit and meaning. The table of docs/operations.md repeats it.
pub(super) const DESCRIPTIONS: &[(MetricType, &str, Unit, &str)] = &[
    (
        MetricType::Gauge,
        "socketio_sessions",
        Unit::Count,
        "Open sessions by transport.",
    ),
    (
        MetricType::Gauge,
        "socketio_sockets",
        Unit::Count,
        "Connected sockets by namespace.",
    ),
    (
        MetricType::Counter,
        "socketio_handshakes_total",
        Unit::Count,
        "Opened sessions by the transport of their handshake.",
    ),
    (
        MetricType::Counter,
        "socketio_refusals_total",
        Unit::Count,
        "Refused HTTP requests by cause.",
    ),
    (
        MetricType::Counter,
        "socketio_upgrades_total",
        Unit::Count,
        "Upgrades from polling by outcome.",
    ),
    (
        MetricType::Counter,
        "socketio_connects_total",
        Unit::Count,
        "Connects to namespaces by outcome.",
    ),
    (
        MetricType::Counter,
        "socketio_disconnects_total",
        Unit::Count,
        "Disconnects of sockets by reason.",
    ),
    (
        MetricType::Counter,
        "socketio_recoveries_total",
        Unit::Count,
        "Recovered sockets, by whether they had missed events.",
    ),
    (
        MetricType::Histogram,
        "socketio_session_duration_seconds",
        Unit::Seconds,
        "Duration of closed sessions by reason and transport.",
    ),
    (
        MetricType::Counter,
        "socketio_slow_client_disconnects_total",
        Unit::Count,
        "Sessions closed because their outbox was full.",
    ),
    (
        MetricType::Counter,
        "socketio_packets_received_total",
        Unit::Count,
        "Packets of Engine.IO that clients have sent.",
    ),
    (
        MetricType::Counter,
        "socketio_packets_sent_total",
        Unit::Count,
        "Packets of Engine.IO that were sent to clients.",
    ),
    (
        MetricType::Counter,
        "socketio_received_bytes_total",
        Unit::Bytes,
        "Bytes of these received packets.",
    ),
    (
        MetricType::Counter,
        "socketio_sent_bytes_total",
        Unit::Bytes,
        "Bytes of these sent packets.",
    ),
    (
        MetricType::Counter,
        "socketio_volatile_dropped_total",
        Unit::Count,
        "Volatile events that were dropped because the client was not ready.",
    ),
    (
        MetricType::Gauge,
        "socketio_outbox_bytes",
        Unit::Bytes,
        "Bytes that wait in the outboxes of all sessions.",
    ),
    (
        MetricType::Gauge,
        "socketio_outbox_high_water_bytes",
        Unit::Bytes,
        "Most bytes that have waited in one outbox since the start.",
    ),
    (
        MetricType::Histogram,
        "socketio_handler_duration_seconds",
        Unit::Seconds,
        "Time from the call of a handler to its end, by namespace and event.",
    ),
    (
        MetricType::Gauge,
        "socketio_handlers_in_flight",
        Unit::Count,
        "Handlers that have started and wait.",
    ),
    (
        MetricType::Counter,
        "socketio_panics_total",
        Unit::Count,
        "Contained panics by source.",
    ),
    (
        MetricType::Counter,
        "socketio_child_restarts_total",
        Unit::Count,
        "Restarts of the program's actors by supervisor.",
    ),
    (
        MetricType::Counter,
        "socketio_dead_letters_total",
        Unit::Count,
        "Messages to the program's actors that nobody takes, by supervisor.",
    ),
    (
        MetricType::Counter,
        "socketio_limit_hits_total",
        Unit::Count,
        "How often a limit refused, delayed or dropped something, by its name.",
    ),
    (
        MetricType::Gauge,
        "socketio_adapter_connected",
        Unit::Count,
        "1 if every connection to the broker exists, else 0.",
    ),
    (
        MetricType::Gauge,
        "socketio_adapter_queue_bytes",
        Unit::Bytes,
        "Bytes that wait for the broker.",
    ),
    (
        MetricType::Gauge,
        "socketio_adapter_lag_seconds",
        Unit::Seconds,
        "Time from the broker's receipt of the last message to its receipt here.",
    ),
    (
        MetricType::Counter,
        "socketio_adapter_reconnects_total",
        Unit::Count,
        "Reconnects to the broker.",
    ),
    (
        MetricType::Counter,
        "socketio_adapter_refused_total",
        Unit::Count,
        "Messages to other nodes that the full queue refused.",
    ),
    (
        MetricType::Counter,
        "socketio_adapter_lost_total",
        Unit::Count,
        "Messages of other nodes or to them that may be lost.",
    ),
    (
        MetricType::Counter,
        "socketio_adapter_unreadable_total",
        Unit::Count,
        "Messages of other nodes that could not be read.",
    ),
];
