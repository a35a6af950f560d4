//! The server that load generators talk to.
//!
//! `echo` args are emitted back, `ack` args are acknowledged, `bcast` args go to everyone, `join`
//! and `leave` take a room, `rcast` a room and args, which go to that room. `rooms` takes a kind and a
//! number of rooms, which the client joins; those of the kind `idle` have an actor each. `ACKS` (`handler`, `actor` or `room`) chooses what
//! acknowledges. `SERVER` (`http` or `direct`), `PORT`, `WORKERS`, `METRICS`, `DEFLATE`,
//! `PING_INTERVAL_MS`, `PING_TIMEOUT_MS` and `MAX_PAYLOAD` come from the environment.
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

use actix::{Actor, Context, Handler};
use actix_socketio::{
    Args, Builder, Data, EmitError, Event, HandlerError, PerMessageDeflate, RoomActor, RoomError,
    Socket, SocketIo,
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
        .rooms_per_socket(100_000)
        .start()?;
    io.of("/")
        .on("echo", echo)
        .on("bcast", bcast)
        .on("join", join)
        .on("leave", leave)
        .on("rcast", rcast)
        .on("rooms", rooms);
    io.of("/")
        .room_actor("idle:{id}", |_| Acks)
        .map_err(std::io::Error::other)?;
    match setting("ACKS", "handler".to_owned()).as_str() {
        "actor" => {
            io.of("/").forward("ack", Acks.start().recipient());
        }
        "room" => {
            io.of("/").actor(|_| Acks).on("ack", Acks::ack);
        }
        _ => {
            io.of("/").on("ack", ack);
        }
    }
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

/// Acknowledges as `ack` does, in an actor to which events are forwarded, or in that of a room.
struct Acks;

impl Actor for Acks {
    type Context = Context<Self>;
}

impl RoomActor for Acks {}

impl Acks {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_self,
        reason = "a handler of a room"
    )]
    fn ack(&mut self, event: Event, _: &mut Context<Self>) -> Args {
        event.into_args()
    }
}

impl Handler<Event> for Acks {
    type Result = ();

    fn handle(&mut self, mut event: Event, _: &mut Self::Context) {
        if let Some(ack) = event.take_ack() {
            ack.send(event.into_args());
        }
    }
}

async fn rooms(
    socket: Socket,
    Data((kind, number)): Data<(String, u32)>,
) -> Result<u32, RoomError> {
    for room in 0..number {
        socket.join(format!("{kind}:{number}-{room}")).await?;
    }
    Ok(number)
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
