//! Codecs: frames, packets, arguments.

use bytes::Bytes;
use divan::{Bencher, black_box};
use serde::{Deserialize, Serialize};

use crate::config::{ParserId, Parsers};
use crate::engineio;
use crate::link::Frame;
use crate::members::{Encoder, Membership};
use crate::socketio::{Args, Limits, Packet, PacketLimits};
use crate::websocket::{Decoder, Scratch};
use crate::wire::{masked_binary, masked_text, read_event};

#[divan::bench(args = [1, 16])]
fn decode_text_frames_of_32_bytes(bencher: Bencher<'_, '_>, frames: usize) {
    decode_frames(bencher, &masked_text(&"x".repeat(32)).repeat(frames));
}

/// Unmasking, and the check of UTF-8.
#[divan::bench]
fn decode_text_frame_of_4_kb(bencher: Bencher<'_, '_>) {
    decode_frames(bencher, &masked_text(&"x".repeat(4000)));
}

/// Unmasking, and little else.
#[divan::bench]
fn decode_binary_frame_of_4_kb(bencher: Bencher<'_, '_>) {
    decode_frames(bencher, &masked_binary(&[7; 4000]));
}

#[divan::bench]
fn decode_engineio_packet(bencher: Bencher<'_, '_>) {
    bencher.bench(|| engineio::Packet::decode(black_box("42[\"echo\"]")).is_ok());
}

#[divan::bench(args = ["event", "ack", "kilobyte", "binary"])]
fn decode_socketio_packet(bencher: Bencher<'_, '_>, which: &str) {
    let text = match which {
        "event" => format!(r#"2["echo","{}"]"#, "x".repeat(32)),
        "ack" => r#"312["done",1,null]"#.to_owned(),
        "kilobyte" => format!(r#"2["order",{}]"#, serde_json::json!(order())),
        _ => r#"51-["file",{"_placeholder":true,"num":0}]"#.to_owned(),
    };
    let limits = Limits::default();
    assert!(Packet::decode(&text, &limits).is_ok(), "a sound packet");
    bencher.bench(|| Packet::decode(black_box(&text), &limits).is_ok());
}

#[divan::bench]
fn read_arguments_into_a_tuple(bencher: Bencher<'_, '_>) {
    let args = Args::new(r#""a name",42"#.to_owned(), Vec::new());
    bencher.bench(|| black_box(&args).read::<(String, i64)>());
}

#[divan::bench]
fn read_arguments_into_a_struct(bencher: Bencher<'_, '_>) {
    let args = Args::new(serde_json::json!(order()).to_string(), Vec::new());
    bencher.bench(|| black_box(&args).read::<Order>());
}

/// All of the way in.
#[divan::bench]
fn read_event_from_bytes_to_argument(bencher: Bencher<'_, '_>) {
    let bytes = masked_text(&format!(r#"42["echo","{}"]"#, "x".repeat(32)));
    let (mut decoder, mut scratch) = (Decoder::new(1_000_000), Scratch::new());
    bencher.bench_local(move || read_event(&mut decoder, &mut scratch, black_box(&bytes)));
}

#[divan::bench]
fn encode_event_of_32_bytes(bencher: Bencher<'_, '_>) {
    let text = "x".repeat(32);
    let membership = Membership::new("/", Vec::new());
    bencher.bench(|| membership.event(None, "echo", black_box(&text), None));
}

#[divan::bench]
fn encode_event_of_a_kilobyte(bencher: Bencher<'_, '_>) {
    let order = order();
    let membership = Membership::new("/", Vec::new());
    bencher.bench(|| membership.event(None, "order", black_box(&order), None));
}

#[divan::bench]
fn encode_event_with_an_attachment_of_4_kb(bencher: Bencher<'_, '_>) {
    let data = Bytes::from(vec![7; 4000]);
    let membership = Membership::new("/", Vec::new());
    bencher.bench(|| membership.event(None, "file", black_box(&data), None));
}

#[divan::bench]
fn encode_ack(bencher: Bencher<'_, '_>) {
    let parsers = Parsers::default();
    let encoder = Encoder::new(&parsers, ParserId::JSON);
    bencher.bench(|| encoder.ack("/", black_box(12), black_box("done"), PacketLimits::DEFAULT));
}

/// The cost of an event besides its JSON.
#[divan::bench(args = [32, 4000])]
fn make_text_frame(bencher: Bencher<'_, '_>, length: usize) {
    let text = "x".repeat(length);
    bencher.bench(|| Frame::packet(black_box(&text)));
}

#[divan::bench(args = [32, 4000])]
fn make_binary_frame(bencher: Bencher<'_, '_>, length: usize) {
    let data = vec![7; length];
    bencher.bench(|| Frame::binary(black_box(&data)));
}

fn decode_frames(bencher: Bencher<'_, '_>, bytes: &[u8]) {
    let (mut decoder, mut scratch) = (Decoder::new(1_000_000), Scratch::new());
    bencher.bench_local(move || {
        let (mut input, mut messages) = (black_box(bytes), 0);
        while let Ok(Some(kind)) = decoder.decode(&mut input, &mut scratch) {
            messages += usize::from(black_box(kind.message(&mut scratch)).is_ok());
        }
        messages
    });
}

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    name: String,
    lines: Vec<Line>,
    price: f64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    article: String,
    count: u32,
    gift: bool,
}

/// About a kilobyte of nested JSON.
fn order() -> Order {
    let line = |number| Line {
        article: format!("article number {number}"),
        count: number,
        gift: false,
    };
    Order {
        id: 7,
        name: "a thing".into(),
        lines: (10..28).map(line).collect(),
        price: 9.5,
    }
}
