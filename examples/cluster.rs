//! Two nodes and one chat: each node is a server of its own, and Redis makes them one.
//!
//! Both run in this process, on `PORT` (3000 by default) and the port after it. They need Redis 6.2 or
//! newer: `REDIS_URL` names one; without it a `redis-server` is started for as long as this runs.
//!
//! ```sh
//! cargo run --features redis --example cluster
//! ```
//! ```js
//! const socket = io("http://localhost:3001");
//! socket.on("said", (node, text) => console.log(`${node}: ${text}`));
//! socket.emit("say", "hello, node on port 3000");
//! ```

use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, io};

use actix_socketio::{Cors, Data, EmitError, RedisAdapter, Serving, Socket, SocketIo};
use actix_web::{App, web};

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let (url, redis) = redis()?;
    let port = env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(3000);
    let (one, two) = (node(&url, port, port)?, node(&url, port + 1, port)?);
    println!("open http://localhost:{port}");
    let two = actix_web::rt::spawn(two);
    one.await?;
    two.await.map_err(io::Error::other)??;
    if let Some(mut redis) = redis {
        redis.kill()?;
        redis.wait()?;
    }
    Ok(())
}

/// Starts a server that is one node of the cluster.
fn node(redis: &str, port: u16, first: u16) -> io::Result<Serving> {
    let io = SocketIo::builder()
        .adapter(RedisAdapter::streams(redis)?)
        .connection_state_recovery(Duration::from_secs(120))
        // The page of one node speaks to the other one too.
        .cors(Cors::any())
        .start()?;
    let name = format!("node on port {port}");
    io.of("/")
        .on_connect(|socket: Socket| async move {
            let others = socket.everyone().count_everywhere().await;
            let there = (*others + 1, others.reach().nodes() + 1);
            // Whoever has left meanwhile need not know.
            let _ = socket.emit("there", there).await;
            let _ = socket.broadcast().emit("there", there).await;
        })
        .on("say", move |socket: Socket, Data(text): Data<String>| {
            say(socket, name.clone(), text)
        });
    let ports = format!("{first}, {}", first + 1);
    let page = include_str!("cluster/page.html").replace("PORTS", &ports);
    let app = move || {
        let page = web::Html::new(page.clone());
        App::new().route("/", web::get().to(move || std::future::ready(page.clone())))
    };
    Ok(io.serve(app).workers(1).bind(("127.0.0.1", port))?.run())
}

async fn say(socket: Socket, node: String, text: String) -> Result<(), EmitError> {
    socket.everyone().emit("said", (node, text)).await
}

/// Returns the address of Redis, and the server that was started for it.
fn redis() -> io::Result<(String, Option<Child>)> {
    if let Ok(url) = env::var("REDIS_URL") {
        return Ok((url, None));
    }
    let options = [
        "--port",
        "6390",
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ];
    let started = Command::new("redis-server")
        .args(options)
        .stdout(Stdio::null())
        .spawn();
    let missing = |error| {
        io::Error::other(format!(
            "redis-server is not there, and no REDIS_URL: {error}"
        ))
    };
    Ok((
        "redis://127.0.0.1:6390".to_owned(),
        Some(started.map_err(missing)?),
    ))
}
