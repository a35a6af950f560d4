//! The outbox, rooms and broadcasts.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use divan::{Bencher, black_box};

use crate::config::Config;
use crate::id::Id;
use crate::link::{Frame, Link};
use crate::members::Audience;
use crate::server_fixture::{ServerFixture, drain, handshake};

#[divan::bench(args = [1, 16])]
fn push_and_write_small_frames(bencher: Bencher<'_, '_>, frames: usize) {
    push_and_write(bencher, &Frame::binary(&[7; 40]), frames);
}

#[divan::bench(args = [1, 4])]
fn push_and_write_frames_of_4_kb(bencher: Bencher<'_, '_>, frames: usize) {
    push_and_write(bencher, &Frame::binary(&[7; 4000]), frames);
}

/// As `HttpServer` takes them.
#[divan::bench(args = [1, 16])]
fn push_and_take_small_frames_as_a_chunk(bencher: Bencher<'_, '_>, frames: usize) {
    let (link, frame) = (websocket(), Frame::binary(&[7; 40]));
    bencher.bench(|| {
        push(&link, &frame, frames);
        let mut cx = Context::from_waker(Waker::noop());
        let chunk = link.outbox.poll_chunk(&mut cx);
        assert!(link.outbox.poll_chunk(&mut cx).is_pending());
        chunk
    });
}

/// A room of 1,000: must not grow with the number of the namespace's other rooms.
#[divan::bench(args = [100, 10_000, 100_000])]
fn join_and_leave_among_rooms(bencher: Bencher<'_, '_>, rooms: usize) {
    let fixture = ServerFixture::new(MEMBERS);
    for member in 1..MEMBERS {
        fixture.join(member, "room");
    }
    for room in 0..rooms {
        fixture.join(1 + room % (MEMBERS - 1), &format!("room {room}"));
    }
    join_and_leave(bencher, &fixture);
}

/// Must not grow with the number of members.
#[divan::bench(args = [10, 1000, 10_000])]
fn join_and_leave_among_members(bencher: Bencher<'_, '_>, members: usize) {
    let fixture = ServerFixture::new(members + 1);
    for member in 1..=members {
        fixture.join(member, "room");
    }
    join_and_leave(bencher, &fixture);
}

/// Encoding and all writes are part of it.
#[divan::bench]
fn broadcast_to_a_thousand(bencher: Bencher<'_, '_>) {
    let fixture = ServerFixture::new(MEMBERS);
    bencher.bench(|| fixture.broadcast());
}

/// Among 1,000 rooms of ten; encoding and all writes are part of it.
#[divan::bench]
fn broadcast_to_a_room_of_ten(bencher: Bencher<'_, '_>) {
    let fixture = ServerFixture::new(10 * MEMBERS);
    for member in 0..fixture.sockets.len() {
        fixture.join(member, &format!("room {}", member / 10));
    }
    let audience = Audience {
        rooms: Some(vec!["room 500".to_owned()]),
        ..Audience::default()
    };
    bencher.bench(|| {
        fixture.send(black_box(&audience));
        for socket in &fixture.sockets[5000..5010] {
            drain(&socket.link.outbox);
        }
    });
}

fn push_and_write(bencher: Bencher<'_, '_>, frame: &Frame, frames: usize) {
    let link = websocket();
    bencher.bench(|| {
        push(&link, frame, frames);
        drain(&link.outbox);
    });
}

fn push(link: &Link, frame: &Frame, frames: usize) {
    for _ in 0..frames {
        let pushed = link.outbox.push(frame.clone().into());
        assert!(pushed.is_ok(), "an outbox with room");
    }
}

fn websocket() -> Arc<Link> {
    let link = Link::new(
        Id::random(),
        &Arc::new(Config::new("/")),
        handshake(),
        Instant::now(),
    );
    link.outbox.attach_websocket();
    link
}

fn join_and_leave(bencher: Bencher<'_, '_>, fixture: &ServerFixture) {
    let socket = &fixture.sockets[0];
    bencher.bench(|| {
        let joined = fixture.membership.join(socket, black_box("room"));
        fixture.membership.leave(socket, black_box("room"));
        joined
    });
}

const MEMBERS: usize = 1000;
