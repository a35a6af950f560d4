//! Writes server frames, RFC 6455 §5.2: final, and never masked (§5.1).
//!
//! A payload's opcode and length enter, a header leaves. The header is written at the end of the
//! space before the payload, so the payload need not move. For a small payload a whole frame
//! leaves. The decision to send a frame is the caller's: `link/frame.rs` names the files that write
//! a frame to the client.

use bytes::Bytes;

use crate::websocket::{FIN, LENGTH_16, LENGTH_64, MAX_CONTROL_PAYLOAD, Opcode};

/// The longest header of a server frame: two bytes and a length of 64 bits.
pub(crate) const MAX_HEADER: usize = 10;

/// Writes the header of a final frame to the end of `space`. Returns the number of its bytes.
pub(crate) fn write_header(space: &mut [u8; MAX_HEADER], opcode: Opcode, payload: usize) -> usize {
    let first = FIN | opcode as u8;
    if let Ok(length @ ..LENGTH_16) = u8::try_from(payload) {
        space[8..].copy_from_slice(&[first, length]);
        2
    } else if let Ok(length) = u16::try_from(payload) {
        let [high, low] = length.to_be_bytes();
        space[6..].copy_from_slice(&[first, LENGTH_16, high, low]);
        4
    } else {
        space[0] = first;
        space[1] = LENGTH_64;
        space[2..].copy_from_slice(&(payload as u64).to_be_bytes());
        MAX_HEADER
    }
}

/// Returns a whole final frame, for small payloads that are cheap to copy.
///
/// A control frame's payload is cut at 125 bytes, the limit of RFC 6455 §5.5. A ping's payload that
/// [`Decoder`](super::Decoder) accepted always fits its pong.
pub(crate) fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let payload = match payload.get(..MAX_CONTROL_PAYLOAD) {
        Some(start) if opcode.is_control() => start,
        _ => payload,
    };
    let mut space = [0; MAX_HEADER];
    let size = write_header(&mut space, opcode, payload.len());
    Bytes::from([&space[MAX_HEADER - size..], payload].concat())
}

/// Returns a close frame with a status code and no reason, or an empty one.
pub(crate) fn close_frame(code: Option<u16>) -> Bytes {
    match code {
        Some(code) => frame(Opcode::Close, &code.to_be_bytes()),
        None => frame(Opcode::Close, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.2.
    #[test]
    fn headers_lie_right_aligned_and_use_the_shortest_length() {
        let table: [(usize, &[u8]); 8] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (255, &[0x82, 126, 0, 255]),
            (256, &[0x82, 126, 1, 0]),
            (65_535, &[0x82, 126, 255, 255]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x0102_0304, &[0x82, 127, 0, 0, 0, 0, 1, 2, 3, 4]),
        ];
        for (payload, wire) in table {
            let mut space = [0xEE; MAX_HEADER];
            let size = write_header(&mut space, Opcode::Binary, payload);
            assert_eq!(space[MAX_HEADER - size..], *wire, "{payload}");
            assert!(
                space[..MAX_HEADER - size].iter().all(|byte| *byte == 0xEE),
                "{payload}"
            );
        }
    }

    #[test]
    fn frames_are_final_and_unmasked() {
        let table: [(Opcode, &[u8], &[u8]); 6] = [
            (Opcode::Continuation, b"", &[0x80, 0]),
            (
                Opcode::Text,
                b"Hello",
                &[0x81, 5, b'H', b'e', b'l', b'l', b'o'],
            ),
            (Opcode::Binary, &[7], &[0x82, 1, 7]),
            (Opcode::Close, &[], &[0x88, 0]),
            (Opcode::Ping, b"p", &[0x89, 1, b'p']),
            (Opcode::Pong, b"p", &[0x8A, 1, b'p']),
        ];
        for (opcode, payload, wire) in table {
            assert_eq!(frame(opcode, payload), wire, "{opcode}");
        }
    }

    /// RFC 6455 §5.5.1.
    #[test]
    fn close_frames_carry_their_code_or_nothing() {
        assert_eq!(close_frame(None), [0x88, 0][..]);
        assert_eq!(close_frame(Some(1000)), [0x88, 2, 0x03, 0xE8][..]);
    }

    /// RFC 6455 §5.5.
    #[test]
    fn control_payloads_are_cut_at_125_bytes_and_data_is_not() {
        for (opcode, given, kept) in [
            (Opcode::Pong, 125, 125),
            (Opcode::Pong, 126, 125),
            (Opcode::Close, 126, 125),
            (Opcode::Text, 125, 125),
        ] {
            let wire = frame(opcode, &vec![b'x'; given]);
            assert_eq!(wire[1], kept);
            assert_eq!(wire.len(), 2 + usize::from(kept));
        }
        assert_eq!(frame(Opcode::Text, &[b'x'; 126]).len(), 4 + 126);
    }
}
