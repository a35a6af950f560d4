//! Clients of Engine.IO v3, the revision of Socket.IO 2.

use actix_socketio::{EngineIo, EngineIoBuilder, SocketIo};

use super::{Open, Request, Response, Server, Site, WebSocket, echo};

/// Starts a raw server that lets clients of v3 in, and sends every message back.
pub(crate) fn engineio(
    build: impl FnOnce(EngineIoBuilder) -> EngineIoBuilder + Send + 'static,
) -> Server<EngineIo> {
    Server::engineio(|builder| build(echo(builder.allow_eio3(true))))
}

/// Starts a server of Socket.IO that lets clients of v3 in.
pub(crate) fn socketio() -> Server<SocketIo> {
    Server::socketio(|io| io.allow_eio3(true), |_| ())
}

/// A polling session of v3.
#[derive(Clone, Debug)]
pub(crate) struct OldPolling {
    site: Site,
    pub(crate) open: Open,
    /// The further parameters of each request.
    query: &'static str,
}

impl OldPolling {
    /// Opens a session of a client that reads bytes.
    pub(crate) async fn open(site: &Site) -> Self {
        Self::open_with(site, "").await
    }

    /// Opens a session with further parameters: `&b64=1` for a client that reads only text.
    pub(crate) async fn open_with(site: &Site, query: &'static str) -> Self {
        let target = site.target(&format!("EIO=3&transport=polling{query}"));
        let response = Request::get(site.address, &target).send().await;
        let [open] = &old_packets(&response)[..] else {
            panic!("{response:?}");
        };
        Self {
            site: *site,
            open: Open::read(open),
            query,
        }
    }

    /// Returns the same session, whose requests reach another server.
    #[cfg(feature = "redis")]
    pub(crate) fn at(&self, site: &Site) -> Self {
        Self {
            site: *site,
            ..self.clone()
        }
    }

    pub(crate) fn sid(&self) -> &str {
        &self.open.sid
    }

    pub(crate) fn request(&self, method: &str) -> Request {
        let (sid, query) = (self.sid(), self.query);
        let query = format!("EIO=3&transport=polling{query}&sid={sid}");
        Request::new(method, self.site.address, &self.site.target(&query))
    }

    pub(crate) async fn poll(&self) -> Response {
        self.request("GET").send().await
    }

    /// Polls, and expects exactly this body.
    pub(crate) async fn expect(&self, body: &str) {
        let response = self.poll().await;
        response.expect(200, body);
        let kind = response.header("content-type");
        assert_eq!(kind, Some("text/plain; charset=UTF-8"));
    }

    /// Polls, and expects exactly this binary payload.
    pub(crate) async fn expect_binary(&self, body: &[u8]) {
        let response = self.poll().await;
        assert_eq!((response.status, &response.body[..]), (200, body));
        let kind = response.header("content-type");
        assert_eq!(kind, Some("application/octet-stream"));
    }

    /// Posts a payload, and expects its packets to be taken.
    pub(crate) async fn post(&self, body: &str) {
        self.post_body(body).await.expect(200, "ok");
    }

    pub(crate) async fn post_body(&self, body: impl AsRef<[u8]>) -> Response {
        self.request("POST").body(body).send().await
    }

    /// Posts a binary payload, and returns whatever the answer is.
    pub(crate) async fn post_binary(&self, body: impl AsRef<[u8]>) -> Response {
        let request = self.request("POST").body(body);
        let request = request.header("content-type", "application/octet-stream");
        request.send().await
    }

    /// Expects the server not to know the session any more; its last packet may still be there.
    pub(crate) async fn expect_gone(&self) {
        let mut response = self.poll().await;
        if response.status == 200 && ["1:1", "1:6"].contains(&response.text()) {
            response = self.poll().await;
        }
        response.expect_error(1, "Session ID unknown");
    }

    /// Opens a WebSocket beside the session, which has yet to probe.
    pub(crate) async fn websocket(&self) -> WebSocket {
        let query = format!("EIO=3&transport=websocket&sid={}", self.sid());
        WebSocket::connect(&self.site, &query, &[]).await.unwrap()
    }

    /// Moves the session to a WebSocket.
    pub(crate) async fn upgraded(&self) -> WebSocket {
        let mut socket = self.websocket().await;
        socket.send_text("2probe").await;
        socket.expect_text("3probe").await;
        socket.send_text("5").await;
        socket
    }
}

/// Opens a session of v3 on a WebSocket; returns its id too.
pub(crate) async fn old_websocket(site: &Site, query: &str) -> (WebSocket, String) {
    let query = format!("EIO=3&transport=websocket{query}");
    let mut socket = WebSocket::connect(site, &query, &[]).await.unwrap();
    let open = Open::read(&socket.recv_text().await);
    (socket, open.sid)
}

/// Returns the packets of a poll's answer, as a client in JavaScript splits them.
pub(crate) fn old_packets(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{response:?}");
    let units: Vec<u16> = response.text().encode_utf16().collect();
    let (mut packets, mut rest) = (Vec::new(), &units[..]);
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|unit| *unit == u16::from(b':'))
            .unwrap();
        let length = String::from_utf16(&rest[..end]).unwrap();
        let (packet, behind) = rest[end + 1..].split_at(length.parse().unwrap());
        packets.push(String::from_utf16(packet).unwrap());
        rest = behind;
    }
    packets
}
