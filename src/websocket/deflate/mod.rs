//! permessage-deflate, RFC 7692: the compression of messages.
//!
//! Payloads enter and compressed frames leave ([`Compressor`], [`compressed`]), or pieces of
//! compressed messages enter and plain pieces leave ([`Inflater`]). Without context takeover a
//! thread lends its streams to all clients, so that an idle client holds none. The negotiation of
//! the parameters belongs to HTTP and is not part of it; the choice of the messages is the caller's.

mod compressor;
mod inflater;

#[cfg(test)]
pub(crate) use compressor::compressions;
pub(crate) use compressor::{Compression, Compressor, compressed};
pub(crate) use inflater::{Inflater, most_compressed};

/// The agreed parameters of a WebSocket, one value for each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeflateParameters {
    /// The parameters with the prefix `server_`.
    pub(crate) sent: DeflateWindow,
    /// The parameters with the prefix `client_`.
    pub(crate) received: DeflateWindow,
}

/// The LZ77 window of a sender, RFC 7692 §7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeflateWindow {
    /// The base-2 logarithm of its maximal size.
    pub(crate) bits: u8,
    /// A message may refer to the messages before it (context takeover).
    pub(crate) is_kept: bool,
}

/// The smallest and the largest window, RFC 7692 §7.1.2.
pub(crate) const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// The smallest window for which the crate `flate2` compresses and decompresses.
pub(crate) const LEAST_BITS: u8 = 9;

/// The end of each flushed stream, which a sender removes, RFC 7692 §7.2.1.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::{Strategy, any},
        prop_assert_eq, proptest,
        sample::Index,
    };

    use super::*;
    use crate::seeds::replay;
    use crate::websocket::{DecodeError, Decoder, Message, Opcode, Scratch};

    const LIMIT: usize = 100_000;
    const FAST: Compression = Compression {
        window_bits: 15,
        level: 1,
    };

    fn decoder(limit: usize, is_kept: bool) -> Decoder {
        let bits = 15;
        Decoder::new(limit).inflating(DeflateWindow { bits, is_kept })
    }

    /// A masked frame; the first byte is given as sent.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut wire = vec![first, 0xFF];
        match u16::try_from(payload.len()) {
            Ok(length @ ..126) => wire[1] = 0x80 | length as u8,
            Ok(length) => {
                wire[1] = 0xFE;
                wire.extend(length.to_be_bytes());
            }
            Err(_) => wire.extend((payload.len() as u64).to_be_bytes()),
        }
        let mask = [9, 8, 7, 6];
        wire.extend(mask);
        let keys = mask.iter().cycle();
        wire.extend(payload.iter().zip(keys).map(|(byte, key)| byte ^ key));
        wire
    }

    /// Compresses a payload, of any length, as a client does.
    fn deflated(payload: &[u8]) -> Vec<u8> {
        let frame = Compressor::new(FAST).frame(Opcode::Text, payload).unwrap();
        let header = [2, 4, 10][usize::from(frame[1] >= 126) + usize::from(frame[1] == 127)];
        frame[header..].to_vec()
    }

    fn decode(decoder: &mut Decoder, input: &[u8]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut messages = Vec::new();
        decode_into(&mut messages, decoder, input).map(|()| messages)
    }

    fn decode_into(
        messages: &mut Vec<Vec<u8>>,
        decoder: &mut Decoder,
        mut input: &[u8],
    ) -> Result<(), DecodeError> {
        let mut scratch = Scratch::new();
        while let Some(kind) = decoder.decode(&mut input, &mut scratch)? {
            match kind.message(&mut scratch)? {
                Message::Text(text) => messages.push(text.as_bytes().to_vec()),
                Message::Binary(bytes) => messages.push(bytes.clone()),
                Message::Ping(_) | Message::Pong | Message::Fragment | Message::Close(_) => {}
            }
        }
        Ok(())
    }

    /// Bytes that do not become smaller.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn the_limit_holds_for_the_decompressed_size() {
        for make in [|length| vec![b'x'; length], noise] {
            for is_kept in [false, true] {
                let wire = masked(0xC2, &deflated(&make(LIMIT)));
                let found = decode(&mut decoder(LIMIT, is_kept), &wire);
                assert_eq!(found, Ok(vec![make(LIMIT)]));
                let wire = masked(0xC2, &deflated(&make(LIMIT + 1)));
                let error = Err(DecodeError::InflatedTooBig { limit: LIMIT });
                assert_eq!(decode(&mut decoder(LIMIT, is_kept), &wire), error);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_before_it_has_arrived() {
        let mut bomb = Vec::new();
        for _ in 0..20 {
            bomb.extend(deflated(&[0; 200_000]));
            bomb.extend(TAIL);
        }
        assert!(bomb.len() < LIMIT / 2, "{}", bomb.len());
        let wire = masked(0xC1, &bomb);
        let mut decoder = decoder(LIMIT, false);
        let (mut read, mut refused) = (0, None);
        for piece in wire.chunks(100) {
            read += piece.len();
            if let Err(error) = decode(&mut decoder, piece) {
                refused = Some(error);
                break;
            }
        }
        assert_eq!(refused, Some(DecodeError::InflatedTooBig { limit: LIMIT }));
        // Half of the first of its twenty parts.
        assert!(read < wire.len() / 20, "{read} of {}", wire.len());
        assert!(decoder.capacity() <= LIMIT, "{}", decoder.capacity());
    }

    /// RFC 7692 §6.2: the same limits as of other messages, for data that inflate to nothing.
    #[test]
    fn compressed_data_have_a_limit_too() {
        let most = most_compressed(LIMIT);
        // A block of three bytes, many without bytes, and the begin of the last of these.
        let block = [0x00, 0x03, 0x00, 0xFC, 0xFF, b'a', b'b', b'c'];
        let empty = [0x00, 0x00, 0x00, 0xFF, 0xFF];
        let empty = empty.iter().cycle().take(most - block.len());
        let data: Vec<u8> = block.iter().chain(empty).copied().collect();
        assert_eq!(data.last(), Some(&0));
        let (first, rest) = data.split_at(100);
        let wire = [masked(0x42, first), masked(0x80, rest)].concat();
        let expected = Ok(vec![b"abc".to_vec()]);
        assert_eq!(decode(&mut decoder(LIMIT, false), &wire), expected);
        let rest = [rest, &[0]].concat();
        let wire = [masked(0x42, first), masked(0x80, &rest)].concat();
        let declared = most as u64 + 1;
        let error = Err(DecodeError::MessageTooBig {
            declared,
            limit: most,
        });
        assert_eq!(decode(&mut decoder(LIMIT, false), &wire), error);
    }

    /// RFC 6455 §8.1.
    #[test]
    fn a_compressed_text_is_refused_at_its_invalid_byte() {
        let mut decoder = decoder(LIMIT, false);
        let text = [noise(50).as_slice(), b"rest"].concat();
        let ascii: Vec<u8> = text.iter().map(|byte| byte & 0x7F).collect();
        let bad = [&ascii[..], b"\xFF", &ascii].concat();
        let first = masked(0x41, &deflated(&bad));
        let error = Err(DecodeError::InvalidText(ascii.len()));
        assert_eq!(decode(&mut decoder, &first), error);
    }

    /// RFC 7692 §6.
    #[test]
    fn compressed_and_plain_messages_come_in_any_order() {
        let compressed = deflated(b"compressed");
        let (one, two) = compressed.split_at(5);
        let wire = [
            masked(0x81, b"plain"),
            masked(0x41, one),
            masked(0x89, b"ping"),
            masked(0x00, b""),
            masked(0x80, two),
            masked(0x01, b"in "),
            masked(0x80, b"two"),
            masked(0xC2, &deflated(b"whole")),
        ]
        .concat();
        let expected: Vec<Vec<u8>> = [&b"plain"[..], b"compressed", b"in two", b"whole"]
            .map(<[u8]>::to_vec)
            .to_vec();
        for cut in 0..=wire.len() {
            let mut decoder = decoder(LIMIT, false);
            let mut found = decode(&mut decoder, &wire[..cut]).unwrap();
            found.extend(decode(&mut decoder, &wire[cut..]).unwrap());
            assert_eq!(found, expected, "cut at {cut}");
        }
    }

    #[test]
    fn reserved_bits_of_other_frames_are_refused() {
        let start = masked(0x41, &deflated(b"compressed"));
        for first in [0x40, 0xC0, 0xC8, 0xC9, 0xCA, 0xE0, 0x90] {
            let wire = [start.clone(), masked(first, b"")].concat();
            let error = Err(DecodeError::ReservedBits(first & 0x70));
            assert_eq!(
                decode(&mut decoder(LIMIT, false), &wire),
                error,
                "{first:#x}"
            );
        }
        let plain = decode(&mut Decoder::new(LIMIT), &start);
        assert_eq!(plain, Err(DecodeError::ReservedBits(0x40)));
    }

    fn pieces<'w>(wire: &'w [u8], cuts: &[Index]) -> Vec<&'w [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let pairs = cuts.windows(2);
        pairs.map(|pair| &wire[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn compressed_messages_fragmented_and_cut_decode_to_themselves(
            sent in vec((".{0,300}", vec(any::<Index>(), 0..4)), 1..5),
            cuts in vec(any::<Index>(), 0..12),
            is_kept in any::<bool>(),
        ) {
            let (mut wire, mut stream) = (Vec::new(), Compressor::new(FAST));
            for (text, fragments) in &sent {
                if !is_kept {
                    stream = Compressor::new(FAST);
                }
                let frame = stream.frame(Opcode::Text, text.as_bytes()).unwrap();
                let payload = &frame[if frame[1] == 126 { 4 } else { 2 }..];
                let parts = pieces(payload, fragments);
                for (index, part) in parts.iter().enumerate() {
                    let rsv1 = if index == 0 { 0x41 } else { 0 };
                    let fin = if index + 1 == parts.len() { 0x80 } else { 0 };
                    wire.extend(masked(rsv1 | fin, part));
                }
            }
            let mut decoder = decoder(LIMIT, is_kept);
            let mut found = Vec::new();
            for piece in pieces(&wire, &cuts) {
                found.extend(decode(&mut decoder, piece).unwrap());
            }
            let expected: Vec<Vec<u8>> = sent.iter().map(|(text, _)| text.clone().into_bytes()).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_compressed_bytes_panic(
            frames in vec((any::<u8>().prop_map(|byte| byte & 0xCF), vec(any::<u8>(), 0..100)), 0..8),
            is_kept in any::<bool>(),
        ) {
            let mut decoder = decoder(1000, is_kept);
            for (first, payload) in frames {
                // The test continues after an error.
                let _ = decode(&mut decoder, &masked(first, &payload));
            }
        }
    }

    #[test]
    fn seeds_and_their_mutations_are_bounded_and_do_not_depend_on_cuts() {
        const LEAST: usize = 1000;
        replay("deflate", |input| {
            for window in [(9, true), (15, false)] {
                let (bits, is_kept) = window;
                let run = |size: usize| {
                    let window = DeflateWindow { bits, is_kept };
                    let mut decoder = Decoder::new(LEAST).inflating(window);
                    let mut found = Vec::new();
                    for piece in input.chunks(size) {
                        if let Err(error) = decode_into(&mut found, &mut decoder, piece) {
                            return (found, Some(error));
                        }
                        assert!(decoder.capacity() <= LEAST, "{}", decoder.capacity());
                    }
                    (found, None)
                };
                let (messages, error) = run(1);
                assert!(messages.iter().all(|message| message.len() <= LEAST));
                for size in [5, 200] {
                    let (same, other) = run(size);
                    assert_eq!(same, messages, "{window:?}");
                    // A message may be too large in one piece, and invalid in the next.
                    assert_eq!(other.is_some(), error.is_some(), "{window:?}");
                }
            }
        });
    }
}
