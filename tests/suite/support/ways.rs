//! Every way in which a client may open a session, for rules that hold on all of them.

use super::{Connection, Request, Response, Site, WebSocket};

/// A transport, in one revision of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Polling,
    OldPolling,
    /// JSONP.
    Script,
    OldScript,
    WebSocket,
    OldWebSocket,
    /// Server-sent events.
    Events,
}

/// All of them.
pub(crate) const WAYS: [Way; 7] = [
    Way::Polling,
    Way::OldPolling,
    Way::Script,
    Way::OldScript,
    Way::WebSocket,
    Way::OldWebSocket,
    Way::Events,
];

/// Those whose requests are answered one by one.
pub(crate) const POLLING_WAYS: [Way; 4] =
    [Way::Polling, Way::OldPolling, Way::Script, Way::OldScript];

/// The answer to a first request, and what keeps its session open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) way: Way,
    pub(crate) site: Site,
    pub(crate) response: Response,
    /// That of a WebSocket or of a stream.
    _connection: Option<Connection>,
}

impl Way {
    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::OldWebSocket)
    }

    /// Returns the revision of Engine.IO.
    pub(crate) fn revision(self) -> u8 {
        match self {
            Self::OldPolling | Self::OldScript | Self::OldWebSocket => 3,
            Self::Polling | Self::Script | Self::WebSocket | Self::Events => 4,
        }
    }

    /// Returns the status of the answer that opens a session.
    pub(crate) fn opened_status(self) -> u16 {
        if self.is_websocket() { 101 } else { 200 }
    }

    /// Returns the query of a request.
    pub(crate) fn query(self) -> String {
        let revision = self.revision();
        match self {
            Self::Polling | Self::OldPolling => format!("EIO={revision}&transport=polling"),
            Self::Script | Self::OldScript => format!("EIO={revision}&transport=polling&j=0"),
            Self::WebSocket | Self::OldWebSocket => format!("EIO={revision}&transport=websocket"),
            Self::Events => String::new(),
        }
    }

    /// Makes the request that opens a session, with this behind its query.
    pub(crate) fn request(self, site: &Site, more: &str, headers: &[(&str, &str)]) -> Request {
        let query = self.query() + more;
        if self.is_websocket() {
            return WebSocket::request(site, &query, headers);
        }
        let target = match self {
            Self::Events => format!("{}/events?{query}", site.path.trim_end_matches('/')),
            _ => site.target(&query),
        };
        let request = Request::get(site.address, &target);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// Opens a session, or is refused.
    pub(crate) async fn open(self, site: &Site, headers: &[(&str, &str)]) -> Opened {
        self.open_with(site, self.request(site, "", headers)).await
    }

    /// The same by a request of the test's.
    pub(crate) async fn open_with(self, site: &Site, request: Request) -> Opened {
        let mut connection = Connection::open(site.address).await;
        connection.write(&request.bytes()).await;
        let mut response = connection.head().await;
        let is_open = response.status == self.opened_status();
        let is_lasting = is_open && !POLLING_WAYS.contains(&self);
        if !is_lasting {
            response.body = connection.body_of(&response).await;
        }
        Opened {
            way: self,
            site: *site,
            response,
            _connection: is_lasting.then_some(connection),
        }
    }
}

impl Opened {
    /// Returns the id of a session that is polled.
    pub(crate) fn sid(&self) -> String {
        let text = String::from_utf8_lossy(&self.response.body).replace('\\', "");
        let sid = text.split("\"sid\":\"").nth(1);
        let sid = sid.and_then(|rest| rest.split('"').next());
        sid.unwrap_or_else(|| panic!("no session: {text}"))
            .to_owned()
    }

    /// Makes a request of a session that is polled.
    pub(crate) fn request(&self, method: &str) -> Request {
        let query = format!("{}&sid={}", self.way.query(), self.sid());
        Request::new(method, self.site.address, &self.site.target(&query))
    }

    /// Returns the body of a POST with one packet.
    pub(crate) fn body(&self, packet: &str) -> String {
        let length = packet.encode_utf16().count();
        match self.way {
            Way::OldPolling => format!("{length}:{packet}"),
            Way::Script => format!("d={packet}"),
            Way::OldScript => format!("d={length}:{packet}"),
            _ => packet.to_owned(),
        }
    }

    /// Returns the packets of a response as one text: a payload, without its script.
    pub(crate) fn payload(&self, response: &Response) -> String {
        assert_eq!(response.status, 200, "{response:?}");
        let text = response.text();
        match self.way {
            Way::Script | Way::OldScript => {
                let script = text.strip_prefix("___eio[0](");
                let script = script.and_then(|script| script.strip_suffix(");"));
                serde_json::from_str(script.unwrap()).unwrap()
            }
            _ => text.to_owned(),
        }
    }

    /// Returns the packet as a payload of this revision has it.
    pub(crate) fn framed(&self, packet: &str) -> String {
        match self.way.revision() {
            3 => format!("{}:{packet}", packet.encode_utf16().count()),
            _ => packet.to_owned(),
        }
    }

    /// Expects the server not to know the session any more; its last packet may still be there.
    pub(crate) async fn expect_gone(&self) {
        let mut response = self.request("GET").send().await;
        if response.status == 200 {
            response = self.request("GET").send().await;
        }
        response.expect_error(1, "Session ID unknown");
    }

    /// Opens a WebSocket beside the session.
    pub(crate) async fn websocket(&self, headers: &[(&str, &str)]) -> WebSocket {
        let query = format!("EIO={}&transport=websocket&sid=", self.way.revision());
        let socket = WebSocket::connect(&self.site, &(query + &self.sid()), headers).await;
        socket.unwrap()
    }
}
