//! Log in by a page, be known on the socket, log out and be known no more.
//!
//! ```sh
//! cargo run --features session --example login
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --features session --example login
//! ```
//! Open <http://localhost:3000>. The session lies in the cookie, and a socket knows what it was at
//! its handshake; with `REDIS_URL` it lies in Redis, and the next event of every socket sees a log
//! out.

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
    // From the program's configuration, in earnest: with a new key nobody is known any more.
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
            // Not to be left out where there is TLS.
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
