// The library's modules, at the paths at which they look for each other. They are private there and
// stay so; each of the two programs here compiles them in as its own.

#[path = "../../../src/calendar.rs"]
mod calendar;
#[path = "../../../src/clock.rs"]
mod clock;
#[path = "../../../src/cluster/mod.rs"]
mod cluster;
#[path = "../../../src/config/mod.rs"]
mod config;
#[path = "../../../src/data/mod.rs"]
mod data;
#[path = "../../../src/engineio/mod.rs"]
mod engineio;
#[path = "../../../src/error/mod.rs"]
mod error;
#[path = "../../../src/handshake/mod.rs"]
mod handshake;
#[path = "../../../src/id.rs"]
mod id;
#[path = "../../../src/limits/mod.rs"]
mod limits;
#[path = "../../../src/link/mod.rs"]
mod link;
#[path = "../../../src/logging.rs"]
mod logging;
#[path = "../../../src/members/mod.rs"]
mod members;
#[path = "../../../src/message/mod.rs"]
mod message;
#[path = "../../../src/notice.rs"]
mod notice;
#[path = "../../../src/panics.rs"]
mod panics;
#[path = "../../../src/pattern.rs"]
mod pattern;
#[path = "../../../src/reason.rs"]
mod reason;
#[path = "../../../src/socket/mod.rs"]
mod socket;
#[path = "../../../src/socketio/mod.rs"]
mod socketio;
#[path = "../../../src/telemetry/mod.rs"]
mod telemetry;
#[path = "../../../src/type_map.rs"]
mod type_map;
#[path = "../../../src/user.rs"]
mod user;
#[path = "../../../src/websocket/mod.rs"]
mod websocket;
