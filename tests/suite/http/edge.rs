//! The server's path among the program's own services, and what its HTTP lets pass as the Node.js
//! server does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_files::Files;
use actix_socketio::{Cors, EngineIo, Socket, SocketIo};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{DefaultHeaders, NormalizePath};
use actix_web::{App, HttpResponse, web};

use crate::support::socketio::{BOTH, Client};
use crate::support::{
    Polling, Request, Response, Server, Site, WebSocket, channel, echo, serve, within,
};

/// `SocketIo::serve`: the path comes before the App's services, inside of its middleware.
#[tokio::test]
async fn the_path_comes_before_services_that_fit_everything() {
    let files = serve(|io| {
        io.serve(|| {
            let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
            let files = Files::new("/", dist).index_file("semantics.md");
            App::new().service(files).wrap(mark())
        })
    });
    let scope = serve(|io| {
        io.serve(|| {
            let page = web::scope("").default_service(web::to(page));
            App::new().service(page).wrap(mark())
        })
    });
    let fallback = serve(|io| {
        io.serve(|| {
            let all = web::resource("/{tail:.*}").to(page);
            App::new().service(all).wrap(mark())
        })
    });
    let default = serve(|io| io.serve(|| App::new().default_service(web::to(page)).wrap(mark())));
    let trimmed = serve(|io| {
        io.serve(|| {
            let files = web::resource("/{tail:.*}").get(page);
            App::new()
                .service(files)
                .wrap(mark())
                .wrap(NormalizePath::trim())
        })
    });
    for server in [&files, &scope, &fallback, &default, &trimmed] {
        both_transports(server).await;
        both_transports(&server.at("/socket.io")).await;
        let other = Request::get(server.address, "/").send().await;
        assert_eq!(other.status, 200, "{other:?}");
        let other = Request::get(server.address, "/socket.iox").send().await;
        assert!(!other.text().contains("Transport unknown"), "{other:?}");
    }
}

/// `Builder::path`: the slash at its end may be left out, also where middleware takes it away.
#[on_both_servers]
async fn a_slash_at_the_end_may_be_left_out() {
    for path in ["/socket.io/", "/a/b"] {
        let build = move |io: actix_socketio::Builder| io.path(path);
        let plain = Server::socketio(build, |_| ());
        let app = || App::new().wrap(NormalizePath::trim());
        let trimmed = Server::socketio_in(app, 2, build, |_| ());
        for server in [plain, trimmed] {
            let (bare, whole, longer) = match path {
                "/a/b" => ("/a/b", "/a/b/", "/a/bx"),
                _ => ("/socket.io", "/socket.io/", "/socket.iox"),
            };
            for path in [bare, whole] {
                let site = server.at(path);
                poll(&site).await.expect_open();
                WebSocket::open(&site).await;
            }
            assert_eq!(poll(&server.at(longer)).await.status, 404);
        }
    }
}

/// `Builder::path`, `Cors::origins`: what cannot be served is an error of the start, by name.
#[actix_web::test]
async fn options_that_cannot_be_served_are_errors_of_the_start() {
    for path in [
        "/{x}/", "{", "}", "/a}b/", "a?b", "/a#b", "/a%20b", "*", "a//b", "/a/../b", "a\\b", "a\n",
    ] {
        let error = SocketIo::builder().path(path).start().unwrap_err();
        assert!(error.to_string().starts_with("path "), "{error}");
        assert!(EngineIo::builder().path(path).start().is_err(), "{path}");
    }
    for origin in ["", "app.example", "https://a/b", "https://a.*.b", "wss://a"] {
        let cors = Cors::origins(["https://app.example", origin]);
        let error = SocketIo::builder().cors(cors.clone()).start().unwrap_err();
        let named = format!("{origin:?} is not an origin");
        assert!(error.to_string().contains(&named), "{error}");
        assert!(EngineIo::builder().cors(cors).start().is_err(), "{origin}");
    }
    for path in ["", "/", "a", "/a b/", "/ü/", "/a+b.c/"] {
        assert!(SocketIo::builder().path(path).start().is_ok(), "{path}");
    }
}

/// `AppServer::bind`: a server that was closed is not served again.
#[actix_web::test]
async fn a_closed_server_is_not_served_again() {
    let io = SocketIo::builder().start().unwrap();
    io.close(std::time::Duration::ZERO).await;
    let error = io.serve(App::new).bind(("127.0.0.1", 0)).unwrap_err();
    assert!(error.to_string().contains("is closed"), "{error}");
    let raw = SocketIo::builder().start().unwrap();
    let serving = raw.serve(App::new).disable_signals();
    let serving = serving.bind(("127.0.0.1", 0)).unwrap().run();
    let handle = serving.handle();
    let running = actix_web::rt::spawn(serving);
    handle.stop(true).await;
    running.await.unwrap().unwrap();
    assert!(raw.serve(App::new).bind(("127.0.0.1", 0)).is_err());
}

/// `AppServer::run`: neither is one that was closed after it was bound, or stopped at once; and one
/// that is bound nowhere does not run for ever.
#[actix_web::test]
async fn a_server_that_cannot_serve_ends_with_an_error() {
    let io = SocketIo::builder().start().unwrap();
    let unbound = io.serve(App::new).disable_signals().run();
    let error = within("an error", unbound).await.unwrap_err();
    assert!(error.to_string().contains("no address is bound"), "{error}");
    let bound = io.serve(App::new).bind(("127.0.0.1", 0)).unwrap();
    io.close(std::time::Duration::ZERO).await;
    let error = within("an error", bound.run()).await.unwrap_err();
    assert!(error.to_string().contains("is closed"), "{error}");
}

/// `AppServerHandle::stop`: one that was stopped at once is served again, or says that it is not.
/// It never listens to answer 503.
#[actix_web::test]
async fn a_server_that_was_stopped_at_once_does_not_answer_503() {
    let io = SocketIo::builder().start().unwrap();
    let serving = io.serve(App::new).bind(("127.0.0.1", 0)).unwrap().run();
    let handle = serving.handle();
    let running = actix_web::rt::spawn(serving);
    handle.stop(false).await;
    running.await.unwrap().unwrap();
    match io.serve(App::new).bind(("127.0.0.1", 0)) {
        Err(error) => assert!(error.to_string().contains("is closed"), "{error}"),
        Ok(serve) => {
            let address = serve.addrs()[0];
            actix_web::rt::spawn(serve.run());
            let path = "/socket.io/";
            joins(&Site { address, path }).await;
        }
    }
}

/// `AppServer::bind`: called twice it listens on both addresses, and on one that is taken it fails.
#[tokio::test]
async fn a_server_may_be_bound_twice() {
    let (told, mut addresses) = channel();
    let server = serve(move |io| {
        let serve = io.serve(App::new).bind(("127.0.0.1", 0)).unwrap();
        let serve = serve.bind(("127.0.0.1", 0)).unwrap();
        let taken = io.serve(App::new).bind(serve.addrs()[0]).unwrap_err();
        told.send((serve.addrs(), taken.kind())).unwrap();
        serve
    });
    let (bound, taken) = addresses.next().await;
    assert_eq!(taken, std::io::ErrorKind::AddrInUse);
    assert_eq!(bound.len(), 2);
    for address in bound {
        let path = server.path;
        joins(&Site { address, path }).await;
    }
}

/// A client joins over either transport.
async fn joins(site: &Site) {
    for via in BOTH {
        Client::connected(site, via).await;
    }
}

/// `Builder::path`: a path that a URL writes with escapes is found by them.
#[on_both_servers]
async fn a_path_may_need_escapes() {
    for (path, escaped) in [
        ("/a b/", "/a%20b/"),
        ("\u{fc}", "/%C3%BC/"),
        ("/a+b.c/", "/a+b.c/"),
        ("/ /", "/%20/"),
        ("", "/"),
        ("/", "/"),
        ("a", "/a/"),
    ] {
        let server = Server::socketio(move |io| io.path(path), |_| ());
        joins(&server.at(escaped)).await;
        let direct = Server::serving("/", move || {
            let io = SocketIo::builder().path(path).start()?;
            Ok((io.clone(), io.serve(App::new)))
        });
        joins(&direct.at(escaped)).await;
    }
}

/// RFC 9110, 7.8: an upgrade that is not asked for, or to something else, leaves a poll.
#[on_both_servers]
async fn a_poll_that_names_another_protocol_is_a_poll() {
    let server = Server::engineio(|builder| builder);
    for headers in [
        &[("upgrade", "h2c")][..],
        &[
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
        ],
        &[("upgrade", "websocket")],
        &[("connection", "keep-alive"), ("upgrade", "websocket")],
    ] {
        let target = server.target("EIO=4&transport=polling&sid=&EIO=4&sid=");
        let request = Request::get(server.address, &target);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        request.send().await.expect_open();
    }
}

/// Reference server, polling: responses have `Cache-Control: no-store`.
#[on_both_servers]
async fn no_answer_of_polling_is_cached() {
    let server = Server::engineio(|builder| builder.max_payload(10));
    let session = Polling::open(&server).await;
    for (answer, status) in [
        (session.post_body("4a").await, 200),
        (session.post_body("4".repeat(11)).await, 413),
        (poll(&server).await, 200),
        (
            Request::get(server.address, "/engine.io/").send().await,
            400,
        ),
        (session.post_body([0xFF]).await, 400),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
    }
}

/// Socket.IO v5, Acknowledgement: one that nobody waits for is ignored.
#[on_both_servers]
async fn an_acknowledgement_without_a_known_id_is_ignored() {
    let server = Server::socketio(|io| io, |_| ());
    for via in BOTH {
        let mut client = Client::connected(&server, via).await;
        client.send("43[1]").await;
        client.send("4399999999999999999999999[1]").await;
        client.send("437[1]").await;
        let placeholder = r#"461-[{"_placeholder":true,"num":0}]"#;
        client.send_binary(placeholder, &[b"abc"]).await;
        client.expect_nothing_more("/").await;
    }
}

/// `Cors::origins`: requests of other origins are refused, on both transports.
#[on_both_servers]
async fn other_origins_are_refused_where_origins_are_listed() {
    let listed = || {
        Cors::origins([
            "HTTPS://App.Example:443/",
            "https://*.pages.example",
            "file://",
        ])
    };
    for (credentials, path) in [(false, "/engine.io/"), (true, "/engine.io")] {
        let cors = listed().credentials(credentials);
        let cors = cors.allow_if(|origin| {
            assert_ne!(origin, "https://panic.example");
            origin == "http://localhost:5173"
        });
        let server = Server::engineio(|builder| builder.cors(cors));
        let site = server.at(path);
        let own = format!("http://{}", server.address);
        // A proxy that nobody trusts may have ended the TLS.
        let proxied = format!("https://{}", server.address);
        for (origin, status) in [
            ("https://app.example", 200),
            ("https://a.pages.example", 200),
            ("file://", 200),
            ("http://localhost:5173", 200),
            (&own, 200),
            (&proxied, 200),
            ("https://pages.example", 403),
            ("https://evil.example", 403),
            ("https://panic.example", 403),
            ("http://app.example", 403),
            ("http://127.0.0.1:1", 403),
            ("null", 403),
        ] {
            answers(&site, origin, status).await;
        }
        poll(&site).await.expect_open();
    }
}

/// `Cors::refuse_others`, `Cors::any`: nobody is refused.
#[on_both_servers]
async fn other_origins_are_served_if_configured() {
    for cors in [
        Cors::origins(["https://app.example"]).refuse_others(false),
        Cors::origins(["*"]),
        Cors::any().credentials(true),
        Cors::origins(["null"]),
    ] {
        let server = Server::engineio(|builder| builder.cors(cors));
        answers(&server, "null", 200).await;
    }
}

/// `Builder::allow_request`: the request knows the client's address as the proxies say it.
#[on_both_servers]
async fn allow_request_sees_the_address_behind_the_proxies() {
    let server = Server::socketio(
        |io| {
            let local: actix_socketio::IpNet = "127.0.0.1/32".parse().unwrap();
            io.trusted_proxies([local])
                .allow_request(|request: actix_web::HttpRequest| {
                    use actix_web::HttpMessage;
                    let extensions = request.extensions();
                    let seen = extensions.get::<actix_socketio::Handshake>().unwrap();
                    let is_known = seen.address() == "198.51.100.1".parse().ok();
                    let is_same = seen.is_same_origin() == Some(true);
                    std::future::ready(if is_known && is_same {
                        Ok(())
                    } else {
                        Err(actix_web::error::ErrorForbidden("who?"))
                    })
                })
        },
        |_| (),
    );
    for (host, status) in [("chat.example", 200), ("other.example", 403)] {
        let target = server.target("EIO=4&transport=polling");
        let request = Request::get(server.address, &target)
            .header("x-forwarded-for", "198.51.100.1")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", host)
            .header("origin", "https://chat.example");
        assert_eq!(request.send().await.status, status, "{host}");
    }
}

async fn answers(site: &Site, origin: &str, status: u16) {
    let target = site.target("EIO=4&transport=polling");
    let polling = Request::get(site.address, &target).header("origin", origin);
    assert_eq!(polling.send().await.status, status, "{origin}");
    let query = "EIO=4&transport=websocket";
    let socket = WebSocket::connect(site, query, &[("origin", origin)]).await;
    let answer = socket.map_or_else(|refusal| refusal.status, |_| 200);
    assert_eq!(answer, status, "{origin}");
}

async fn both_transports(site: &Site) {
    let response = poll(site).await;
    assert_eq!(response.header("x-marked"), Some("yes"));
    response.expect_open();
    let mut connection = WebSocket::connect(site, "EIO=4&transport=websocket", &[])
        .await
        .unwrap();
    assert_eq!(connection.handshake.header("x-marked"), Some("yes"));
    assert!(connection.recv_text().await.starts_with('0'));
    let target = site.target("EIO=4&transport=polling&sid=unknown");
    let post = Request::post(site.address, &target, "4a").send().await;
    assert!(post.text().contains("Session ID unknown"), "{post:?}");
}

async fn poll(site: &Site) -> Response {
    let target = site.target("EIO=4&transport=polling");
    Request::get(site.address, &target).send().await
}

impl Response {
    fn expect_open(&self) {
        assert_eq!(self.status, 200, "{self:?}");
        assert!(self.text().starts_with("0{"), "{self:?}");
    }
}

fn mark() -> DefaultHeaders {
    let name = HeaderName::from_static("x-marked");
    DefaultHeaders::new().add((name, HeaderValue::from_static("yes")))
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().body("the page")
}

/// Several servers in one App, each at its own path: their namespaces and sessions are separate.
#[on_both_servers]
async fn servers_in_one_app_are_separate() {
    let others = Arc::new(OnceLock::new());
    let (made, mounted) = (Arc::clone(&others), Arc::clone(&others));
    let app = move || {
        let (two, raw): &(SocketIo, EngineIo) = mounted.get().unwrap();
        App::new().configure(two.routes()).configure(raw.routes())
    };
    let build = move |io: actix_socketio::Builder| {
        let two = SocketIo::builder().path("/two/").start().unwrap();
        greets(&two, "two");
        let raw = echo(EngineIo::builder()).path("/raw/").start().unwrap();
        made.set((two, raw)).unwrap();
        io.path("/one/")
    };
    let server = Server::socketio_in(app, 2, build, |io| greets(io, "one"));
    let (one, two) = (server.at("/one/"), server.at("/two/"));
    let mut clients = Vec::new();
    for via in BOTH {
        for (site, name) in [(&one, "one"), (&two, "two")] {
            let mut client = Client::connected(site, via).await;
            client.expect(&format!(r#"42["hello","{name}"]"#)).await;
            clients.push((client, name));
        }
    }
    let raw = Polling::open(&server.at("/raw/")).await;
    raw.post(&["4hi"]).await;
    raw.expect(&["4hi"]).await;
    // A session is known to its own server only.
    for path in ["/one/", "/two/"] {
        let target = format!("{path}?EIO=4&transport=polling&sid={}", raw.sid());
        let response = Request::get(server.address, &target).send().await;
        response.expect_error(1, "Session ID unknown");
    }
    let (second, _) = others.get().unwrap();
    server.io.emit("of", "one").await.unwrap();
    second.emit("of", "two").await.unwrap();
    for (client, name) in &mut clients {
        client.expect(&format!(r#"42["of","{name}"]"#)).await;
    }
    // One that closes leaves the others open.
    server.io.close(Duration::from_secs(5)).await;
    let target = "/one/?EIO=4&transport=polling";
    let response = Request::get(server.address, target).send().await;
    assert_eq!(response.status, 503);
    second.emit("of", "two").await.unwrap();
    for (client, name) in &mut clients {
        match *name {
            "one" => client.expect_close().await,
            _ => client.expect(r#"42["of","two"]"#).await,
        }
    }
}

/// Sends each client the name of its server.
fn greets(io: &SocketIo, name: &'static str) {
    io.of("/")
        .on_connect(move |socket: Socket| async move { socket.emit("hello", name).await });
}
