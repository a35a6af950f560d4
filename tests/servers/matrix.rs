//! The server of the matrix of clients: every feature that a client may use, by events.
//!
//! `hello` is sent on connect with the auth payload and the query. `echo` returns its arguments as
//! `echoed`, `ack` acknowledges with them, `call` calls the client. `kick` disconnects, `/private`
//! wants a token. A client with `parser=msgpack` in its query has MessagePack. `/engine.io/` has no
//! Socket.IO: it sends messages back, closes at `kick`, and sends the `greet` of the query first; a
//! query with `refuse` is refused. `POST /emit/{event}` broadcasts, `GET /reasons/{id}` returns why a
//! socket or a session has ended. `PORT`, `SERVER` (`http` or `direct`), `PING_TIMEOUT_MS`,
//! `RECOVERY`, `COMPRESSION` and `WEBTRANSPORT` come from the environment. With the last one
//! `GET /certificate` returns the SHA-256 of the certificate.
//!
//! ```sh
//! PORT=3000 cargo run --example matrix
//! ```
//! ```js
//! io("http://localhost:3000").emit("ack", 1, "2", console.log);
//! ```

use std::collections::HashMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_socketio::{
    AnyValue, Auth, Bytes, CloseReason, ConnectError, Cors, Data, DisconnectReason, EmitError,
    EngineIo, EngineIoBuilder, EngineMessage, EngineSession, Event, HandlerError,
    MessagePackParser, Namespace, PerMessageDeflate, ServerSentEvents, Socket, SocketIo,
};
use actix_web::error::ErrorForbidden;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

#[cfg(feature = "webtransport")]
mod identity;

/// A client that posts its pong beside another POST is closed, as on Node.js.
const PING_INTERVAL: Duration = Duration::from_secs(3);
/// Long enough for clients that send 1 MB on a busy machine, and ping themselves.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_PAYLOAD: usize = 4 << 20;

type Reasons = Arc<Mutex<HashMap<String, String>>>;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    env_logger::init();
    let ping_timeout = env::var("PING_TIMEOUT_MS").ok();
    let ping_timeout = ping_timeout.and_then(|limit| limit.parse().ok());
    let ping_timeout = ping_timeout.map_or(PING_TIMEOUT, Duration::from_millis);
    let mut builder = SocketIo::builder()
        .ping_interval(PING_INTERVAL)
        .ping_timeout(ping_timeout)
        .max_payload(MAX_PAYLOAD)
        .cors(Cors::any())
        .allow_eio3(true)
        .parser_when(MessagePackParser::new(), |client| {
            client.query_value("parser").as_deref() == Some("msgpack")
        })
        .server_sent_events(ServerSentEvents::new().rooms(|_, _, room| room == "public"));
    if env::var_os("RECOVERY").is_some() {
        builder = builder.connection_state_recovery(Duration::from_secs(60));
    }
    let mut raw = EngineIo::builder()
        .ping_interval(PING_INTERVAL)
        .ping_timeout(ping_timeout)
        .max_payload(MAX_PAYLOAD)
        .allow_eio3(true)
        .allow_request(|request: HttpRequest| async move {
            match request.query_string().contains("refuse=") {
                true => Err(ErrorForbidden("refused")),
                false => Ok(()),
            }
        });
    if env::var_os("COMPRESSION").is_some() {
        builder = builder.per_message_deflate(PerMessageDeflate::new());
        raw = raw.per_message_deflate(PerMessageDeflate::new());
    }
    let io = builder.start()?;
    let reasons = Reasons::default();
    let raw = echoing(raw, &reasons).start()?;
    register(&io.of("/"), &reasons);
    register(&io.of("/chat"), &reasons);
    io.of("/private").on_connect(guard);
    let routes = {
        let (io, reasons) = (web::Data::new(io.clone()), web::Data::new(reasons));
        move |app: &mut web::ServiceConfig| {
            app.app_data(io.clone())
                .app_data(reasons.clone())
                .configure(raw.routes())
                .route("/emit/{event}", web::post().to(emit))
                .route("/reasons/{id}", web::get().to(reason));
        }
    };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    if env::var("SERVER").is_ok_and(|server| server == "direct") {
        #[cfg(feature = "webtransport")]
        if env::var_os("WEBTRANSPORT").is_some() {
            let (tls, hash) =
                identity::identity().map_err(|error| std::io::Error::other(error.to_string()))?;
            let certificate = move || std::future::ready(hash.clone());
            let app = move || {
                let app = App::new().configure(routes.clone());
                app.route("/certificate", web::get().to(certificate.clone()))
            };
            let serve = io.serve(app).workers(1).bind(address)?;
            return serve.webtransport(address, tls)?.run().await;
        }
        let app = move || App::new().configure(routes.clone());
        return io.serve(app).workers(1).bind(address)?.run().await;
    }
    let mounted = io.clone();
    let app = move || {
        let app = App::new().configure(mounted.routes());
        app.configure(routes.clone())
    };
    let server = io.tune(HttpServer::new(app));
    server.workers(1).bind(address)?.run().await
}

fn register(namespace: &Namespace, reasons: &Reasons) {
    let reasons = Arc::clone(reasons);
    namespace
        .on_connect(hello)
        .on("echo", |socket: Socket, event: Event| async move {
            socket.emit("echoed", event.args()).await
        })
        .on("ack", |event: Event| async move { event.args().clone() })
        .on("call", call)
        .on(
            "kick",
            |socket: Socket| async move { socket.disconnect(false) },
        )
        .on("bytes", |Data(count): Data<usize>| async move {
            Bytes::from(vec![7; count])
        })
        .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
            keep(&reasons, socket.id().to_string(), reason.to_string());
            async {}
        });
}

/// Registers the handlers of the server without Socket.IO.
fn echoing(raw: EngineIoBuilder, reasons: &Reasons) -> EngineIoBuilder {
    let reasons = Arc::clone(reasons);
    raw.on_open(|session: EngineSession| async move {
        if let Some(greeting) = session.handshake().query_value("greet") {
            answer(&session, &EngineMessage::Text(greeting.into_owned()));
        }
    })
    .on_message(
        |session: EngineSession, message: EngineMessage| async move {
            match &message {
                EngineMessage::Text(text) if &**text == "kick" => session.close(),
                message => answer(&session, message),
            }
        },
    )
    .on_close(move |session: EngineSession, reason: CloseReason| {
        keep(&reasons, session.sid().to_owned(), reason.to_string());
        async {}
    })
}

fn answer(session: &EngineSession, message: &EngineMessage) {
    if let Err(error) = session.send(message) {
        log::info!("no answer: {error}");
    }
}

fn keep(reasons: &Reasons, id: String, reason: String) {
    let mut reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
    reasons.insert(id, reason);
}

async fn hello(socket: Socket, Auth(auth): Auth<Option<Value>>) -> Result<(), EmitError> {
    let value = socket.handshake().query_value("value");
    socket
        .emit("hello", json!({ "auth": auth, "value": value }))
        .await
}

async fn guard(Auth(auth): Auth<Value>) -> Result<(), ConnectError> {
    if auth["token"] == "secret" {
        return Ok(());
    }
    Err(ConnectError::new("not authorized").with_data(json!({ "code": 401 })))
}

/// Calls the client with the given event and arguments, and returns its answer.
async fn call(socket: Socket, event: Event) -> Result<AnyValue, HandlerError> {
    let (name, args) = event.args().split_first::<String>()?;
    let call = socket.timeout(Duration::from_secs(5)).call(&name, args);
    call.await
        .map_err(|error| HandlerError::new(error.to_string()))
}

async fn emit(io: web::Data<SocketIo>, event: web::Path<String>) -> HttpResponse {
    match io.emit(&event, "missed").await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn reason(reasons: web::Data<Reasons>, id: web::Path<String>) -> HttpResponse {
    let reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
    match reasons.get(id.as_str()) {
        Some(reason) => HttpResponse::Ok().body(reason.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}
