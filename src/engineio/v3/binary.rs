//! The binary payload: a byte for text or binary, the digits of the length, the byte 255, and the
//! packet.
//!
//! A server answers a poll with it if a packet is binary and the client reads bytes. The length is
//! in bytes, of a text that of its UTF-8.

use crate::engineio::error::DecodeError;
use crate::engineio::v3::Part;
use crate::engineio::v3::packet::{push_base64, push_binary};
use crate::engineio::v3::payload::push_packet;

/// Splits off the first packet of a body. The bytes behind it are the rest.
///
/// # Errors
///
/// Refuses an unknown kind of packet, a length that is missing, no number or larger than the rest
/// of the body, and a text that is not UTF-8.
// Engine.IO v3, Encoding, Payload: `<0 for string, 1 for binary><digits of the length><255><data>`.
pub(crate) fn split_part(body: &[u8]) -> Result<(Part<'_>, &[u8]), DecodeError> {
    let (kind, rest) = body.split_first().ok_or(DecodeError::LengthMissing)?;
    let end = rest.iter().position(|byte| *byte == DELIMITER);
    let (digits, rest) = rest.split_at(end.ok_or(DecodeError::LengthMissing)?);
    let length = length_of(digits)?;
    let packet = rest.get(1..).and_then(|rest| rest.split_at_checked(length));
    let (packet, rest) = packet.ok_or(DecodeError::PacketIncomplete { length })?;
    let part = match *kind {
        TEXT => Part::Text(std::str::from_utf8(packet).map_err(|_| DecodeError::InvalidUtf8)?),
        BINARY => Part::Binary(packet),
        unknown => return Err(DecodeError::UnknownPart(unknown)),
    };
    Ok((part, rest))
}

/// Reads a length, each of whose bytes is the value of a decimal digit.
fn length_of(digits: &[u8]) -> Result<usize, DecodeError> {
    if digits.is_empty() {
        return Err(DecodeError::LengthMissing);
    }
    let mut length = 0_usize;
    for digit in digits {
        if *digit > 9 {
            return Err(DecodeError::UnknownDigit(*digit));
        }
        length = length.saturating_mul(10).saturating_add((*digit).into());
    }
    Ok(length)
}

/// Returns a binary payload as text, with its binary packets as base64. `None` if it is malformed.
pub(crate) fn as_text(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(body.len() * 2);
    while !body.is_empty() {
        let (part, rest) = split_part(body).ok()?;
        match part {
            Part::Text(packet) => push_packet(&mut text, packet.as_bytes()),
            Part::Binary(packet) => {
                let mut encoded = Vec::new();
                push_base64(&mut encoded, packet.get(1..)?);
                push_packet(&mut text, &encoded);
            }
        }
        body = rest;
    }
    Some(text)
}

/// Appends a packet's text, which is UTF-8.
pub(crate) fn push_text_part(body: &mut Vec<u8>, packet: &[u8]) {
    push_head(body, TEXT, packet.len());
    body.extend_from_slice(packet);
}

/// Appends a binary message.
pub(crate) fn push_binary_part(body: &mut Vec<u8>, data: &[u8]) {
    push_head(body, BINARY, data.len() + 1);
    push_binary(body, data);
}

fn push_head(body: &mut Vec<u8>, kind: u8, length: usize) {
    body.push(kind);
    let digits = length.to_string().into_bytes();
    body.extend(digits.into_iter().map(|digit| digit - b'0'));
    body.push(DELIMITER);
}

/// The kind of a text packet.
const TEXT: u8 = 0;

/// The kind of a binary packet.
const BINARY: u8 = 1;

/// Ends the digits of a length.
const DELIMITER: u8 = 255;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    fn parts(body: &[u8]) -> Result<Vec<Part<'_>>, DecodeError> {
        let (mut parts, mut rest) = (Vec::new(), body);
        while !rest.is_empty() {
            let (part, behind) = split_part(rest)?;
            parts.push(part);
            rest = behind;
        }
        Ok(parts)
    }

    #[test]
    fn the_references_payload_is_written_and_read() {
        let text = r#"451-["hello",{"_placeholder":true,"num":0},"é"]"#;
        let mut body = Vec::new();
        push_text_part(&mut body, b"40");
        push_text_part(&mut body, text.as_bytes());
        push_binary_part(&mut body, &[1, 2, 3]);
        let mut golden = b"\x00\x02\xff40\x00\x04\x08\xff".to_vec();
        golden.extend_from_slice(text.as_bytes());
        golden.extend_from_slice(b"\x01\x04\xff\x04\x01\x02\x03");
        assert_eq!(body, golden);
        let read = [
            Part::Text("40"),
            Part::Text(text),
            Part::Binary(&[4, 1, 2, 3]),
        ];
        assert_eq!(parts(&golden), Ok(read.to_vec()));
    }

    #[test]
    fn a_binary_payload_has_a_text() {
        let mut body = Vec::new();
        push_text_part(&mut body, "4é".as_bytes());
        push_binary_part(&mut body, &[1, 2, 3]);
        assert_eq!(as_text(&body), Some("2:4é6:b4AQID".into()));
        assert_eq!(as_text(b""), Some(Vec::new()));
        assert_eq!(as_text(&body[1..]), None);
        assert_eq!(as_text(b"\x01\x00\xff"), None);
    }

    #[test]
    fn malformed_parts_are_refused() {
        let table: [(&[u8], DecodeError); 13] = [
            (b"\x00", DecodeError::LengthMissing),
            (b"\x00\xff", DecodeError::LengthMissing),
            (b"\x00\x01", DecodeError::LengthMissing),
            (b"\x00\x01\x02\x03", DecodeError::LengthMissing),
            (b"\x001\xff2", DecodeError::UnknownDigit(b'1')),
            (b"\x00\x0a\xff2", DecodeError::UnknownDigit(10)),
            (b"\x02\x01\xff2", DecodeError::UnknownPart(2)),
            (b"1:2\xff", DecodeError::UnknownDigit(b':')),
            (b"\x00\x01\xff", DecodeError::PacketIncomplete { length: 1 }),
            (
                b"\x01\x05\xff\x04\x01",
                DecodeError::PacketIncomplete { length: 5 },
            ),
            (b"\x00\x01\xff\xe9", DecodeError::InvalidUtf8),
            // Half of a surrogate pair.
            (b"\x00\x04\xff4\xed\xa0\xbd", DecodeError::InvalidUtf8),
            // The length ends inside of a character.
            (b"\x00\x02\xff4\xc3\xa9", DecodeError::InvalidUtf8),
        ];
        for (body, error) in table {
            assert_eq!(parts(body), Err(error), "{body:?}");
        }
        let mut endless = vec![0];
        endless.extend([9; 400]);
        endless.push(DELIMITER);
        let length = usize::MAX;
        assert_eq!(
            parts(&endless),
            Err(DecodeError::PacketIncomplete { length })
        );
    }

    proptest! {
        #[test]
        fn joined_parts_are_split_again(
            joined in prop::collection::vec((any::<String>(), any::<Vec<u8>>()), 0..4),
        ) {
            let mut body = Vec::new();
            for (text, data) in &joined {
                push_text_part(&mut body, text.as_bytes());
                push_binary_part(&mut body, data);
            }
            let split = parts(&body).unwrap();
            prop_assert_eq!(split.len(), 2 * joined.len());
            for (read, (text, data)) in split.chunks(2).zip(&joined) {
                prop_assert_eq!(read[0], Part::Text(text));
                let framed: Vec<u8> = std::iter::once(4).chain(data.iter().copied()).collect();
                prop_assert_eq!(read[1], Part::Binary(&framed));
            }
        }

        #[test]
        fn no_body_panics(body in any::<Vec<u8>>(), length in 0..10_u8) {
            let _ = parts(&body);
            let mut framed = vec![0, length, DELIMITER];
            framed.extend_from_slice(&body);
            let _ = parts(&framed);
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_split_into_what_they_contain() {
        replay("engineio-v3-binary", |input| {
            let split = parts(input);
            let is_typed = |part: &Part<'_>| match part {
                Part::Text(_) => true,
                Part::Binary(framed) => !framed.is_empty(),
            };
            let is_whole = split.as_ref().is_ok_and(|parts| parts.iter().all(is_typed));
            assert_eq!(as_text(input).is_some(), is_whole);
            let parts = split.unwrap_or_default();
            let lengths = parts.iter().map(|part| match part {
                Part::Text(text) => text.len(),
                Part::Binary(framed) => framed.len(),
            });
            // Each part has a kind, a digit and the delimiter.
            assert!(lengths.sum::<usize>() + 3 * parts.len() <= input.len());
        });
    }
}
