//! Logins by JSON Web Tokens: a login ends with its token, may be renewed, and is one per user.
//!
//! ```sh
//! cargo run --example auth
//! curl -X POST localhost:3000/deploy # all clients reconnect
//! ```
//! ```js
//! const login = { method: "POST", body: new URLSearchParams({ name: "Ada" }) };
//! const token = async () => (await fetch("http://localhost:3000/token", login)).text();
//! const auth = async (send) => send({ token: await token() });
//! const socket = io("http://localhost:3000", { auth });
//! socket.on("login_expiring", async () => socket.emitWithAck("renew", await token()));
//! // "login expired" and "superseded by a newer login": the client stays away until `connect()`.
//! socket.on("disconnect_reason", ({ reason }) => console.log(reason));
//! ```

use std::env;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_socketio::{Auth, ConnectError, Data, DisconnectNotice, Socket, SocketIo, UserPolicy};
use actix_web::error::ErrorInternalServerError;
use actix_web::web::{self, Form};
use actix_web::{App, HttpResponse};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

/// In production the secret is configured.
const SECRET: &[u8] = b"only for this example";

/// The content of a token: the user, and the end in seconds since 1970.
#[derive(Deserialize, Serialize)]
struct Claims {
    sub: String,
    exp: u64,
}

fn issue(user: &str, lifetime: Duration) -> jsonwebtoken::errors::Result<String> {
    let end = SystemTime::now() + lifetime;
    let exp = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let sub = user.to_owned();
    let key = EncodingKey::from_secret(SECRET)?;
    encode(&Header::default(), &Claims { sub, exp }, &key)
}

/// Returns the user of a valid token, and its end.
fn read(token: &str) -> jsonwebtoken::errors::Result<(String, SystemTime)> {
    let key = DecodingKey::from_secret(SECRET)?;
    let Claims { sub, exp } = decode(token, &key, &Validation::default())?.claims;
    Ok((sub, UNIX_EPOCH + Duration::from_secs(exp)))
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

async fn enter(socket: Socket, Auth(login): Auth<Login>) -> Result<(), ConnectError> {
    let (user, end) = read(&login.token).map_err(|_| "invalid token")?;
    socket.expires_at(end);
    socket.identify(&user).await?;
    Ok(())
}

/// Takes a fresh token of the same user. The socket stays in its rooms.
async fn renew(socket: Socket, Data(token): Data<String>) -> Result<(), &'static str> {
    let (user, end) = read(&token).map_err(|_| "invalid token")?;
    if socket.user() != Some(user) {
        return Err("a token of another user");
    }
    socket.expires_at(end);
    Ok(())
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// A real program checks a password, or a refresh token.
async fn token(login: Form<Name>, lifetime: web::Data<Duration>) -> actix_web::Result<String> {
    issue(&login.name, **lifetime).map_err(ErrorInternalServerError)
}

/// The clients reconnect by themselves, each with a fresh token.
async fn deploy(io: web::Data<SocketIo>) -> actix_web::Result<HttpResponse> {
    let notice = DisconnectNotice::new("new version").reconnect();
    let told = io.disconnect_sockets_with(notice).await;
    told.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::NoContent().finish())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let seconds = env::var("TOKEN_SECONDS")
        .ok()
        .and_then(|it| it.parse().ok());
    let lifetime = Duration::from_secs(seconds.unwrap_or(15 * 60));
    let io = SocketIo::builder()
        .user_policy(UserPolicy::OneSession)
        .expiry_warning(lifetime / 2)
        .start()?;
    io.of("/").on_connect(enter).on("renew", renew);
    let (data, lifetime) = (web::Data::new(io.clone()), web::Data::new(lifetime));
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(lifetime.clone())
            .route("/token", web::post().to(token))
            .route("/deploy", web::post().to(deploy))
    };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    Ok(io.serve(app).bind(address)?.run().await?)
}
