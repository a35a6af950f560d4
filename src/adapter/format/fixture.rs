//! The messages in the tests of the formats: those captured from the reference, in each format.

use std::time::Duration;

use bytes::Bytes;

use crate::cluster::{EmitFlags, EventPayload, Message, Question, Scope};
use crate::socketio::Args;

/// Makes bytes of captured text: JSON, or hexadecimal digits.
pub(super) fn payload(captured: &str) -> Bytes {
    if captured.starts_with('{') {
        return captured.to_owned().into();
    }
    let digit = |at: usize| u8::from_str_radix(&captured[at..at + 2], 16).unwrap();
    (0..captured.len()).step_by(2).map(digit).collect()
}

pub(super) fn args(json: &str) -> Args {
    Args::new(json.to_owned(), Vec::new())
}

pub(super) fn scope(rooms: &[&str], except: &[&str]) -> Scope {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Scope {
        rooms: names(rooms),
        except: names(except),
    }
}

pub(super) fn emit(list: Args, scope: Scope, flags: EmitFlags) -> Message {
    Message::Emit {
        content: EventPayload(list),
        scope,
        flags,
    }
}

pub(super) const PLAIN: EmitFlags = EmitFlags {
    volatile: false,
    uncompressed: false,
};

pub(super) const SWIFT: EmitFlags = EmitFlags {
    volatile: true,
    uncompressed: true,
};

pub(super) fn binary() -> Args {
    let json = r#""r",{"_placeholder":true,"num":0}"#;
    Args::new(json.to_owned(), vec![Bytes::from_static(&[1, 2])])
}

/// The messages, in the order of their capture.
pub(super) fn messages() -> [Message; 9] {
    let rooms = || vec!["z".to_owned()];
    [
        emit(args(r#""hello",1,{"a":"é"}"#), scope(&[], &[]), PLAIN),
        emit(binary(), scope(&["room1"], &[]), PLAIN),
        emit(args(r#""m""#), scope(&["a", "b"], &["c"]), PLAIN),
        emit(args(r#""v""#), scope(&["room1"], &[]), SWIFT),
        emit(
            args(r#""priv""#),
            scope(&["xxxxxxxxxxxxxxxxxxxx"], &[]),
            PLAIN,
        ),
        Message::Join {
            scope: scope(&["room1"], &[]),
            rooms: rooms(),
        },
        Message::Leave {
            scope: scope(&[], &[]),
            rooms: rooms(),
        },
        Message::Disconnect {
            scope: scope(&["s"], &[]),
            close: true,
        },
        Message::ServerSide(EventPayload(args(r#""ping",1"#))),
    ]
}

/// The questions, in the order of their capture.
pub(super) fn questions() -> [Question; 3] {
    [
        Question::Emit {
            content: EventPayload(args(r#""ack",1"#)),
            scope: scope(&[], &[]),
            flags: PLAIN,
            limit: Duration::from_millis(50),
        },
        Question::ServerSide(EventPayload(args(r#""ping2""#))),
        Question::Sockets(scope(&[], &[])),
    ]
}

/// A question with flags and binary.
pub(super) fn swift_question() -> Question {
    Question::Emit {
        content: EventPayload(binary()),
        scope: scope(&["a"], &["b"]),
        flags: SWIFT,
        limit: Duration::from_secs(5),
    }
}

/// Acknowledgements of clients.
pub(super) fn acknowledgements() -> [Args; 8] {
    let binary = Args::new(
        r#"null,{"_placeholder":true,"num":0}"#.to_owned(),
        vec![Bytes::from_static(&[7])],
    );
    [
        args(""),
        args("null"),
        args("null,5"),
        args("5"),
        args("1,null"),
        args(r#"[],{"a":[1,2]},"x,y""#),
        args(r#"{"a":null}"#),
        binary,
    ]
}
