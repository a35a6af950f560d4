//! The payload as text: `<length>:<packet>` for each packet, the length in UTF-16 code units.
//!
//! A client in JavaScript counts the units of its strings: a character above U+FFFF is two of them.

use crate::engineio::error::DecodeError;

/// Splits off the first packet's text of a body. The text behind it is the rest.
///
/// # Errors
///
/// Refuses a length that is missing or no number, one that is larger than the rest of the body, and
/// one that ends between the two units of a character.
// Engine.IO v3, Encoding, Payload: `<length1>:<packet1>[<length2>:<packet2>[...]]`.
pub(crate) fn split_packet(body: &str) -> Result<(&str, &str), DecodeError> {
    let end = body.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = body.split_at(end);
    let mut behind = rest.chars();
    match behind.next() {
        Some(':') if !digits.is_empty() => {}
        Some(':') | None => return Err(DecodeError::LengthMissing),
        Some(found) => return Err(DecodeError::LengthInvalid(found)),
    }
    let rest = behind.as_str();
    // Digits that do not parse are too large a number.
    let units = digits.parse().unwrap_or(usize::MAX);
    Ok(rest.split_at(end_of(rest, units)?))
}

/// Returns the number of bytes of so many UTF-16 code units at the beginning of a text.
fn end_of(text: &str, units: usize) -> Result<usize, DecodeError> {
    let missing = DecodeError::PacketIncomplete { length: units };
    // A unit has one byte at least.
    if units > text.len() {
        return Err(missing);
    }
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Ok(at);
        }
        let next = left.checked_sub(character.len_utf16());
        left = next.ok_or(DecodeError::CharacterSplit(character))?;
    }
    if left == 0 {
        Ok(text.len())
    } else {
        Err(missing)
    }
}

/// Appends a packet's text, which is UTF-8.
pub(crate) fn push_packet(body: &mut Vec<u8>, packet: &[u8]) {
    let units: usize = packet.iter().copied().map(units_at).sum();
    body.extend_from_slice(units.to_string().as_bytes());
    body.push(b':');
    body.extend_from_slice(packet);
}

/// Returns the number of UTF-16 code units of the character that begins with this byte.
fn units_at(byte: u8) -> usize {
    match byte {
        // Continues a character.
        0x80..=0xbf => 0,
        // The first of four bytes: a character above U+FFFF.
        0xf0.. => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    fn packets(body: &str) -> Result<Vec<&str>, DecodeError> {
        let (mut packets, mut rest) = (Vec::new(), body);
        loop {
            let (packet, behind) = split_packet(rest)?;
            packets.push(packet);
            if behind.is_empty() {
                return Ok(packets);
            }
            rest = behind;
        }
    }

    #[test]
    fn packets_are_split_by_their_lengths() {
        let table: [(&str, &[&str]); 9] = [
            ("6:4hello", &["4hello"]),
            ("6:4test16:4test26:4test3", &["4test1", "4test2", "4test3"]),
            ("6:4hello10:b4AQIDBA==", &["4hello", "b4AQIDBA=="]),
            ("2:4€", &["4€"]),
            ("3:4😀1:2", &["4😀", "2"]),
            ("5:4:😀:1:2", &["4:😀:", "2"]),
            ("0:", &[""]),
            ("0:1:2", &["", "2"]),
            ("01:2", &["2"]),
        ];
        for (body, split) in table {
            assert_eq!(packets(body), Ok(split.to_vec()), "{body:?}");
        }
    }

    #[test]
    fn malformed_lengths_are_refused() {
        let table = [
            ("", DecodeError::LengthMissing),
            (":", DecodeError::LengthMissing),
            (":4a", DecodeError::LengthMissing),
            ("1", DecodeError::LengthMissing),
            ("12", DecodeError::LengthMissing),
            ("abc", DecodeError::LengthInvalid('a')),
            ("-1:4", DecodeError::LengthInvalid('-')),
            ("+1:4", DecodeError::LengthInvalid('+')),
            (" 1:4", DecodeError::LengthInvalid(' ')),
            ("1 :4", DecodeError::LengthInvalid(' ')),
            ("1.0:4", DecodeError::LengthInvalid('.')),
            ("1e0:4", DecodeError::LengthInvalid('e')),
            ("0x1:4", DecodeError::LengthInvalid('x')),
            ("１:4", DecodeError::LengthInvalid('１')),
            ("1:4x", DecodeError::LengthInvalid('x')),
            ("1:", DecodeError::PacketIncomplete { length: 1 }),
            ("3:4a", DecodeError::PacketIncomplete { length: 3 }),
            // Four bytes, two units.
            ("5:4😀", DecodeError::PacketIncomplete { length: 5 }),
            ("2:4😀", DecodeError::CharacterSplit('😀')),
            (
                "99999999999999999999999:4a",
                DecodeError::PacketIncomplete { length: usize::MAX },
            ),
        ];
        for (body, error) in table {
            assert_eq!(packets(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn a_length_counts_the_units_of_javascript() {
        for (packet, body) in [
            ("2", "1:2"),
            ("4é", "2:4é"),
            ("4\u{ffff}", "2:4\u{ffff}"),
            ("4\u{10000}", "3:4\u{10000}"),
            ("", "0:"),
        ] {
            let mut out = Vec::new();
            push_packet(&mut out, packet.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), body);
        }
    }

    proptest! {
        #[test]
        fn joined_packets_are_split_again(
            joined in prop::collection::vec(any::<String>(), 1..5),
        ) {
            let mut body = Vec::new();
            for packet in &joined {
                push_packet(&mut body, packet.as_bytes());
            }
            let body = String::from_utf8(body).unwrap();
            let split = packets(&body).unwrap();
            prop_assert_eq!(split, joined);
        }

        #[test]
        fn no_body_panics(text in any::<String>(), length in any::<u8>()) {
            let _ = split_packet(&text);
            let _ = split_packet(&format!("{length}:{text}"));
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_split_into_what_they_contain() {
        replay("engineio-v3-text", |input| {
            let body = String::from_utf8_lossy(input);
            let Ok(split) = packets(&body) else { return };
            let mut joined = Vec::new();
            for packet in &split {
                push_packet(&mut joined, packet.as_bytes());
            }
            let joined = String::from_utf8(joined).unwrap();
            assert_eq!(packets(&joined), Ok(split));
            // A length may have leading zeros.
            assert!(joined.len() <= body.len());
        });
    }
}
