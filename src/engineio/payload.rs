//! Payloads: several packets in one HTTP body.
//!
//! Enters: a POST's body, whose packets come out one by one; or binary data, which is appended to a
//! GET's body as base64. Joining text packets needs no code here: the transport puts a [`SEPARATOR`]
//! between them. How large a body may be is decided before it is read, by the transport.

use std::iter;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{DecodeError, Packet};

/// What stands between two packets of a body.
// Engine.IO v4, Packet encoding, HTTP long-polling: record separator.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// Returns the packets of a polling body, decoded one by one as they are asked for, up to and with
/// the first that is refused.
///
/// An empty body, and nothing behind a separator, is an empty packet and so refused.
pub(crate) fn packets(body: &str) -> impl Iterator<Item = Result<Packet<'_>, DecodeError>> {
    let mut texts = body.split(char::from(SEPARATOR));
    let mut refused = false;
    iter::from_fn(move || {
        if refused {
            return None;
        }
        let packet = Packet::decode(texts.next()?);
        refused = packet.is_err();
        Some(packet)
    })
}

/// Appends a binary message as `b<base64>`.
pub(crate) fn push_binary(body: &mut Vec<u8>, data: &[u8]) {
    body.push(b'b');
    body.extend_from_slice(STANDARD.encode(data).as_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_body_is_split_at_its_separators() {
        let read: Vec<_> = packets("40\u{1e}2\u{1e}bAQID\u{1e}42[\"a\"]").collect();
        assert_eq!(
            read,
            [
                Ok(Packet::Message("0")),
                Ok(Packet::Ping("")),
                Ok(Packet::Binary(Bytes::from_static(&[1, 2, 3]))),
                Ok(Packet::Message("2[\"a\"]")),
            ]
        );
    }

    #[test]
    fn reading_stops_after_the_first_refused_packet() {
        let read: Vec<_> = packets("4a\u{1e}x\u{1e}4b").collect();
        assert_eq!(
            read,
            [Ok(Packet::Message("a")), Err(DecodeError::UnknownType('x'))]
        );
    }

    #[test]
    fn an_empty_body_and_an_empty_packet_are_refused() {
        for (body, good) in [
            ("", 0),
            ("\u{1e}4a", 0),
            ("4a\u{1e}", 1),
            ("4a\u{1e}\u{1e}4b", 1),
        ] {
            let read: Vec<_> = packets(body).collect();
            assert_eq!(read.len(), good + 1, "{body:?}");
            assert_eq!(read[good], Err(DecodeError::Empty), "{body:?}");
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
            prop_assert_eq!(
                packets(&body).collect::<Vec<_>>(),
                [Ok(Packet::Binary(data.into()))]
            );
        }

        #[test]
        fn messages_decode_to_themselves(messages in prop::collection::vec("[^\u{1e}]{0,20}", 1..5)) {
            let texts: Vec<_> = messages.iter().map(|message| format!("4{message}")).collect();
            let body = texts.join("\u{1e}");
            let read: Vec<_> = packets(&body).collect();
            let sent: Vec<_> = messages.iter().map(|text| Ok(Packet::Message(text))).collect();
            prop_assert_eq!(read, sent);
        }

        #[test]
        fn no_body_panics(body in any::<String>()) {
            let _ = packets(&body).count();
        }
    }
}
