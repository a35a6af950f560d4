//! A server with WebTransport, for browsers that pin its certificate.
//!
//! `PORT` is the port of TCP and of UDP. `GET /certificate` returns the SHA-256 of the certificate,
//! which is made at the start, or once for all servers with the folder `IDENTITY`. `PING` is the
//! interval and the timeout of the heartbeat in milliseconds, `RECOVERY=1` switches connection state
//! recovery on.

use std::env;
use std::error::Error;
use std::time::Duration;

use actix_socketio::{
    Auth, Bytes, CallError, ConnectError, Data, DisconnectReason, EmitError, Socket, SocketIo,
};
use actix_web::{App, web};
use serde_json::Value;

use self::identity::identity;

mod identity;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let (tls, hash) = identity()?;
    let mut builder = SocketIo::builder().max_payload(2_000_000);
    if let Some(ping) = env::var("PING").ok().and_then(|ping| ping.parse().ok()) {
        let ping = Duration::from_millis(ping);
        builder = builder.ping_interval(ping).ping_timeout(ping);
    }
    if env::var("RECOVERY").is_ok() {
        builder = builder.connection_state_recovery(Duration::from_secs(60));
    }
    let io = builder.start()?;
    io.of("/")
        .on_connect(enter)
        .on_disconnect(leave)
        .on("echo", |Data(value): Data<Value>| async move { value })
        .on("bytes", bytes)
        .on("ask", ask)
        .on("count", count)
        .on("empty", empty)
        .on("kick", kick)
        .on("transport", |socket: Socket| async move {
            socket.transport().as_str()
        });
    io.of("/private").on_connect(refuse);
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    let app = move || {
        let hash = hash.clone();
        App::new()
            .route(
                "/certificate",
                web::get().to(move || std::future::ready(hash.clone())),
            )
            .route(
                "/page",
                web::get().to(|| async { web::Html::new("<title>page</title>") }),
            )
    };
    io.serve(app)
        .bind(address)?
        .webtransport(address, tls)?
        .run()
        .await?;
    Ok(())
}

async fn enter(socket: Socket, Auth(auth): Auth<Option<Value>>) {
    let _ = socket.emit("auth", auth).await;
}

async fn leave(socket: Socket, reason: DisconnectReason) {
    let left = (socket.transport().as_str(), reason.as_str());
    let _ = socket.broadcast().emit("left", left).await;
}

async fn bytes(socket: Socket, Data(bytes): Data<Bytes>) -> Result<Bytes, EmitError> {
    socket.emit("bytes", bytes.clone()).await?;
    Ok(bytes)
}

async fn ask(socket: Socket, Data(value): Data<Value>) -> Result<Value, CallError> {
    socket.call("question", (value,)).await
}

async fn count(socket: Socket, Data(upto): Data<u32>) -> Result<(), EmitError> {
    for n in 0..upto {
        socket.emit("number", n).await?;
    }
    Ok(())
}

async fn empty(socket: Socket) -> Result<(), EmitError> {
    socket.emit("bytes", Bytes::new()).await
}

async fn kick(socket: Socket) {
    let _ = socket.emit("bye", "x".repeat(300_000)).await;
    socket.disconnect(true);
}

async fn refuse() -> Result<(), ConnectError> {
    Err("not for you".into())
}
