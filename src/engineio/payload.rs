//! Payloads: several packets in one HTTP body.
//!
//! A POST's body enters, and its packets are split off one by one. Or binary data enters, which is
//! appended to a GET's body as base64. Text packets are joined elsewhere: the outbox writes a
//! [`SEPARATOR`] between them. The transport checks the size of a body before reading it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The separator between two packets of a body.
// Engine.IO v4, Packet encoding, HTTP long-polling: record separator.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// Splits off the first packet's text of a body. The text after its separator is the rest.
///
/// An empty body is one empty packet, and so is the empty text after a separator.
pub(crate) fn split_packet(body: &str) -> (&str, Option<&str>) {
    match body.split_once(char::from(SEPARATOR)) {
        Some((packet, rest)) => (packet, Some(rest)),
        None => (body, None),
    }
}

/// Appends a binary message as `b<base64>`.
pub(crate) fn push_binary(body: &mut Vec<u8>, data: &[u8]) {
    body.push(b'b');
    body.extend_from_slice(STANDARD.encode(data).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engineio::Packet;
    use crate::engineio::decode_base64;
    use crate::seeds::replay;

    fn packets(body: &str) -> Vec<&str> {
        let mut rest = Some(body);
        let next = || {
            let (packet, behind) = split_packet(rest?);
            rest = behind;
            Some(packet)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_body_is_split_at_its_separators() {
        let table: [(&str, &[&str]); 5] = [
            ("40\u{1e}2\u{1e}bAQID", &["40", "2", "bAQID"]),
            ("4a", &["4a"]),
            ("", &[""]),
            ("4a\u{1e}", &["4a", ""]),
            ("\u{1e}\u{1e}4b", &["", "", "4b"]),
        ];
        for (body, split) in table {
            assert_eq!(packets(body), split, "{body:?}");
        }
    }

    #[test]
    fn binary_is_sent_as_padded_base64() {
        let mut body = b"4a\x1e".to_vec();
        push_binary(&mut body, &[1, 2, 3, 4]);
        assert_eq!(body, b"4a\x1ebAQIDBA==");
    }

    proptest! {
        #[test]
        fn binary_decodes_to_itself(data in any::<Vec<u8>>()) {
            let mut body = Vec::new();
            push_binary(&mut body, &data);
            let body = String::from_utf8(body).unwrap();
            prop_assert_eq!(decode_base64(&body[1..]), Ok(data.into()));
        }

        #[test]
        fn joined_packets_are_split_again(
            joined in prop::collection::vec("[^\u{1e}]{0,20}", 1..5),
        ) {
            let body = joined.join("\u{1e}");
            prop_assert_eq!(packets(&body), joined);
        }
    }

    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        replay("engineio", |input| {
            let body = String::from_utf8_lossy(input);
            for packet in packets(&body) {
                match Packet::decode(packet) {
                    Ok(_) => assert!(!packet.is_empty()),
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
                let _ = decode_base64(packet);
            }
            // A body is its packets and the separators between them.
            assert_eq!(packets(&body).join("\u{1e}"), body);
        });
    }
}
