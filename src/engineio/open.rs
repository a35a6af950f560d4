//! The OPEN packet: the server's description of a new session for the client.
//!
//! The session's id and the settings for the client enter. The packet's text leaves. It has exactly
//! the five keys, in the order, that clients and conformance suites expect.

use std::time::Duration;

use serde_json::Value;

/// The handshake's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open<'a> {
    /// The session's id.
    pub(crate) sid: &'a str,
    /// The transports to which the session can upgrade.
    pub(crate) upgrades: &'a [&'a str],
    /// The interval of the server's pings.
    pub(crate) ping_interval: Duration,
    /// The time limit for the pong.
    pub(crate) ping_timeout: Duration,
    /// The number of bytes that a client may send in one body or frame.
    pub(crate) max_payload: usize,
}

impl Open<'_> {
    /// Returns the packet's text.
    // Engine.IO v4, Handshake: durations are in milliseconds.
    pub(crate) fn encode(&self) -> String {
        format!(
            r#"0{{"sid":{},"upgrades":{},"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
            Value::from(self.sid),
            Value::from(self.upgrades),
            self.ping_interval.as_millis(),
            self.ping_timeout.as_millis(),
            self.max_payload,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open<'a>(sid: &'a str, upgrades: &'a [&'a str]) -> Open<'a> {
        Open {
            sid,
            upgrades,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
        }
    }

    #[test]
    fn the_keys_are_the_references_in_its_order() {
        assert_eq!(
            open("sESZeQCLFtgdFjHnAAAA", &[]).encode(),
            r#"0{"sid":"sESZeQCLFtgdFjHnAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }

    #[test]
    fn upgrades_are_listed() {
        let text = open("x", &["websocket", "webtransport"]).encode();
        assert!(text.contains(r#","upgrades":["websocket","webtransport"],"#));
    }

    #[test]
    fn an_odd_sid_is_escaped() {
        assert!(open("a\"b", &[]).encode().starts_with(r#"0{"sid":"a\"b","#));
    }
}
