//! The program of docs/tutorial.md: login, rooms, presence across tabs, a rate limit.
//!
//! ```sh
//! RUST_LOG=info,actix_socketio=debug cargo run --example tutorial
//! ```
//! Open <http://localhost:3000> in two tabs, and log in as `ann` or `bob`, with the name as password.

mod logins;
mod rate;

use std::io;
use std::time::Instant;

use actix_socketio::{
    Auth, ConnectError, Data, Extension, HandlerError, Namespace, RoomError, Socket, SocketIo,
    State,
};
use actix_web::rt::time::sleep_until;
use actix_web::web::{self, Html, Json};
use actix_web::{App, error};
use serde::Deserialize;

use logins::{Credentials, Login, Logins, Token};
use rate::Rate;

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let logins = Logins::default();
    let io = start(&logins)?;
    let app = move || {
        App::new()
            .app_data(web::Data::new(logins.clone()))
            .route("/", web::get().to(page))
            .route("/login", web::post().to(log_in))
    };
    println!("http://localhost:3000");
    io.serve(app).bind(("127.0.0.1", 3000))?.run().await
}

fn start(logins: &Logins) -> io::Result<SocketIo> {
    let io = SocketIo::builder()
        .state(logins.clone())
        // The errors of these handlers are written for the page.
        .error_details(true)
        .start()
        .map_err(io::Error::other)?;
    io.of("/")
        .on_connect(enter)
        .on_disconnect(left)
        .event_middleware(|event| match event.socket().extension::<Rate>() {
            Some(rate) => rate.spend(),
            None => Ok(()),
        })
        .on("join", join)
        .on("say", say);
    Ok(io)
}

async fn page() -> Html {
    Html::new(include_str!("index.html"))
}

async fn log_in(
    credentials: Json<Credentials>,
    logins: web::Data<Logins>,
) -> actix_web::Result<Json<Token>> {
    let checking = logins.clone();
    // The hash of a password is slow on purpose: it must not block the sockets of this worker.
    let token = web::block(move || checking.log_in(&credentials)).await?;
    token
        .map(Json)
        .ok_or_else(|| error::ErrorUnauthorized("no such name and password"))
}

#[derive(Deserialize)]
struct Ticket {
    token: Token,
}

async fn enter(
    socket: Socket,
    namespace: Namespace,
    Auth(ticket): Auth<Ticket>,
    logins: State<Logins>,
) -> Result<(), ConnectError> {
    let login = logins.find(ticket.token).ok_or("log in first")?;
    // One room for all tabs of a user: `io.to("user:ann")` reaches each of them.
    let tabs = format!("user:{}", login.name);
    socket.join(&tabs).await.map_err(gone)?;
    socket
        .emit("present", present(&namespace))
        .await
        .map_err(gone)?;
    if namespace.room_count(&tabs) == 1 {
        socket
            .broadcast()
            .emit("online", &login.name)
            .await
            .map_err(gone)?;
    }
    socket.insert_extension(Rate::default());
    socket.spawn(expire(socket.clone(), login.ends));
    socket.insert_extension(login);
    Ok(())
}

/// Returns the users with an open tab.
fn present(namespace: &Namespace) -> Vec<String> {
    let rooms = namespace.rooms();
    let names = rooms.iter().filter_map(|room| room.strip_prefix("user:"));
    names.map(str::to_owned).collect()
}

fn gone(error: impl std::error::Error) -> ConnectError {
    ConnectError::new(error.to_string())
}

async fn expire(socket: Socket, ends: Instant) {
    sleep_until(ends.into()).await;
    // The page asks for the password again.
    let _ = socket.emit("expired", ()).await;
    socket.disconnect(true);
}

async fn left(
    socket: Socket,
    namespace: Namespace,
    login: Extension<Login>,
) -> Result<(), HandlerError> {
    // The socket has left its rooms: if this one is empty, the last tab was closed.
    if namespace.room_count(&format!("user:{}", login.name)) == 0 {
        socket.broadcast().emit("offline", &login.name).await?;
    }
    Ok(())
}

async fn join(socket: Socket, Data(room): Data<String>) -> Result<(), RoomError> {
    socket.join(format!("room:{room}")).await
}

#[derive(Deserialize)]
struct Message {
    room: String,
    text: String,
}

async fn say(
    socket: Socket,
    Data(message): Data<Message>,
    login: Extension<Login>,
) -> Result<(), HandlerError> {
    let room = format!("room:{}", message.room);
    if !socket.rooms().contains(&room) {
        return Err(HandlerError::new("join the room first"));
    }
    // Includes the sender: all tabs show the same messages.
    socket
        .everyone()
        .to(room)
        .emit("said", (&message.room, &login.name, &message.text))
        .await?;
    Ok(())
}

#[cfg(all(test, feature = "testing"))]
mod tests;
