//! Spans: what the server does for a client is a tree, whose parent is the client's own span.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use actix_socketio::{Ack, Data, Socket, SocketIo, TraceParent};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::Server;
#[cfg(feature = "redis")]
use crate::support::redis::{Format, Redis, connected};
use crate::support::socketio::{Client, Via};

const SESSION: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const EVENT: &str = "00-11111111111111111111111111111111-2222222222222222-01";

/// A span that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) name: &'static str,
    parent: Option<u64>,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

/// All spans of the process, by their ids. Tests know theirs by the name of a namespace.
static SPANS: Mutex<BTreeMap<u64, Begun>> = Mutex::new(BTreeMap::new());

struct Recorder;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context
            .span(id)
            .and_then(|span| Some(span.parent()?.id().into_u64()));
        let begun = Begun {
            name: attributes.metadata().name(),
            parent,
            fields: fields.0,
        };
        SPANS.lock().unwrap().insert(id.into_u64(), begun);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        if let Some(begun) = SPANS.lock().unwrap().get_mut(&id.into_u64()) {
            begun.fields.extend(fields.0);
        }
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.0
            .insert(field.name(), text.trim_matches('"').to_owned());
    }
}

/// Records the spans of the process from now on.
pub(crate) fn record() {
    static RECORDS: OnceLock<()> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let subscriber = tracing_subscriber::registry().with(Recorder);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// Returns the spans of this name in a namespace.
fn spans(name: &str, namespace: &str) -> Vec<(u64, Begun)> {
    let all = SPANS.lock().unwrap();
    let is_it = |begun: &Begun| {
        begun.name == name
            && begun
                .fields
                .get("namespace")
                .is_some_and(|it| it == namespace)
    };
    let found = all.iter().filter(|(_, begun)| is_it(begun));
    found.map(|(id, begun)| (*id, begun.clone())).collect()
}

/// Returns the only one of them.
fn span(name: &str, namespace: &str) -> (u64, Begun) {
    let found = spans(name, namespace);
    assert_eq!(found.len(), 1, "{name} in {namespace}: {found:?}");
    found[0].clone()
}

/// Returns the spans of a trace.
pub(crate) fn of_trace(id: &str) -> Vec<Begun> {
    let all = SPANS.lock().unwrap();
    let is_it = |begun: &&Begun| begun.fields.get("trace_id").is_some_and(|it| it == id);
    all.values().filter(is_it).cloned().collect()
}

/// Returns the fields of all spans, as text.
#[cfg(feature = "metrics")]
pub(crate) fn all_fields() -> String {
    format!("{:?}", *SPANS.lock().unwrap())
}

/// Returns a namespace of one run of a test.
pub(crate) fn unique(start: &str) -> String {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    format!("{start}-{}", RUNS.fetch_add(1, Ordering::Relaxed))
}

/// Connects a client whose first request has a `traceparent` to a namespace of this test's run.
async fn connect(server: &Server<SocketIo>, via: Via, namespace: &str) -> (Client, String) {
    let mut client = Client::open_with(server, via, &[("traceparent", SESSION)]).await;
    let id = client.connect(namespace).await;
    (client, id)
}

/// The first request of a client is a span, on either transport; its later requests are not.
#[on_both_servers]
async fn a_handshake_is_a_span_with_the_trace_of_its_request() {
    record();
    let server = Server::socketio(|io| io, |io| drop(io.of("/")));
    for (via, transport) in [(Via::Polling, "polling"), (Via::WebSocket, "websocket")] {
        let trace = uuid::Uuid::new_v4().simple().to_string();
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        let mut client = Client::open_with(&server, via, &[("traceparent", &parent)]).await;
        let id = client.connect("/").await;
        let of_it = of_trace(&trace);
        let names: Vec<_> = of_it.iter().map(|begun| begun.name).collect();
        assert_eq!(names, ["handshake", "connect"], "{of_it:?}");
        assert_eq!(of_it[0].fields["transport"], transport);
        assert_eq!(of_it[1].fields["socket"], id);
    }
}

/// A broadcast of another node is a span of the node that delivers it.
#[cfg(feature = "redis")]
#[on_both_servers]
async fn a_message_of_another_node_is_delivered_in_a_span() {
    record();
    let redis = Redis::start();
    for format in Format::ALL {
        let namespace = &unique("/nodes");
        let node = || {
            let (adapter, name) = (format.adapter(&redis), namespace.clone());
            Server::socketio(move |io| io.adapter(adapter), move |io| drop(io.of(&name)))
        };
        let [here, there] = [node(), node()];
        connected(&here.io).await;
        connected(&there.io).await;
        let mut client = Client::open(&there, Via::WebSocket).await;
        client.connect(namespace).await;
        here.io.of(namespace).emit("news", 1).await.unwrap();
        client.expect(&format!(r#"42{namespace},["news",1]"#)).await;
        let (_, begun) = span("broadcast", namespace);
        assert_eq!(begun.fields["event"], "news");
        let (_, begun) = span("delivery", namespace);
        assert_eq!(begun.parent, None, "{format:?}");
    }
}

/// Connect, event, call and broadcast are spans, each in that of its cause.
#[on_both_servers]
async fn an_event_is_the_parent_of_what_its_handler_sends() {
    record();
    for (via, namespace) in [(Via::Polling, "/tree"), (Via::WebSocket, "/tree")] {
        let namespace = &unique(namespace);
        let name = namespace.clone();
        let server = Server::socketio(
            |io| io,
            move |io| {
                let news = |socket: Socket, ack: Ack| async move {
                    // Behind a wait, so that the handler is polled by a task of its own.
                    tokio::task::yield_now().await;
                    socket.everyone().emit("news", 1).await.unwrap();
                    let age: u8 = socket.call("ask", ()).await.unwrap();
                    ack.send(age);
                };
                io.of(&name).on_connect(|| async {}).on("go", news);
            },
        );
        let (mut client, id) = connect(&server, via, namespace).await;
        client.send(&format!(r#"42{namespace},7["go"]"#)).await;
        client.expect(&format!(r#"42{namespace},["news",1]"#)).await;
        client.expect(&format!(r#"42{namespace},0["ask"]"#)).await;
        client.send(&format!("43{namespace},0[30]")).await;
        client.expect(&format!("43{namespace},7[30]")).await;

        let (_, connected) = span("connect", namespace);
        assert_eq!(connected.fields["socket"], id);
        assert_eq!(connected.fields["trace_id"], SESSION[3..35]);
        let (event, begun) = span("event", namespace);
        assert_eq!(begun.fields["event"], "go");
        assert_eq!(begun.fields["socket"], id);
        assert_eq!(begun.fields["ack"], "7");
        assert_eq!(begun.fields["trace_id"], SESSION[3..35]);
        for (name, sent) in [("broadcast", "news"), ("call", "ask")] {
            let (_, begun) = span(name, namespace);
            assert_eq!(
                (begun.parent, begun.fields["event"].as_str()),
                (Some(event), sent)
            );
        }
    }
}

/// An event's own `traceparent` is its parent, and its handler does not get it.
#[on_both_servers]
async fn the_traceparent_of_an_event_takes_precedence_and_is_no_argument() {
    record();
    let namespace = &unique("/own");
    let name = namespace.clone();
    let adopted: Arc<Mutex<Vec<TraceParent>>> = Arc::default();
    let seen = Arc::clone(&adopted);
    let server = Server::socketio(
        move |io| {
            io.event_traceparent(true)
                .trace_parent(move |_: &Span, parent: &TraceParent| {
                    seen.lock().unwrap().push(*parent);
                    assert_ne!(parent.span_id(), 3, "a hook that panics");
                })
        },
        move |io| {
            io.of(&name).on(
                "echo",
                |Data(list): Data<Vec<serde_json::Value>>| async move { list },
            );
            io.of(&name)
                .fallback(|event: actix_socketio::Event| async move {
                    event.args().as_json().to_owned()
                });
        },
    );
    let (mut client, _) = connect(&server, Via::WebSocket, namespace).await;
    for (sent, answer) in [
        (format!(r#"["any","a",{{"traceparent":"{EVENT}"}}]"#), r#"["\"a\""]"#),
        (r#"["any",{"traceparent":"wrong"}]"#.to_owned(), r#"[""]"#),
        (
            r#"["any","b",{"traceparent":"00-11111111111111111111111111111111-0000000000000003-00"}]"#
                .to_owned(),
            r#"["\"b\""]"#,
        ),
    ] {
        client.send(&format!("42{namespace},1{sent}")).await;
        client.expect(&format!("43{namespace},1{answer}")).await;
    }
    let traces: Vec<_> = spans("event", namespace)
        .into_iter()
        .map(|(_, begun)| begun.fields.get("trace_id").cloned())
        .collect();
    let own = Some("1".repeat(32));
    assert_eq!(traces, [own.clone(), None, own]);
    let adopted = adopted.lock().unwrap();
    // The handshake, the connect, and the two valid ones.
    let ids: Vec<u64> = adopted.iter().map(TraceParent::span_id).collect();
    let session = TraceParent::parse(SESSION).unwrap().span_id();
    assert_eq!(ids, [session, session, 0x2222_2222_2222_2222, 3]);
}

/// A name that a client chooses is cut, so that an exporter does not get megabytes.
#[on_both_servers]
async fn names_of_events_are_cut_in_spans() {
    record();
    let namespace = &unique("/long");
    let name = namespace.clone();
    let server = Server::socketio(|io| io, move |io| drop(io.of(&name)));
    let (mut client, _) = connect(&server, Via::WebSocket, namespace).await;
    let long = "é\u{202e}".repeat(10_000);
    client.send(&format!(r#"42{namespace},1["{long}"]"#)).await;
    client.text().await;
    let (_, begun) = span("event", namespace);
    let shown = &begun.fields["event"];
    assert!(shown.len() < 1000 && shown.starts_with('é'), "{shown}");
}
