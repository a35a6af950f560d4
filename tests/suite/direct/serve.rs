//! `AppServer`: a server of the program's App, whose middleware, guards and settings hold as ever.
//!
//! The other chapters run on this path too; the chapters of this folder test what they cannot see.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_socketio::{EngineIo, EngineSession, SocketIo};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorForbidden;
use actix_web::http::KeepAlive;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, guard, web};
use tokio::time::timeout;

use crate::support::socketio::{Client, Via};
use crate::support::{Connection, Heard, Request, Server, WebSocket, channel, serve, within};

/// `AppServer`: an upgrade request goes through the App's middleware, which may refuse it with an
/// answer or an error, before or behind the route. Nobody has come then, and the connection ends.
#[tokio::test]
async fn middleware_refuses_a_websocket() {
    let (server, mut opened) = guarded();
    for (ticket, status, body) in [
        (None, 401, "no ticket"),
        (Some("expired"), 403, "expired"),
        (Some("late"), 401, "too late"),
    ] {
        let header = ticket.map(|ticket| (TICKET, ticket));
        let request = WebSocket::request(&server, OPEN, header.as_slice());
        let mut connection = Connection::open(server.address).await;
        connection.write(&request.bytes()).await;
        let response = connection.response().await;
        response.expect(status, body);
        assert_eq!(response.header("connection"), Some("close"));
        connection.expect_orderly_end().await;
        assert_eq!(server.io.clients_count(), 0);
        assert_eq!(opened.so_far(), [""; 0]);
    }
}

/// The same request, let through: the middleware's header is in the 101.
#[tokio::test]
async fn middleware_adds_a_header_to_the_handshake() {
    let (server, mut opened) = guarded();
    let socket = WebSocket::connect(&server, OPEN, &[(TICKET, "valid")]).await;
    let mut socket = socket.unwrap();
    assert_eq!(socket.handshake.header("x-seen"), Some("valid"));
    assert!(socket.recv_text().await.contains(&opened.next().await));
    assert_eq!(server.io.clients_count(), 1);
}

/// `AppServer`: what the App mounts by itself is not mounted a second time at its root.
#[tokio::test]
async fn routes_that_the_app_has_mounted_stay_where_they_are() {
    let server = Server::serving("/api/socket.io/", || {
        let io = SocketIo::builder().start()?;
        let mounted = io.clone();
        let app = move || {
            let api = web::scope("/api").configure(mounted.routes());
            App::new().service(api).default_service(teapot())
        };
        Ok((io.clone(), io.serve(app)))
    });
    for via in [Via::Polling, Via::WebSocket] {
        Client::connected(&server, via).await;
    }
    let root = server.at("/socket.io/");
    let polling = Request::get(root.address, &root.target("EIO=4&transport=polling"));
    polling.send().await.expect(418, "teapot");
    let refused = WebSocket::connect(&root, OPEN, &[]).await.unwrap_err();
    refused.expect(418, "teapot");
}

/// `AppServer`: an App that does not mount the server gets it at its root, beside the program's own
/// routes; guards and the default service decide as ever.
#[tokio::test]
async fn routes_are_added_to_an_app_that_has_not_mounted_them() {
    let server = serve(|io| {
        io.serve(|| {
            let guarded = guard::Header("x-key", "open");
            let door = web::get().guard(guarded).to(|| async { "inside" });
            App::new()
                .route("/door", door)
                .default_service(web::to(|| async {
                    HttpResponse::NotFound().body("nothing")
                }))
        })
    });
    for via in [Via::Polling, Via::WebSocket] {
        Client::connected(&server, via).await;
    }
    let door = || Request::get(server.address, "/door");
    door().send().await.expect(404, "nothing");
    let opened = door().header("x-key", "open").send().await;
    opened.expect(200, "inside");
}

/// `AppServer::listen`: a socket that is bound already is served, here with an App of nothing else.
#[tokio::test]
async fn listener_of_the_program_is_served() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::serving("/socket.io/", move || {
        let io = SocketIo::builder().start()?;
        Ok((io.clone(), io.serve(App::new).listen(listener)?))
    });
    assert_eq!(server.address, address);
    Client::connected(&server, Via::WebSocket).await;
    assert_eq!(Request::get(address, "/").send().await.status, 404);
}

/// `AppServer::bind`: an address that is taken is an error, not a server of nobody.
#[tokio::test]
async fn address_that_is_taken_is_an_error() {
    let server = serve(|io| io.serve(App::new));
    let io = SocketIo::builder().start().unwrap();
    let taken = io.serve(App::new).bind(server.address).unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let error = within("`run` to fail", io.run(server.address)).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

/// `AppServer::server_hostname`: the App builds its URLs with it where a request names no host; by
/// default with the listener's address.
#[tokio::test]
async fn hostname_is_what_the_app_builds_its_urls_with() {
    let host = |request: HttpRequest| async move { request.connection_info().host().to_owned() };
    let app = move || App::new().route("/host", web::get().to(host));
    let named = serve(move |io| io.serve(app).server_hostname("chat.example"));
    let unnamed = serve(move |io| io.serve(app));
    let own = unnamed.address.to_string();
    for (server, expected) in [(&named, "chat.example"), (&unnamed, own.as_str())] {
        let mut connection = Connection::open(server.address).await;
        connection.write(b"GET /host HTTP/1.0\r\n\r\n").await;
        connection.response().await.expect(200, expected);
    }
}

/// `AppServer::keep_alive`: how long an HTTP connection waits for its next request.
#[tokio::test]
async fn idle_connection_ends_after_keep_alive() {
    let server = serve(|io| io.serve(App::new).keep_alive(Duration::from_secs(1)));
    let mut connection = asked(&server).await;
    let idle = Instant::now();
    connection.expect_orderly_end().await;
    // actix-http's clock is up to half a second late; its default is 5 seconds.
    assert!(idle.elapsed() < Duration::from_secs(4));

    let server = serve(|io| io.serve(App::new).keep_alive(KeepAlive::Disabled));
    asked(&server).await.expect_orderly_end().await;
}

/// `AppServer::client_request_timeout`: how long a request's head may take.
#[tokio::test]
async fn slow_request_is_answered_with_408() {
    let server = serve(|io| {
        let serve = io.serve(App::new);
        serve.client_request_timeout(Duration::from_secs(1))
    });
    let mut connection = Connection::open(server.address).await;
    let began = Instant::now();
    connection.write(b"GET / HT").await;
    assert_eq!(connection.response().await.status, 408);
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// `AppServer::max_connections` bounds the connections of a worker, WebSockets and others together.
#[tokio::test]
async fn websockets_count_for_max_connections() {
    let server = serve(|io| {
        let serve = io.serve(App::new).workers(1).max_connections(4);
        serve.keep_alive(Duration::from_secs(60))
    });
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Client::connected(&server, Via::WebSocket).await);
    }
    let first = asked(&server).await;
    let second = asked(&server);
    tokio::pin!(second);
    let early = timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "a second connection beside the first");
    // The end of a WebSocket makes room.
    sockets.pop();
    second.await;
    drop(first);
    for socket in &mut sockets {
        socket.expect_nothing_more("/").await;
    }
}

/// Starts a server whose middleware asks for a ticket; tells of sessions that were opened.
fn guarded() -> (Server<EngineIo>, Heard<String>) {
    let (told, opened) = channel();
    let server = Server::serving("/engine.io/", move || {
        let io = EngineIo::builder()
            .on_open(move |session: EngineSession| {
                told.send(session.sid().to_owned()).unwrap();
                async {}
            })
            .start()?;
        Ok((io.clone(), io.serve(|| App::new().wrap(from_fn(ticket)))))
    });
    (server, opened)
}

async fn ticket<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let ticket = request.headers().get(TICKET).cloned();
    let refusal = |text| HttpResponse::Unauthorized().body(text);
    let Some(ticket) = ticket else {
        return Ok(request.into_response(refusal("no ticket")));
    };
    if ticket == "expired" {
        return Err(ErrorForbidden("expired"));
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    assert_eq!(response.status(), 101);
    if ticket == "late" {
        return Ok(response.into_response(refusal("too late")));
    }
    let seen = HeaderName::from_static("x-seen");
    let value = HeaderValue::from_bytes(ticket.as_bytes()).unwrap();
    response.headers_mut().insert(seen, value);
    Ok(response)
}

fn teapot() -> actix_web::Route {
    web::to(|| async { HttpResponse::ImATeapot().body("teapot") })
}

/// Opens a connection that has had an answer.
fn asked(server: &Server<SocketIo>) -> impl Future<Output = Connection> + use<> {
    let address = server.address;
    async move {
        let mut connection = Connection::open(address).await;
        connection.write(&Request::get(address, "/").bytes()).await;
        assert_eq!(connection.response().await.status, 404);
        connection
    }
}

const OPEN: &str = "EIO=4&transport=websocket";
const TICKET: &str = "x-ticket";
