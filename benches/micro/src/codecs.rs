//! Codecs: frames, packets, arguments.

use divan::{Bencher, black_box};
use serde::{Deserialize, Serialize};

use crate::engineio;
use crate::paths::{masked, read_event};
use crate::socket::{ack, event};
use crate::socketio::{Args, Limits, Packet};
use crate::websocket::Decoder;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    name: String,
    tags: Vec<String>,
    price: f64,
}

fn order() -> Order {
    Order {
        id: 7,
        name: "a thing".into(),
        tags: (0..40).map(|n| format!("tag number {n}")).collect(),
        price: 9.5,
    }
}

fn decode_all(bytes: &[u8]) -> usize {
    let (mut decoder, mut scratch) = (Decoder::new(1_000_000), Vec::with_capacity(8192));
    let (mut input, mut messages) = (bytes, 0);
    while let Ok(Some(_)) = decoder.decode(&mut input, &mut scratch) {
        messages += 1;
    }
    messages
}

#[divan::bench]
fn frame_of_32_bytes(bencher: Bencher<'_, '_>) {
    let bytes = masked(&"x".repeat(32));
    bencher.bench(|| decode_all(black_box(&bytes)));
}

#[divan::bench]
fn sixteen_frames_of_32_bytes(bencher: Bencher<'_, '_>) {
    let bytes = masked(&"x".repeat(32)).repeat(16);
    bencher.bench(|| decode_all(black_box(&bytes)));
}

#[divan::bench]
fn frame_of_4_kb(bencher: Bencher<'_, '_>) {
    let bytes = masked(&"x".repeat(4000));
    bencher.bench(|| decode_all(black_box(&bytes)));
}

#[divan::bench]
fn event_from_bytes_to_argument(bencher: Bencher<'_, '_>) {
    let bytes = masked(r#"42["echo","0123456789abcdef"]"#);
    let (mut decoder, mut scratch) = (Decoder::new(1_000_000), Vec::new());
    bencher.bench_local(move || read_event(&mut decoder, &mut scratch, black_box(&bytes)));
}

#[divan::bench]
fn engineio_packet(bencher: Bencher<'_, '_>) {
    bencher.bench(|| engineio::Packet::decode(black_box("42[\"echo\"]")).is_ok());
}

#[divan::bench(args = ["event", "ack", "kilobyte", "binary"])]
fn socketio_packet(bencher: Bencher<'_, '_>, which: &str) {
    let text = match which {
        "event" => format!(r#"2["echo","{}"]"#, "x".repeat(32)),
        "ack" => r#"312["done",1,null]"#.to_owned(),
        "kilobyte" => format!(r#"2["order",{}]"#, serde_json::json!(order())),
        _ => r#"51-["file",{"_placeholder":true,"num":0}]"#.to_owned(),
    };
    bencher.bench(|| Packet::decode(black_box(&text), &Limits::default()).is_ok());
}

#[divan::bench]
fn arguments_into_a_tuple(bencher: Bencher<'_, '_>) {
    let args = Args::new(r#""a name",42"#.to_owned(), Vec::new());
    bencher.bench(|| black_box(&args).read::<(String, i64)>().is_ok());
}

#[divan::bench]
fn arguments_into_a_struct(bencher: Bencher<'_, '_>) {
    let args = Args::new(serde_json::json!(order()).to_string(), Vec::new());
    bencher.bench(|| black_box(&args).read::<Order>().is_ok());
}

#[divan::bench]
fn event_of_32_bytes(bencher: Bencher<'_, '_>) {
    let text = "x".repeat(32);
    bencher.bench(|| event("/", None, "echo", black_box(&text)));
}

#[divan::bench]
fn event_of_a_kilobyte(bencher: Bencher<'_, '_>) {
    let order = order();
    bencher.bench(|| event("/", None, "order", black_box(&order)));
}

#[divan::bench]
fn event_with_an_attachment(bencher: Bencher<'_, '_>) {
    let data = bytes::Bytes::from(vec![7; 4000]);
    bencher.bench(|| event("/", None, "file", black_box(&data)));
}

#[divan::bench]
fn acknowledgement(bencher: Bencher<'_, '_>) {
    bencher.bench(|| ack("/", 12, black_box("done")));
}
