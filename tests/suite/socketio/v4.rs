//! Socket.IO v4, the protocol of the 2.x line: namespaces, ids and errors of older clients.

use std::time::Duration;

use actix_socketio::{
    Auth, Bytes, ConnectError, Data, Event, Handshake, Socket, SocketId, SocketIo,
};
use serde_json::{Value, json};

use crate::support::eio3::{OldPolling, old_packets, old_websocket, socketio};
use crate::support::socketio::{BOTH, Client, Via, leavers, until};
use crate::support::{Received, Server, WebSocket};

/// A client of the 2.x line, over either transport.
enum Old {
    Polling(OldPolling, Vec<String>),
    WebSocket(Box<WebSocket>, String),
}

impl Old {
    async fn open(server: &Server<SocketIo>, via: Via) -> Self {
        match via {
            Via::Polling => {
                Self::Polling(OldPolling::open_with(server, "&b64=1").await, Vec::new())
            }
            Via::WebSocket => {
                let (socket, sid) = old_websocket(server, "").await;
                Self::WebSocket(Box::new(socket), sid)
            }
        }
    }

    /// Opens a session, and takes the CONNECT packet of the main namespace.
    async fn connected(server: &Server<SocketIo>, via: Via) -> Self {
        let mut client = Self::open(server, via).await;
        client.expect("40").await;
        client
    }

    fn sid(&self) -> &str {
        match self {
            Self::Polling(session, _) => session.sid(),
            Self::WebSocket(_, sid) => sid,
        }
    }

    async fn send(&mut self, packet: &str) {
        match self {
            Self::Polling(session, _) => {
                let units = packet.encode_utf16().count();
                session.post(&format!("{units}:{packet}")).await;
            }
            Self::WebSocket(socket, _) => socket.send_text(packet).await,
        }
    }

    /// Sends an attachment.
    async fn attach(&mut self, base64: &str, data: &[u8]) {
        match self {
            Self::Polling(..) => self.send(&format!("b4{base64}")).await,
            Self::WebSocket(socket, _) => socket.send_binary(&[&[4][..], data].concat()).await,
        }
    }

    async fn next(&mut self) -> String {
        match self {
            Self::Polling(session, received) => {
                while received.is_empty() {
                    let response = session.poll().await;
                    if response.status != 200 {
                        return "closed".to_owned();
                    }
                    received.extend(old_packets(&response));
                }
                match received.remove(0) {
                    packet if packet == "1" => "closed".to_owned(),
                    packet => packet,
                }
            }
            Self::WebSocket(socket, _) => match socket.recv().await {
                Received::Text(text) => text,
                Received::Binary(data) => format!("{data:?}"),
                Received::Close(_) | Received::End => "closed".to_owned(),
                other => panic!("{other:?}"),
            },
        }
    }

    async fn expect(&mut self, packet: &str) {
        assert_eq!(self.next().await, packet);
    }

    /// Expects an attachment of three bytes.
    async fn expect_attached(&mut self, base64: &str, data: [u8; 3]) {
        let [a, b, c] = data;
        match self {
            Self::Polling(..) => self.expect(&format!("b4{base64}")).await,
            Self::WebSocket(..) => self.expect(&format!("[4, {a}, {b}, {c}]")).await,
        }
    }
}

/// Socket.IO v4, Connection to a namespace: the server connects the client to the main one, and
/// says nothing of its id.
#[on_both_servers]
async fn the_main_namespace_is_connected_without_a_request() {
    let server = socketio();
    let main = server.io.of("/");
    main.on_connect(|socket: Socket, Auth(auth): Auth<Value>| async move {
        let id = socket.id();
        socket
            .emit("you are", (id, auth))
            .await
            .map_err(|error| error.to_string())
    });
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        let sid = client.sid().to_owned();
        client
            .expect(&format!(r#"42["you are","{sid}",{{}}]"#))
            .await;
        assert!(main.socket(sid.parse().unwrap()).is_some());
    }
}

/// Socket.IO v4: the id of a socket is made of its namespace and its session, and names a room.
#[on_both_servers]
async fn an_id_has_its_namespace_before_it() {
    let server = socketio();
    let chat = server.io.of("/chat");
    chat.on("who", |socket: Socket| async move { socket.id() });
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        client.send("40/chat,").await;
        client.expect("40/chat,").await;
        let id = format!("/chat#{}", client.sid());
        client.send(r#"42/chat,1["who"]"#).await;
        client.expect(&format!(r#"43/chat,1["{id}"]"#)).await;
        chat.to(&id).emit("direct", 1).await.unwrap();
        client.expect(r#"42/chat,["direct",1]"#).await;
        let parsed: SocketId = id.parse().unwrap();
        assert_eq!(parsed.as_str(), id);
        let socket = chat.socket(parsed).unwrap();
        assert_eq!(socket.id().to_string(), id);
        server
            .io
            .to(&id)
            .emit("not in the main one", 1)
            .await
            .unwrap();
        chat.except(&id).emit("not to it", 1).await.unwrap();
        chat.emit("fence", 1).await.unwrap();
        client.expect(r#"42/chat,["fence",1]"#).await;
    }
}

/// Reference server, `client.ondecoded`: the query of a namespace is the `auth` of its socket.
#[on_both_servers]
async fn the_query_of_a_namespace_is_its_auth() {
    let server = socketio();
    let handler = |socket: Socket, Auth(auth): Auth<Value>, handshake: Handshake| async move {
        let own = handshake.query_value("EIO").map(|value| value.into_owned());
        let sent = socket.emit("q", (auth, own, handshake.protocol())).await;
        sent.map_err(|error| error.to_string())
    };
    server.io.of("/admin").on_connect(handler);
    let table = [
        ("/admin", json!({})),
        ("/admin?token=abc", json!({ "token": "abc" })),
        ("/admin?a=1&b=%20x+y", json!({ "a": "1", "b": " x y" })),
        ("/admin?a=1&a=2&b", json!({ "a": ["1", "2"], "b": "" })),
        (
            "/admin?a=%F0%9F%98%80&a[]=1",
            json!({ "a": "😀", "a[]": "1" }),
        ),
    ];
    for via in BOTH {
        for (namespace, auth) in &table {
            let mut client = Old::connected(&server, via).await;
            client.send(&format!("40{namespace},")).await;
            client.expect("40/admin,").await;
            client
                .expect(&format!(r#"42/admin,["q",{auth},"3",3]"#))
                .await;
            client.send("41/admin,").await;
        }
    }
    // A payload is no `auth` of this protocol.
    let mut client = Old::connected(&server, Via::WebSocket).await;
    client.send(r#"40/admin?a=1,{"a":"2"}"#).await;
    client.expect("40/admin,").await;
    client.expect(r#"42/admin,["q",{"a":"1"},"3",3]"#).await;
}

/// Reference server, `namespace._add`: the ERROR packet has the data of the refusal, or else its
/// message.
#[on_both_servers]
async fn a_refusal_is_an_error_with_data_or_message() {
    let server = socketio();
    let refuse = |Auth(auth): Auth<Value>| async move {
        Err::<(), _>(match auth["how"].as_str() {
            Some("data") => ConnectError::new("no").with_data(json!({ "code": 401 })),
            _ => ConnectError::new("no \"entry\""),
        })
    };
    server.io.of("/guarded").on_connect(refuse);
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        client.send("40/guarded,").await;
        client.expect(r#"44/guarded,"no \"entry\"""#).await;
        client.send("40/guarded?how=data,").await;
        client.expect(r#"44/guarded,{"code":401}"#).await;
        client.send("40/unknown?a=1,").await;
        client
            .expect(r#"44/unknown,{"message":"Invalid namespace"}"#)
            .await;
    }
    server
        .io
        .of("/")
        .on_connect(|| async { Err::<(), _>(ConnectError::new("not today")) });
    for via in BOTH {
        let mut client = Old::open(&server, via).await;
        client.expect(r#"44"not today""#).await;
    }
}

/// Events, acknowledgements and attachments are those of v5.
#[on_both_servers]
async fn events_and_acknowledgements_go_both_ways() {
    let server = socketio();
    server
        .io
        .of("/")
        .on("echo", |event: Event| async move { event.into_args() })
        .on(
            "ask",
            |socket: Socket, Data(question): Data<Value>| async move {
                let answer: Value = socket.call("question", question).await.unwrap();
                answer
            },
        )
        .on("send", |socket: Socket| async move {
            socket
                .emit("bytes", (Bytes::from_static(&[1, 2, 3]), "é"))
                .await
        });
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        client.send(r#"421["echo",1,"é😀",{"a":[null]}]"#).await;
        client.expect(r#"431[1,"é😀",{"a":[null]}]"#).await;
        client
            .send(r#"451-2["echo",{"_placeholder":true,"num":0},7]"#)
            .await;
        client.attach("AQID", &[1, 2, 3]).await;
        client
            .expect(r#"461-2[{"_placeholder":true,"num":0},7]"#)
            .await;
        client.expect_attached("AQID", [1, 2, 3]).await;
        client.send(r#"42["send"]"#).await;
        client
            .expect(r#"451-["bytes",{"_placeholder":true,"num":0},"é"]"#)
            .await;
        client.expect_attached("AQID", [1, 2, 3]).await;
        client.send(r#"423["ask",[6,7]]"#).await;
        let question = client.next().await;
        let id = question
            .strip_prefix("42")
            .unwrap()
            .split('[')
            .next()
            .unwrap();
        assert_eq!(question, format!(r#"42{id}["question",[6,7]]"#));
        client.send(&format!("43{id}[\"seven\"]")).await;
        client.expect(r#"433["seven"]"#).await;
    }
}

/// Clients of both protocols are in one room.
#[on_both_servers]
async fn a_room_may_have_clients_of_both_protocols() {
    let server = socketio();
    server.io.of("/").on_connect(|socket: Socket| async move {
        socket
            .join("lobby")
            .await
            .map_err(|error| error.to_string())
    });
    let mut new = [
        Client::connected(&server, Via::Polling).await,
        Client::connected(&server, Via::WebSocket).await,
    ];
    let mut old = [
        Old::connected(&server, Via::Polling).await,
        Old::connected(&server, Via::WebSocket).await,
    ];
    let bytes = Bytes::from_static(&[1, 2, 3]);
    server
        .io
        .to("lobby")
        .emit("news", (bytes, "é"))
        .await
        .unwrap();
    server.io.to("lobby").emit("more", 1).await.unwrap();
    let text = r#"451-["news",{"_placeholder":true,"num":0},"é"]"#;
    for client in &mut new {
        client.expect_binary(text, &[&[1, 2, 3]]).await;
        client.expect(r#"42["more",1]"#).await;
    }
    for client in &mut old {
        client.expect(text).await;
        client.expect_attached("AQID", [1, 2, 3]).await;
        client.expect(r#"42["more",1]"#).await;
    }
}

/// Both sides may end a socket, or the session.
#[on_both_servers]
async fn either_side_disconnects() {
    let server = socketio();
    let chat = server.io.of("/chat");
    let mut left = leavers(&chat);
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        client.send("40/chat,").await;
        client.expect("40/chat,").await;
        client.send("41/chat,").await;
        assert_eq!(left.next().await, "client namespace disconnect");
        client.send("40/chat,").await;
        client.expect("40/chat,").await;
        chat.sockets()[0].disconnect(false);
        client.expect("41/chat,").await;
        assert_eq!(left.next().await, "server namespace disconnect");
        client.send("40/chat,").await;
        client.expect("40/chat,").await;
        chat.sockets()[0].disconnect(true);
        client.expect("41/chat,").await;
        assert_eq!(left.next().await, "server namespace disconnect");
        client.expect("41").await;
        client.expect("closed").await;
        let mut client = Old::connected(&server, via).await;
        client.send("40/chat,").await;
        client.expect("40/chat,").await;
        client.send("1").await;
        assert_eq!(left.next().await, "transport close");
    }
}

/// Reference server, `client.ondecoded`: a second CONNECT closes the session.
#[on_both_servers]
async fn a_second_connect_closes_the_session() {
    let server = socketio();
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        client.send("40").await;
        client.expect("closed").await;
    }
}

/// The client gets no `pid`, so its state cannot be recovered, and it is a new socket each time.
#[on_both_servers]
async fn an_older_client_is_never_recovered() {
    let server = Server::socketio(
        |io| {
            let window = Duration::from_secs(60);
            io.allow_eio3(true).connection_state_recovery(window)
        },
        |io| {
            io.of("/").on_connect(|socket: Socket| async move {
                let recovered = socket.recovered();
                socket
                    .emit("recovered", recovered)
                    .await
                    .map_err(|error| error.to_string())
            });
        },
    );
    for via in BOTH {
        let mut client = Old::connected(&server, via).await;
        let hello = client.next().await;
        assert!(hello.starts_with(r#"42["recovered",false,""#), "{hello}");
        client.send("1").await;
        until("the socket to end", || {
            server.io.of("/").sockets().is_empty()
        })
        .await;
    }
}

/// The upgrade keeps the socket.
#[on_both_servers]
async fn a_socket_survives_the_upgrade() {
    let server = socketio();
    server
        .io
        .of("/")
        .on("echo", |event: Event| async move { event.into_args() });
    let session = OldPolling::open_with(&server, "&b64=1").await;
    session.expect("2:40").await;
    let mut socket = session.upgraded().await;
    socket
        .send_text(r#"451-1["echo",{"_placeholder":true,"num":0}]"#)
        .await;
    socket.send_binary(&[4, 1, 2, 3]).await;
    socket
        .expect_text(r#"461-1[{"_placeholder":true,"num":0}]"#)
        .await;
    socket.expect_binary(&[4, 1, 2, 3]).await;
    assert_eq!(server.io.of("/").sockets().len(), 1);
}
