//! Frames the load sends. In: a payload. Out: the bytes of one WebSocket frame.
//!
//! RFC 6455, 5.3: a client masks what it sends. With a zero key the masked payload is the payload, so
//! that a frame is built once and sent a million times. Servers unmask it like any other.

pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(TEXT, payload.as_bytes())
}

pub(crate) fn binary(payload: &[u8]) -> Vec<u8> {
    frame(BINARY, payload)
}

pub(crate) fn close() -> Vec<u8> {
    // RFC 6455, 7.4.1: 1000 is a normal closure.
    frame(CLOSE, &1000_u16.to_be_bytes())
}

pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(PONG, payload)
}

/// Appends a frame to others.
pub(crate) fn append(frame: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    frame.push(FIN | opcode);
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => frame.push(MASKED | short),
        (_, Ok(medium)) => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&ZERO_KEY);
    frame.extend_from_slice(payload);
}

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    append(&mut frame, opcode, payload);
    frame
}

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const ZERO_KEY: [u8; 4] = [0; 4];

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn each_length_has_its_form() {
        for (length, head) in [
            (0, &[0x81, 0x80][..]),
            (125, &[0x81, 0xFD][..]),
            (126, &[0x81, 0xFE, 0, 126][..]),
            (65_535, &[0x81, 0xFE, 0xFF, 0xFF][..]),
            (65_536, &[0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0][..]),
        ] {
            let frame = text(&"x".repeat(length));
            assert!(frame.starts_with(head), "{length}");
            assert_eq!(frame.len(), head.len() + 4 + length, "{length}");
        }
    }
}
