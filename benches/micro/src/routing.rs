//! The outbox, rooms and broadcasts.

use std::sync::Arc;

use divan::Bencher;

use crate::config::Config;
use crate::link::{Frame, Link};
use crate::paths::{Hall, drain, handshake};
use crate::socket::Audience;

#[divan::bench(args = [1, 16])]
fn push_and_write_small_frames(bencher: Bencher<'_, '_>, frames: usize) {
    push_and_write(bencher, &Frame::binary(&[7; 40]), frames);
}

#[divan::bench(args = [1, 4])]
fn push_and_write_frames_of_4_kb(bencher: Bencher<'_, '_>, frames: usize) {
    push_and_write(bencher, &Frame::binary(&[7; 4000]), frames);
}

fn push_and_write(bencher: Bencher<'_, '_>, frame: &Frame, frames: usize) {
    let link = Link::new(&Arc::new(Config::new("/")), handshake());
    link.outbox.attach_websocket();
    bencher.bench(|| {
        for _ in 0..frames {
            let _ = link.outbox.push(frame.clone(), Vec::new());
        }
        drain(&link.outbox);
    });
}

/// Must not grow with the number of rooms.
#[divan::bench(args = [100, 10_000, 100_000])]
fn join_and_leave_among_rooms(bencher: Bencher<'_, '_>, rooms: usize) {
    let hall = Hall::new(1);
    let socket = &hall.sockets[0];
    for room in 0..rooms {
        let _ = hall.membership.join(socket, &format!("room {room}"));
    }
    bencher.bench(|| {
        let joined = hall.membership.join(socket, "another");
        hall.membership.leave(socket, "another");
        joined
    });
}

/// Must not grow with the number of members.
#[divan::bench(args = [10, 1000, 10_000])]
fn join_and_leave_among_members(bencher: Bencher<'_, '_>, members: usize) {
    let hall = Hall::new(members + 1);
    for socket in &hall.sockets[1..] {
        let _ = hall.membership.join(socket, "room");
    }
    bencher.bench(|| {
        let joined = hall.membership.join(&hall.sockets[0], "room");
        hall.membership.leave(&hall.sockets[0], "room");
        joined
    });
}

#[divan::bench]
fn broadcast_to_a_thousand(bencher: Bencher<'_, '_>) {
    let hall = Hall::new(1000);
    bencher.bench(|| hall.broadcast());
}

#[divan::bench]
fn broadcast_to_ten_among_a_thousand_rooms(bencher: Bencher<'_, '_>) {
    let hall = Hall::new(10);
    for socket in &hall.sockets {
        for room in 0..1000 {
            let _ = hall.membership.join(socket, &format!("room {room}"));
        }
    }
    let audience = Audience {
        rooms: Some(vec!["room 500".to_owned()]),
        ..Audience::default()
    };
    bencher.bench(|| {
        hall.send(&audience);
        for socket in &hall.sockets {
            drain(&socket.link.outbox);
        }
    });
}
