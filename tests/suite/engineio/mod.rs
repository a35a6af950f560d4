//! Engine.IO, version 4: sessions and their transports. Version 3 in a chapter of its own.

mod deflate;
mod handshake;
mod heartbeat;
mod jsonp;
mod polling;
mod sessions;
mod upgrade;
mod v3;
mod websocket;
