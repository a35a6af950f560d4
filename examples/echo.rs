//! The smallest server: it sends an event back, and acknowledges another one.
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

fn register(io: &SocketIo) {
    io.of("/")
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit("echo", event.args()).await
        })
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let io = SocketIo::builder().start()?;
    register(&io);
    io.run(("127.0.0.1", 3000)).await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;

    use actix_socketio::testing::TestClient;

    use super::*;

    #[actix_web::test]
    async fn what_is_sent_comes_back() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().start()?;
        register(&io);
        let client = TestClient::connect(&io).await?;
        client.emit("echo", ("hello", [1, 2].as_slice())).await?;
        let received = client.received().await;
        assert_eq!(received[0].args().as_json(), r#""hello",[1,2]"#);
        assert_eq!(client.call::<i64>("add", (1, 2)).await?, 3);
        Ok(())
    }
}
