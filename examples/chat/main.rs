//! A chat: nicknames, rooms with their members and history, typing notices, delivery ticks.
//!
//! ```sh
//! cargo run --release --example chat
//! ```
//! Open <http://localhost:3000> in two tabs. `PORT` in the environment changes the port.

mod client;
mod rooms;

use std::env;

use actix_socketio::{
    Auth, ConnectError, Data, DisconnectReason, EmitError, HandlerError, Socket, SocketIo, State,
};
use actix_web::App;
use actix_web::web::{self, Html};
use serde::Deserialize;
use serde_json::json;

use rooms::{Joined, Message, Rooms};

#[derive(Deserialize)]
struct Login {
    nick: String,
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let mut builder = SocketIo::builder().state(Rooms::default());
    if let Some(folder) = client::folder() {
        builder = builder.client_files(folder);
    }
    let io = builder.start()?;
    register(&io);
    let page = || async { Html::new(include_str!("index.html")) };
    let app = move || App::new().route("/", web::get().to(page));
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    println!("chat at http://localhost:{}", address.1);
    io.serve(app).bind(address)?.run().await
}

fn register(io: &SocketIo) {
    io.of("/")
        .on_connect(enter)
        .on("join", join)
        .on("message", message)
        .on("typing", typing)
        .on_disconnect(left);
}

async fn enter(
    socket: Socket,
    Auth(login): Auth<Login>,
    rooms: State<Rooms>,
) -> Result<(), ConnectError> {
    rooms.enter(socket.id(), login.nick.trim())?;
    if let Err(error) = socket.emit("rooms", rooms.list()).await {
        log::info!("{error}");
    }
    Ok(())
}

async fn join(
    socket: Socket,
    Data(room): Data<String>,
    rooms: State<Rooms>,
) -> Result<Joined, HandlerError> {
    let room = room.trim();
    // Before the first `.await`: from then on the client's next event may be handled.
    let (joined, before) = rooms.join(socket.id(), room)?;
    if let Some(before) = before {
        socket.leave(&before).await?;
        say_left(&socket, &before, &rooms).await?;
    }
    socket.join(room).await?;
    let nick = rooms.nick(&socket.id());
    socket
        .to(room)
        .emit("joined", json!({ "nick": nick }))
        .await?;
    socket.everyone().emit("rooms", rooms.list()).await?;
    Ok(joined)
}

async fn message(
    socket: Socket,
    Data(text): Data<String>,
    rooms: State<Rooms>,
) -> Result<Message, HandlerError> {
    let (room, message) = rooms.say(&socket.id(), text)?;
    socket.to(room).emit("message", &message).await?;
    Ok(message)
}

async fn typing(
    socket: Socket,
    Data(typing): Data<bool>,
    rooms: State<Rooms>,
) -> Result<(), EmitError> {
    let Some(room) = rooms.room_of(&socket.id()) else {
        return Ok(());
    };
    let nick = rooms.nick(&socket.id());
    let data = json!({ "nick": nick, "typing": typing });
    socket.to(room).emit("typing", data).await
}

async fn left(socket: Socket, reason: DisconnectReason, rooms: State<Rooms>) {
    if let Some(room) = rooms.leave(&socket.id())
        && let Err(error) = say_left(&socket, &room, &rooms).await
    {
        log::warn!("{error}");
    }
    let nick = rooms.exit(&socket.id());
    log::info!("{nick:?} left: {reason}");
}

async fn say_left(socket: &Socket, room: &str, rooms: &Rooms) -> Result<(), EmitError> {
    let nick = rooms.nick(&socket.id());
    socket
        .to(room)
        .emit("left", json!({ "nick": nick }))
        .await?;
    socket.broadcast().emit("rooms", rooms.list()).await
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::error::Error;
    use std::time::Duration;

    use actix_socketio::testing::TestClient;
    use serde_json::Value;

    use super::*;

    #[actix_web::test]
    async fn two_people_talk_in_a_room() -> Result<(), Box<dyn Error>> {
        let io = SocketIo::builder().state(Rooms::default()).start()?;
        register(&io);
        let mut people = Vec::new();
        for nick in ["Ann", "Bob"] {
            let login = TestClient::builder(&io).auth(json!({ "nick": nick }));
            let person = login.connect().await?;
            person.call::<Value>("join", "lobby").await?;
            people.push(person);
        }
        let same = TestClient::builder(&io)
            .auth(json!({ "nick": "Ann" }))
            .connect()
            .await;
        assert!(same.is_err(), "a name that is taken");
        let said: Value = people[0].call("message", "hello").await?;
        assert_eq!(said["text"], "hello");
        let heard: Value = people[1].expect("message", Duration::from_secs(1)).await?;
        assert_eq!(heard, said);
        Ok(())
    }
}
