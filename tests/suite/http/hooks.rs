//! Hooks on HTTP: who may come, what is kept of a request, and what the answers' heads have.

use std::fmt;
use std::future::ready;

use actix_socketio::{Cors, EngineIo, EngineIoBuilder, EngineSession, Handshake, SocketIo};
use actix_web::body::MessageBody;
use actix_web::cookie::time::{Duration, OffsetDateTime};
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorUnauthorized, InternalError};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::task::yield_now;
use actix_web::{App, Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use tokio::sync::oneshot;

use crate::support::socketio::{BOTH, Via};
use crate::support::{
    Heard, Open, Polling, Request, Response, Server, Site, WebSocket, channel, echo, within,
};

/// Reference server, option `allowRequest`: the response has the error's status and body, and no
/// session is opened.
#[on_both_servers]
async fn refused_request_gets_the_errors_own_answer_and_no_session() {
    for via in BOTH {
        let server = Server::engineio(|builder| guarded(builder).cors(Cors::any()));
        for (key, status, body) in [
            (None, 401, "no key"),
            (Some("wrong"), 403, "wrong key"),
            (Some("teapot"), 418, r#"{"why":"tea"}"#),
        ] {
            let mut headers = vec![("origin", "https://app.example")];
            headers.extend(key.map(|key| (KEY, key)));
            let response = handshake(&server, via, &headers).await.unwrap_err();
            response.expect(status, body);
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
            assert_eq!(server.io.clients_count(), 0);
        }
        let _held = handshake(&server, via, &[(KEY, "right")]).await.unwrap();
        assert_eq!(server.io.clients_count(), 1);
    }
}

/// The same in front of Socket.IO.
#[on_both_servers]
async fn socketio_asks_about_a_client_too() {
    let server = Server::socketio(
        |builder| builder.allow_request(|_| ready(Err(ErrorForbidden("closed today")))),
        |_| (),
    );
    for via in BOTH {
        let response = handshake(&server, via, &[]).await.unwrap_err();
        response.expect(403, "closed today");
    }
    assert_eq!(server.io.clients_count(), 0);
}

/// Reference server, option `allowRequest`: the hook runs for requests without a `sid` only.
#[on_both_servers]
async fn requests_of_a_session_are_not_asked_about() {
    let (told, mut asked) = channel();
    let server = Server::engineio(move |builder| {
        echo(builder).allow_request(move |request: HttpRequest| {
            let _ = told.send(request.query_string().to_owned());
            ready(Ok::<(), Error>(()))
        })
    });
    let session = Polling::open(&server).await;
    session.post(&["4a"]).await;
    session.expect(&["4a"]).await;
    let mut socket = WebSocket::beside(&server, session.sid()).await;
    let poll = session.start_poll().await;
    socket.send_text("2probe").await;
    socket.expect_text("3probe").await;
    assert_eq!(poll.response().await.text(), "6");
    socket.send_text("5").await;
    socket.send_text("4b").await;
    socket.expect_text("4b").await;
    assert_eq!(asked.so_far(), ["EIO=4&transport=polling"]);
}

/// A request that breaks the protocol gets the protocol's answer, whoever sends it.
#[on_both_servers]
async fn request_that_is_not_in_order_is_not_asked_about() {
    let (told, mut asked) = channel();
    let server = Server::engineio(move |builder| {
        builder.allow_request(move |_| {
            let _ = told.send(());
            ready(Ok::<(), Error>(()))
        })
    });
    for query in ["EIO=3&transport=polling", "EIO=4&transport=other"] {
        let request = Request::get(server.address, &server.target(query));
        assert_eq!(request.send().await.status, 400);
    }
    assert_eq!(asked.so_far(), [(); 0]);
}

/// All are asked in their order, until one refuses.
#[on_both_servers]
async fn first_refusal_ends_the_check() {
    let (told, mut asked) = channel();
    let server = Server::engineio(move |builder| {
        ["first", "second", "third"]
            .into_iter()
            .fold(builder, |builder, name| {
                let told = told.clone();
                builder.allow_request(move |_| {
                    let _ = told.send(name);
                    ready(if name == "second" {
                        Err(ErrorForbidden(name))
                    } else {
                        Ok(())
                    })
                })
            })
    });
    for via in BOTH {
        let refused = handshake(&server, via, &[]).await.unwrap_err();
        refused.expect(403, "second");
        assert_eq!(asked.so_far(), ["first", "second"]);
    }
}

/// A panic in `allow_request` costs its own request: before its first wait, behind it, or where its
/// error is made an answer.
#[on_both_servers]
async fn panic_is_answered_with_500_and_affects_no_other_request() {
    let server = Server::engineio(|builder| {
        echo(builder)
            .allow_request(|request: HttpRequest| {
                assert_ne!(key(&request).as_deref(), Some("at once"));
                async move {
                    yield_now().await;
                    assert_ne!(key(&request).as_deref(), Some("later"));
                    match key(&request).as_deref() {
                        Some("in the error") => Err(Bad.into()),
                        _ => Ok(()),
                    }
                }
            })
            .handshake_extensions(|request, _| assert_ne!(key(request).as_deref(), Some("carry")))
    });
    let session = Polling::open(&server).await;
    for via in BOTH {
        for when in ["at once", "later", "in the error", "carry"] {
            let refused = handshake(&server, via, &[(KEY, when)]).await.unwrap_err();
            refused.expect(500, "");
            assert_eq!(server.io.clients_count(), 1, "{when}");
        }
    }
    session.post(&["4still here"]).await;
    session.expect(&["4still here"]).await;
}

/// A hook may wait; its client waits with it.
#[on_both_servers]
async fn client_waits_for_as_long_as_the_hook() {
    let (server, mut asked) = asking();
    for via in BOTH {
        for allowed in [false, true] {
            let (site, before) = (*server, server.io.clients_count());
            let waiting = tokio::spawn(async move { handshake(&site, via, &[]).await });
            let answer = asked.next().await;
            assert_eq!(server.io.clients_count(), before);
            answer.send(allowed).unwrap();
            let opened = waiting.await.unwrap();
            match opened {
                Ok(_) => assert!(allowed),
                Err(refused) => {
                    refused.expect(403, "thought better of it");
                    assert!(!allowed);
                }
            }
        }
    }
}

/// A client that gives up while it is asked about leaves nothing behind.
#[on_both_servers]
async fn aborted_handshake_leaves_no_session() {
    let (server, mut asked) = asking();
    let target = server.target("EIO=4&transport=polling");
    let pending = Request::get(server.address, &target).start().await;
    let mut answer = asked.next().await;
    pending.abort();
    within("the hook's future to be dropped", answer.closed()).await;
    assert_eq!(server.io.clients_count(), 0);
}

/// The request extensions of a middleware of the App reach the handlers.
#[tokio::test]
async fn extensions_come_out_of_the_handshake() {
    let (told, mut heard) = channel();
    let server = Server::serving("/socket.io/", move || {
        let io = SocketIo::builder()
            .handshake_extensions(|request, extensions| {
                if let Some(user) = request.extensions().get::<User>() {
                    extensions.insert(user.clone());
                }
            })
            .handshake_extensions(|request, extensions| extensions.insert(request.path().len()))
            .start()?;
        io.of("/").on_connect(move |handshake: Handshake| {
            let user = handshake.get::<User>().map(|user| user.0.clone());
            let _ = told.send((user, handshake.get::<usize>(), handshake.get::<u8>()));
            async {}
        });
        let serve = io.serve(|| App::new().wrap(from_fn(log_in)));
        Ok((io, serve))
    });
    for via in BOTH {
        for user in [None, Some("ada")] {
            let headers: Vec<_> = user.map(|user| (KEY, user)).into_iter().collect();
            enter(&server, via, &headers).await;
            let (seen, length, other) = heard.next().await;
            assert_eq!(seen.as_deref(), user);
            assert_eq!(length.as_deref(), Some(&"/socket.io/".len()));
            assert_eq!(other, None);
        }
    }
}

/// `handshake_extensions` comes behind `allow_request`: nothing is taken of a client that may not
/// come.
#[on_both_servers]
async fn refused_client_gets_no_extensions() {
    let (told, mut heard) = channel();
    let server = Server::engineio(move |builder| {
        let (carrying, opening) = (told.clone(), told);
        guarded(builder)
            .handshake_extensions(move |request, extensions| {
                let _ = carrying.send("carried".to_owned());
                extensions.insert(key(request));
            })
            .on_open(move |session: EngineSession| {
                let extensions = session.handshake().get::<Option<String>>();
                let _ = opening.send(format!("{extensions:?}"));
                async {}
            })
    });
    for via in BOTH {
        let refused = handshake(&server, via, &[(KEY, "wrong")]).await;
        assert_eq!(refused.unwrap_err().status, 403);
        assert_eq!(heard.so_far(), [""; 0]);
        let _held = handshake(&server, via, &[(KEY, "right")]).await.unwrap();
        assert_eq!(heard.next().await, "carried");
        assert_eq!(heard.next().await, r#"Some(Some("right"))"#);
    }
}

/// Reference server, events of the engine: `initial_headers` is for the first response, `headers`
/// for all.
#[on_both_servers]
async fn headers_are_added_to_the_first_answer_and_to_all() {
    let server = Server::engineio(|builder| {
        echo(builder)
            .initial_headers(|request, headers| set(headers, "x-first", request.path()))
            .response_headers(|request, headers| set(headers, "x-all", request.method().as_str()))
    });
    for via in BOTH {
        let (response, _held) = handshake(&server, via, &[]).await.unwrap();
        assert_eq!(
            response.header("x-first"),
            Some("/engine.io/"),
            "{response:?}"
        );
        assert_eq!(response.header("x-all"), Some("GET"), "{response:?}");
    }
    let session = Polling::open(&server).await;
    let post = session.request("POST").body("4a").send().await;
    assert_eq!(
        (post.header("x-first"), post.header("x-all")),
        (None, Some("POST"))
    );
    let poll = session.request("GET").send().await;
    assert_eq!(
        (poll.header("x-first"), poll.header("x-all")),
        (None, Some("GET"))
    );
    let upgrade = WebSocket::beside(&server, session.sid()).await.handshake;
    assert_eq!(
        (upgrade.header("x-first"), upgrade.header("x-all")),
        (None, Some("GET"))
    );
    let target = server.target("EIO=4&transport=other");
    let error = Request::get(server.address, &target).send().await;
    assert_eq!(error.status, 400);
    assert_eq!(
        (error.header("x-first"), error.header("x-all")),
        (None, Some("GET"))
    );
}

/// A hook sees the headers that are there, and those of the hooks before it.
#[on_both_servers]
async fn header_hooks_run_in_order_and_may_change_everything() {
    let server = Server::engineio(|builder| {
        builder
            .response_headers(|_, headers| {
                let first = headers.get("x-step").and_then(|step| step.to_str().ok());
                let second = format!("{} second", first.unwrap_or_default());
                set(headers, "x-step", &second);
                headers.remove("cache-control");
            })
            .initial_headers(|_, headers| set(headers, "x-step", "first"))
    });
    let (response, _) = handshake(&server, Via::Polling, &[]).await.unwrap();
    assert_eq!(response.header("x-step"), Some("first second"));
    assert_eq!(response.header("cache-control"), None);
}

/// A panic in a header hook costs what it would have added.
#[on_both_servers]
async fn panic_in_a_header_hook_drops_its_headers_only() {
    let server = Server::engineio(|builder| {
        echo(builder)
            .initial_headers(|_, _| panic!("no headers today"))
            .response_headers(|_, _| panic!("none at all"))
            .response_headers(|_, headers| set(headers, "x-all", "1"))
    });
    for via in BOTH {
        let (response, _held) = handshake(&server, via, &[]).await.unwrap();
        assert_eq!(response.header("x-all"), Some("1"));
    }
    let session = Polling::open(&server).await;
    session.post(&["4a"]).await;
    session.expect(&["4a"]).await;
}

/// Reference server, option `cookie`: name `io`, path `/`, HttpOnly, SameSite=Lax; in the response
/// to the polling handshake only.
#[on_both_servers]
async fn cookie_has_the_sessions_id() {
    let template = || Cookie::new("", "");
    let server = Server::engineio(move |builder| echo(builder).cookie(template()));
    let session = Polling::open(&server).await;
    let (response, _) = handshake(&server, Via::Polling, &[]).await.unwrap();
    let sid = Open::read(response.text()).sid;
    let expected = format!("io={sid}; HttpOnly; SameSite=Lax; Path=/");
    assert_eq!(response.header("set-cookie"), Some(&*expected));
    let (response, _held) = handshake(&server, Via::WebSocket, &[]).await.unwrap();
    assert_eq!(response.header("set-cookie"), None);
    for request in [session.request("POST").body("4a"), session.request("GET")] {
        assert_eq!(request.send().await.header("set-cookie"), None);
    }
}

/// The attributes of the template are kept.
#[on_both_servers]
async fn cookie_has_the_attributes_of_its_template() {
    let server = Server::socketio(
        |builder| {
            let cookie = Cookie::build("node", "ignored").path("/chat").secure(true);
            builder.cookie(cookie.http_only(false).finish())
        },
        |_| (),
    );
    let (response, _) = handshake(&server, Via::Polling, &[]).await.unwrap();
    let sid = Open::read(response.text()).sid;
    let expected = format!("node={sid}; SameSite=Lax; Secure; Path=/chat");
    assert_eq!(response.header("set-cookie"), Some(&*expected));
}

/// RFC 6265, 4.1.2, and the attributes that browsers have added: each of them, and all together.
#[on_both_servers]
async fn cookie_may_have_every_attribute() {
    let plain = || Cookie::build("io", "").http_only(false);
    let end = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    for (cookie, attributes) in [
        (
            plain().domain("app.example"),
            "SameSite=Lax; Path=/; Domain=app.example",
        ),
        (plain().path("/a b"), "SameSite=Lax; Path=/a b"),
        (
            plain().max_age(Duration::seconds(90)),
            "SameSite=Lax; Path=/; Max-Age=90",
        ),
        (
            plain().expires(end),
            "SameSite=Lax; Path=/; Expires=Sun, 17 Mar 2030 17:46:40 GMT",
        ),
        (
            plain().same_site(SameSite::Strict),
            "SameSite=Strict; Path=/",
        ),
        (
            plain().same_site(SameSite::None).secure(true),
            "SameSite=None; Secure; Path=/",
        ),
        (
            plain().http_only(true).secure(true),
            "HttpOnly; SameSite=Lax; Secure; Path=/",
        ),
        (
            plain()
                .secure(true)
                .http_only(true)
                .same_site(SameSite::None)
                .path("/chat")
                .domain("app.example")
                .max_age(Duration::ZERO),
            "HttpOnly; SameSite=None; Secure; Path=/chat; Domain=app.example; Max-Age=0",
        ),
    ] {
        let cookie = cookie.finish();
        let server = Server::engineio(move |builder| builder.cookie(cookie));
        let (response, _) = handshake(&server, Via::Polling, &[]).await.unwrap();
        let sid = Open::read(response.text()).sid;
        let expected = format!("io={sid}; {attributes}");
        assert_eq!(response.header("set-cookie"), Some(&*expected));
    }
}

/// No cookie is set unless it is asked for.
#[on_both_servers]
async fn no_cookie_is_set_by_default() {
    let server = Server::engineio(|builder| builder);
    let (response, _) = handshake(&server, Via::Polling, &[]).await.unwrap();
    assert_eq!(response.header("set-cookie"), None);
}

/// Tells the route who sends the request.
async fn log_in<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(user) = key(request.request()) {
        request.extensions_mut().insert(User(user));
    }
    next.call(request).await
}

#[derive(Clone)]
struct User(String);

/// An error that has no answer.
#[derive(Debug)]
struct Bad;

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad")
    }
}

impl ResponseError for Bad {
    fn error_response(&self) -> HttpResponse {
        panic!("no answer")
    }
}

/// Lets those in who have the key.
fn guarded(builder: EngineIoBuilder) -> EngineIoBuilder {
    builder.allow_request(|request: HttpRequest| async move {
        yield_now().await;
        match key(&request).as_deref() {
            Some("right") => Ok(()),
            Some("teapot") => {
                let json = serde_json::json!({ "why": "tea" });
                let response = HttpResponse::ImATeapot().json(json);
                Err(InternalError::from_response("tea", response).into())
            }
            Some(_) => Err(ErrorForbidden("wrong key")),
            None => Err(ErrorUnauthorized("no key")),
        }
    })
}

fn key(request: &HttpRequest) -> Option<String> {
    let key = request.headers().get(KEY)?;
    key.to_str().ok().map(str::to_owned)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).unwrap();
    headers.insert(HeaderName::from_static(name), value);
}

/// Starts a server that lets the test decide who may come.
fn asking() -> (Server<EngineIo>, Heard<oneshot::Sender<bool>>) {
    let (told, asked) = channel();
    let server = Server::engineio(move |builder| {
        builder.allow_request(move |_| {
            let (sender, answer) = oneshot::channel();
            let _ = told.send(sender);
            async move {
                match answer.await {
                    Ok(true) => Ok(()),
                    Ok(false) | Err(_) => Err(ErrorForbidden("thought better of it")),
                }
            }
        })
    });
    (server, asked)
}

/// Opens a session; returns the answer, and what keeps the session open.
async fn handshake(
    site: &Site,
    via: Via,
    headers: &[(&str, &str)],
) -> Result<(Response, Option<WebSocket>), Response> {
    if via == Via::WebSocket {
        let socket = WebSocket::connect(site, "EIO=4&transport=websocket", headers).await?;
        return Ok((socket.handshake.clone(), Some(socket)));
    }
    let request = Request::get(site.address, &site.target("EIO=4&transport=polling"));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let response = request.send().await;
    match response.status {
        200 => Ok((response, None)),
        _ => Err(response),
    }
}

/// Opens a session and joins the namespace `/`.
async fn enter(site: &Site, via: Via, headers: &[(&str, &str)]) {
    match handshake(site, via, headers).await.unwrap() {
        (_, Some(mut socket)) => {
            Open::read(&socket.recv_text().await);
            socket.send_text("40").await;
            assert!(socket.recv_text().await.starts_with("40"));
        }
        (response, None) => {
            let open = Open::read(response.text());
            Polling { site: *site, open }.post(&["40"]).await;
        }
    }
}

const KEY: &str = "x-key";
