//! The three hot paths whose instructions `benches/instructions` counts.
//!
//! `paths PATH TIMES` goes along one so many times and prints nothing. It is a program of its own:
//! a benchmark more in the same one would change what the compiler inlines here.

#![allow(
    dead_code,
    unused_imports,
    reason = "the library's modules stand here whole, and only their hot paths are used"
)]

include!("library.rs");

mod server_fixture;
mod wire;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::id::Id;
use crate::link::Link;
use crate::members::{Answer, Encoder};
use crate::server_fixture::{ServerFixture, drain, handshake};
use crate::socketio::PacketLimits;
use crate::websocket::{Decoder, Scratch};
use crate::wire::{masked_text, read_event};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [path, times] = words.as_slice() else {
        return usage();
    };
    let Ok(times) = times.parse() else {
        return usage();
    };
    match path.as_str() {
        "event" => event_in(times),
        "ack" => ack_out(times),
        "broadcast" => broadcast(times),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

/// From a client's bytes to a handler's argument.
fn event_in(times: u64) {
    let text = "x".repeat(32);
    let bytes = masked_text(&format!(r#"42["echo","{text}"]"#));
    let mut decoder = Decoder::new(1_000_000);
    let mut scratch = Scratch::new();
    for _ in 0..times {
        let read = read_event(&mut decoder, &mut scratch, black_box(&bytes));
        assert!(
            read.is_some_and(|read| read.len() == text.len()),
            "a sound event"
        );
    }
}

/// From what a handler returned to the bytes that are written.
fn ack_out(times: u64) {
    let link = Link::new(
        Id::random(),
        &Arc::new(Config::new("/")),
        handshake(),
        Instant::now(),
    );
    link.outbox.attach_websocket();
    let (value, encoder) = ("x".repeat(32), Encoder::of(&link));
    for _ in 0..times {
        // One id for all: a longer one takes more instructions.
        let Ok(Answer::Value(packet)) =
            encoder.ack("/", black_box(12), black_box(&value), PacketLimits::DEFAULT)
        else {
            panic!("a text that can be sent")
        };
        assert!(link.send(packet).is_ok(), "an outbox with room");
        drain(&link.outbox);
    }
}

/// From an event to the bytes that each of a thousand members is written.
fn broadcast(times: u64) {
    let fixture = ServerFixture::new(1000);
    for _ in 0..times {
        fixture.broadcast();
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: paths event|ack|broadcast TIMES");
    ExitCode::from(2)
}
