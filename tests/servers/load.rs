//! The server that load generators talk to.
//!
//! `echo` args are emitted back, `ack` args are acknowledged, `bcast` args go to everyone, `join`
//! and `leave` take a room, `rcast` a room and args, which go to that room. `SERVER` (`http` or
//! `direct`), `PORT`, `WORKERS`, `METRICS`, `DEFLATE`, `PING_INTERVAL_MS`, `PING_TIMEOUT_MS` and
//! `MAX_PAYLOAD` come from the environment.
//!
//! ```sh
//! PORT=3000 cargo run --release --example load
//! ```
//! ```js
//! io("http://localhost:3000").emit("ack", "hello", console.log);
//! ```

use std::env;
use std::str::FromStr;
use std::time::Duration;

use actix_socketio::{
    Args, Builder, Data, EmitError, Event, HandlerError, PerMessageDeflate, RoomError, Socket,
    SocketIo,
};
use actix_web::{App, HttpServer};
use mimalloc::MiMalloc;

/// Puts the buffers of a new client where those of a former one were. The C library's allocator
/// spreads them, so that each wave of clients touches pages that the waves before did not.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let mut builder = measured(SocketIo::builder());
    if setting("DEFLATE", 0) == 1 {
        builder = builder.per_message_deflate(PerMessageDeflate::new());
    }
    let io = builder
        .ping_interval(Duration::from_millis(setting("PING_INTERVAL_MS", 25_000)))
        .ping_timeout(Duration::from_millis(setting("PING_TIMEOUT_MS", 20_000)))
        .max_payload(setting("MAX_PAYLOAD", 1_000_000))
        .start()?;
    io.of("/")
        .on("echo", echo)
        .on("ack", ack)
        .on("bcast", bcast)
        .on("join", join)
        .on("leave", leave)
        .on("rcast", rcast);
    let address = ("127.0.0.1", setting("PORT", 3000));
    let workers = setting("WORKERS", 1);
    if setting("SERVER", "http".to_owned()) == "direct" {
        let server = io.serve(App::new).workers(workers).bind(address)?;
        return server.run().await;
    }
    let mounted = io.clone();
    let server = HttpServer::new(move || App::new().configure(mounted.routes()));
    io.tune(server).workers(workers).bind(address)?.run().await
}

/// Gives the server a recorder if `METRICS` is 1.
#[cfg(feature = "metrics")]
fn measured(builder: Builder) -> Builder {
    use metrics_exporter_prometheus::PrometheusBuilder;

    if setting("METRICS", 0) == 1 {
        builder.metrics_recorder(PrometheusBuilder::new().build_recorder())
    } else {
        builder
    }
}

#[cfg(not(feature = "metrics"))]
fn measured(builder: Builder) -> Builder {
    builder
}

async fn echo(socket: Socket, event: Event) -> Result<(), EmitError> {
    socket.emit("echo", event.args()).await
}

async fn ack(event: Event) -> Args {
    event.into_args()
}

async fn bcast(socket: Socket, event: Event) -> Result<(), EmitError> {
    socket.everyone().emit("bcast", event.args()).await
}

async fn join(socket: Socket, Data(room): Data<String>) -> Result<(), RoomError> {
    socket.join(room).await
}

async fn leave(socket: Socket, Data(room): Data<String>) -> Result<(), RoomError> {
    socket.leave(room).await
}

async fn rcast(socket: Socket, event: Event) -> Result<(), HandlerError> {
    let (room, args) = event.args().split_first::<String>()?;
    Ok(socket.everyone().to(room).emit("rcast", args).await?)
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().and_then(|text| text.parse().ok());
    value.unwrap_or(default)
}
