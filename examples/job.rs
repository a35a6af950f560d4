//! A job in another process reports its progress to the page that has started it.
//!
//! The server starts its own program as a worker for each job, as a job queue would. The worker is
//! not a server: it emits to the page by an `Emitter`, on whichever node the page is connected. The
//! environment has `PORT` (default: 3000) and `REDIS_URL` (default: port 6379 of this machine).
//!
//! ```sh
//! cargo run --features redis --example job
//! ```
//! ```js
//! const socket = io("http://localhost:3000");
//! socket.on("progress", (percent) => console.log(percent));
//! socket.emit("start", "thumbnails", console.log);
//! ```

use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use actix_socketio::{Data, Emitter, HandlerError, RedisAdapter, Socket, SocketIo};

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let adapter = RedisAdapter::classic(&url)?;
    let mut words = env::args().skip(1);
    if let (Some(job), Some(page)) = (words.next(), words.next()) {
        return work(Emitter::new(adapter), &job, &page)
            .await
            .map_err(io::Error::other);
    }
    let io = SocketIo::builder().adapter(adapter).start()?;
    io.of("/").on("start", start);
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    io.run(("127.0.0.1", port.unwrap_or(3000))).await
}

/// Starts a worker for the socket, and returns its process id.
async fn start(socket: Socket, Data(job): Data<String>) -> Result<u32, HandlerError> {
    let worker = Command::new(env::current_exe()?)
        .args([&job, socket.id().as_str()])
        .stdin(Stdio::null())
        .spawn()?;
    Ok(worker.id())
}

/// The worker: `page` is the socket id of the page, and the emitter has the Redis of the cluster.
async fn work(emitter: Emitter, job: &str, page: &str) -> Result<(), actix_socketio::EmitError> {
    for percent in (0..=100).step_by(20) {
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        emitter.to(page).emit("progress", percent).await?;
    }
    emitter.to(page).emit("done", job).await
}
