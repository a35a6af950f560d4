//! The name of the transport in what a program observes, and raw Engine.IO over it.

use std::io;
use std::sync::mpsc::sync_channel;

use actix_socketio::{EngineIo, EngineSession, Transport};
use actix_web::App;

use crate::support::webtransport::{Stream, client, server_config};
use crate::support::{Open, Server, channel, echo};

/// Metrics: sessions, handshakes, upgrades and ends have the name of the transport.
#[cfg(feature = "metrics")]
#[tokio::test]
async fn metrics_name_the_transport() {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use crate::metrics::expect;
    use crate::support::Polling;
    use crate::support::socketio::leavers;
    use crate::support::webtransport::served;

    let recorder = PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    let site = served(|io| io.metrics_recorder(recorder), |_| ());
    let mut left = leavers(&site.server.io.of("/"));
    let (stream, _) = site.connected().await;
    let polling = Polling::open(&site.server).await;
    let mut upgraded = site.stream().await;
    upgraded
        .send(&format!(r#"0{{"sid":"{}"}}"#, polling.sid()))
        .await;
    upgraded.send("2probe").await;
    upgraded.expect("3probe").await;
    upgraded.send("5").await;
    upgraded.connect().await;
    let mut refused = site.stream().await;
    refused.send("2probe").await;
    refused.closed().await;
    for (series, count) in [
        (
            r#"socketio_handshakes_total{transport="webtransport"}"#,
            1.0,
        ),
        (r#"socketio_upgrades_total{outcome="completed"}"#, 1.0),
        (r#"socketio_refusals_total{cause="bad_request"}"#, 1.0),
        (r#"socketio_sessions{transport="webtransport"}"#, 2.0),
        (r#"socketio_sessions{transport="polling"}"#, 0.0),
    ] {
        expect(&page, series, count).await;
    }
    drop(stream);
    assert_eq!(left.next().await, "transport close");
    let ended = r#"socketio_session_duration_seconds_count{reason="transport close",transport="webtransport"}"#;
    expect(&page, ended, 1.0).await;
}

/// Spans: the handshake of a session, and the connect and the events of its socket. An upgrade has
/// no handshake.
#[cfg(feature = "tracing")]
#[tokio::test]
async fn spans_name_the_transport() {
    use crate::spans::{of_trace, record, unique};
    use crate::support::Polling;
    use crate::support::webtransport::served;

    record();
    let namespace = unique("/webtransport");
    let name = namespace.clone();
    let site = served(
        |io| io,
        move |io| {
            io.of(&name).on("go", || async {});
        },
    );
    let polling = Polling::open(&site.server).await;
    let upgrade = format!(r#"0{{"sid":"{}"}}"#, polling.sid());
    for (first, spans) in [
        ("0", &["connect", "event", "handshake"][..]),
        (&upgrade, &[]),
    ] {
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        let headers = [("traceparent", &*parent)];
        let request = site.request_at("/socket.io/", &headers).await;
        let mut stream = Stream::on(request.unwrap()).await;
        stream.send(first).await;
        if first == upgrade {
            stream.send("2probe").await;
            stream.expect("3probe").await;
            stream.send("5").await;
        } else {
            stream.text().await;
        }
        let id = stream.connect_to(&namespace).await;
        stream.send(&format!(r#"42{namespace},7["go"]"#)).await;
        stream.expect(&format!("43{namespace},7[]")).await;
        let mut begun = of_trace(&trace);
        begun.sort_by_key(|begun| begun.name);
        let names: Vec<_> = begun.iter().map(|begun| begun.name).collect();
        assert_eq!(names, spans, "{first}");
        if let [connect, event, handshake] = &begun[..] {
            assert_eq!(handshake.fields["transport"], "webtransport");
            assert_eq!(connect.fields["socket"], id);
            assert_eq!(
                (&*event.fields["event"], &*event.fields["ack"]),
                ("go", "7")
            );
            assert_eq!(event.fields["socket"], id);
        }
    }
}

/// Admin UI: an upgrade is an update of the transport.
#[cfg(feature = "admin")]
#[tokio::test]
async fn admin_ui_names_the_transport() {
    use serde_json::json;

    use crate::admin::{Page, development};
    use crate::support::socketio::{Client, Via};
    use crate::support::webtransport::served;

    let site = served(|io| io, |_| ());
    site.server.io.instrument(development()).unwrap();
    let mut page = Page::settled(&site.server).await;
    let client = Client::connected(&site.server, Via::Polling).await;
    let connected = page.next("socket_connected").await;
    let mut stream = site.stream().await;
    stream
        .send(&format!(r#"0{{"sid":"{}"}}"#, client.session_id()))
        .await;
    stream.send("2probe").await;
    stream.expect("3probe").await;
    stream.send("5").await;
    let id = &connected[0]["id"];
    let updated = page.next("socket_updated").await;
    assert_eq!(
        updated,
        [json!({ "id": id, "nsp": "/", "transport": "webtransport" })]
    );
    let (_stream, id) = site.connected().await;
    let connected = page.next("socket_connected").await;
    assert_eq!(connected[0]["id"], id);
    assert_eq!(connected[0]["transport"], "webtransport");
}

/// `EngineIo::serve`: raw messages, of which none has an acknowledgement.
#[tokio::test]
async fn raw_messages_pass_in_both_directions() {
    let (told, mut seen) = channel();
    let (sent, address) = sync_channel(1);
    let server = Server::serving("/engine.io/", move || {
        let builder = echo(EngineIo::builder());
        let io = builder.on_open(move |session: EngineSession| {
            told.send(session.transport()).unwrap();
            async {}
        });
        let io = io.start()?;
        let serve = io.serve(App::new).workers(1);
        let serve = serve.webtransport(("127.0.0.1", 0), server_config())?;
        sent.send(serve.webtransport_addrs()[0])
            .map_err(io::Error::other)?;
        Ok((io, serve))
    });
    let url = format!("https://{}/engine.io/", address.recv().unwrap());
    let endpoint = client();
    let mut stream = Stream::on(endpoint.connect(url).await.unwrap()).await;
    stream.send("0").await;
    Open::read(&stream.text().await);
    assert_eq!(seen.next().await, Transport::WebTransport);
    stream.send("4hello").await;
    stream.expect("4hello").await;
    stream.send_binary(&[1, 0, 255]).await;
    stream.expect_binary(&[1, 0, 255]).await;
    assert_eq!(server.io.clients_count(), 1);
}
