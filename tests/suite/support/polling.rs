//! A client on HTTP long-polling.

use super::{Open, Pending, Request, Response, Site};

/// A polling session. Each request has a connection of its own, so that it lands on any worker.
#[derive(Clone, Debug)]
pub(crate) struct Polling {
    pub(crate) site: Site,
    pub(crate) open: Open,
}

impl Polling {
    /// Opens a session.
    pub(crate) async fn open(site: &Site) -> Self {
        Self::open_with(site, &[]).await
    }

    /// Opens a session by a handshake that has these headers too.
    pub(crate) async fn open_with(site: &Site, headers: &[(&str, &str)]) -> Self {
        let target = site.target("EIO=4&transport=polling");
        let request = headers.iter().fold(
            Request::get(site.address, &target),
            |request, (name, value)| request.header(name, value),
        );
        let response = request.send().await;
        assert_eq!(response.status, 200, "{response:?}");
        Self {
            site: *site,
            open: Open::read(response.text()),
        }
    }

    /// Returns the session's id.
    pub(crate) fn sid(&self) -> &str {
        &self.open.sid
    }

    /// Returns the request target of the session's requests.
    pub(crate) fn target(&self) -> String {
        let sid = self.sid();
        self.site
            .target(&format!("EIO=4&transport=polling&sid={sid}"))
    }

    /// Polls, and returns the packets that came.
    pub(crate) async fn poll(&self) -> Vec<String> {
        packets(&self.start_poll().await.response().await)
    }

    /// Polls, and expects exactly these packets in one body.
    pub(crate) async fn expect(&self, expected: &[&str]) {
        assert_eq!(self.poll().await, expected);
    }

    /// Polls again and again, until exactly these packets have come.
    pub(crate) async fn expect_all(&self, expected: &[&str]) {
        let mut received = Vec::new();
        while received.len() < expected.len() {
            received.extend(self.poll().await);
        }
        assert_eq!(received, expected);
    }

    /// Sends a poll, whose answer is awaited later.
    pub(crate) async fn start_poll(&self) -> Pending {
        self.request("GET").start().await
    }

    /// Sends a poll, and returns when it waits at the server.
    pub(crate) async fn waiting_poll(&self) -> Pending {
        self.request("GET").start_heard().await
    }

    /// Posts packets in one body, and expects them to be taken.
    pub(crate) async fn post(&self, packets: &[&str]) {
        let response = self.post_body(packets.join("\u{1e}")).await;
        response.expect(200, "ok");
    }

    /// Posts a body, and returns whatever the answer is.
    pub(crate) async fn post_body(&self, body: impl AsRef<[u8]>) -> Response {
        self.request("POST").body(body).send().await
    }

    /// Makes a request of this session, to be changed or sent.
    pub(crate) fn request(&self, method: &str) -> Request {
        Request::new(method, self.site.address, &self.target())
    }

    /// Expects the server not to know the session any more. A session that ends while nobody polls
    /// may still have its last packet for one who does.
    pub(crate) async fn expect_gone(&self) {
        let mut response = self.start_poll().await.response().await;
        if response.status == 200 && ["1", "6"].contains(&response.text()) {
            response = self.start_poll().await.response().await;
        }
        response.expect_error(1, "Session ID unknown");
    }
}

/// Returns the packets of a poll's answer.
#[track_caller]
pub(crate) fn packets(response: &Response) -> Vec<String> {
    assert_eq!(response.status, 200, "{response:?}");
    let text = response.text();
    text.split('\u{1e}').map(str::to_owned).collect()
}
