//! The smallest server: what a client sends comes back, and an event with an acknowledgement.
//!
//! ```sh
//! cargo run --example echo
//! ```
//! ```js
//! const socket = io("http://localhost:3000");
//! socket.on("echo", console.log);
//! socket.emit("echo", "hello");
//! socket.emit("add", 1, 2, console.log);
//! ```

use actix_socketio::{Data, Event, Socket, SocketIo};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let io = SocketIo::builder().start()?;
    io.of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit("echo", event.args()).await
        })
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    io.run(("127.0.0.1", 3000)).await
}
