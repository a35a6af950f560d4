//! A server with the Admin UI of Socket.IO: who is connected, in which rooms, and what they send.
//!
//! `ADMIN_HASH` is the bcrypt hash of the password of `admin`. With `REDIS_URL`, several servers
//! are one cluster, each on a `PORT` of its own (default: 3000), and the page sees all of them.
//!
//! ```sh
//! ADMIN_HASH=$(htpasswd -nbBC 10 "" secret | tr -d ':\n') \
//!     cargo run --features admin,redis --example admin
//! ```
//! Open <https://admin.socket.io>, enter `http://localhost:3000`, `admin` and the password. Clients:
//! ```js
//! const socket = io("http://localhost:3000");
//! socket.on("price", console.log);
//! socket.emit("watch", "ACME");
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use actix_socketio::{
    AdminMode, AdminOptions, Cors, Data, RedisAdapter, RoomError, Socket, SocketIo,
};
use actix_web::App;
use actix_web::rt::time::sleep;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let hash = env::var("ADMIN_HASH").map_err(|_| "ADMIN_HASH is not set")?;
    // The page is of another origin than this server.
    let page = env::var("ADMIN_PAGE").unwrap_or_else(|_| "https://admin.socket.io".to_owned());
    let mut builder = SocketIo::builder().cors(Cors::origins([page]).credentials(true));
    // In production use the default mode, which shows neither data nor events of clients.
    let mut options = AdminOptions::basic_auth("admin", hash).mode(AdminMode::Development);
    if let Ok(redis) = env::var("REDIS_URL") {
        builder = builder.adapter(RedisAdapter::streams(&redis)?);
        options = options.redis_store(redis);
    }
    let io = builder.start()?;
    io.instrument(options)?;
    io.of("/").on("watch", watch);
    let prices = io.clone();
    io.spawn(async move {
        loop {
            sleep(Duration::from_secs(1)).await;
            // One that is not sent is replaced by the next.
            let _ = prices.local().in_room("ACME").emit("price", 42).await;
        }
    });

    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    println!("the server is http://localhost:{port}");
    Ok(io.serve(App::new).bind(("127.0.0.1", port))?.run().await?)
}

async fn watch(socket: Socket, Data(share): Data<String>) -> Result<(), RoomError> {
    socket.join(share).await
}
