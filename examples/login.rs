//! A log in by HTTP that the sockets of the user share, and a log out that ends it for them.
//!
//! ```sh
//! cargo run --features session --example login
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --features session --example login
//! ```
//! Open <http://localhost:3000>. Without `REDIS_URL` the session is in the cookie, and a socket has
//! the values of its handshake. With `REDIS_URL` the session is in Redis, and a log out takes
//! effect at the next event of each socket.

use std::env;
use std::error::Error;

use actix_session::config::SessionMiddlewareBuilder;
use actix_session::storage::{CookieSessionStore, RedisSessionStore, SessionStore};
use actix_session::{Session as HttpState, SessionInsertError, SessionMiddleware};
use actix_socketio::{HttpSession, Session, SocketIo};
use actix_web::App;
use actix_web::cookie::Key;
use actix_web::web::{self, Form, Html, Redirect};
use serde::Deserialize;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    // In production the key is configured: a new key invalidates all cookies.
    let key = Key::generate();
    let Ok(redis) = env::var("REDIS_URL") else {
        let store = CookieSessionStore::default;
        let sessions = move || SessionMiddleware::builder(store(), key.clone());
        return serve(HttpSession::copy(), sessions).await;
    };
    let store = RedisSessionStore::new(redis).await?;
    let shared = HttpSession::shared(store.clone(), key.clone());
    let sessions = move || SessionMiddleware::builder(store.clone(), key.clone());
    serve(shared, sessions).await
}

async fn serve<S: SessionStore + 'static>(
    http_session: HttpSession,
    sessions: impl Fn() -> SessionMiddlewareBuilder<S> + Clone + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let io = SocketIo::builder().http_session(http_session).start()?;
    io.of("/").on("whoami", |session: Session| async move {
        session.get::<String>("name")
    });
    let app = move || {
        App::new()
            // Remove this line if the server has TLS.
            .wrap(sessions().cookie_secure(false).build())
            .route("/", web::get().to(page))
            .route("/login", web::post().to(log_in))
            .route("/logout", web::post().to(log_out))
    };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    println!("log in at http://localhost:{}", address.1);
    Ok(io.serve(app).bind(address)?.run().await?)
}

async fn page() -> Html {
    Html::new(include_str!("login/index.html"))
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

async fn log_in(session: HttpState, login: Form<Login>) -> Result<Redirect, SessionInsertError> {
    session.renew();
    session.insert("name", &login.name)?;
    Ok(Redirect::to("/").see_other())
}

async fn log_out(session: HttpState) -> Redirect {
    session.purge();
    Redirect::to("/").see_other()
}
