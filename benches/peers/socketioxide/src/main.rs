//! The events of the load benchmark on socketioxide, for comparison.
//!
//! `PORT` and `WORKERS` (tokio's worker threads, 1 by default) come from the environment. Everything
//! that could slow it down and is not needed is off: no tracing, no `Value` between two strings, no
//! work-stealing scheduler for a single thread. Heartbeat (25 s and 20 s) is its default; it has no
//! per-message deflate. Events have one arg, as in the benchmark: a text, or for `echo` an attachment.

use std::env::{self, VarError};
use std::error::Error;
use std::fmt::{self, Formatter};
use std::net::Ipv4Addr;

use axum::Router;
use axum::serve::ListenerExt;
use bytes::Bytes;
use mimalloc::MiMalloc;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// The allocator of the server that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let port = number("PORT")?.unwrap_or(3000);
    runtime(number("WORKERS")?.unwrap_or(1))?.block_on(serve(port))
}

async fn serve(port: u16) -> Result<(), Failure> {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", register);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // A socket the peer has already reset refuses the option; its session fails on its own.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}

// An emit fails only if the socket is gone or its buffer is full. The load sees both: as a lost
// connection, or as an answer that never comes. An ack fails, besides, if the client wants none.
async fn register(socket: SocketRef) {
    socket.on("echo", async |socket: SocketRef, Data::<Arg>(data)| {
        match data {
            Arg::Text(text) => socket.emit("echo", &text).ok(),
            Arg::Attachment(bytes) => socket.emit("echo", &bytes).ok(),
        };
    });
    socket.on("ack", async |Data::<String>(data), ack: AckSender| {
        ack.send(&data).ok();
    });
    socket.on("bcast", async |io: SocketIo, Data::<String>(data)| {
        io.emit("bcast", &data).await.ok();
    });
    socket.on(
        "join",
        async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
            socket.join(room);
            ack.send(&NO_ARGS).ok();
        },
    );
    socket.on(
        "leave",
        async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
            socket.leave(room);
            ack.send(&NO_ARGS).ok();
        },
    );
    socket.on(
        "rcast",
        async |io: SocketIo, Data::<(String, String)>((room, data))| {
            io.to(room).emit("rcast", &data).await.ok();
        },
    );
}

/// The argument of `echo`. One check of the JSON decides, so that a text has no further cost.
enum Arg {
    Text(String),
    Attachment(Bytes),
}

impl<'de> Deserialize<'de> for Arg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgVisitor)
    }
}

struct ArgVisitor;

impl Visitor<'_> for ArgVisitor {
    type Value = Arg;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or an attachment")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Arg, E> {
        Ok(Arg::Text(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Arg, E> {
        Ok(Arg::Attachment(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Arg, E> {
        Ok(Arg::Attachment(bytes.into()))
    }
}

fn runtime(workers: u16) -> Result<Runtime, Failure> {
    let runtime = match workers {
        1 => Builder::new_current_thread().enable_all().build()?,
        _ => Builder::new_multi_thread()
            .worker_threads(usize::from(workers))
            .enable_all()
            .build()?,
    };
    Ok(runtime)
}

fn number(name: &str) -> Result<Option<u16>, Failure> {
    match env::var(name) {
        Ok(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(error) => Err(format!("{name}={text}: {error}").into()),
        },
        Err(VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

const NO_ARGS: [(); 0] = [];
