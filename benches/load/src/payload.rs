//! Engine.IO payloads, the bodies of long-polling. In: a body. Out: its packets, and what the load
//! reads of them.

/// Returns the packets of a payload (Engine.IO v4, Packet encoding: HTTP long-polling).
pub(crate) fn packets(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == SEPARATOR)
}

/// Returns the session's id, if `packet` is a handshake.
pub(crate) fn sid(packet: &[u8]) -> Option<String> {
    let json = std::str::from_utf8(packet.strip_prefix(b"0")?).ok()?;
    let (_, rest) = json.split_once("\"sid\"")?;
    // Some servers put spaces into their JSON.
    let value = rest.trim_start().strip_prefix(':')?.trim_start();
    let (sid, _) = value.strip_prefix('"')?.split_once('"')?;
    Some(sid.to_owned())
}

pub(crate) const SEPARATOR: u8 = 0x1E;

#[cfg(test)]
mod tests {
    use super::{packets, sid};

    #[test]
    fn payloads_fall_into_packets() {
        for (body, expected) in [
            ("2", &["2"][..]),
            ("42[\"a\"]\u{1e}6", &["42[\"a\"]", "6"][..]),
            ("\u{1e}", &["", ""][..]),
        ] {
            let found: Vec<&[u8]> = packets(body.as_bytes()).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|packet| packet.as_bytes()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn only_a_handshake_has_a_sid() {
        for packet in [
            r#"0{"sid":"a-b_1","upgrades":[]}"#,
            r#"0{"pingTimeout": 1, "sid" : "a-b_1"}"#,
        ] {
            assert_eq!(sid(packet.as_bytes()).as_deref(), Some("a-b_1"));
        }
        for packet in ["", "0{}", r#"0{"sid":7}"#, r#"40{"sid":"x"}"#] {
            assert_eq!(sid(packet.as_bytes()), None, "{packet}");
        }
    }
}
