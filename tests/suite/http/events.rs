//! Server-sent events: `GET …/events`, read as `EventSource` reads it.

use std::time::Duration;

use actix_socketio::{
    Builder, ConnectError, Data, DisconnectReason, MessagePackParser, ServerSentEvents, Socket,
    SocketIo,
};
use serde_json::json;

use crate::support::socketio::{Client, Via, until};
use crate::support::{Connection, Request, Server, Site, channel, within};

/// A client that reads a stream of events.
struct EventStream {
    connection: Connection,
    text: String,
}

impl EventStream {
    async fn open(site: &Site, query: &str, headers: &str) -> Self {
        let mut connection = Connection::open(site.address).await;
        let target = format!("{}events?{query}", site.path);
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        connection.write(request.as_bytes()).await;
        let mut stream = Self {
            connection,
            text: String::new(),
        };
        let head = stream.line_until("\r\n\r\n").await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        for header in [
            "content-type: text/event-stream",
            "cache-control: no-store",
            "transfer-encoding: chunked",
        ] {
            assert!(head.contains(header), "{head}");
        }
        stream
    }

    async fn line_until(&mut self, end: &str) -> String {
        let mut line = String::new();
        while !line.ends_with(end) {
            let byte = self.connection.take(1).await.unwrap();
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Returns the next event or comment; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            let size = self.line_until("\r\n").await;
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            if size == 0 {
                return None;
            }
            let chunk = self.connection.take(size).await.unwrap();
            self.text.push_str(&String::from_utf8(chunk).unwrap());
            self.connection.take(2).await.unwrap();
        }
    }

    /// Returns the next event after comments: its id, its name and its data.
    async fn event(&mut self) -> (Option<String>, String, String) {
        loop {
            let event = within("an event", self.next()).await.unwrap();
            let field = |name: &str| {
                let mut lines = event.lines();
                lines
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            if let Some(name) = field("event: ") {
                return (field("id: "), name, field("data: ").unwrap());
            }
        }
    }

    async fn expect(&mut self, name: &str, data: &str) {
        let (_, found, found_data) = self.event().await;
        assert_eq!((&*found, &*found_data), (name, data));
    }
}

fn streaming(builder: Builder) -> Builder {
    let options = ServerSentEvents::new().rooms(|_, _, room| room.starts_with("public"));
    builder.server_sent_events(options)
}

fn start(set_up: impl FnOnce(&SocketIo) + Send + 'static) -> Server<SocketIo> {
    Server::socketio(streaming, set_up)
}

#[on_both_servers]
async fn events_of_the_namespace_and_of_the_rooms_arrive() {
    let server = start(|io| {
        io.of("/news");
    });
    let mut stream = EventStream::open(&server, "namespace=/news&room=public%201", "").await;
    let (_, name, data) = stream.event().await;
    assert_eq!(name, "connect");
    let news = server.io.of("/news");
    let socket = &news.sockets()[0];
    assert_eq!(data, json!([socket.id()]).to_string());
    assert_eq!(socket.rooms(), ["public 1"]);
    news.emit("all", ("a\nb", 1)).await.unwrap();
    stream.expect("all", r#"["a\nb",1]"#).await;
    news.to("public 1")
        .emit("room", json!({ "deep": [null] }))
        .await
        .unwrap();
    news.to("another").emit("not for it", ()).await.unwrap();
    server.io.emit("of another namespace", ()).await.unwrap();
    socket.emit("alone", ()).await.unwrap();
    stream.expect("room", r#"[{"deep":[null]}]"#).await;
    stream.expect("alone", "[]").await;
    // The bytes as base64.
    let bytes = actix_socketio::Bytes::from_static(&[1, 2, 3]);
    news.emit("binary", ("x", bytes)).await.unwrap();
    stream.expect("binary", r#"["x","AQID"]"#).await;
}

/// The parser of a server is for its other clients: a stream has JSON.
#[on_both_servers]
async fn a_server_of_messagepack_streams_json() {
    let configure = |builder: Builder| streaming(builder).parser(MessagePackParser::new());
    let server = Server::socketio(configure, |io| {
        io.of("/news");
    });
    let mut stream = EventStream::open(&server, "namespace=/news&room=public", "").await;
    assert_eq!(stream.event().await.1, "connect");
    let news = server.io.of("/news");
    news.emit("all", ("a", 1)).await.unwrap();
    stream.expect("all", r#"["a",1]"#).await;
    news.sockets()[0].emit("alone", [1, 2]).await.unwrap();
    stream.expect("alone", "[[1,2]]").await;
}

#[on_both_servers]
async fn a_room_that_the_program_does_not_allow_is_refused() {
    let refusing = start(|_| ());
    let default = Server::socketio(|io| io.server_sent_events(ServerSentEvents::new()), |_| ());
    for (server, room) in [(&refusing, "secret"), (&default, "public")] {
        let target = format!("{}events?room={room}", server.path);
        let response = Request::get(server.address, &target).send().await;
        response.expect(403, r#"{"code":4,"message":"Forbidden"}"#);
        assert_eq!(server.io.of("/").count(), 0);
    }
}

#[on_both_servers]
async fn the_path_is_unknown_without_the_option() {
    let server = Server::socketio(|io| io, |_| ());
    let target = format!("{}events", server.path);
    let response = Request::get(server.address, &target).send().await;
    response.expect_error(0, "Transport unknown");
}

#[on_both_servers]
async fn requests_that_no_session_can_serve_are_refused() {
    let server = start(|_| ());
    for (method, query, code, message) in [
        ("POST", "", 2, "Bad handshake method"),
        ("GET", "namespace=news", 3, "Bad request"),
        ("GET", "auth=1", 3, "Bad request"),
    ] {
        let target = format!("{}events?{query}", server.path);
        let response = Request::new(method, server.address, &target).send().await;
        response.expect_error(code, message);
    }
    let target = format!("{}events?namespace=/nowhere", server.path);
    let response = Request::get(server.address, &target).send().await;
    response.expect(403, r#"{"message":"Invalid namespace"}"#);
}

/// The program decides by the payload, as for any other client.
#[on_both_servers]
async fn connect_handlers_accept_and_refuse() {
    let server = start(|io| {
        io.of("/").on_connect(|socket: Socket| async move {
            if socket.handshake().query_value("token").as_deref() == Some("secret") {
                return Ok(());
            }
            Err(ConnectError::new("not authorized").with_data(json!({ "code": 401 })))
        });
    });
    let target = format!("{}events?token=wrong", server.path);
    let response = Request::get(server.address, &target).send().await;
    response.expect(403, r#"{"message":"not authorized","data":{"code":401}}"#);
    let mut stream = EventStream::open(&server, "token=secret", "").await;
    assert_eq!(stream.event().await.1, "connect");
}

/// The session is that of any other client: it ends with its connection, or by the program.
#[on_both_servers]
async fn the_session_ends_with_the_connection_and_the_stream_with_the_session() {
    let (told, mut heard) = channel();
    let server = Server::socketio(
        |io| {
            let io = io.ping_interval(Duration::from_millis(50));
            streaming(io.ping_timeout(Duration::from_millis(500)))
        },
        move |io| {
            io.of("/").on_disconnect(move |reason: DisconnectReason| {
                let told = told.clone();
                async move { told.send(reason.to_string()).unwrap() }
            });
        },
    );
    let mut stream = EventStream::open(&server, "", "").await;
    stream.event().await;
    drop(stream);
    assert_eq!(heard.next().await, "transport close");

    let mut stream = EventStream::open(&server, "", "").await;
    stream.event().await;
    server.io.of("/").sockets()[0].disconnect(false);
    stream.expect("disconnect", "[]").await;
    assert_eq!(within("the end", stream.next()).await, None);
    assert_eq!(heard.next().await, "server namespace disconnect");
    until("the session to end", || server.io.clients_count() == 0).await;
}

/// The stream answers pings itself as long as its client reads.
#[on_both_servers]
async fn an_idle_stream_gets_comments_and_stays() {
    let server = Server::socketio(
        |io| {
            let io = io.ping_interval(Duration::from_millis(20));
            streaming(io.ping_timeout(Duration::from_millis(1000)))
        },
        |_| (),
    );
    let mut stream = EventStream::open(&server, "", "").await;
    stream.event().await;
    for _ in 0..5 {
        let comment = within("a comment", stream.next()).await;
        assert_eq!(comment.as_deref(), Some(":"));
    }
    assert_eq!(server.io.of("/").count(), 1);
}

/// HTML, Server-sent events, 9.2.6: a client that reconnects sends the last id that it has received.
#[on_both_servers]
async fn a_client_that_reconnects_gets_what_it_missed() {
    for by_header in [true, false] {
        let server = Server::socketio(
            |io| streaming(io).connection_state_recovery(Duration::from_secs(60)),
            |_| (),
        );
        let mut stream = EventStream::open(&server, "room=public", "").await;
        let (id, name, sid) = stream.event().await;
        assert!(name == "connect" && id.unwrap().ends_with(':'));
        server.io.to("public").emit("n", 1).await.unwrap();
        let (id, name, data) = stream.event().await;
        assert_eq!((&*name, &*data), ("n", "[1]"));
        let id = id.unwrap();
        drop(stream);
        until("the socket to end", || server.io.of("/").count() == 0).await;
        server.io.to("public").emit("n", 2).await.unwrap();
        server.io.to("another").emit("n", 3).await.unwrap();
        let mut stream = if by_header {
            let header = format!("Last-Event-ID: {id}\r\n");
            EventStream::open(&server, "", &header).await
        } else {
            EventStream::open(&server, &format!("lastEventId={id}"), "").await
        };
        let mut came =
            [stream.event().await, stream.event().await].map(|(_, name, data)| (name, data));
        came.sort();
        let expected = [("connect", &*sid), ("n", "[2]")];
        assert_eq!(
            came,
            expected.map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
        server.io.to("public").emit("n", 4).await.unwrap();
        stream.expect("n", "[4]").await;
    }
}

/// Other clients and streams are in the same rooms.
#[on_both_servers]
async fn clients_of_other_transports_reach_a_stream() {
    let server = start(|io| {
        io.of("/").on(
            "say",
            |socket: Socket, Data(text): Data<String>| async move {
                socket.to("public").emit("said", text).await
            },
        );
    });
    let mut stream = EventStream::open(&server, "room=public", "").await;
    stream.event().await;
    let mut client = Client::connected(&server, Via::WebSocket).await;
    client.send(r#"42["say","hi"]"#).await;
    stream.expect("said", r#"["hi"]"#).await;
}
