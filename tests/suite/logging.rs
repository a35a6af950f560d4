//! The log: what is written of clients, how often, and in which form.

use std::time::Instant;

use actix_socketio::{Cors, Data, SocketIo};
use serde::Deserialize;
use serde_json::json;

use crate::support::log::Lines;
use crate::support::socketio::{BOTH, Client, Via, start};
use crate::support::{Request, Server};

/// A client that sends 100,000 events which fail gets some lines into the log, and one line for each
/// second that says how many were left out. So it does by either transport.
#[tokio::test]
async fn a_client_cannot_fill_the_log() {
    for (via, event, count) in [
        (Via::WebSocket, r#"42/flooded,["join",1]"#, 100_000),
        (Via::Polling, r#"42/flooded,["join",1]"#, 20_000),
        (Via::WebSocket, r#"42/flooded,["panic"]"#, 20_000),
    ] {
        let server = start();
        let hall = server.io.of("/flooded");
        hall.on("join", |Data(_): Data<String>| async {});
        hall.on("panic", || async { panics() });
        let mut lines = Lines::with("");
        let begun = Instant::now();
        let mut client = Client::open(&server, via).await;
        client.connect("/flooded").await;
        let burst = vec![event; 5000];
        for _ in 0..count / burst.len() {
            client.send_all(&burst).await;
            client.expect_nothing_more("/flooded").await;
        }
        let (mut written, mut left_out) = (0, 0);
        while written + left_out < count {
            let line = lines.next().await;
            let number = line.split(" more lines left out").next();
            let number = number.and_then(|head| head.split(' ').next_back()?.parse().ok());
            if line.contains("/flooded") && !line.starts_with("DEBUG") {
                written += 1;
            } else if line.contains("more lines left out") {
                left_out += number.unwrap_or(0);
            }
        }
        let seconds = begun.elapsed().as_secs() as usize + 1;
        assert!((1..=10 * (seconds + 1)).contains(&written), "{written}");
    }
}

/// Panics without a word of the panic hook, which writes to stderr.
fn panics() {
    std::panic::resume_unwind(Box::new("again"));
}

/// Events that nobody handles leave no line above the level debug.
#[tokio::test]
async fn an_event_that_nobody_handles_is_at_debug() {
    let server = start();
    server.io.of("/unheard");
    let mut lines = Lines::with("/unheard");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/unheard").await;
        client.send_all(&[r#"42/unheard,["what",1]"#; 100]).await;
        client.expect_nothing_more("/unheard").await;
    }
    let lines = lines.so_far();
    let unhandled = lines.iter().filter(|line| line.contains(r#"event "what""#));
    assert!(unhandled.count() >= 200, "{lines:?}");
    let loud: Vec<_> = lines
        .iter()
        .filter(|line| !line.starts_with("DEBUG"))
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
}

/// What a client sent as part of a line, with a line of its own in it.
const EVIL: &str = "evil\r\n\u{1b}[31mERROR\u{2028}forged";

/// The same as the log shows it.
const TAME: &str = r"evil\r\n\u{1b}[31mERROR\u{2028}forged";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[allow(dead_code, reason = "it is only read")]
    known: u8,
}

/// Registers handlers that let a client's text into the log.
fn careless(io: &SocketIo) {
    let everywhere = io.of_predicate(|name, _| match name.contains("predicate") {
        true => panic!("no {name}"),
        false => name.starts_with("/careless"),
    });
    everywhere
        .on("known", |_: Data<Known>| async {})
        .on("panic", |Data(text): Data<String>| async move {
            assert!(text.is_empty(), "not empty: {text}");
        })
        .on("fail", |Data(text): Data<String>| async move {
            Err::<(), _>(text)
        });
    let _ = everywhere;
}

/// No text of a client begins a line of its own, wherever it comes from.
#[tokio::test]
async fn a_client_cannot_forge_a_line() {
    let server = Server::socketio(
        |io| io.cors(Cors::origins(["https://app.example"])),
        careless,
    );
    let mut lines = Lines::with("forged");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let namespace = format!("/careless{EVIL}");
        client.connect(&namespace).await;
        for event in [
            json!([EVIL]),
            json!(["known", { EVIL: 1 }]),
            json!(["panic", EVIL]),
            json!(["fail", EVIL]),
        ] {
            client.send(&format!("42{namespace},{event}")).await;
            client.expect_nothing_more(&namespace).await;
        }
        let found = lines.so_far();
        assert!(found.len() >= 4, "{found:?}");
        tame(&found);
        let strange = format!("/predicate{EVIL}");
        let refused = client.connect_with(&strange, "").await;
        refused.unwrap_err();
        let found = lines.so_far();
        assert!(!found.is_empty(), "{via:?}");
        tame(&found);
    }
}

/// Values of a query and of headers are shown tame too.
#[tokio::test]
async fn a_request_cannot_forge_a_line() {
    let server = Server::socketio(
        |io| io.cors(Cors::origins(["https://app.example"])),
        careless,
    );
    let mut lines = Lines::with("forged");
    let target = server.target("EIO=4&transport=polling");
    let request = Request::get(server.address, &target);
    let refused = request
        .header("origin", "https://evil\u{85}\u{2028}forged")
        .send();
    assert_eq!(refused.await.status, 403);
    let line = lines.next().await;
    assert!(
        line.contains(r#""https://evil\u{85}\u{2028}forged""#),
        "{line}"
    );
    assert!(line.contains("127.0.0.1"), "{line}");
}

/// Checks that lines have no control characters, and show all of what was sent.
#[track_caller]
fn tame(lines: &[String]) {
    for line in lines {
        let is_clean = !line.chars().any(|c| c.is_control() || c == '\u{2028}');
        assert!(is_clean, "{line:?}");
    }
    assert!(
        lines.iter().any(|line| line.contains(TAME)) || lines.is_empty(),
        "{lines:?}"
    );
}

/// A long text is cut.
#[tokio::test]
async fn a_long_text_is_cut() {
    let server = Server::socketio(|io| io, careless);
    let mut lines = Lines::with("long-winded");
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        let long = "long-winded".repeat(10_000);
        client.connect("/careless").await;
        for event in [
            json!([long]),
            json!(["known", { long.clone(): 1 }]),
            json!(["panic", long]),
            json!(["fail", long]),
        ] {
            client.send(&format!("42/careless,{event}")).await;
            client.expect_nothing_more("/careless").await;
            let found = lines.so_far();
            assert!(!found.is_empty());
            for line in found {
                assert!(line.len() < 1100, "{} bytes: {line}", line.len());
            }
        }
    }
}
