//! WebSocket frames where they lie. In: bytes as they were read. Out: where a frame's payload is,
//! unmasked, and a server's frame around any payload. It knows no packets and copies nothing.

use std::ops::Range;

/// A client's frame, its payload unmasked in place.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Range<usize>,
}

/// The content at one position of the bytes read.
pub(crate) enum Scan {
    Whole(Frame),
    Partial,
    /// Masked, unfragmented frames of up to [`PAYLOAD_MAX`] bytes are all that a client sends here.
    Unsound,
}

/// Finds the frame that starts at `start` and takes off its mask.
pub(crate) fn scan(bytes: &mut [u8], start: usize) -> Scan {
    let Some(&[first, second]) = bytes.get(start..start + 2) else {
        return Scan::Partial;
    };
    if first & 0xF0 != FIN || second & MASKED == 0 {
        return Scan::Unsound;
    }
    let (length, mask_at) = match second & !MASKED {
        126 => match bytes.get(start + 2..start + 4) {
            Some(&[a, b]) => (usize::from(u16::from_be_bytes([a, b])), start + 4),
            _ => return Scan::Partial,
        },
        127 => match bytes.get(start + 2..start + 10) {
            Some(&[0, 0, 0, 0, a, b, c, d]) => {
                (u32::from_be_bytes([a, b, c, d]) as usize, start + 10)
            }
            Some(_) => return Scan::Unsound,
            None => return Scan::Partial,
        },
        length => (usize::from(length), start + 2),
    };
    if length > PAYLOAD_MAX {
        return Scan::Unsound;
    }
    let payload = mask_at + 4..mask_at + 4 + length;
    if bytes.len() < payload.end {
        return Scan::Partial;
    }
    let Some(&[a, b, c, d]) = bytes.get(mask_at..mask_at + 4) else {
        return Scan::Partial;
    };
    unmask(&mut bytes[payload.clone()], [a, b, c, d]);
    Scan::Whole(Frame {
        opcode: first & 0x0F,
        payload,
    })
}

/// Writes a server's header in front of a payload, and returns the frame.
///
/// There is always room: a client's header is longer by the mask, and no answer is longer than what
/// it answers.
pub(crate) fn seal(bytes: &mut [u8], opcode: u8, payload: Range<usize>) -> &[u8] {
    let start = match payload.len() {
        length @ 0..126 => {
            bytes[payload.start - 1] = length as u8;
            payload.start - 2
        }
        length @ 126..0x1_0000 => {
            bytes[payload.start - 2..payload.start].copy_from_slice(&(length as u16).to_be_bytes());
            bytes[payload.start - 3] = 126;
            payload.start - 4
        }
        length => {
            bytes[payload.start - 8..payload.start].copy_from_slice(&(length as u64).to_be_bytes());
            bytes[payload.start - 9] = 127;
            payload.start - 10
        }
    };
    bytes[start] = FIN | opcode;
    &bytes[start..payload.end]
}

/// Returns a server's text frame; for what is said once a session.
pub(crate) fn text(packet: &str) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_MAX];
    bytes.extend_from_slice(packet.as_bytes());
    let payload = HEADER_MAX..bytes.len();
    seal(&mut bytes, TEXT, payload).to_vec()
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const HEADER_MAX: usize = 10;
const PAYLOAD_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::{Scan, TEXT, scan, seal};

    /// Returns a client's frame, masked with 1, 2, 3, 4.
    fn masked(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 10];
        bytes.extend_from_slice(payload);
        let header = seal(&mut bytes, TEXT, 10..10 + payload.len()).to_vec();
        let mut bytes = header[..header.len() - payload.len()].to_vec();
        bytes[1] |= 0x80;
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(
            payload
                .iter()
                .zip([1, 2, 3, 4].iter().cycle())
                .map(|(a, b)| a ^ b),
        );
        bytes
    }

    #[test]
    fn frames_of_all_lengths_are_unmasked_and_sealed() {
        for length in [0, 1, 7, 8, 125, 126, 65_535, 65_536, 1_000_000] {
            let payload: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let mut bytes = masked(&payload);
            let Scan::Whole(frame) = scan(&mut bytes, 0) else {
                panic!("{length} bytes are no frame");
            };
            assert_eq!((frame.opcode, frame.payload.end), (TEXT, bytes.len()));
            assert_eq!(bytes[frame.payload.clone()], payload);
            let header = frame.payload.start - 4;
            let sealed = seal(&mut bytes, frame.opcode, frame.payload);
            assert_eq!(sealed.len(), header + length);
            assert_eq!(sealed[header..], payload);
        }
    }

    #[test]
    fn a_frame_cut_anywhere_is_partial() {
        let whole = masked(&[7; 300]);
        for end in 0..whole.len() {
            assert!(matches!(scan(&mut whole[..end].to_vec(), 0), Scan::Partial));
        }
    }

    #[test]
    fn what_no_client_sends_is_unsound() {
        let long = masked(&vec![0; 1_000_001]);
        for bytes in [&[0x81, 1, 7][..], &[0x01, 0x81, 0, 0, 0, 0, 7], &long] {
            assert!(matches!(scan(&mut bytes.to_vec(), 0), Scan::Unsound));
        }
    }
}
