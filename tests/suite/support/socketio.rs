//! A Socket.IO client in packets, over either transport.
//!
//! Packets are written as on the wire, with the Engine.IO type in front: `42["event",1]`. Received
//! packets are compared as text, exactly. Nothing is answered by itself, not even a ping.

use std::collections::VecDeque;

use actix_socketio::{DisconnectReason, Namespace, RoomError, Socket, SocketIo};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    Connection, Frame, Heard, Open, Pending, Polling, Received, Server, Site, WebSocket, channel,
    opcode, packets, within,
};
/// How a client's packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Polling,
    WebSocket,
}

/// Both transports, for rules that hold on either.
pub(crate) const BOTH: [Via; 2] = [Via::Polling, Via::WebSocket];

/// Starts a server with the default options; handlers may be added at any time.
pub(crate) fn start() -> Server<SocketIo> {
    Server::socketio(|io| io, |_| ())
}

/// Hears why clients leave a namespace, by the reason's text.
pub(crate) fn leavers(namespace: &Namespace) -> Heard<&'static str> {
    let (left, leavers) = channel();
    namespace.on_disconnect(move |reason: DisconnectReason| {
        let _ = left.send(reason.as_str());
        async {}
    });
    leavers
}

/// The packets and responses of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Text(String),
    Binary(Vec<u8>),
    /// The session is over.
    Close,
}

/// A client whose Engine.IO session is open.
#[derive(Debug)]
pub(crate) struct Client {
    wire: Wire,
    sid: String,
}

#[derive(Debug)]
enum Wire {
    Polling {
        session: Polling,
        /// The packets of the last poll that no test has taken.
        received: VecDeque<String>,
        /// The POST whose answer is still to come.
        posting: Option<Pending>,
    },
    WebSocket(Box<WebSocket>),
}

impl Client {
    /// Opens a session; no namespace is joined yet.
    pub(crate) async fn open(site: &Site, via: Via) -> Self {
        Self::open_with(site, via, &[]).await
    }

    /// Opens a session by a handshake that has these headers too.
    pub(crate) async fn open_with(site: &Site, via: Via, headers: &[(&str, &str)]) -> Self {
        match via {
            Via::Polling => {
                let session = Polling::open_with(site, headers).await;
                Self {
                    sid: session.sid().to_owned(),
                    wire: Wire::Polling {
                        session,
                        received: VecDeque::new(),
                        posting: None,
                    },
                }
            }
            Via::WebSocket => {
                let connection = Connection::open(site.address).await;
                Self::open_on_with(connection, site, headers).await
            }
        }
    }

    /// Opens a session on a WebSocket over a connection of the test's.
    pub(crate) async fn open_on(connection: Connection, site: &Site) -> Self {
        Self::open_on_with(connection, site, &[]).await
    }

    async fn open_on_with(connection: Connection, site: &Site, headers: &[(&str, &str)]) -> Self {
        let query = "EIO=4&transport=websocket";
        let mut socket = WebSocket::handshake(connection, site, query, headers)
            .await
            .unwrap();
        Self {
            sid: Open::read(&socket.recv_text().await).sid,
            wire: Wire::WebSocket(Box::new(socket)),
        }
    }

    /// Opens a session and joins the namespace `/`.
    pub(crate) async fn connected(site: &Site, via: Via) -> Self {
        let mut client = Self::open(site, via).await;
        client.connect("/").await;
        client
    }

    /// Returns the id of the Engine.IO session.
    pub(crate) fn session_id(&self) -> &str {
        &self.sid
    }

    /// Joins a namespace, and returns the socket's id.
    pub(crate) async fn connect(&mut self, namespace: &str) -> String {
        self.connect_with(namespace, "").await.unwrap()
    }

    /// Asks to join a namespace with this payload; returns the socket's id.
    ///
    /// # Errors
    ///
    /// The payload of the CONNECT_ERROR.
    pub(crate) async fn connect_with(
        &mut self,
        namespace: &str,
        auth: &str,
    ) -> Result<String, String> {
        self.send(&format!("40{}{auth}", prefix(namespace))).await;
        let answer = self.text().await;
        match answer.strip_prefix(&format!("44{}", prefix(namespace))) {
            Some(error) => Err(error.to_owned()),
            None => Ok(sid(namespace, &answer)),
        }
    }

    /// Sends a packet. Over polling its POST goes out here, and its answer is awaited later.
    pub(crate) async fn send(&mut self, packet: &str) {
        self.send_all(&[packet]).await;
    }

    /// Sends packets in one burst: one POST, or one write of WebSocket frames.
    pub(crate) async fn send_all(&mut self, packets: &[&str]) {
        self.settle().await;
        match &mut self.wire {
            Wire::Polling {
                session, posting, ..
            } => {
                let request = session.request("POST").body(packets.join("\u{1e}"));
                *posting = Some(request.start().await);
            }
            Wire::WebSocket(socket) => {
                let frame = |packet: &&str| Frame::new(opcode::TEXT, packet).bytes();
                let frames: Vec<u8> = packets.iter().flat_map(frame).collect();
                socket.send_bytes(&frames).await;
            }
        }
    }

    /// Sends a packet and its attachments in one burst.
    pub(crate) async fn send_binary(&mut self, packet: &str, attachments: &[&[u8]]) {
        match &mut self.wire {
            Wire::Polling { .. } => {
                let encode = |data: &&[u8]| format!("b{}", STANDARD.encode(data));
                let encoded: Vec<String> = attachments.iter().map(encode).collect();
                let mut all = vec![packet];
                all.extend(encoded.iter().map(String::as_str));
                self.send_all(&all).await;
            }
            Wire::WebSocket(socket) => {
                let mut frames = Frame::new(opcode::TEXT, packet).bytes();
                for data in attachments {
                    frames.extend(Frame::new(opcode::BINARY, data).bytes());
                }
                socket.send_bytes(&frames).await;
            }
        }
    }

    /// Sends a binary message by itself.
    pub(crate) async fn attach(&mut self, data: &[u8]) {
        match &mut self.wire {
            Wire::Polling { .. } => self.send(&format!("b{}", STANDARD.encode(data))).await,
            Wire::WebSocket(socket) => socket.send_binary(data).await,
        }
    }

    /// Returns what comes next. Polls where nothing is left of the last poll.
    pub(crate) async fn next(&mut self) -> Came {
        match &mut self.wire {
            Wire::Polling {
                session, received, ..
            } => loop {
                let Some(packet) = received.pop_front() else {
                    let response = session.start_poll().await.response().await;
                    if response.status != 200 {
                        return Came::Close;
                    }
                    received.extend(packets(&response));
                    continue;
                };
                match packet.strip_prefix('b') {
                    Some(data) => return Came::Binary(STANDARD.decode(data).unwrap()),
                    None if packet == "1" => return Came::Close,
                    None if packet == "6" => {}
                    None => return Came::Text(packet),
                }
            },
            Wire::WebSocket(socket) => match socket.recv().await {
                Received::Text(text) => Came::Text(text),
                Received::Binary(data) => Came::Binary(data),
                Received::Close(_) | Received::End => Came::Close,
                frame @ (Received::Ping(_) | Received::Pong(_)) => panic!("{frame:?}"),
            },
        }
    }

    /// Expects that a WebSocket is open and that nothing has come: the answer to a ping is next.
    #[cfg(feature = "redis")]
    pub(crate) async fn expect_pong(&mut self) {
        let Wire::WebSocket(socket) = &mut self.wire else {
            panic!("polling has no pings of the client");
        };
        socket.send_ping("open").await;
        assert_eq!(socket.recv().await, Received::Pong(b"open".to_vec()));
    }

    /// Returns the next packet, which must be text.
    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Came::Text(text) => text,
            other => panic!("{other:?} where a text was due"),
        }
    }

    /// Expects this packet next.
    pub(crate) async fn expect(&mut self, packet: &str) {
        assert_eq!(self.next().await, Came::Text(packet.to_owned()));
    }

    /// Expects a packet and its attachments, with nothing in between.
    pub(crate) async fn expect_binary(&mut self, packet: &str, attachments: &[&[u8]]) {
        self.expect(packet).await;
        for data in attachments {
            assert_eq!(self.next().await, Came::Binary(data.to_vec()));
        }
    }

    /// Expects the CONNECT packet of a namespace, and returns the socket's id.
    pub(crate) async fn expect_connect(&mut self, namespace: &str) -> String {
        sid(namespace, &self.text().await)
    }

    /// Expects the end of the session, and nothing before it.
    pub(crate) async fn expect_close(&mut self) {
        assert_eq!(self.next().await, Came::Close);
        if let Wire::Polling { posting, .. } = &mut self.wire
            && let Some(posting) = posting.take()
        {
            // It may have been taken before its session ended.
            let status = posting.response().await.status;
            assert!(matches!(status, 200 | 400), "{status}");
        }
    }

    /// Returns what comes before the answer to an event that is sent now: everything that the
    /// server had to say so far. Nobody may handle the event.
    pub(crate) async fn rest(&mut self, namespace: &str) -> Vec<Came> {
        let prefix = prefix(namespace);
        self.send(&format!(r#"42{prefix}{FENCE}["fence"]"#)).await;
        let answer = format!("43{prefix}{FENCE}[");
        let mut rest = Vec::new();
        loop {
            match self.next().await {
                Came::Text(text) if text.starts_with(&answer) => return rest,
                Came::Close => panic!("closed after {rest:?}"),
                other => rest.push(other),
            }
        }
    }

    /// Expects that the session goes on and the server has nothing more to say.
    pub(crate) async fn expect_nothing_more(&mut self, namespace: &str) {
        assert_eq!(self.rest(namespace).await, []);
    }

    /// Ends the session: a close frame, or a CLOSE packet.
    pub(crate) async fn close(mut self) {
        if let Wire::WebSocket(socket) = &mut self.wire {
            socket.send_close(None).await;
            return;
        }
        self.send("1").await;
        self.settle().await;
    }

    /// Polls and gives the poll up, without a word. Only over polling.
    pub(crate) async fn abort_poll(self) {
        match self.wire {
            Wire::Polling { session, .. } => session.start_poll().await.abort(),
            Wire::WebSocket(_) => panic!("a WebSocket does not poll"),
        }
    }

    /// Waits until the last POST was answered.
    pub(crate) async fn settle(&mut self) {
        if let Wire::Polling { posting, .. } = &mut self.wire
            && let Some(posting) = posting.take()
        {
            posting.response().await.expect(200, "ok");
        }
    }
}

/// A client in `/`, and its socket on the server.
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) socket: Socket,
}

impl Peer {
    pub(crate) async fn enter(server: &Server<SocketIo>, via: Via, rooms: &[&str]) -> Self {
        let mut client = Client::open(server, via).await;
        let id = client.connect("/").await;
        let socket = find(&server.io.of("/"), &id);
        for room in rooms {
            socket.join(room).await.unwrap();
        }
        Self { client, socket }
    }

    pub(crate) async fn expect(&mut self, packet: &str) {
        self.client.expect(packet).await;
    }

    pub(crate) async fn expect_nothing_more(&mut self) {
        self.client.expect_nothing_more("/").await;
    }
}

/// Returns the socket of this id.
pub(crate) fn find(namespace: &Namespace, id: &str) -> Socket {
    namespace.socket(id.parse().unwrap()).unwrap()
}

/// Returns what stands in front of a payload: nothing for `/`.
fn prefix(namespace: &str) -> String {
    if namespace == "/" {
        String::new()
    } else {
        format!("{namespace},")
    }
}

/// Reads a CONNECT packet from the server.
#[track_caller]
fn sid(namespace: &str, packet: &str) -> String {
    let head = format!(r#"40{}{{"sid":""#, prefix(namespace));
    let sid = packet
        .strip_prefix(&head)
        .and_then(|rest| rest.strip_suffix(r#""}"#));
    sid.unwrap_or_else(|| panic!("no CONNECT of {namespace}: {packet:?}"))
        .to_owned()
}

/// Waits for a state that nobody tells of.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    within(what, looking).await;
}

/// Waits until nobody is in a room any more. A namespace hears of a leave a moment after the program.
pub(crate) async fn until_ended(namespace: &Namespace, room: &str) {
    let looking = async { while namespace.room(room).await != Err(RoomError::NoSuchRoom) {} };
    within("a room to end", looking).await;
}

/// The acknowledgement id of a fence.
const FENCE: u32 = 4242;
