//! The bytes that a client sends, and the library's way to read them.

use crate::engineio;
use crate::socketio::{ArgsRef, Body, Limits, Packet};
use crate::websocket::{Decoder, Message, Scratch};

/// Reads the event in a client's bytes, and its one argument.
pub(crate) fn read_event(
    decoder: &mut Decoder,
    scratch: &mut Scratch,
    mut bytes: &[u8],
) -> Option<String> {
    let kind = decoder.decode(&mut bytes, scratch).ok()??;
    let Ok(Message::Text(text)) = kind.message(scratch) else {
        return None;
    };
    let Ok(engineio::Packet::Message(text)) = engineio::Packet::decode(text) else {
        return None;
    };
    let packet = Packet::decode(text, &Limits::default()).ok()?;
    let Body::Event { args, .. } = packet.body else {
        return None;
    };
    let args = ArgsRef {
        text: args,
        attachments: &[],
    };
    args.read().ok()
}

/// Frames a text as a client does.
pub(crate) fn masked_text(text: &str) -> Vec<u8> {
    masked(0x81, text.as_bytes())
}

/// Frames bytes as a client does.
pub(crate) fn masked_binary(data: &[u8]) -> Vec<u8> {
    masked(0x82, data)
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        _ => {
            let Ok(length) = u16::try_from(payload.len()) else {
                panic!("no payload here takes a length of 64 bits")
            };
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(MASK);
    let plain = payload.iter().zip(MASK.iter().cycle());
    frame.extend(plain.map(|(byte, key)| byte ^ key));
    frame
}

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
