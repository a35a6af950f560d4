//! docs/operations.md: no output has the private id of a session, an `auth` payload or a cookie.

use std::time::Duration;

use actix_socketio::{Auth, Builder, LimitHit, RateLimit, Socket};
use serde_json::Value;

use crate::metrics::start_with;
use crate::spans::{all_fields, record};
use crate::support::channel;
use crate::support::socketio::{BOTH, Client, Via, find, until};

/// Spans, the page of the metrics, hits of limits, and the sockets and counters of clients.
#[on_both_servers]
async fn no_output_has_a_secret() {
    record();
    let (told, mut hits) = channel();
    let build = move |io: Builder| {
        let io = io.events_per_second(RateLimit::new(0).burst(1));
        let io = io.auth_limit(60).error_details(false);
        io.connection_state_recovery(Duration::from_secs(60))
            .on_limit(move |hit: &LimitHit<'_>| told.send(format!("{hit:?}")).unwrap())
    };
    let (server, page) = start_with(build, |io| {
        let enter = |_: Auth<Value>| async {};
        io.of("/").on_connect(enter);
        io.of("/").on("go", |socket: Socket| async move {
            socket.everyone().emit("news", 1).await.is_ok()
        });
    });
    for via in BOTH {
        let secret = || uuid::Uuid::new_v4().simple().to_string();
        let (cookie, token) = (secret(), secret());
        let headers = [("cookie", &*format!("session={cookie}"))];
        let mut client = Client::open_with(&server, via, &headers).await;
        let sid = client.session_id().to_owned();
        let auth = format!(r#"{{"token":"{token}"}}"#);
        client.send(&format!("40{auth}")).await;
        let connected = client.text().await;
        let connected: Value = serde_json::from_str(&connected[2..]).unwrap();
        let pid = connected["pid"].as_str().unwrap().to_owned();
        let id = connected["sid"].as_str().unwrap();
        client.send(r#"420["go"]"#).await;
        assert!(client.text().await.starts_with(r#"42["news",1"#));
        client.expect("430[true]").await;
        // Above the rate, and a payload that is too large.
        client.send(r#"421["go"]"#).await;
        client
            .expect(r#"431[{"error":"rate limit exceeded"}]"#)
            .await;
        let long = format!(r#"{{"token":"{token}","more":"more than 60 bytes"}}"#);
        client.connect_with("/other", &long).await.unwrap_err();
        let socket = find(&server.io.of("/"), id);
        if via == Via::Polling {
            // It waits for a poll, so the session is among the slowest.
            socket.emit("waits", ()).await.unwrap();
        }
        let slowest = server.io.slowest(10);
        assert!(via == Via::WebSocket || !slowest.is_empty());
        let shown = format!("{socket:?} {:?} {slowest:?}", socket.stats());
        assert!(shown.contains(id), "{id} in {shown}");
        let mut seen = vec![hits.next().await, hits.next().await];
        assert!(seen[0].contains("EventsPerSecond"), "{seen:?}");
        assert!(seen[1].contains("AuthLimit"), "{seen:?}");
        let open = r#"socketio_connects_total{namespace="/",outcome="accepted"}"#;
        until(open, || page.render().contains(open)).await;
        seen.extend([shown, page.render(), all_fields()]);
        for secret in [cookie, token, sid, pid] {
            for output in &seen {
                assert!(!output.contains(&secret), "{secret} in {output}");
            }
        }
        assert!(all_fields().contains(id));
    }
}
