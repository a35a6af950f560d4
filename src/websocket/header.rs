//! Reads the header of one client frame, RFC 6455 §5.2.
//!
//! The first bytes of a frame enter. The header leaves, or a request for more bytes, or the
//! violated rule. Each rule is checked as soon as its byte has arrived. The state of the message
//! and its size limit are not checked here.

use crate::websocket::error::DecodeError;
use crate::websocket::{FIN, LENGTH_16, LENGTH_64, MAX_CONTROL_PAYLOAD, Opcode, RSV1};

/// The longest header a client can send: two bytes, a length of 64 bits and the mask.
pub(super) const MAX_CLIENT_HEADER: usize = 14;

/// The content of a client frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of the header itself, in bytes.
    pub(super) size: usize,
    pub(super) is_final: bool,
    /// RFC 7692 §6: the first frame of a compressed message.
    pub(super) is_compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: u64,
    pub(super) mask: [u8; 4],
}

impl Header {
    /// Reads the header at the beginning of `bytes`; `None` means that it is incomplete. A message
    /// may be compressed if `deflates`.
    pub(super) fn read(bytes: &[u8], deflates: bool) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let opcode = opcode(first, deflates)?;
        let is_final = first & FIN != 0;
        // RFC 6455 §5.5: control frames must not be fragmented.
        if opcode.is_control() && !is_final {
            return Err(DecodeError::FragmentedControl(opcode));
        }

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        // RFC 6455 §5.1: a server closes the connection if a frame is not masked.
        if second & MASKED == 0 {
            return Err(DecodeError::Unmasked);
        }
        let short = second & !MASKED;
        // RFC 6455 §5.5: control frames carry at most 125 bytes.
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(DecodeError::LongControl(opcode));
        }

        let Some((payload, rest)) = length(short, rest)? else {
            return Ok(None);
        };
        let Some((&mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            size: bytes.len() - rest.len(),
            is_final,
            is_compressed: first & RSV1 != 0,
            opcode,
            payload,
            mask,
        }))
    }
}

fn opcode(first: u8, deflates: bool) -> Result<Opcode, DecodeError> {
    // RFC 6455 §5.2: without an extension that defines them the reserved bits are zero. RFC 7692
    // §6.1: RSV1 is set in the first frame of a message, and in no continuation or control frame.
    let reserved = first & RESERVED_BITS;
    let may_be_compressed = deflates && matches!(first & OPCODE, 0x1 | 0x2);
    if reserved != 0 && !(reserved == RSV1 && may_be_compressed) {
        return Err(DecodeError::ReservedBits(reserved));
    }
    match first & OPCODE {
        0x0 => Ok(Opcode::Continuation),
        0x1 => Ok(Opcode::Text),
        0x2 => Ok(Opcode::Binary),
        0x8 => Ok(Opcode::Close),
        0x9 => Ok(Opcode::Ping),
        0xA => Ok(Opcode::Pong),
        reserved => Err(DecodeError::ReservedOpcode(reserved)),
    }
}

/// Returns the payload's length and the bytes after it.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, DecodeError> {
    let (length, rest, least) = match short {
        LENGTH_16 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u16::from_be_bytes(*bytes).into(), rest, LEAST_16),
            None => return Ok(None),
        },
        LENGTH_64 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest, LEAST_64),
            None => return Ok(None),
        },
        _ => (short.into(), rest, 0),
    };
    // RFC 6455 §5.2: the most significant bit of a length of 64 bits must be 0.
    if length >> 63 != 0 {
        return Err(DecodeError::NegativeLength(length));
    }
    // RFC 6455 §5.2: the minimal number of bytes must be used to encode the length.
    if length < least {
        return Err(DecodeError::NonMinimalLength(length));
    }
    Ok(Some((length, rest)))
}

const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0F;
/// The bit of a frame's second byte that announces a mask.
const MASKED: u8 = 0x80;
/// The smallest lengths that need the forms of 16 and of 64 bits.
const LEAST_16: u64 = 126;
const LEAST_64: u64 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Header>, DecodeError> {
        let found = Header::read(bytes, false);
        let deflated = Header::read(bytes, true);
        let is_refused = found == Err(DecodeError::ReservedBits(RSV1));
        assert!(found == deflated || is_refused, "{bytes:x?}");
        found
    }

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn wire(start: &[u8]) -> Vec<u8> {
        [start, &MASK].concat()
    }

    /// RFC 6455 §5.2.
    #[test]
    fn lengths_are_read_in_their_shortest_form() {
        let table: [(&[u8], u64); 8] = [
            (&[0x82, 0x80], 0),
            (&[0x82, 0x80 | 125], 125),
            (&[0x82, 0xFE, 0, 126], 126),
            (&[0x82, 0xFE, 0, 255], 255),
            (&[0x82, 0xFE, 255, 255], 65_535),
            (&[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
            (&[0x82, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
            (
                &[0x82, 0xFF, 127, 255, 255, 255, 255, 255, 255, 255],
                (1 << 63) - 1,
            ),
        ];
        for (start, payload) in table {
            let header = Header {
                size: start.len() + 4,
                is_final: true,
                is_compressed: false,
                opcode: Opcode::Binary,
                payload,
                mask: MASK,
            };
            assert_eq!(read(&wire(start)), Ok(Some(header)), "{start:x?}");
        }
    }

    /// RFC 6455 §5.2.
    #[test]
    fn opcodes_and_the_final_bit_are_read() {
        let table = [
            (0x00, false, Opcode::Continuation),
            (0x01, false, Opcode::Text),
            (0x02, false, Opcode::Binary),
            (0x80, true, Opcode::Continuation),
            (0x81, true, Opcode::Text),
            (0x82, true, Opcode::Binary),
            (0x88, true, Opcode::Close),
            (0x89, true, Opcode::Ping),
            (0x8A, true, Opcode::Pong),
        ];
        for (first, is_final, opcode) in table {
            let header = Header {
                size: 6,
                is_final,
                is_compressed: false,
                opcode,
                payload: 5,
                mask: MASK,
            };
            assert_eq!(read(&wire(&[first, 0x85])), Ok(Some(header)), "{first:#x}");
        }
    }

    #[test]
    fn a_cut_header_asks_for_more() {
        let headers: [&[u8]; 3] = [
            &[0x82, 0x85],
            &[0x82, 0xFE, 1, 0],
            &[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0],
        ];
        for start in headers {
            let whole = wire(start);
            for cut in 0..whole.len() {
                assert_eq!(read(&whole[..cut]), Ok(None), "{start:x?} cut at {cut}");
            }
            assert!(matches!(read(&whole), Ok(Some(_))));
        }
    }

    /// A rule is checked at the byte that violates it: no more bytes follow here.
    #[test]
    fn a_violation_is_reported_at_its_byte() {
        let table: [(&[u8], DecodeError); 15] = [
            (&[0xC1], DecodeError::ReservedBits(0x40)),
            (&[0xA1], DecodeError::ReservedBits(0x20)),
            (&[0x91], DecodeError::ReservedBits(0x10)),
            (&[0xF1], DecodeError::ReservedBits(0x70)),
            (&[0x08], DecodeError::FragmentedControl(Opcode::Close)),
            (&[0x09], DecodeError::FragmentedControl(Opcode::Ping)),
            (&[0x0A], DecodeError::FragmentedControl(Opcode::Pong)),
            (&[0x81, 0x05], DecodeError::Unmasked),
            (&[0x88, 0xFE], DecodeError::LongControl(Opcode::Close)),
            (&[0x89, 0xFE], DecodeError::LongControl(Opcode::Ping)),
            (&[0x8A, 0xFF], DecodeError::LongControl(Opcode::Pong)),
            (&[0x81, 0xFE, 0, 125], DecodeError::NonMinimalLength(125)),
            (
                &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255],
                DecodeError::NonMinimalLength(65_535),
            ),
            (
                &[0x81, 0xFF, 128, 0, 0, 0, 0, 0, 0, 0],
                DecodeError::NegativeLength(1 << 63),
            ),
            (
                &[0x81, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255],
                DecodeError::NegativeLength(u64::MAX),
            ),
        ];
        for (bytes, error) in table {
            assert_eq!(read(bytes), Err(error), "{bytes:x?}");
        }
    }

    /// RFC 6455 §5.2: opcodes 3-7 and B-F are reserved.
    #[test]
    fn reserved_opcodes_are_refused() {
        for opcode in (0x3..=0x7).chain(0xB..=0xF) {
            let error = Err(DecodeError::ReservedOpcode(opcode));
            assert_eq!(read(&[0x80 | opcode]), error);
            assert_eq!(read(&[opcode]), error);
        }
    }

    /// RFC 7692 §6.1.
    #[test]
    fn the_first_frame_of_a_message_may_be_compressed_if_that_was_negotiated() {
        for first in 0x40..=0x7F_u8 {
            for first in [first, first | FIN] {
                let found = Header::read(&wire(&[first, 0x85]), true);
                if matches!(first & !FIN, 0x41 | 0x42) {
                    let is_compressed = |header: Header| header.is_compressed;
                    assert_eq!(
                        found.map(|header| header.map(is_compressed)),
                        Ok(Some(true))
                    );
                } else {
                    let bits = first & RESERVED_BITS;
                    assert_eq!(found, Err(DecodeError::ReservedBits(bits)), "{first:#x}");
                }
                let found = Header::read(&[first], false);
                assert_eq!(found, Err(DecodeError::ReservedBits(first & RESERVED_BITS)));
            }
        }
    }

    /// RFC 6455 §5.5.
    #[test]
    fn a_control_frame_of_125_bytes_passes() {
        for first in [0x88, 0x89, 0x8A] {
            let header = read(&wire(&[first, 0x80 | 125]));
            assert!(matches!(header, Ok(Some(Header { payload: 125, .. }))));
        }
    }
}
