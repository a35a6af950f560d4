//! The server of the tests with real clients, for cases that no example has.
//!
//! `call` makes the server call its client, `kick` disconnects, `boom` panics, `binary` answers with
//! bytes, `save` answers the second attempt; `/guarded` wants a token. `PORT`, `SERVER` (`http` or
//! `direct`) and `ALLOW_EIO3` (`1` lets clients of the 2.x line in) come from the environment.
//!
//! ```sh
//! PORT=3000 cargo run --example probe
//! ```
//! ```js
//! const socket = io("http://localhost:3000/guarded", { auth: { token: "secret", name: "Ada" } });
//! socket.emit("whoami", console.log);
//! ```

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use actix_socketio::{
    Auth, Bytes, CallError, ConnectError, Data, Event, HandlerError, Session, Socket, SocketIo,
};
use actix_web::{App, HttpServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Login {
    token: Option<String>,
    name: Option<String>,
}

#[derive(Serialize)]
struct Binary {
    data: Bytes,
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let allow_eio3 = env::var("ALLOW_EIO3").is_ok_and(|allowed| allowed == "1");
    let io = SocketIo::builder().allow_eio3(allow_eio3).start()?;
    io.of("/")
        .on("call", call)
        .on(
            "kick",
            |socket: Socket| async move { socket.disconnect(false) },
        )
        .on("boom", boom)
        .on("save", save)
        .on(
            "attempts",
            |session: Session, Data(text): Data<String>| async move { session.get::<u32>(&text) },
        )
        .on("binary", || async {
            let data = Bytes::from_static(&[1, 2, 3]);
            Binary { data }
        });
    io.of("/guarded")
        .on_connect(guard)
        .on("whoami", |Auth(login): Auth<Login>| async { login.name });
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    if env::var("SERVER").is_ok_and(|server| server == "direct") {
        return io.serve(App::new).bind(address)?.run().await;
    }
    let mounted = io.clone();
    let server = HttpServer::new(move || App::new().configure(mounted.routes()));
    io.tune(server).bind(address)?.run().await
}

/// An answer of the client: JSON, or bytes somewhere in it. Bytes come last, since they are read
/// from texts too.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Anything {
    Json(Value),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    Binary(Bytes),
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Answer(Anything),
    Error(String),
}

async fn call(socket: Socket, event: Event) -> Result<Outcome, HandlerError> {
    let (name, args) = event.args().split_first::<String>()?;
    let limit = Duration::from_secs(2);
    Ok(match socket.timeout(limit).call(&name, args).await {
        Ok(answer) => Outcome::Answer(answer),
        Err(CallError::Timeout) => Outcome::Error("timeout".to_owned()),
        Err(CallError::Disconnected) => Outcome::Error("disconnected".to_owned()),
        Err(error) => Outcome::Error(error.to_string()),
    })
}

/// Leaves the first attempt to save a text unanswered, as if the database were away, and every one to
/// save `never`: a client with `retries` and `ackTimeout` sends it again. Returns the attempts.
async fn save(session: Session, Data(text): Data<String>) -> Result<u32, HandlerError> {
    let attempts = session.get::<u32>(&text)?.unwrap_or_default() + 1;
    session.insert(&text, attempts)?;
    if attempts == 1 || text == "never" {
        return Err(HandlerError::new("the database is away").unanswered());
    }
    Ok(attempts)
}

async fn boom() {
    panic!("boom");
}

async fn guard(Auth(login): Auth<Login>) -> Result<(), ConnectError> {
    if login.token.as_deref() == Some("secret") {
        return Ok(());
    }
    Err(ConnectError::new("not authorized").with_data(json!({ "code": 401 })))
}
