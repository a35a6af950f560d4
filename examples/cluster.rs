//! Two nodes and one chat: each node is a server of its own, and Redis makes them one.
//!
//! They are on `PORT` (3000 by default) and the port after it. `REDIS_URL` names a Redis of version 6.2 or
//! newer; without it a `redis-server` is started for as long as this runs.
//!
//! ```sh
//! cargo run --features redis --example cluster
//! ```
//! ```js
//! const socket = io("http://localhost:3001");
//! socket.on("said", (node, text) => console.log(`${node}: ${text}`));
//! socket.emit("say", "hello, node on port 3000");
//! ```

use std::process::{Child, Command};
use std::time::Duration;
use std::{env, io};

use actix_socketio::{Cors, Data, RedisAdapter, Serving, Socket, SocketIo};
use actix_web::{App, web};

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let (url, redis) = redis()?;
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse());
    let port: u16 = port.map_err(io::Error::other)?;
    let page = include_str!("cluster/page.html");
    let page = page.replace("PORTS", &format!("{port}, {}", port + 1));
    let (one, two) = (node(&url, port, &page)?, node(&url, port + 1, &page)?);
    println!("open http://localhost:{port}");
    let two = actix_web::rt::spawn(two);
    one.await?;
    two.await.map_err(io::Error::other)??;
    // The one that was started here ends here.
    redis.map_or(Ok(()), |mut redis| redis.kill())
}

/// Starts a server that is one node of the cluster.
fn node(redis: &str, port: u16, page: &str) -> io::Result<Serving> {
    let io = SocketIo::builder()
        .adapter(RedisAdapter::streams(redis)?)
        .connection_state_recovery(Duration::from_secs(120))
        // The page of one node speaks to the other one too.
        .cors(Cors::any())
        .start()?;
    io.of("/")
        .on_connect(|socket: Socket| async move {
            let others = socket.everyone().count_everywhere().await;
            let there = (*others + 1, others.reach().nodes() + 1);
            let _ = socket.emit("there", there).await;
            let _ = socket.broadcast().emit("there", there).await;
        })
        .on(
            "say",
            move |socket: Socket, text: Data<String>| async move {
                let said = (format!("node on port {port}"), text.0);
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

/// Returns the address of Redis, and the server that was started for it.
fn redis() -> io::Result<(String, Option<Child>)> {
    if let Ok(url) = env::var("REDIS_URL") {
        return Ok((url, None));
    }
    let options = "--port 6390 --bind 127.0.0.1 --appendonly no --save  --logfile /dev/null";
    let mut command = Command::new("redis-server");
    let missing = |error| io::Error::other(format!("no redis-server and no REDIS_URL: {error}"));
    let redis = command.args(options.split(' ')).spawn().map_err(missing)?;
    Ok(("redis://127.0.0.1:6390".to_owned(), Some(redis)))
}
