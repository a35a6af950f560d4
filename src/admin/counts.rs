//! The numbers of events by second, between two messages with statistics.
//!
//! Events and the time enter; their sums leave. The number of seconds is bounded by the interval of
//! the messages, that of types by the reasons of a close.

use std::collections::BTreeMap;
use std::mem;

use serde::Serialize;

/// The numbers since they were taken last.
#[derive(Debug, Default)]
pub(super) struct EventCounts(BTreeMap<(u64, &'static str, Option<&'static str>), u64>);

/// The number of events of one type in one second.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AggregatedEvent {
    /// In milliseconds since 1970, a whole second.
    timestamp: u64,
    #[serde(rename = "type")]
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_type: Option<&'static str>,
    count: u64,
}

impl EventCounts {
    /// Adds events at a time, in milliseconds since 1970.
    pub(super) fn add(
        &mut self,
        milliseconds: u64,
        event: &'static str,
        sub_type: Option<&'static str>,
        count: u64,
    ) {
        if count > 0 {
            let second = milliseconds - milliseconds % 1000;
            *self.0.entry((second, event, sub_type)).or_default() += count;
        }
    }

    /// Returns the numbers, and begins anew.
    pub(super) fn take(&mut self) -> Vec<AggregatedEvent> {
        let counts = mem::take(&mut self.0).into_iter();
        let event = |((timestamp, event, sub_type), count)| AggregatedEvent {
            timestamp,
            event,
            sub_type,
            count,
        };
        counts.map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_second_and_type_are_summed() {
        let mut counts = EventCounts::default();
        counts.add(1999, "bytesIn", None, 5);
        counts.add(1000, "bytesIn", None, 2);
        counts.add(2000, "bytesIn", None, 1);
        counts.add(2000, "rawDisconnection", Some("ping timeout"), 1);
        counts.add(2000, "packetsIn", None, 0);
        let text = serde_json::to_string(&counts.take()).unwrap();
        let expected = concat!(
            r#"[{"timestamp":1000,"type":"bytesIn","count":7},"#,
            r#"{"timestamp":2000,"type":"bytesIn","count":1},"#,
            r#"{"timestamp":2000,"type":"rawDisconnection","subType":"ping timeout","count":1}]"#,
        );
        assert_eq!(text, expected);
        assert!(counts.take().is_empty());
    }
}
