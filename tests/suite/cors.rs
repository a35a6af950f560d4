//! Fetch, CORS protocol: which pages of other origins a browser lets in.

use actix_socketio::Cors;

use crate::support::{Polling, Request, Response, Server, Site, WebSocket, echo};

/// Fetch, 3.2.3: `*` lets every origin in, on every answer of a session.
#[on_both_servers]
async fn any_origin_is_allowed_on_every_response() {
    let server = Server::engineio(|builder| echo(builder).cors(Cors::any()));
    let session = Polling::open(&server).await;
    let post = session.request("POST").body("4a");
    for (request, status) in [
        (handshake(&server), 200),
        (post, 200),
        (session.request("GET"), 200),
        (unknown_session(&server), 400),
    ] {
        let response = request.header("origin", APP).send().await;
        assert_eq!(response.status, status);
        assert_eq!(response.header(ALLOW_ORIGIN), Some("*"), "{response:?}");
        assert_eq!(response.header(ALLOW_CREDENTIALS), None, "{response:?}");
    }
}

/// Reference server, option `cors`: the 101 of a WebSocket has the headers too.
#[on_both_servers]
async fn websocket_handshake_has_the_headers_too() {
    let server = Server::engineio(|builder| builder.cors(Cors::any()));
    let query = "EIO=4&transport=websocket";
    let socket = WebSocket::connect(&server, query, &[("origin", APP)]).await;
    let handshake = socket.unwrap().handshake;
    assert_eq!(handshake.header(ALLOW_ORIGIN), Some("*"));
}

/// Fetch, 3.2.3: an origin of the list is named, and caches are told that it matters.
#[on_both_servers]
async fn listed_origin_is_allowed() {
    let server = Server::engineio(|builder| builder.cors(Cors::origins([APP, OTHER])));
    for origin in [APP, OTHER] {
        let response = handshake(&server).header("origin", origin).send().await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header(ALLOW_ORIGIN), Some(origin));
        assert!(varies_by_origin(&response), "{response:?}");
    }
}

/// An origin that is not listed is refused, and the response has no `Access-Control-Allow-Origin`.
#[on_both_servers]
async fn unlisted_origin_is_refused() {
    let server = Server::engineio(|builder| builder.cors(Cors::origins([APP])));
    for origin in [
        OTHER,
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "null",
    ] {
        let response = handshake(&server).header("origin", origin).send().await;
        assert_eq!(response.header(ALLOW_ORIGIN), None, "{origin}");
        assert_eq!(response.status, 403, "{origin}");
    }
}

/// An empty list lets nobody in.
#[on_both_servers]
async fn empty_list_allows_no_origin() {
    let none: [&str; 0] = [];
    let server = Server::engineio(move |builder| builder.cors(Cors::origins(none)));
    let response = handshake(&server).header("origin", APP).send().await;
    assert_eq!(response.header(ALLOW_ORIGIN), None);
    let response = preflight(&server).header("origin", APP).send().await;
    assert_eq!(response.header(ALLOW_ORIGIN), None);
}

/// Fetch, 3.2.5: with credentials the origin is named, as `*` would not do.
#[on_both_servers]
async fn credentials_are_allowed_with_the_origins_name() {
    for cors in [Cors::origins([APP]), Cors::any()] {
        let server = Server::engineio(|builder| builder.cors(cors.credentials(true)));
        for request in [handshake(&server), preflight(&server)] {
            let response = request.header("origin", APP).send().await;
            assert_eq!(response.header(ALLOW_ORIGIN), Some(APP), "{response:?}");
            assert_eq!(response.header(ALLOW_CREDENTIALS), Some("true"));
            assert!(varies_by_origin(&response), "{response:?}");
        }
    }
}

/// Fetch, 3.2.2: a preflight is answered with the methods and headers that may be used.
#[on_both_servers]
async fn preflight_allows_get_and_post_and_any_header() {
    let server = Server::engineio(|builder| builder.cors(Cors::any()));
    let response = preflight(&server)
        .header("origin", APP)
        .header("access-control-request-headers", "x-token,content-type")
        .send()
        .await;
    assert!([200, 204].contains(&response.status), "{response:?}");
    assert_eq!(response.header(ALLOW_ORIGIN), Some("*"));
    let methods = response.header("access-control-allow-methods").unwrap();
    assert!(
        methods.contains("GET") && methods.contains("POST"),
        "{methods}"
    );
    let headers = response.header("access-control-allow-headers").unwrap();
    assert!(
        headers.contains("x-token") && headers.contains("content-type"),
        "{headers}"
    );
    assert_eq!(server.io.clients_count(), 0);
}

/// Fetch, 3.2.2: the preflight of an origin that is not of the list allows nothing.
#[on_both_servers]
async fn preflight_of_another_origin_allows_nothing() {
    let server = Server::engineio(|builder| builder.cors(Cors::origins([APP])));
    let response = preflight(&server).header("origin", OTHER).send().await;
    assert_eq!(response.header(ALLOW_ORIGIN), None, "{response:?}");
}

/// A client that is no browser says no origin, and is served.
#[on_both_servers]
async fn request_without_an_origin_is_served() {
    let server = Server::engineio(|builder| echo(builder).cors(Cors::origins([APP])));
    let session = Polling::open(&server).await;
    session.post(&["4a"]).await;
    session.expect(&["4a"]).await;
    WebSocket::open(&server).await;
}

/// Without CORS there are no headers of it.
#[on_both_servers]
async fn no_header_is_sent_without_cors() {
    let server = Server::engineio(|builder| builder);
    let response = handshake(&server).header("origin", APP).send().await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header(ALLOW_ORIGIN), None);
    assert_eq!(response.header("vary"), None);
}

fn handshake(site: &Site) -> Request {
    Request::get(site.address, &site.target("EIO=4&transport=polling"))
}

fn unknown_session(site: &Site) -> Request {
    let target = site.target("EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA");
    Request::get(site.address, &target)
}

fn preflight(site: &Site) -> Request {
    let target = site.target("EIO=4&transport=polling");
    let request = Request::new("OPTIONS", site.address, &target);
    request.header("access-control-request-method", "POST")
}

fn varies_by_origin(response: &Response) -> bool {
    let vary = response.header("vary").unwrap_or_default();
    vary.split(',')
        .any(|name| name.trim().eq_ignore_ascii_case("origin"))
}

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";
const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const ALLOW_CREDENTIALS: &str = "access-control-allow-credentials";
