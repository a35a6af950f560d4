//! `AppServer`: what the program's other routes do beside Socket.IO, and what their failures cost.

use std::convert::Infallible;
use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix::{Actor, ActorContext, StreamHandler};
use actix_socketio::{PanicSource, SocketIo};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorImATeapot;
use actix_web::middleware::{Next, from_fn};
use actix_web::rt;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext, WsResponseBuilder};

use crate::support::panics::panics_of;
use crate::support::socketio::{Client, Via};
use crate::support::{Connection, Received, Request, Server, Site, WebSocket, serve};

/// `AppServer`: WebSockets of other routes are as in an `HttpServer`, here by actix-web-actors.
#[tokio::test]
async fn websocket_of_actix_web_actors_works_beside_socketio() {
    echoes("/actor").await;
}

/// The same by actix-ws.
#[tokio::test]
async fn websocket_of_actix_ws_works_beside_socketio() {
    echoes("/stream").await;
}

/// `AppServer`: an answer that refuses an upgrade closes its connection, behind its whole body.
#[tokio::test]
async fn refused_upgrade_of_another_route_is_answered_whole() {
    let server = mixed();
    let large = "x".repeat(LARGE);
    for (path, status, body) in [
        ("/nowhere", 404, ""),
        ("/error", 418, "short and stout"),
        ("/large", 403, &large),
    ] {
        let request = WebSocket::request(&server.at(path), "", &[]);
        let mut connection = Connection::open(server.address).await;
        connection.write(&request.bytes()).await;
        let response = connection.response().await;
        response.expect(status, body);
        assert_eq!(response.header("connection"), Some("close"), "{path}");
        connection.expect_orderly_end().await;
    }
}

/// The same where nobody knows how long the body is: its framing is what its head says.
#[tokio::test]
async fn refused_upgrade_with_a_streamed_body_is_answered_whole() {
    let server = mixed();
    let request = WebSocket::request(&server.at("/chunks"), "", &[]);
    let mut connection = Connection::open(server.address).await;
    connection.write(&request.bytes()).await;
    let response = connection.response().await;
    response.expect(200, &"x".repeat(LARGE));
    assert_eq!(response.header("connection"), Some("close"));
    connection.expect_orderly_end().await;
}

/// `AppServer`: a plain request that refuses nothing keeps its connection.
#[tokio::test]
async fn plain_requests_keep_their_connection() {
    let server = mixed();
    let mut connection = Connection::open(server.address).await;
    for _ in 0..3 {
        let request = Request::get(server.address, "/error");
        connection.write(&request.bytes()).await;
        connection.response().await.expect(418, "short and stout");
    }
}

/// docs/semantics.md, Failure: a panic costs the request it happened in, and nobody else on its
/// worker. It is reported to the supervisors.
#[tokio::test]
async fn panic_in_a_route_affects_no_other_client_of_its_worker() {
    let server = mixed();
    let mut panics = panics_of(&server.io);
    let mut clients = Vec::new();
    for via in [Via::Polling, Via::WebSocket] {
        clients.push(Client::connected(&server, via).await);
    }
    let broken = server.at("/panic");
    let upgrade = |site: &Site, headers: &[_]| WebSocket::request(site, OPEN, headers);
    for request in [
        Request::get(server.address, "/panic"),
        upgrade(&broken, &[]),
        upgrade(&server, &[("x-panic", "early")]),
        upgrade(&server, &[("x-panic", "late")]),
    ] {
        let mut connection = Connection::open(server.address).await;
        connection.write(&request.bytes()).await;
        let answer = connection.take(1).await;
        assert_eq!(answer, None, "{request:?}");
        assert_eq!(panics.next().await.source, PanicSource::HttpConnection);
        for client in &mut clients {
            client.expect_nothing_more("/").await;
        }
    }
    assert_eq!(server.io.clients_count(), 2);
    Client::connected(&server, Via::WebSocket).await;
}

/// Talks to a route that sends everything back, beside a client of Socket.IO.
async fn echoes(path: &'static str) {
    let server = mixed();
    let mut client = Client::connected(&server, Via::WebSocket).await;
    let mut socket = WebSocket::connect(&server.at(path), "", &[]).await.unwrap();
    socket.send_text("hello").await;
    socket.expect_text("hello").await;
    let large = "x".repeat(LARGE);
    socket.send_text(&large).await;
    socket.expect_text(&large).await;
    socket.send_binary(&[0, 1, 255]).await;
    socket.expect_binary(&[0, 1, 255]).await;
    client.expect_nothing_more("/").await;
    socket.send_ping("there?").await;
    assert_eq!(socket.recv().await, Received::Pong(b"there?".to_vec()));
    socket.send_close(Some(1000)).await;
    socket.expect_closed(Some(1000)).await;
    client.expect_nothing_more("/").await;
    assert_eq!(server.io.clients_count(), 1);
}

/// Serves an App of several routes, on one worker.
fn mixed() -> Server<SocketIo> {
    serve(|io| {
        let app = || {
            let error = || async { Err::<String, _>(ErrorImATeapot("short and stout")) };
            App::new()
                .wrap(from_fn(trap))
                .route("/actor", web::get().to(actor))
                .route("/stream", web::get().to(stream))
                .route("/error", web::get().to(error))
                .route("/large", web::get().to(large))
                .route("/chunks", web::get().to(chunks))
                .route("/panic", web::get().to(panicking))
        };
        io.serve(app).workers(1)
    })
}

struct EchoActor;

impl Actor for EchoActor {
    type Context = WebsocketContext<Self>;
}

impl StreamHandler<Result<Message, ProtocolError>> for EchoActor {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        match message.unwrap() {
            Message::Text(text) => ctx.text(text),
            Message::Binary(data) => ctx.binary(data),
            Message::Ping(payload) => ctx.pong(&payload),
            Message::Close(reason) => {
                ctx.close(reason);
                ctx.stop();
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn actor(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let response = WsResponseBuilder::new(EchoActor, &request, payload);
    response.frame_size(2 * LARGE).start()
}

async fn stream(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let (response, mut session, messages) = actix_ws::handle(&request, payload)?;
    let mut messages = messages.max_frame_size(2 * LARGE);
    rt::spawn(async move {
        while let Some(message) = messages.recv().await {
            match message.unwrap() {
                actix_ws::Message::Text(text) => session.text(text).await.unwrap(),
                actix_ws::Message::Binary(data) => session.binary(data).await.unwrap(),
                actix_ws::Message::Ping(payload) => session.pong(&payload).await.unwrap(),
                actix_ws::Message::Close(reason) => {
                    session.close(reason).await.unwrap();
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    });
    Ok(response)
}

async fn large() -> HttpResponse {
    HttpResponse::Forbidden().body("x".repeat(LARGE))
}

/// Answers by a body of several chunks, whose length nobody knows before.
async fn chunks() -> HttpResponse {
    HttpResponse::Ok().body(Chunks(CHUNKS))
}

/// How many chunks are still to come.
struct Chunks(usize);

impl MessageBody for Chunks {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok("x".repeat(LARGE / CHUNKS).into())))
    }
}

async fn panicking() -> HttpResponse {
    panic_any("on purpose")
}

/// Panics in front of the route or behind it, where the request asks for it.
async fn trap(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let panics = request.headers().get("x-panic").cloned();
    if panics.as_ref().is_some_and(|when| when == "early") {
        panic_any("on purpose");
    }
    let response = next.call(request).await;
    if panics.is_some() {
        panic_any("on purpose");
    }
    response
}

const OPEN: &str = "EIO=4&transport=websocket";
const LARGE: usize = 100_000;
const CHUNKS: usize = 10;
