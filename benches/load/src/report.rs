//! The results of a run. In: counts. Out: one line of JSON.

use std::fmt::Write;

use crate::args::{Args, Workload};
use crate::histogram::Histogram;
use crate::rooms::{Course, Verb};

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
        report.put("transport", format_args!("\"{}\"", args.transport.name()));
        report.put("connections", args.connections);
        match args.workload {
            Workload::Idle | Workload::Connect => {}
            Workload::Rooms => {
                report.put("in_flight", args.in_flight);
                report.put("rooms", args.rooms);
                report.put("shared", args.shared);
            }
            Workload::Echo | Workload::Ack | Workload::Bcast | Workload::Rcast => {
                match args.rate {
                    Some(rate) => report.put("rate", rate),
                    None => report.put("in_flight", args.in_flight),
                }
                report.put("payload", args.payload);
                report.put("binary", args.binary);
            }
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
    pub(crate) fn put_messages(&mut self, messages: u64, latencies: &Histogram, seconds: f64) {
        self.sound &= messages > 0;
        self.put("seconds", format_args!("{seconds:.3}"));
        self.put("messages", messages);
        self.put(
            "per_second",
            format_args!("{:.0}", messages as f64 / seconds),
        );
        for (key, share) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
            self.put_percentile(key, latencies, share);
        }
    }

    /// Puts how well a rate was kept: by the load, which sent, and by the server, which answered.
    pub(crate) fn put_pace(&mut self, lateness: &Histogram, unanswered: usize, seconds: f64) {
        let sent = lateness.total() as f64 / seconds;
        self.put("sent_per_second", format_args!("{sent:.0}"));
        self.put_percentile("sent_late_p50_us", lateness, 0.5);
        self.put_percentile("sent_late_p99_us", lateness, 0.99);
        self.put("unanswered", unanswered);
    }

    /// Puts the operations per second of all clients together.
    pub(crate) fn put_course(&mut self, verb: Verb, course: &Course, latencies: &Histogram) {
        let name = verb.plural();
        self.sound &= course.is_over();
        self.put(name, course.done());
        let [all, first, last] = course
            .rates()
            .map(|rate| rate.map(|rate| format!("{rate:.0}")));
        self.put_or_null(&format!("{name}_per_second"), all);
        self.put_or_null(&format!("{name}_first_tenth_per_second"), first);
        self.put_or_null(&format!("{name}_last_tenth_per_second"), last);
        self.put_percentile(&format!("{name}_p50_us"), latencies, 0.5);
        self.put_percentile(&format!("{name}_p99_us"), latencies, 0.99);
    }

    fn put_percentile(&mut self, key: &str, latencies: &Histogram, share: f64) {
        let micros = latencies
            .percentile(share)
            .map(|nanos| nanos as f64 / 1000.0);
        self.put_or_null(key, micros.map(|micros| format!("{micros:.1}")));
    }

    /// Returns whether the figures may be used.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    pub(crate) fn json(&self) -> String {
        format!("{{{}}}", self.json)
    }
}
