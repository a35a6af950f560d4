//! Engine.IO, version 4: sessions and their transports.

mod deflate;
mod handshake;
mod heartbeat;
mod polling;
mod sessions;
mod upgrade;
mod websocket;
