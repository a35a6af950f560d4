//! One Engine.IO packet, as text from a client.
//!
//! A text frame enters, or one part of a polling body. The packet's type and the text after it
//! leave, borrowed. The session decides whether a packet is allowed in the present state (a ping
//! from a v4 client is not).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use crate::engineio::error::DecodeError;

/// A decoded packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// `0`, only valid from a WebTransport client.
    Open(&'a str),
    /// `1`
    Close,
    /// `2`, with its text: `probe` at the start of an upgrade.
    Ping(&'a str),
    /// `3`, with its text.
    Pong(&'a str),
    /// `4`, with the message.
    Message(&'a str),
    /// `5`
    Upgrade,
    /// `6`
    Noop,
    /// `b`, with the base64 of a binary message: [`decode_base64`](super::decode_base64) reads that
    /// of v4, [`v3::decode_base64`](super::v3::decode_base64) that of v3.
    Base64(&'a str),
}

impl<'a> Packet<'a> {
    /// Reads one packet's text.
    ///
    /// Text after a CLOSE, UPGRADE or NOOP is ignored, as in the reference.
    ///
    /// # Errors
    ///
    /// Refuses an empty text and an unknown type.
    // Engine.IO v4, Packet encoding: `<packet type>[<data>]`, and `b<base64>` for binary messages.
    pub(crate) fn decode(text: &'a str) -> Result<Self, DecodeError> {
        let mut rest = text.chars();
        let kind = rest.next().ok_or(DecodeError::Empty)?;
        let data = rest.as_str();
        match kind {
            '0' => Ok(Self::Open(data)),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(data)),
            '3' => Ok(Self::Pong(data)),
            '4' => Ok(Self::Message(data)),
            '5' => Ok(Self::Upgrade),
            '6' => Ok(Self::Noop),
            'b' => Ok(Self::Base64(data)),
            unknown => Err(DecodeError::UnknownType(unknown)),
        }
    }
}

/// Reads a binary message.
///
/// # Errors
///
/// Refuses invalid base64.
pub(crate) fn decode_base64(text: &str) -> Result<Bytes, DecodeError> {
    match BASE64.decode(text) {
        Ok(message) => Ok(message.into()),
        Err(cause) => Err(DecodeError::InvalidBase64(cause)),
    }
}

/// The standard alphabet, with or without padding: Node's decoder does not require padding, so some
/// clients send none.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engineio;

    #[test]
    fn each_type_is_read_with_its_data() {
        let table = [
            ("0", Packet::Open("")),
            ("0{\"sid\":\"x\"}", Packet::Open("{\"sid\":\"x\"}")),
            ("1", Packet::Close),
            ("2", Packet::Ping("")),
            ("2probe", Packet::Ping("probe")),
            ("3", Packet::Pong("")),
            ("3probe", Packet::Pong("probe")),
            ("4", Packet::Message("")),
            ("40", Packet::Message("0")),
            ("42[\"é\"]", Packet::Message("2[\"é\"]")),
            ("5", Packet::Upgrade),
            ("6", Packet::Noop),
        ];
        for (text, packet) in table {
            assert_eq!(Packet::decode(text), Ok(packet), "{text:?}");
        }
    }

    #[test]
    fn the_constants_decode_to_what_they_are_called() {
        let table = [
            (engineio::CLOSE, Packet::Close),
            (engineio::PING, Packet::Ping("")),
            (engineio::PONG, Packet::Pong("")),
            (engineio::UPGRADE, Packet::Upgrade),
            (engineio::NOOP, Packet::Noop),
            (engineio::PROBE, Packet::Ping("probe")),
            (engineio::PROBE_ANSWER, Packet::Pong("probe")),
        ];
        for (text, packet) in table {
            assert_eq!(Packet::decode(text), Ok(packet), "{text:?}");
        }
    }

    #[test]
    fn text_behind_close_upgrade_and_noop_is_ignored() {
        assert_eq!(Packet::decode("1x"), Ok(Packet::Close));
        assert_eq!(Packet::decode("5x"), Ok(Packet::Upgrade));
        assert_eq!(Packet::decode("6x"), Ok(Packet::Noop));
    }

    #[test]
    fn base64_is_read_with_and_without_padding() {
        let table: [(&str, &[u8]); 8] = [
            ("b", b""),
            ("bAQID", &[1, 2, 3]),
            ("bAQIDBA==", &[1, 2, 3, 4]),
            ("bAQIDBA=", &[1, 2, 3, 4]),
            ("bAQIDBA", &[1, 2, 3, 4]),
            ("bAQIDBAU=", &[1, 2, 3, 4, 5]),
            ("bAQIDBAU", &[1, 2, 3, 4, 5]),
            ("b+/+/", &[0xfb, 0xff, 0xbf]),
        ];
        for (text, bytes) in table {
            assert_eq!(Packet::decode(text), Ok(Packet::Base64(&text[1..])));
            let message = Bytes::copy_from_slice(bytes);
            assert_eq!(decode_base64(&text[1..]), Ok(message), "{text:?}");
        }
    }

    #[test]
    fn invalid_base64_is_refused() {
        for text in [
            "bA",
            "bAQID!",
            "b-_-_",
            "bAQ ID",
            "bAQI\u{e9}",
            "b====",
            "bAR",
        ] {
            let refused = decode_base64(&text[1..]);
            assert!(
                matches!(refused, Err(DecodeError::InvalidBase64(_))),
                "{text:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn empty_text_and_unknown_types_are_refused() {
        assert_eq!(Packet::decode(""), Err(DecodeError::Empty));
        for found in ['7', '8', '9', 'a', 'B', ' ', '-', '\0', '\u{1e}', 'é', '４'] {
            let text = format!("{found}x");
            assert_eq!(Packet::decode(&text), Err(DecodeError::UnknownType(found)));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Packet::decode(&text);
            let _ = decode_base64(&text);
        }
    }
}
