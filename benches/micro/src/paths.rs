//! The three hot paths whose instructions are counted.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use crate::config::Config;
use crate::engineio;
use crate::handshake::{Carried, Facts, Handshake, Peer};
use crate::link::{Link, Outbox};
use crate::socket::{Answer, Audience, Core, Membership, ack, event};
use crate::socketio::{Args, Body, Limits, Packet};
use crate::websocket::{Decoder, Message};

/// Goes along a path so many times; `false` where there is no such path.
pub(crate) fn walk(path: &str, times: u64) -> bool {
    match path {
        "event" => event_in(times),
        "ack" => ack_out(times),
        "broadcast" => broadcast(times),
        _ => return false,
    }
    true
}

/// From a client's bytes to a handler's argument.
fn event_in(times: u64) {
    let bytes = masked(&format!(r#"42["echo","{}"]"#, "x".repeat(32)));
    let mut decoder = Decoder::new(1_000_000);
    let mut scratch = Vec::new();
    for _ in 0..times {
        black_box(read_event(&mut decoder, &mut scratch, black_box(&bytes)));
    }
}

/// From what a handler returned to the bytes that are written.
fn ack_out(times: u64) {
    let link = Link::new(&Arc::new(Config::new("/")), handshake());
    link.outbox.attach_websocket();
    let value = "x".repeat(32);
    for number in 0..times {
        let Ok(Answer::Value(packet)) = ack("/", number, black_box(&value)) else {
            return;
        };
        let _ = link.send(packet);
        drain(&link.outbox);
    }
}

/// From an event to the bytes that each of a thousand members is written.
fn broadcast(times: u64) {
    let hall = Hall::new(1000);
    for _ in 0..times {
        hall.broadcast();
    }
}

/// Returns what a client says that says nothing.
pub(crate) fn handshake() -> Handshake {
    let facts = Facts {
        peer: Peer {
            address: None,
            is_secure: false,
        },
        time: SystemTime::UNIX_EPOCH,
        carried: Carried::default(),
    };
    Handshake::new("/", [], facts)
}

/// A namespace full of sockets.
pub(crate) struct Hall {
    pub(crate) membership: Arc<Membership>,
    pub(crate) sockets: Vec<Arc<Core>>,
}

impl Hall {
    pub(crate) fn new(sockets: usize) -> Self {
        let membership = Membership::new("/");
        let config = Arc::new(Config::new("/"));
        let enter = |_| {
            let link = Link::new(&config, handshake());
            link.outbox.attach_websocket();
            let core = Arc::new(Core::new(&membership, &link, None));
            let entered = core.accept().is_ok() && membership.enter(&core).is_ok();
            assert!(entered, "a socket that nobody has ended");
            drain(&link.outbox);
            core
        };
        let sockets = (0..sockets).map(enter).collect();
        Self {
            membership,
            sockets,
        }
    }

    pub(crate) fn broadcast(&self) {
        self.send(&Audience::default());
        for socket in &self.sockets {
            drain(&socket.link.outbox);
        }
    }

    pub(crate) fn send(&self, audience: &Audience) {
        let Ok(packet) = event("/", None, "news", black_box("hello")) else {
            return;
        };
        self.membership.broadcast(audience, &packet);
    }
}

/// Takes what is queued, as a socket does that takes everything.
pub(crate) fn drain(outbox: &Outbox) {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = outbox.poll_write(&mut cx, &mut |_, frames: &[IoSlice<'_>]| {
        let bytes = frames.iter().map(|frame| black_box(&frame[..]).len()).sum();
        Poll::Ready(Ok(bytes))
    });
    assert!(polled.is_pending(), "an outbox that is open");
}

/// Reads the event in a client's bytes, and its one argument.
pub(crate) fn read_event(
    decoder: &mut Decoder,
    scratch: &mut Vec<u8>,
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
    Args::new(args.to_owned(), Vec::new()).read().ok()
}

/// Frames a text as a client does.
pub(crate) fn masked(text: &str) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend((text.len() as u16).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let plain = text.bytes().zip(MASK.iter().cycle());
    frame.extend(plain.map(|(byte, key)| byte ^ key));
    frame
}
