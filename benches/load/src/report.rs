//! What a run comes to. In: counts. Out: one line of JSON.

use std::fmt::Write;

use crate::args::{Args, Workload};
use crate::histogram::Histogram;

/// The result of one run, key by key.
pub(crate) struct Report {
    json: String,
    sound: bool,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Self {
        let mut report = Self {
            json: String::new(),
            sound: true,
        };
        report.put("workload", format_args!("\"{}\"", args.workload.name()));
        report.put("connections", args.connections);
        if !matches!(args.workload, Workload::Idle | Workload::Connect) {
            report.put("in_flight", args.in_flight);
            report.put("payload", args.payload);
        }
        report
    }

    pub(crate) fn put(&mut self, key: &str, value: impl std::fmt::Display) {
        let comma = if self.json.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(self.json, "{comma}\"{key}\":{value}");
    }

    pub(crate) fn put_or_null(&mut self, key: &str, value: Option<impl std::fmt::Display>) {
        match value {
            Some(value) => self.put(key, value),
            None => self.put(key, "null"),
        }
    }

    pub(crate) fn put_errors(&mut self, errors: u64) {
        self.put("errors", errors);
        self.sound &= errors == 0;
    }

    /// Puts the count, the rate, and the latencies in microseconds.
    pub(crate) fn put_messages(&mut self, latencies: &Histogram, seconds: f64) {
        let messages = latencies.total();
        self.sound &= messages > 0;
        self.put("seconds", format_args!("{seconds:.3}"));
        self.put("messages", messages);
        self.put(
            "per_second",
            format_args!("{:.0}", messages as f64 / seconds),
        );
        for (key, share) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
            let micros = latencies
                .percentile(share)
                .map(|nanos| nanos as f64 / 1000.0);
            self.put_or_null(key, micros.map(|micros| format!("{micros:.1}")));
        }
    }

    /// Returns whether the figures may be used.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    pub(crate) fn json(&self) -> String {
        format!("{{{}}}", self.json)
    }
}
