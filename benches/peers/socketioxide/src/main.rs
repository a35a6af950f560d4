//! The events of the load benchmark on socketioxide, for comparison.
//!
//! `PORT` and `WORKERS` (tokio's worker threads, 1 by default) come from the environment. Everything
//! that could slow it down and is not needed is off: no tracing, no `Value` between two strings, no
//! work-stealing scheduler for a single thread.

use std::env::{self, VarError};
use std::error::Error;
use std::net::Ipv4Addr;

use axum::Router;
use axum::serve::ListenerExt;
use mimalloc::MiMalloc;
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
// connection, or as an answer that never comes.
async fn register(socket: SocketRef) {
    socket.on("echo", async |socket: SocketRef, Data::<String>(data)| {
        socket.emit("echo", &data).ok();
    });
    socket.on("ack", async |Data::<String>(data), ack: AckSender| {
        ack.send(&data).ok();
    });
    socket.on("bcast", async |io: SocketIo, Data::<String>(data)| {
        io.emit("bcast", &data).await.ok();
    });
    socket.on("join", async |socket: SocketRef, Data::<String>(room)| {
        socket.join(room);
    });
    socket.on(
        "rcast",
        async |io: SocketIo, Data::<(String, String)>((room, data))| {
            io.to(room).emit("rcast", &data).await.ok();
        },
    );
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
