//! Two nodes and one chat: each node is a server, and Redis connects them to a cluster.
//!
//! They listen on `PORT` (default: 3000) and the next port. `REDIS_URL` is the address of a Redis
//! of version 6.2 or newer; without it, the example starts a `redis-server` and stops it at its
//! end.
//!
//! ```sh
//! cargo run --features redis --example cluster
//! ```
//! ```js
//! const socket = io("http://localhost:3001");
//! socket.on("said", (node, text) => console.log(`${node}: ${text}`));
//! socket.emit("say", "hello, node on port 3000");
//! ```

mod redis;

use std::time::Duration;
use std::{env, io};

use actix_socketio::{Cors, Data, EmitError, RedisAdapter, RunningAppServer, Socket, SocketIo};
use actix_web::{App, web};

use crate::redis::Redis;

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let redis = Redis::find()?;
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse());
    let port: u16 = port.map_err(io::Error::other)?;
    let page = include_str!("page.html");
    let page = page.replace("PORTS", &format!("{port}, {}", port + 1));
    let one = node(&redis.url, port, &page)?;
    let two = node(&redis.url, port + 1, &page)?;
    println!("open http://localhost:{port}");
    let two = actix_web::rt::spawn(two);
    one.await?;
    two.await.map_err(io::Error::other)?
}

/// Starts a server that is one node of the cluster.
fn node(redis: &str, port: u16, page: &str) -> io::Result<RunningAppServer> {
    let io = SocketIo::builder()
        .adapter(RedisAdapter::streams(redis)?)
        .connection_state_recovery(Duration::from_secs(120))
        // The page of each node connects to the other node too.
        .cors(Cors::any())
        .start()?;
    io.of("/").on("here", count).on(
        "say",
        move |socket: Socket, Data(text): Data<String>| async move {
            let said = (format!("node on port {port}"), text);
            socket.everyone().emit("said", said).await
        },
    );
    let page = web::Html::new(page);
    let app = move || {
        let page = page.clone();
        App::new().route("/", web::get().to(move || std::future::ready(page.clone())))
    };
    Ok(io.serve(app).workers(1).bind(("127.0.0.1", port))?.run())
}

/// Sends all clients the number of clients and of nodes.
async fn count(socket: Socket) -> Result<(), EmitError> {
    let people = socket.everyone().count_everywhere().await;
    let there = (*people, people.coverage().nodes() + 1);
    socket.everyone().emit("there", there).await
}
