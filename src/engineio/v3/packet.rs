//! Binary packets: a byte with the type and the data, or base64 in a text.
//!
//! A client sends no other binary packet than a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::engineio::MESSAGE;
use crate::engineio::error::DecodeError;
use crate::engineio::packet;

/// Returns `Ok` if the first byte of a binary packet is the type of a message.
///
/// # Errors
///
/// Refuses an empty packet, and every other type.
// Engine.IO v3, Encoding, Packet: the type of a binary packet is a byte with the value 4.
pub(crate) fn check_type(packet: &[u8]) -> Result<(), DecodeError> {
    match packet.first() {
        Some(&BINARY_MESSAGE) => Ok(()),
        Some(unknown) => Err(DecodeError::UnknownBinaryType(*unknown)),
        None => Err(DecodeError::Empty),
    }
}

/// Reads the text behind the `b` of a packet: the digit of its type, and base64.
///
/// # Errors
///
/// Refuses a text without a type, every other type than that of a message, and invalid base64.
pub(crate) fn decode_base64(text: &str) -> Result<Bytes, DecodeError> {
    let mut rest = text.chars();
    match rest.next() {
        Some('4') => packet::decode_base64(rest.as_str()),
        Some(unknown) => Err(DecodeError::UnknownType(unknown)),
        None => Err(DecodeError::Empty),
    }
}

/// Appends a binary message as `b4<base64>`.
pub(crate) fn push_base64(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(&[b'b', MESSAGE]);
    out.extend_from_slice(STANDARD.encode(data).as_bytes());
}

/// Returns the length of `b4<base64>` of so many bytes.
pub(crate) fn base64_len(bytes: usize) -> usize {
    2 + bytes.div_ceil(3) * 4
}

/// Appends a binary message as the byte of its type and the data.
pub(crate) fn push_binary(out: &mut Vec<u8>, data: &[u8]) {
    out.push(BINARY_MESSAGE);
    out.extend_from_slice(data);
}

/// The type of a binary message.
const BINARY_MESSAGE: u8 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    #[test]
    fn only_messages_are_binary() {
        assert_eq!(check_type(&[4]), Ok(()));
        assert_eq!(check_type(&[4, 1, 2]), Ok(()));
        assert_eq!(check_type(&[]), Err(DecodeError::Empty));
        for found in [0, 1, 2, 3, 5, 6, 7, b'4', 255] {
            let refused = Err(DecodeError::UnknownBinaryType(found));
            assert_eq!(check_type(&[found, 4]), refused);
        }
    }

    #[test]
    fn base64_follows_the_digit_of_the_type() {
        let table: [(&str, &[u8]); 4] = [
            ("4", b""),
            ("4AQIDBA==", &[1, 2, 3, 4]),
            ("4AQIDBA", &[1, 2, 3, 4]),
            ("4+/+/", &[0xfb, 0xff, 0xbf]),
        ];
        for (text, data) in table {
            assert_eq!(decode_base64(text), Ok(Bytes::copy_from_slice(data)));
        }
        assert_eq!(decode_base64(""), Err(DecodeError::Empty));
        for found in ['0', '2', '6', 'A', '\u{e9}'] {
            let text = format!("{found}AQID");
            assert_eq!(decode_base64(&text), Err(DecodeError::UnknownType(found)));
        }
        assert!(matches!(
            decode_base64("4AQID!"),
            Err(DecodeError::InvalidBase64(_))
        ));
    }

    proptest! {
        #[test]
        fn binary_messages_decode_to_themselves(data in any::<Vec<u8>>()) {
            let (mut text, mut binary) = (Vec::new(), Vec::new());
            push_base64(&mut text, &data);
            push_binary(&mut binary, &data);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(text.len(), base64_len(data.len()));
            prop_assert_eq!(decode_base64(&text[1..]), Ok(data.clone().into()));
            prop_assert_eq!(check_type(&binary), Ok(()));
            prop_assert_eq!(&binary[1..], &data);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = decode_base64(&text);
            let _ = decode_base64(&format!("4{text}"));
        }
    }

    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        replay("engineio-v3-base64", |input| {
            let _ = check_type(input);
            let text = String::from_utf8_lossy(input);
            if let Ok(data) = decode_base64(&text) {
                assert!(data.len() < text.len());
            }
        });
    }
}
