//! Packets told apart by how they begin, and answers made of them in place. In: the text of a frame.
//! Out: what it asks for. No JSON is parsed: clients are taken to write it without spaces, and names
//! of rooms without escapes.

/// The requests of a client. `digits` is the length of the ack's id, 0 if none is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect,
    /// Comes back as it is; so does the frame that holds its attachment, if it has one.
    Echo,
    Ack {
        digits: usize,
    },
    Bcast,
    Join {
        digits: usize,
        room: usize,
    },
    Leave {
        digits: usize,
        room: usize,
    },
    Rcast {
        room: usize,
    },
    /// A pong, a DISCONNECT, or anything else that wants no answer.
    Other,
}

pub(crate) fn classify(text: &[u8]) -> Packet {
    if text.starts_with(br#"42["echo""#) || text.starts_with(br#"451-["echo""#) {
        return Packet::Echo;
    }
    if text.starts_with(br#"42["bcast""#) {
        return Packet::Bcast;
    }
    if let Some(rest) = text.strip_prefix(RCAST) {
        return room(rest).map_or(Packet::Other, |room| Packet::Rcast { room });
    }
    if text == b"40" {
        return Packet::Connect;
    }
    let Some(rest) = text.strip_prefix(b"42") else {
        return Packet::Other;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let event = &rest[digits..];
    if digits > 0 && event.starts_with(ACK) {
        return Packet::Ack { digits };
    }
    if let Some(room) = event.strip_prefix(JOIN).and_then(room) {
        return Packet::Join { digits, room };
    }
    if let Some(room) = event.strip_prefix(LEAVE).and_then(room) {
        return Packet::Leave { digits, room };
    }
    Packet::Other
}

/// Returns where the room's name of a JOIN, a LEAVE or an RCAST starts.
pub(crate) fn room_at(packet: &Packet) -> usize {
    match packet {
        Packet::Join { digits, .. } => 2 + digits + JOIN.len(),
        Packet::Leave { digits, .. } => 2 + digits + LEAVE.len(),
        _ => RCAST.len(),
    }
}

/// Turns `42<id>["ack",args]` into `43<id>[args]` and returns where that starts.
pub(crate) fn acknowledge(text: &mut [u8], digits: usize) -> usize {
    let tail = 2 + digits + ACK.len();
    // The comma gives way to the bracket; without args, the quote in front of the end does.
    let bracket = match text.get(tail) {
        Some(b',') => tail,
        _ => tail - 1,
    };
    text[bracket] = b'[';
    let id = bracket - digits;
    text.copy_within(2..2 + digits, id);
    text[id - 2..id].copy_from_slice(b"43");
    id - 2
}

/// Turns `42<id>["join",…` into `43<id>[]` and returns where that ends.
pub(crate) fn acknowledge_empty(text: &mut [u8], digits: usize) -> usize {
    text[1] = b'3';
    text[2 + digits..4 + digits].copy_from_slice(b"[]");
    4 + digits
}

/// Turns `42["rcast","r7",args]` into `42["rcast",args]` and returns where that starts.
pub(crate) fn drop_room(text: &mut [u8], room: usize) -> usize {
    let name_removed = room + r#","""#.len();
    text.copy_within(0..r#"42["rcast""#.len(), name_removed);
    name_removed
}

/// Returns the length of the room's name that `rest` starts with.
fn room(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|byte| *byte == b'"')
}

const ACK: &[u8] = br#"["ack""#;
const JOIN: &[u8] = br#"["join",""#;
const LEAVE: &[u8] = br#"["leave",""#;
const RCAST: &[u8] = br#"42["rcast",""#;

#[cfg(test)]
mod tests {
    use super::{Packet, acknowledge, acknowledge_empty, classify, drop_room, room_at};

    #[test]
    fn packets_are_told_apart() {
        for (text, packet) in [
            ("40", Packet::Connect),
            ("3", Packet::Other),
            ("42", Packet::Other),
            ("42[\"other\"]", Packet::Other),
            ("42[\"ack\",1]", Packet::Other),
            ("42[\"echo\",1]", Packet::Echo),
            (
                "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]",
                Packet::Echo,
            ),
            ("4217[\"ack\",1]", Packet::Ack { digits: 2 }),
            ("42[\"bcast\",1]", Packet::Bcast),
            ("42[\"join\",\"r7\"]", Packet::Join { digits: 0, room: 2 }),
            (
                "423[\"leave\",\"r17\"]",
                Packet::Leave { digits: 1, room: 3 },
            ),
            ("42[\"rcast\",\"r7\",1]", Packet::Rcast { room: 2 }),
        ] {
            assert_eq!(classify(text.as_bytes()), packet, "{text}");
        }
    }

    #[test]
    fn rooms_are_found() {
        for text in [
            "4212[\"join\",\"r7\"]",
            "42[\"leave\",\"r7\"]",
            "42[\"rcast\",\"r7\",1]",
        ] {
            let start = room_at(&classify(text.as_bytes()));
            assert_eq!(&text[start..start + 2], "r7");
        }
    }

    #[test]
    fn answers_are_made_in_place() {
        for (text, answer) in [
            ("4217[\"ack\",\"x\",1]", "4317[\"x\",1]"),
            ("420[\"ack\"]", "430[]"),
        ] {
            let Packet::Ack { digits } = classify(text.as_bytes()) else {
                panic!("{text} asks for no ack");
            };
            let mut bytes = text.as_bytes().to_vec();
            let start = acknowledge(&mut bytes, digits);
            assert_eq!(&bytes[start..], answer.as_bytes());
        }
        let mut bytes = b"4217[\"join\",\"r7\"]".to_vec();
        let end = acknowledge_empty(&mut bytes, 2);
        assert_eq!(&bytes[..end], b"4317[]");
        for (text, room) in [("42[\"rcast\",\"r7\",1]", 2), ("42[\"rcast\",\"\",1]", 0)] {
            let mut bytes = text.as_bytes().to_vec();
            let start = drop_room(&mut bytes, room);
            assert_eq!(&bytes[start..], b"42[\"rcast\",1]");
        }
    }
}
