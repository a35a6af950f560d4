//! The server that the official protocol test suites of Engine.IO and Socket.IO expect.
//!
//! `/engine.io/` echoes every message; `/socket.io/` has the namespaces `/` and `/custom`, which send
//! the auth payload back on connect, and the events that the suites use. `PORT`, `SERVER` (`http` or
//! `direct`), `DEFLATE` (`1`, or `takeover` for context takeover), `ALLOW_EIO3` (`1` lets clients of
//! the 2.x line in) and `PING_INTERVAL_MS` (300 if it is not set) come from the environment.
//!
//! ```sh
//! PORT=3000 cargo run --release --example conformance
//! ```
//! ```js
//! io("http://localhost:3000").emit("message-with-ack", 1, "2", { 3: [false] }, console.log);
//! ```

use std::env;
use std::time::Duration;

use actix_socketio::{
    Args, Auth, Cors, EmitError, EngineIo, EngineMessage, EngineSession, Event, PerMessageDeflate,
    Socket, SocketIo,
};
use actix_web::{App, HttpServer};
use serde_json::Value;

const PING_TIMEOUT: Duration = Duration::from_millis(200);

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let interval = env::var("PING_INTERVAL_MS").ok();
    let interval = interval.and_then(|interval| interval.parse().ok());
    let ping_interval = Duration::from_millis(interval.unwrap_or(300));
    let allow_eio3 = env::var("ALLOW_EIO3").is_ok_and(|allowed| allowed == "1");
    let mut engine = EngineIo::builder().allow_eio3(allow_eio3);
    let mut io = SocketIo::builder().allow_eio3(allow_eio3);
    if let Ok(deflate) = env::var("DEFLATE") {
        let options = PerMessageDeflate::new().context_takeover(deflate == "takeover");
        engine = engine.per_message_deflate(options.clone());
        io = io.per_message_deflate(options);
    }
    let engine = engine
        .ping_interval(ping_interval)
        .ping_timeout(PING_TIMEOUT)
        .cors(Cors::any())
        .on_message(
            |session: EngineSession, message: EngineMessage| async move {
                if let Err(error) = session.send(&message) {
                    log::info!("no echo: {error}");
                }
            },
        )
        .start()?;
    let io = io
        .ping_interval(ping_interval)
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(Duration::from_secs(1))
        .cors(Cors::any())
        .start()?;
    io.of("/")
        .on_connect(send_auth)
        .on("message", message)
        .on("message-with-ack", message_with_ack);
    io.of("/custom").on_connect(send_auth);
    let mounted = io.clone();
    let app = move || {
        let app = App::new().configure(mounted.routes());
        app.configure(engine.routes())
    };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    if env::var("SERVER").is_ok_and(|server| server == "direct") {
        return io.serve(app).bind(address)?.run().await;
    }
    io.tune(HttpServer::new(app)).bind(address)?.run().await
}

async fn send_auth(socket: Socket, Auth(auth): Auth<Value>) {
    if let Err(error) = socket.emit("auth", auth).await {
        log::info!("no auth: {error}");
    }
}

async fn message(socket: Socket, event: Event) -> Result<(), EmitError> {
    socket.emit("message-back", event.args()).await
}

async fn message_with_ack(event: Event) -> Args {
    event.args().clone()
}
