//! The least work that any server could do: one thread, one read a readiness, one write a delivery.
//!
//! It listens on `PORT` of 127.0.0.1, has one thread whatever `WORKERS` says, and speaks WebSocket
//! only. It compares how packets begin instead of parsing them, answers in the buffer they were read
//! into, allocates nothing for a message, and checks nothing that a sound client does not need. Frames
//! are never joined, so a message costs the calls into the kernel that it would cost any server.

mod frame;
mod handshake;
mod packet;
mod server;
mod session;

use std::env;
use std::error::Error;

use mimalloc::MiMalloc;

use crate::server::Server;

/// The allocator of the servers that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let port = match env::var("PORT") {
        Ok(text) => text
            .parse()
            .map_err(|error| format!("PORT={text}: {error}"))?,
        Err(_) => 3000,
    };
    Server::bind(port)?.run()?;
    Ok(())
}
