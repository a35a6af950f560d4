//! JSONP, HTTP long-polling by scripts and forms, in both revisions of the protocol.

use actix_socketio::{Cors, EngineIo};
use serde_json::Value;

use crate::support::eio3::{OldPolling, engineio};
use crate::support::{Polling, Request, Response, Server, Site, echo};

/// Returns the payload that a script passes to the callback of this number.
fn payload(response: &Response, index: u32) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/javascript; charset=UTF-8"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let start = format!("___eio[{index}](");
    let script = response.text().strip_prefix(&start);
    let text = script.and_then(|script| script.strip_suffix(");")).unwrap();
    assert!(!text.contains(['\u{2028}', '\u{2029}', '\n', '\u{1e}']));
    serde_json::from_str(text).unwrap()
}

/// A session that is polled by scripts.
struct Scripts {
    site: Site,
    revision: u8,
    sid: String,
}

impl Scripts {
    async fn open(site: &Site, revision: u8) -> Self {
        let target = site.target(&format!("EIO={revision}&transport=polling&j=0"));
        let response = Request::get(site.address, &target).send().await;
        let open = payload(&response, 0);
        let (_, json) = open.split_once('0').unwrap();
        let json = if revision == 4 {
            json
        } else {
            open.split_once(":0").unwrap().1
        };
        let open: Value = serde_json::from_str(json).unwrap();
        Self {
            site: *site,
            revision,
            sid: open["sid"].as_str().unwrap().to_owned(),
        }
    }

    fn request(&self, method: &str, index: &str) -> Request {
        let Self { revision, sid, .. } = self;
        let query = format!("EIO={revision}&transport=polling&j={index}&sid={sid}");
        Request::new(method, self.site.address, &self.site.target(&query))
    }

    async fn expect(&self, expected: &str) {
        let response = self.request("GET", "7").send().await;
        assert_eq!(payload(&response, 7), expected);
    }

    async fn post(&self, form: &str) -> Response {
        let request = self.request("POST", "7").body(form);
        let kind = "application/x-www-form-urlencoded";
        request.header("content-type", kind).send().await
    }

    /// Posts a payload as the official client does.
    async fn send(&self, packets: &str) {
        let escaped = packets.replace("\\n", "\\\n").replace('\n', "\\n");
        let bytes = escaped.bytes().map(|byte| format!("%{byte:02X}"));
        let response = self.post(&format!("d={}", bytes.collect::<String>())).await;
        response.expect(200, "ok");
        assert_eq!(response.header("content-type"), Some("text/html"));
    }
}

/// Reference server, `polling-jsonp`: payloads of v4 in scripts, and in forms.
#[on_both_servers]
async fn payloads_travel_in_scripts_and_forms() {
    let server = Server::engineio(echo);
    let session = Scripts::open(&server, 4).await;
    let packets = "4é😀\u{1e}4\u{2028}\u{2029}\"'</script>\u{1e}4a\nb\\nc\\\\n\\\u{1e}bAQID";
    session.send(packets).await;
    session.expect(packets).await;
    session.post("x=1&d=4a+b%2B").await.expect(200, "ok");
    session.expect("4a b+").await;
}

/// The same for clients of v3, whose binary packets are base64.
#[on_both_servers]
async fn payloads_of_v3_travel_in_scripts_and_forms() {
    let server = engineio(|builder| builder);
    let session = Scripts::open(&server, 3).await;
    let packets = "3:4é\n3:4😀6:b4AQID";
    session.send(packets).await;
    session.expect(packets).await;
    // A session that was opened by a client that reads bytes.
    let old = OldPolling::open(&server).await;
    old.post(packets).await;
    let session = Scripts {
        site: *server,
        revision: 3,
        sid: old.sid().to_owned(),
    };
    session.expect(packets).await;
}

/// The index is a number, so it cannot contain a script.
#[on_both_servers]
async fn the_index_is_a_number() {
    let server = Server::engineio(echo);
    let session = Scripts::open(&server, 4).await;
    for (index, number) in [
        ("12", 12),
        ("007", 7),
        ("1);alert(2", 12),
        ("%5D;x%5B3", 3),
        ("1%0A2", 12),
    ] {
        session.send("4a").await;
        let response = session.request("GET", index).send().await;
        assert_eq!(payload(&response, number), "4a", "{index}");
    }
    for index in ["x", "99999999999", "alert"] {
        let response = session.request("GET", index).send().await;
        response.expect_error(3, "Bad request");
        let query = format!("EIO=4&transport=polling&j={index}");
        let opened = Request::get(server.address, &server.target(&query))
            .send()
            .await;
        opened.expect_error(3, "Bad request");
    }
    session.send("4b").await;
    session.expect("4b").await;
}

/// A form without a payload, and one that is not UTF-8, closes the session.
#[on_both_servers]
async fn a_form_without_a_payload_closes_the_session() {
    let server = engineio(|builder| builder);
    for revision in [3, 4] {
        for form in ["", "4a", "e=4a", "d=%ff", "d=%ED%A0%80", "d=", "d=x"] {
            let session = Scripts::open(&server, revision).await;
            assert_eq!(session.post(form).await.status, 400, "{form}");
            let mut response = session.request("GET", "0").send().await;
            if response.status == 200 {
                response = session.request("GET", "0").send().await;
            }
            response.expect_error(1, "Session ID unknown");
        }
        let session = Scripts::open(&server, revision).await;
        let posted = session.request("POST", "0").body("d=1:2");
        let posted = posted.header("content-type", "application/octet-stream");
        assert_eq!(posted.send().await.status, 400);
    }
}

/// The limit of a body is that of the form.
#[on_both_servers]
async fn a_form_above_the_limit_is_413() {
    let server = Server::engineio(|builder| echo(builder).max_payload(100));
    let session = Scripts::open(&server, 4).await;
    let text = "x".repeat(97);
    session.post(&format!("d=4{text}")).await.expect(200, "ok");
    session.expect(&format!("4{text}")).await;
    let response = session.post(&format!("d=4{text}y")).await;
    assert_eq!(response.status, 413);
    session.send("4a").await;
    session.expect("4a").await;
}

/// Reference server: Internet Explorer is told to leave payloads alone, in every kind of polling.
#[on_both_servers]
async fn internet_explorer_gets_a_header() {
    let server = Server::engineio(echo);
    let modern = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36";
    for (agent, value) in [
        (
            "Mozilla/5.0 (compatible;MSIE 9.0; Windows NT 6.1)",
            Some("0"),
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0)",
            Some("0"),
        ),
        (modern, None),
    ] {
        let session = Polling::open(&server).await;
        session.post(&["4a"]).await;
        let target = session.target();
        let script = server.target("EIO=4&transport=polling&j=0");
        for request in [
            Request::get(server.address, &script),
            Request::get(server.address, &target),
            Request::post(server.address, &target, "4b"),
        ] {
            let response = request.header("user-agent", agent).send().await;
            assert_eq!(response.status, 200);
            assert_eq!(response.header("x-xss-protection"), value, "{agent}");
        }
    }
}

/// A long script is compressed as any other payload.
#[on_both_servers]
async fn a_script_is_compressed() {
    let server = Server::engineio(echo);
    let session = Scripts::open(&server, 4).await;
    session.send(&format!("4{}", "x".repeat(2000))).await;
    let poll = session
        .request("GET", "0")
        .header("accept-encoding", "gzip");
    let response = poll.send().await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let kind = response.header("content-type");
    assert_eq!(kind, Some("text/javascript; charset=UTF-8"));
    assert!(response.body.len() < 200);
}

/// `Cors`: browsers send no `Origin` with a script, so other pages are found by Fetch Metadata.
#[on_both_servers]
async fn a_script_of_a_page_that_is_not_allowed_is_403() {
    let page = "https://app.example";
    let strict: Server<EngineIo> =
        Server::engineio(move |builder| echo(builder).cors(Cors::origins([page])));
    let open = Server::engineio(|builder| echo(builder).cors(Cors::any()));
    let none = Server::engineio(echo);
    let referer = ("referer", "https://app.example/chat?x#y");
    let other = ("referer", "https://app.example.evil/chat");
    for (headers, is_allowed) in [
        (vec![], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site"), other], false),
        (vec![("sec-fetch-site", "cross-site"), referer], true),
        (
            vec![("sec-fetch-site", "cross-site"), ("referer", page)],
            true,
        ),
        (
            vec![("sec-fetch-site", "cross-site"), ("referer", "x")],
            false,
        ),
    ] {
        for (server, is_allowed) in [(&strict, is_allowed), (&open, true), (&none, true)] {
            let target = server.target("EIO=4&transport=polling&j=0");
            let request = Request::get(server.address, &target);
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(name, value)
            });
            let status = request.send().await.status;
            let expected = if is_allowed { 200 } else { 403 };
            assert_eq!(status, expected, "{headers:?}");
        }
    }
}
