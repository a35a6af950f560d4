//! HTTP sessions of `actix-session` on the socket: copied at the handshake, or shared by a store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::{
    CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
    generate_session_key,
};
use actix_session::{Session as HttpState, SessionMiddleware};
use actix_socketio::{
    Ack, ConnectError, Data, DisconnectReason, Failure, HttpSession, LogoutStore, PanicSource,
    Session, SessionError, SessionScope, Socket, SocketIo,
};
use actix_web::cookie::{Key, time};
use actix_web::{App, HttpResponse, web};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::held::{Gate, held_up};
use crate::support::log::Lines;
use crate::support::panics::panics_of;
use crate::support::socketio::{BOTH, Came, Client, Via, until};
use crate::support::{Heard, Polling, Request, Server, Site, WebSocket, channel, within};

/// Flask-SocketIO, `manage_session=True`: the session begins with the HTTP session, and from then
/// on neither side sees the other.
#[on_both_servers]
async fn a_copied_session_is_independent_of_the_http_session() {
    for scope in [SessionScope::Client, SessionScope::Namespace] {
        let server = serve(CookieSessionStore::default, move |builder| {
            let builder = builder.session_scope(scope);
            builder.http_session(HttpSession::copy())
        });
        for via in BOTH {
            let mut browser = Browser::of(&server);
            let mut anonymous = browser.connect(via).await;
            anonymous.asks("all", "{}").await;
            browser.get("/set?user=Ada").await;
            anonymous.asks("all", "{}").await;

            let mut client = browser.connect(via).await;
            client.asks("all", r#"{"user":"Ada"}"#).await;
            client.asks(r#"set","count",1"#, "null").await;
            assert_eq!(browser.get("/all").await, json!({ "user": "Ada" }));
            browser.get("/purge").await;
            client.asks("all", r#"{"count":1,"user":"Ada"}"#).await;
            client.0.connect("/chat").await;
            client.0.send(r#"42/chat,7["all"]"#).await;
            client
                .0
                .expect(match scope {
                    SessionScope::Client => r#"43/chat,7[{"count":1,"user":"Ada"}]"#,
                    _ => r#"43/chat,7[{"user":"Ada"}]"#,
                })
                .await;

            browser.connect(via).await.asks("all", "{}").await;
        }
    }
}

/// Flask-SocketIO, `manage_session=False`: what either side has saved the other side sees.
#[on_both_servers]
async fn a_shared_session_is_seen_by_http_and_socket_handlers_alike() {
    let (server, _) = shared();
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        client.asks("all", r#"{"connects":1,"user":"Ada"}"#).await;
        client.asks(r#"set","count",1"#, "null").await;
        let expected = json!({ "user": "Ada", "connects": 1, "count": 1 });
        assert_eq!(browser.get("/all").await, expected);
        browser.get("/set?count=2").await;
        client.asks(r#"set","count",3"#, r#""2""#).await;
        client.asks(r#"drop","user""#, r#""Ada""#).await;
        assert_eq!(
            browser.get("/all").await,
            json!({ "connects": 1, "count": 3 })
        );
        client.asks("clear", "").await;
        assert_eq!(browser.get("/all").await, json!({}));
    }
}

/// A log out by HTTP is seen by the next event of the same socket, and no later change undoes it.
#[on_both_servers]
async fn a_purged_session_is_empty_from_the_next_event_on() {
    let (server, store) = shared();
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        client.asks("all", r#"{"connects":1,"user":"Ada"}"#).await;
        browser.get("/purge").await;
        client.asks("all", "{}").await;
        client.asks(r#"set","user","Eve""#, "null").await;
        client.asks("all", "{}").await;
        assert!(store.is_empty());
        assert_eq!(browser.get("/all").await, json!({}));
    }
}

/// A handler that was called before the log out saves its change afterwards: nobody is logged in by
/// that.
#[on_both_servers]
async fn a_handler_ending_after_a_log_out_does_not_restore_the_session() {
    let (server, store) = shared();
    let (gate, held, mut heard) = held_up();
    server.io.of("/").on("slow", move |session: Session| {
        let held = held.clone();
        async move {
            session.insert("count", 1)?;
            held.wait().await;
            session.get::<String>("user")
        }
    });
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    client.0.send(r#"421["slow"]"#).await;
    assert_eq!(heard.next().await, "begun");
    browser.get("/purge").await;
    gate.open();
    client.0.expect(r#"431["Ada"]"#).await;
    assert!(store.is_empty());
    client.asks("all", "{}").await;
}

/// The change of one key by an HTTP handler stays when a socket's handler saves another.
#[on_both_servers]
async fn changes_of_both_sides_are_kept_key_by_key() {
    let (server, _) = shared();
    let (gate, held, mut heard) = held_up();
    server.io.of("/").on("slow", move |session: Session| {
        let held = held.clone();
        async move {
            session.insert("socket", true)?;
            held.wait().await;
            Ok::<_, SessionError>(())
        }
    });
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    client.0.send(r#"421["slow"]"#).await;
    assert_eq!(heard.next().await, "begun");
    browser.get("/set?http=true").await;
    // Sees both, although the first handler has not saved yet.
    let both = r#"{"connects":1,"http":"true","socket":true,"user":"Ada"}"#;
    client.asks("all", both).await;
    gate.open();
    client.0.expect("431[]").await;
    let both = json!({ "user": "Ada", "connects": 1, "http": "true", "socket": true });
    assert_eq!(browser.get("/all").await, both);
}

/// A handler has changed the session, and the destructor of its value panics: one acknowledgement.
#[on_both_servers]
async fn a_saved_event_is_answered_once_if_its_value_panics() {
    #[derive(serde::Serialize)]
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            // Without the panic hook, which would print a line.
            std::panic::resume_unwind(Box::new("the destructor"));
        }
    }

    let (server, _) = shared();
    server
        .io
        .of("/")
        .on("value", |session: Session| async move {
            session.insert("socket", true)?;
            Ok::<_, SessionError>(Bomb(1))
        });
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    client.0.send(r#"421["value"]"#).await;
    client.0.expect("431[1]").await;
    client.0.expect_nothing_more("/").await;
}

/// docs/semantics.md, order: handlers start in the order of arrival, though each is behind a load,
/// and what came before the client left is handled before its disconnect.
#[on_both_servers]
async fn handlers_start_in_the_order_of_arrival_behind_their_loads() {
    let (server, store) = shared();
    let mut left = leaving(&server.io);
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        let loads = store.loads();
        let burst: Vec<_> = (0..20).map(|n| format!(r#"42["note",{n}]"#)).collect();
        let mut burst: Vec<_> = burst.iter().map(String::as_str).collect();
        burst.push("41");
        client.0.send_all(&burst).await;
        let mut expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        expected.push("client namespace disconnect, Ada".to_owned());
        for note in expected {
            assert_eq!(left.next().await, note);
        }
        assert_eq!(store.loads() - loads, 21);
    }
}

/// Events that wait for their session while it moves to a WebSocket keep their places, and those
/// behind them theirs.
#[on_both_servers]
async fn the_order_of_arrival_survives_an_upgrade() {
    let (server, store) = shared();
    let mut noted = leaving(&server.io);
    let mut browser = Browser::of(&server);
    for _ in 0..8 {
        browser.get("/set?user=Ada").await;
        let polling = Polling::open_with(&server, browser.cookie().as_slice()).await;
        polling.post(&["40"]).await;
        assert!(polling.poll().await[0].starts_with("40"));
        let gate = store.hold();
        let notes: Vec<_> = (0..9).map(|n| format!(r#"42["note",{n}]"#)).collect();
        let notes: Vec<_> = notes.iter().map(String::as_str).collect();
        polling.post(&notes[..3]).await;
        let mut socket = WebSocket::beside(&server, polling.sid()).await;
        socket.send_text("2probe").await;
        socket.expect_text("3probe").await;
        socket.send_text("5").await;
        for note in &notes[3..6] {
            socket.send_text(note).await;
        }
        gate.open();
        for note in &notes[6..] {
            socket.send_text(note).await;
        }
        for n in 0..9 {
            assert_eq!(noted.next().await, n.to_string());
        }
        socket.send_close(None).await;
        assert_eq!(noted.next().await, "transport close, Ada");
    }
}

/// An event that waits for its load is not handled after the program has disconnected the client.
#[on_both_servers]
async fn events_queued_after_a_server_disconnect_are_dropped() {
    let (server, _) = shared();
    let mut noted = leaving(&server.io);
    server.io.of("/").on(
        "kick",
        |socket: Socket| async move { socket.disconnect(false) },
    );
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await.0;
        let burst = [r#"42["note",1]"#, r#"42["kick"]"#, r#"42["note",2]"#];
        client.send_all(&burst).await;
        client.expect("41").await;
        assert_eq!(noted.next().await, "1");
        assert_eq!(noted.next().await, "server namespace disconnect, Ada");
    }
}

/// A store that fails or panics takes that event alone, whose handler is not called.
#[on_both_servers]
async fn a_store_failure_fails_its_event_only() {
    let (server, store) = shared();
    for via in BOTH {
        for trouble in [Trouble::Error, Trouble::Panic] {
            let mut browser = Browser::of(&server);
            browser.get("/set?user=Ada").await;
            let mut client = browser.connect(via).await;
            let ran = store.ran();
            store.next_load(trouble);
            let error = r#"{"error":"the session cannot be loaded"}"#;
            client.asks(r#"set","count",1"#, error).await;
            assert_eq!(store.ran(), ran);
            client.asks(r#"set","count",2"#, "null").await;

            store.next_update(trouble);
            let error = r#"{"error":"the session cannot be saved"}"#;
            client.asks(r#"set","count",3"#, error).await;
            client.asks(r#"set","count",4"#, "2").await;

            store.next_load(trouble);
            let refused = client.0.connect_with("/chat", "").await;
            let message = r#"{"message":"the session cannot be loaded"}"#;
            assert_eq!(refused, Err(message.to_owned()));
            client.0.connect("/chat").await;
        }
    }
}

/// A panic of the program's store is reported to the supervisors, and the next turn runs.
#[on_both_servers]
async fn a_panic_of_a_store_is_reported() {
    let (server, store) = shared();
    let mut panics = panics_of(&server.io);
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        store.next_load(Trouble::Panic);
        let error = r#"{"error":"the session cannot be loaded"}"#;
        client.asks("all", error).await;
        store.next_update(Trouble::Panic);
        let error = r#"{"error":"the session cannot be saved"}"#;
        client.asks(r#"set","count",1"#, error).await;
        store.next_load(Trouble::Panic);
        assert!(client.0.connect_with("/chat", "").await.is_err());
        for _ in 0..3 {
            let panicked = panics.next().await;
            assert_eq!(panicked.source, PanicSource::Session);
            assert_eq!(panicked.panic, "stored session: out of order");
        }
        client.0.connect("/chat").await;
    }
    assert_eq!(panics.so_far(), []);
}

/// Each failure of a store reaches the error hook, where it is: at a connect, an event or a
/// disconnect.
#[on_both_servers]
async fn a_store_failure_reaches_the_error_hook() {
    let (server, store) = shared();
    let (told, mut heard) = channel();
    server.io.on_error_default(move |failure: &Failure<'_>| {
        let _ = told.send(failure.to_string());
        None
    });
    server
        .io
        .of("/")
        .on_disconnect(|session: Session| async move { session.insert("left", true) });
    let seen = |event: &str, what: &str| {
        format!(r#"event "{event}" in namespace /: the session cannot be {what}"#)
    };
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        store.next_load(Trouble::Error);
        client
            .asks("all", r#"{"error":"the session cannot be loaded"}"#)
            .await;
        assert_eq!(heard.next().await, seen("all", "loaded"));
        store.next_update(Trouble::Error);
        client.0.send("41").await;
        assert_eq!(heard.next().await, seen("disconnect", "saved"));
        for (fails, what) in [(true, "loaded"), (false, "saved")] {
            match fails {
                true => store.next_load(Trouble::Error),
                false => store.next_update(Trouble::Panic),
            }
            assert!(client.0.connect_with("/", "").await.is_err());
            assert_eq!(heard.next().await, seen("connect", what));
        }
        client.0.connect("/").await;
        store.next_load(Trouble::Panic);
        client.0.send("41").await;
        assert_eq!(heard.next().await, seen("disconnect", "loaded"));
        client.0.connect("/").await;
        assert!(heard.so_far().is_empty());
    }
}

/// A disconnect handler is called though the store fails: the program has to know.
#[on_both_servers]
async fn a_disconnect_handler_is_called_despite_a_store_failure() {
    let (server, store) = shared();
    let mut left = leaving(&server.io);
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    for trouble in [Trouble::Error, Trouble::Panic] {
        client.asks("all", r#"{"connects":1,"user":"Ada"}"#).await;
        store.next_load(trouble);
        client.0.send("41").await;
        assert_eq!(left.next().await, "client namespace disconnect, Ada");
        client.0.connect("/").await;
    }
}

/// The changes of a disconnect handler are saved too, after it.
#[on_both_servers]
async fn a_change_of_a_disconnect_handler_is_saved() {
    let (server, _) = shared();
    server
        .io
        .of("/")
        .on_disconnect(|session: Session| async move { session.remove("connects") });
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let client = browser.connect(via).await;
        let before = json!({ "user": "Ada", "connects": 1 });
        assert_eq!(browser.get("/all").await, before);
        client.0.close().await;
        let saved = async { while browser.get("/all").await == before {} };
        within("the change to be saved", saved).await;
        assert_eq!(browser.get("/all").await, json!({ "user": "Ada" }));
    }
}

/// `SocketIo::close` waits for events that wait for the store, and for what they save there.
#[on_both_servers]
async fn a_close_waits_for_the_store() {
    for via in BOTH {
        let (server, store) = shared();
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await.0;
        let mut idle = Client::connected(&server, Via::WebSocket).await;
        let gate = store.hold();
        let loads = store.loads();
        client.send(r#"421["set","late",true]"#).await;
        until("the store to be asked", || store.loads() > loads).await;
        let io = server.io.clone();
        let closing = tokio::spawn(async move { io.close(Duration::from_secs(60)).await });
        idle.expect_close().await;
        client.settle().await;
        assert!(!closing.is_finished());
        gate.open();
        client.expect("431[null]").await;
        client.expect_close().await;
        assert!(within("the close", closing).await.unwrap());
        let saved = store
            .0
            .lock()
            .states
            .values()
            .any(|state| state.contains_key("late"));
        assert!(saved);
    }
}

/// An acknowledgement that a handler sends by itself does not wait; the change is saved all the
/// same.
#[on_both_servers]
async fn a_change_after_an_explicit_ack_is_saved() {
    let (server, _) = shared();
    server
        .io
        .of("/")
        .on("by hand", |session: Session, ack: Ack| async move {
            ack.send("early");
            session.insert("late", true)
        });
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    client.asks("by hand", r#""early""#).await;
    // Its turn is behind that of the save.
    client
        .asks("all", r#"{"connects":1,"late":true,"user":"Ada"}"#)
        .await;
    let expected = json!({ "user": "Ada", "connects": 1, "late": true });
    assert_eq!(browser.get("/all").await, expected);
}

/// Flask-SocketIO, sessions in cookies: each event sees those of the handshake, changes are
/// dropped.
#[on_both_servers]
async fn a_session_stored_in_the_cookie_is_that_of_the_handshake() {
    let key = Key::generate();
    let session = HttpSession::shared(CookieSessionStore::default(), key.clone());
    let server = serve_with(
        move || SessionMiddleware::new(CookieSessionStore::default(), key.clone()),
        move |builder| builder.http_session(session),
    );
    for via in BOTH {
        let mut browser = Browser::of(&server);
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        client.asks(r#"set","count",1"#, "null").await;
        client.asks("all", r#"{"user":"Ada"}"#).await;
        browser.get("/purge").await;
        client.asks("all", r#"{"user":"Ada"}"#).await;
    }
}

/// The cookie is read as the middleware writes it, whatever its name and its protection.
#[on_both_servers]
async fn a_signed_cookie_of_another_name_is_read() {
    let (store, key) = (Memory::default(), Key::generate());
    let session = HttpSession::shared(store.clone(), key.clone())
        .cookie_name("who")
        .cookie_content_security(CookieContentSecurity::Signed);
    let server = serve_with(
        move || {
            SessionMiddleware::builder(store.clone(), key.clone())
                .cookie_name("who".to_owned())
                .cookie_content_security(CookieContentSecurity::Signed)
                .build()
        },
        move |builder| builder.http_session(session),
    );
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    client.asks("all", r#"{"user":"Ada"}"#).await;
}

/// A cookie that this server has not made is nobody's session.
#[on_both_servers]
async fn a_forged_cookie_opens_no_session() {
    let (server, store) = shared();
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let known = store.0.lock().states.keys().next().cloned().unwrap();
    for forged in [known, "nonsense".to_owned(), "%00".to_owned()] {
        let browser = Browser {
            site: *server,
            cookie: Some(format!("id={forged}")),
        };
        let mut client = browser.connect(Via::WebSocket).await;
        client.asks("all", "{}").await;
    }
}

/// `HttpSession::disconnect_at_logout`: a log out by HTTP, or a renewed session, disconnects the
/// sockets of that session in all namespaces, and no others.
#[on_both_servers]
async fn a_log_out_disconnects_the_sockets_of_its_session() {
    let (server, _) = watched();
    let (told, mut left) = channel();
    for name in ["/", "/chat"] {
        let told = told.clone();
        server
            .io
            .of(name)
            .on_disconnect(move |socket: Socket, reason: DisconnectReason| {
                let _ = told.send(format!("{} {}", socket.namespace(), reason.as_str()));
                async {}
            });
    }
    for (via, target) in BOTH.into_iter().zip(["/purge", "/renew"]) {
        let (mut ada, mut eve) = (Browser::of(&server), Browser::of(&server));
        ada.get("/set?user=Ada").await;
        eve.get("/set?user=Eve").await;
        let mut other = eve.connect(via).await;
        let mut tabs = Vec::new();
        for _ in 0..2 {
            let mut tab = ada.connect(via).await;
            tab.0.connect("/chat").await;
            tabs.push(tab);
        }
        ada.get(target).await;
        let mut leavers = Vec::new();
        for _ in 0..4 {
            leavers.push(left.next().await);
        }
        leavers.sort();
        let reason = "server namespace disconnect";
        let expected = ["/", "/", "/chat", "/chat"].map(|name| format!("{name} {reason}"));
        assert_eq!(leavers, expected);
        for mut tab in tabs {
            while !matches!(tab.0.next().await, Came::Close) {}
        }
        other.asks("all", r#"{"connects":1,"user":"Eve"}"#).await;
        other.0.close().await;
        left.next().await;
    }
}

/// A session that ends elsewhere, as on another node, disconnects its client with the next event,
/// which is refused; one that never was there does not.
#[on_both_servers]
async fn a_session_deleted_from_the_store_disconnects_at_the_next_event() {
    let (server, store) = watched();
    for via in BOTH {
        let mut browser = Browser::of(&server);
        let mut anonymous = browser.connect(via).await;
        browser.get("/set?user=Ada").await;
        let mut client = browser.connect(via).await;
        client.asks("all", r#"{"connects":1,"user":"Ada"}"#).await;
        store.0.lock().states.clear();
        // The cookie of a session that has ended before.
        let mut late = browser.connect(via).await;
        client.0.send(r#"420["all"]"#).await;
        client
            .0
            .expect(r#"430[{"error":"the session has ended"}]"#)
            .await;
        while !matches!(client.0.next().await, Came::Close) {}
        late.asks("all", "{}").await;
        anonymous.asks("all", "{}").await;
    }
}

/// The recipe of docs/semantics.md for a copy: the room of a user is disconnected at the log out.
#[on_both_servers]
async fn a_room_of_the_user_is_disconnected_at_a_log_out() {
    let server = serve(CookieSessionStore::default, |builder| {
        builder.http_session(HttpSession::copy())
    });
    server
        .io
        .of("/")
        .on_connect(|socket: Socket, session: Session| async move {
            if let Some(user) = session.get::<String>("user")? {
                socket.join(format!("user {user}")).await?;
            }
            Ok::<_, ConnectError>(())
        });
    for via in BOTH {
        let (mut ada, mut eve) = (Browser::of(&server), Browser::of(&server));
        ada.get("/set?user=Ada").await;
        eve.get("/set?user=Eve").await;
        let (mut client, mut other) = (ada.connect(via).await, eve.connect(via).await);
        server
            .io
            .to("user Ada")
            .disconnect_sockets(true)
            .await
            .unwrap();
        while !matches!(client.0.next().await, Came::Close) {}
        other.asks("all", r#"{"user":"Eve"}"#).await;
    }
}

/// Without the option a client whose session has ended stays.
#[on_both_servers]
async fn without_the_option_a_log_out_disconnects_no_socket() {
    let (server, _) = shared();
    let mut browser = Browser::of(&server);
    browser.get("/set?user=Ada").await;
    let mut client = browser.connect(Via::WebSocket).await;
    browser.get("/purge").await;
    client.asks("all", "{}").await;
}

/// `copy` without the session middleware is said once, whatever number of clients comes.
#[on_both_servers]
async fn a_copy_without_the_middleware_is_logged_once() {
    let mut lines = Lines::with("HttpSession::copy: a request did not pass the SessionMiddleware");
    let server = Server::socketio(
        |builder| builder.http_session(HttpSession::copy()),
        |io| {
            io.of("/");
        },
    );
    for via in [Via::Polling, Via::WebSocket, Via::Polling] {
        Client::connected(&server, via).await;
    }
    assert!(lines.next().await.starts_with("WARN "));
    assert!(lines.so_far().is_empty());
}

/// `shared` with another cookie name, key or security than the middleware is said once, and names
/// the cookie; what fits, and a cookie that nobody made, say nothing.
#[on_both_servers]
async fn options_that_differ_from_the_middleware_are_logged_once() {
    type Change = fn(HttpSession, &mut Key) -> HttpSession;
    let table: [(&str, bool, Change); 4] = [
        ("fitting", false, |session, _| session),
        ("other-name", true, |session, _| {
            session.cookie_name("unheard-of")
        }),
        ("other-key", true, |session, _| session),
        ("other-security", true, |session, _| {
            session.cookie_content_security(CookieContentSecurity::Signed)
        }),
    ];
    for (name, is_wrong, change) in table {
        let cookie = if name == "other-name" {
            "unheard-of"
        } else {
            name
        };
        let mut lines = Lines::with(&format!("{cookie:?}"));
        let (store, mut key) = (Memory::default(), Key::generate());
        let kept = (store.clone(), key.clone());
        let shared_key = if name == "other-key" {
            Key::generate()
        } else {
            key.clone()
        };
        let session = HttpSession::shared(store, shared_key).cookie_name(name);
        let session = change(session, &mut key);
        let server = serve_with(
            move || {
                let middleware = SessionMiddleware::builder(kept.0.clone(), kept.1.clone());
                middleware.cookie_name(name.to_owned()).build()
            },
            move |builder| builder.http_session(session),
        );
        let mut browser = Browser::of(&server);
        let mut stranger = Browser::of(&server);
        stranger.cookie = Some(format!("{name}=nonsense"));
        stranger.connect(Via::WebSocket).await;
        browser.get("/set?user=Ada").await;
        for via in [Via::WebSocket, Via::Polling, Via::WebSocket] {
            browser
                .connect(via)
                .await
                .asks("all", if is_wrong { "{}" } else { r#"{"user":"Ada"}"# })
                .await;
        }
        let said: Vec<_> = lines
            .so_far()
            .into_iter()
            .filter(|line| line.starts_with("WARN"))
            .collect();
        assert_eq!(said.len(), usize::from(is_wrong), "{name}: {said:?}");
    }
}

/// Someone who uses the server by HTTP and by sockets, and keeps the cookie.
struct Browser {
    site: Site,
    cookie: Option<String>,
}

impl Browser {
    fn of(server: &Server<SocketIo>) -> Self {
        Self {
            site: **server,
            cookie: None,
        }
    }

    /// Asks for a page, and returns its JSON.
    async fn get(&mut self, target: &str) -> Value {
        let request = Request::get(self.site.address, target);
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let response = request.send().await;
        assert_eq!(response.status, 200, "{response:?}");
        if let Some(set) = response.header("set-cookie") {
            let (pair, attributes) = set.split_once(';').unwrap();
            self.cookie = (!attributes.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Returns the header that it sends, if any.
    fn cookie(&self) -> Option<(&str, &str)> {
        self.cookie.as_deref().map(|cookie| ("cookie", cookie))
    }

    async fn connect(&self, via: Via) -> Asking {
        let mut client = Client::open_with(&self.site, via, self.cookie().as_slice()).await;
        client.connect("/").await;
        Asking(client)
    }
}

/// A client that asks for acknowledgements.
struct Asking(Client);

impl Asking {
    /// Sends an event, as `name` or `name",1`, and expects this answer.
    async fn asks(&mut self, event: &str, answer: &str) {
        let quote = if event.contains(',') { "" } else { "\"" };
        let event = format!(r#"420["{event}{quote}]"#);
        self.0.send(&event).await;
        self.0.expect(&format!("430[{answer}]")).await;
    }
}

/// Starts a server whose sessions lie in a store in memory.
fn shared() -> (Server<SocketIo>, Memory) {
    let (store, key) = (Memory::default(), Key::generate());
    let session = HttpSession::shared(store.clone(), key.clone());
    let kept = store.clone();
    let server = serve_with(
        move || SessionMiddleware::new(kept.clone(), key.clone()),
        move |builder| builder.http_session(session),
    );
    (known(server, &store), store)
}

/// The same, where a log out disconnects.
fn watched() -> (Server<SocketIo>, Memory) {
    let (store, key) = (Memory::default(), Key::generate());
    let kept = LogoutStore::new(store.clone());
    let session = HttpSession::shared(kept.clone(), key.clone()).disconnect_at_logout(&kept);
    let server = serve_with(
        move || SessionMiddleware::new(kept.clone(), key.clone()),
        move |builder| builder.http_session(session),
    );
    (known(server, &store), store)
}

/// Adds handlers that use the store.
fn known(server: Server<SocketIo>, store: &Memory) -> Server<SocketIo> {
    let ran = store.clone();
    let root = server.io.of("/");
    // Known by now, or by the next event.
    root.on_connect(|session: Session| async move {
        if session.contains("user") {
            session.insert("connects", 1)?;
        }
        Ok::<_, SessionError>(())
    });
    root.on(
        "set",
        move |session: Session, Data(pair): Data<(String, Value)>| {
            ran.0.lock().ran += 1;
            async move { set(&session, pair) }
        },
    );
    server
}

fn serve<S: SessionStore + 'static>(
    store: impl Fn() -> S + Send + Clone + 'static,
    build: impl FnOnce(actix_socketio::Builder) -> actix_socketio::Builder + Send + 'static,
) -> Server<SocketIo> {
    let key = Key::generate();
    serve_with(move || SessionMiddleware::new(store(), key.clone()), build)
}

fn serve_with<S: SessionStore + 'static>(
    middleware: impl Fn() -> SessionMiddleware<S> + Send + Clone + 'static,
    build: impl FnOnce(actix_socketio::Builder) -> actix_socketio::Builder + Send + 'static,
) -> Server<SocketIo> {
    let app = move || {
        App::new()
            .wrap(middleware())
            .route("/all", web::get().to(all))
            .route("/set", web::get().to(set_by_http))
            .route("/purge", web::get().to(purge))
            .route("/renew", web::get().to(renew))
    };
    Server::socketio_in(app, 2, build, |io| {
        for name in ["/", "/chat"] {
            io.of(name)
                .on("all", |session: Session| async move { session.entries() })
                .on("clear", |session: Session| async move { session.clear() })
                .on(
                    "drop",
                    |session: Session, Data(key): Data<String>| async move { session.remove(&key) },
                )
                .on(
                    "set",
                    |session: Session, Data(pair): Data<(String, Value)>| async move {
                        set(&session, pair)
                    },
                );
        }
    })
}

/// Tells of each `note` and of each client that leaves, with the user it was.
fn leaving(io: &SocketIo) -> Heard<String> {
    let (told, heard) = channel();
    let notes = told.clone();
    io.of("/")
        .on("note", move |Data(n): Data<u32>| {
            notes.send(n.to_string()).unwrap();
            async {}
        })
        .on_disconnect(move |session: Session, reason: DisconnectReason| {
            let user = session.get::<String>("user").unwrap().unwrap_or_default();
            // The test may have seen enough.
            let _ = told.send(format!("{}, {user}", reason.as_str()));
            async {}
        });
    heard
}

/// Keeps a value, and returns the one before.
fn set(session: &Session, (key, value): (String, Value)) -> Result<Option<Value>, SessionError> {
    let before = session.get(&key)?;
    session.insert(key, value)?;
    Ok(before)
}

async fn all(session: HttpState) -> HttpResponse {
    let entries = session.entries().clone();
    let value =
        |(key, text): (String, String)| (key, serde_json::from_str::<Value>(&text).unwrap());
    let entries: HashMap<_, _> = entries.into_iter().map(value).collect();
    HttpResponse::Ok().json(entries)
}

async fn set_by_http(
    session: HttpState,
    web::Query(pairs): web::Query<HashMap<String, String>>,
) -> HttpResponse {
    for (key, value) in pairs {
        session.insert(key, value).unwrap();
    }
    HttpResponse::Ok().json(())
}

async fn purge(session: HttpState) -> HttpResponse {
    session.purge();
    HttpResponse::Ok().json(())
}

async fn renew(session: HttpState) -> HttpResponse {
    session.renew();
    HttpResponse::Ok().json(())
}

/// A store in memory, which can be told to fail.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>, Arc<AtomicUsize>);

#[derive(Default)]
struct Kept {
    states: HashMap<String, HashMap<String, String>>,
    load: Option<Trouble>,
    update: Option<Trouble>,
    /// The gate that loads wait for.
    gate: Option<Gate>,
    /// Calls of the handler of `set`.
    ran: usize,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Error,
    Panic,
}

impl Trouble {
    fn happen(trouble: Option<Self>) -> anyhow::Result<()> {
        match trouble {
            None => Ok(()),
            Some(Self::Error) => Err(anyhow::anyhow!("out of order")),
            Some(Self::Panic) => panic!("out of order"),
        }
    }
}

impl Memory {
    fn is_empty(&self) -> bool {
        self.0.lock().states.is_empty()
    }

    fn loads(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }

    fn ran(&self) -> usize {
        self.0.lock().ran
    }

    /// Lets loads wait from now on until the gate is opened.
    fn hold(&self) -> Gate {
        let gate = Gate::default();
        self.0.lock().gate = Some(gate.clone());
        gate
    }

    fn next_load(&self, trouble: Trouble) {
        self.0.lock().load = Some(trouble);
    }

    fn next_update(&self, trouble: Trouble) {
        self.0.lock().update = Some(trouble);
    }
}

impl SessionStore for Memory {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        let loads = self.1.fetch_add(1, Ordering::SeqCst);
        // Some loads take longer than those behind them would.
        for _ in 0..(loads * 7) % 5 {
            tokio::task::yield_now().await;
        }
        let gate = self.0.lock().gate.clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        let trouble = self.0.lock().load.take();
        Trouble::happen(trouble).map_err(LoadError::Other)?;
        Ok(self.0.lock().states.get(key.as_ref()).cloned())
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        _: &time::Duration,
    ) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        let mut kept = self.0.lock();
        kept.states.insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        _: &time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        let trouble = self.0.lock().update.take();
        Trouble::happen(trouble).map_err(UpdateError::Other)?;
        let mut kept = self.0.lock();
        kept.states.insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &time::Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.lock().states.remove(key.as_ref());
        Ok(())
    }
}
