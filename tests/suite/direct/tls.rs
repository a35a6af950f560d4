//! `AppServer::bind_rustls_0_23`: the same by TLS, which keeps bytes of its own on their way.

use actix_socketio::{Bytes, Data, Handshake, Socket, SocketIo};
use actix_web::{App, HttpRequest, web};
use tokio_rustls::rustls::ClientConfig;

use crate::support::socketio::Client;
use crate::support::{
    Connection, Open, Request, Response, Server, WebSocket, packets, tls, within,
};

/// `AppServer::bind_rustls_0_23`: the App is served by TLS, and knows that it is.
#[tokio::test]
async fn app_is_served_by_tls() {
    let tls = Tls::start();
    let response = tls.send(&Request::get(tls.server.address, "/scheme")).await;
    response.expect(200, "https");
}

/// Engine.IO v4, Polling: a session opens, takes a POST and answers a poll.
#[tokio::test]
async fn polling_works_over_tls() {
    let tls = Tls::start();
    let session = tls.poll_session().await;
    tls.post(&session, r#"420["echo","hello"]"#).await;
    assert_eq!(tls.poll(&session).await, [r#"430["hello"]"#]);
}

/// Engine.IO v4, WebSocket: so does a WebSocket, with text and binary both ways.
#[tokio::test]
async fn websocket_works_over_tls() {
    let tls = Tls::start();
    let mut client = tls.client().await;
    client.send(r#"420["echo","hello"]"#).await;
    client.expect(r#"430["hello"]"#).await;
    client
        .send_binary(
            r#"451-["binary",{"_placeholder":true,"num":0}]"#,
            &[&[1, 2]],
        )
        .await;
    let back = r#"451-["binary",{"_placeholder":true,"num":0}]"#;
    client.expect_binary(back, &[&[1, 2]]).await;
}

/// `Handshake::is_secure`: whoever came by TLS is known to have.
#[tokio::test]
async fn handshake_knows_of_tls() {
    let tls = Tls::start();
    let secure = |handshake: Handshake| async move { handshake.is_secure() };
    tls.server.io.of("/").on("secure", secure);
    let session = tls.poll_session().await;
    tls.post(&session, r#"420["secure"]"#).await;
    assert_eq!(tls.poll(&session).await, ["430[true]"]);
    let mut client = tls.client().await;
    client.send(r#"420["secure"]"#).await;
    client.expect("430[true]").await;
}

/// A message of many TLS records, both ways, and what comes behind it.
#[tokio::test]
async fn large_messages_arrive_whole_over_tls() {
    let tls = Tls::start();
    let mut client = tls.client().await;
    let large = "x".repeat(LARGE);
    for id in 0..3 {
        client.send(&format!(r#"42{id}["echo","{large}"]"#)).await;
        client.expect(&format!(r#"43{id}["{large}"]"#)).await;
    }
    client.send(r#"427["echo","behind"]"#).await;
    client.expect(r#"437["behind"]"#).await;
}

/// Many small packets that are emitted at once arrive in order, with nothing kept back.
#[tokio::test]
async fn many_packets_arrive_in_order_over_tls() {
    let tls = Tls::start();
    let mut client = tls.client().await;
    client.send(r#"42["count"]"#).await;
    for n in 0..NUMBERS {
        client.expect(&format!(r#"42["number",{n}]"#)).await;
    }
}

/// Engine.IO v4, Upgrade: a WebSocket takes a polling session over.
#[tokio::test]
async fn upgrade_works_over_tls() {
    let tls = Tls::start();
    let session = tls.poll_session().await;
    tls.post(&session, r#"420["echo","waits"]"#).await;
    let query = format!("{OPEN}&sid={session}");
    let mut socket = tls.socket(&query).await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    socket.send_text("5").await;
    socket.expect_text(r#"430["waits"]"#).await;
    socket.send_text(r#"421["echo","goes on"]"#).await;
    socket.expect_text(r#"431["goes on"]"#).await;
    assert_eq!(tls.server.io.clients_count(), 1);
}

/// RFC 8446, 6.1: the end of a connection is said, so that it cannot be taken for a cut; behind the
/// close frame.
#[tokio::test]
async fn close_of_the_server_ends_tls_in_order() {
    let tls = Tls::start();
    let mut socket = tls.socket(OPEN).await;
    Open::read(&socket.recv_text().await);
    socket.send_text("40").await;
    socket.recv_text().await;
    let io = tls.server.io.clone();
    let closing = tokio::spawn(async move { io.close(crate::support::PATIENCE).await });
    assert_eq!(socket.expect_close().await, None);
    socket.into_connection().expect_orderly_end().await;
    assert!(within("the server to close", closing).await.unwrap());
}

/// The same where the client closes.
#[tokio::test]
async fn close_of_the_client_ends_tls_in_order() {
    let tls = Tls::start();
    let mut socket = tls.socket(OPEN).await;
    Open::read(&socket.recv_text().await);
    socket.send_close(Some(1000)).await;
    assert_eq!(socket.expect_close().await, Some(1000));
    socket.into_connection().expect_orderly_end().await;
}

/// `AppServer`: a refusal by TLS, whose connection ends in order too.
#[tokio::test]
async fn refused_upgrade_ends_tls_in_order() {
    let tls = Tls::start();
    let site = tls.server.at("/nowhere");
    let mut connection = tls.connection().await;
    let request = WebSocket::request(&site, "", &[]);
    connection.write(&request.bytes()).await;
    assert_eq!(connection.response().await.status, 404);
    connection.expect_orderly_end().await;
}

/// A server by TLS, and what its clients need to trust it.
struct Tls {
    server: Server<SocketIo>,
    trust: ClientConfig,
}

impl Tls {
    fn start() -> Self {
        let (config, trust) = tls::configs();
        let server = Server::serving("/socket.io/", move || {
            let io = SocketIo::builder().start()?;
            io.of("/")
                .on("echo", |Data(text): Data<String>| async move { text })
                .on(
                    "binary",
                    |socket: Socket, Data(data): Data<Bytes>| async move {
                        socket.emit("binary", data).await
                    },
                )
                .on("count", |socket: Socket| async move {
                    for n in 0..NUMBERS {
                        socket.emit("number", n).await.unwrap();
                    }
                });
            let scheme =
                |request: HttpRequest| async move { request.connection_info().scheme().to_owned() };
            let serve = io.serve(move || App::new().route("/scheme", web::get().to(scheme)));
            let serve = serve.workers(2);
            let serve = serve.bind_rustls_0_23(("127.0.0.1", 0), config)?;
            Ok((io, serve))
        });
        Self { server, trust }
    }

    async fn connection(&self) -> Connection {
        Connection::over(tls::connect(&self.trust, &[], &self.server).await)
    }

    async fn send(&self, request: &Request) -> Response {
        let mut connection = self.connection().await;
        connection.write(&request.bytes()).await;
        connection.response().await
    }

    /// Opens a WebSocket.
    async fn socket(&self, query: &str) -> WebSocket {
        let connection = self.connection().await;
        let socket = WebSocket::handshake(connection, &self.server, query, &[]).await;
        socket.unwrap()
    }

    /// Opens a session on a WebSocket, and joins `/`.
    async fn client(&self) -> Client {
        let mut client = Client::open_on(self.connection().await, &self.server).await;
        client.connect("/").await;
        client
    }

    /// Opens a session on polling, and joins `/`; returns the session's id.
    async fn poll_session(&self) -> String {
        let opened = self.send(&self.polling("GET", "")).await;
        let sid = Open::read(&packets(&opened)[0]).sid;
        self.post(&sid, "40").await;
        let [connected] = &self.poll(&sid).await[..] else {
            panic!("not one packet");
        };
        assert!(connected.starts_with(r#"40{"sid":"#), "{connected}");
        sid
    }

    async fn post(&self, sid: &str, body: &str) {
        let request = self.polling("POST", &format!("&sid={sid}")).body(body);
        self.send(&request).await.expect(200, "ok");
    }

    async fn poll(&self, sid: &str) -> Vec<String> {
        packets(
            &self
                .send(&self.polling("GET", &format!("&sid={sid}")))
                .await,
        )
    }

    fn polling(&self, method: &str, query: &str) -> Request {
        let target = self
            .server
            .target(&format!("EIO=4&transport=polling{query}"));
        Request::new(method, self.server.address, &target)
    }
}

const OPEN: &str = "EIO=4&transport=websocket";
const LARGE: usize = 500_000;
const NUMBERS: usize = 3000;
