//! Parsers: a client gets and sends the same whatever its parser is, also beside clients of others.

use std::time::Duration;

use actix_socketio::testing::{ConnectFailed, MemoryBroker, TestClient, TestError};
use actix_socketio::{
    Ack, AnyValue, Args, Auth, Bytes, CallError, ConnectError, Data, EmitError, EngineMessage,
    Event, IncomingPacket, JsonParser, MessagePackParser, OutgoingPacket, PacketDecoder,
    PacketKind, Parser, ParserError, Rejection, Socket, SocketIo,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::channel;
use crate::support::socketio::until;

const SOON: Duration = Duration::from_secs(2);

/// A parser of a program: around that of JSON, each message with a mark before it.
#[derive(Debug)]
struct Marked;

impl Parser for Marked {
    fn encode(&self, packet: &OutgoingPacket<'_>) -> Result<Vec<EngineMessage>, ParserError> {
        assert_ne!(packet.namespace(), "/panics");
        if packet.namespace() == "/refuses" && packet.kind() == PacketKind::Event {
            return Err(ParserError::new("no event here"));
        }
        let messages = JsonParser.encode(packet)?;
        let mark = |message| match message {
            EngineMessage::Text(text) => EngineMessage::Text(format!("#{text}")),
            binary @ EngineMessage::Binary(_) => binary,
        };
        Ok(messages.into_iter().map(mark).collect())
    }

    fn decoder(&self) -> Box<dyn PacketDecoder> {
        Box::new(MarkedDecoder(JsonParser.decoder()))
    }
}

#[derive(Debug)]
struct MarkedDecoder(Box<dyn PacketDecoder>);

impl PacketDecoder for MarkedDecoder {
    fn decode(&mut self, message: EngineMessage) -> Result<Option<IncomingPacket>, ParserError> {
        let EngineMessage::Text(text) = message else {
            return self.0.decode(message);
        };
        let text = text.strip_prefix('#');
        let text = text.ok_or_else(|| ParserError::new("a text without its mark"))?;
        if let Some(error) = text.strip_prefix("4") {
            let error = serde_json::from_str(error).map_err(ParserError::new)?;
            return Ok(Some(IncomingPacket::connect_error("/", error)));
        }
        assert!(!text.contains("decoder panics"));
        self.0.decode(EngineMessage::Text(text.to_owned()))
    }
}

/// A server with three parsers: a client says which it has.
fn start() -> SocketIo {
    configured(|builder| builder)
}

fn configured(
    configure: impl FnOnce(actix_socketio::Builder) -> actix_socketio::Builder,
) -> SocketIo {
    let of = |name: &'static str| {
        move |client: &actix_socketio::Handshake| {
            client.query_value("parser").as_deref() == Some(name)
        }
    };
    let builder = SocketIo::builder()
        .error_details(true)
        .parser_when(MessagePackParser::new(), of("msgpack"))
        .parser_when(Marked, of("marked"));
    configure(builder).start().unwrap()
}

const PARSERS: [&str; 3] = ["json", "msgpack", "marked"];

async fn client(io: &SocketIo, parser: &str) -> TestClient {
    let client = TestClient::builder(io).query("parser", parser);
    client.connect().await.unwrap()
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Note {
    title: String,
    image: Bytes,
    tags: Vec<Option<i64>>,
}

fn note() -> Note {
    Note {
        title: "é\u{1F600}".to_owned(),
        image: Bytes::from_static(&[0, 0xFF]),
        tags: vec![Some(-1), None, Some(1 << 40)],
    }
}

/// Handlers get typed data, binary and acknowledgements of each client.
#[actix_web::test]
async fn events_and_acknowledgements_are_the_same_whatever_the_parser() {
    let io = start();
    io.of("/")
        .on("typed", |Data((note, n)): Data<(Note, u8)>| async move {
            (n + 1, note)
        })
        .on("any", |Data(any): Data<AnyValue>| async move { any })
        .on("args", |event: Event| async move { event.into_args() })
        .on("none", || async {})
        .on("wrong", |Data(_): Data<u8>| async {})
        .on("fails", || async { Err::<(), _>("no") })
        .on("later", |ack: Ack| async move {
            ack.send((1, "two", Bytes::from_static(b"3")));
        })
        .on("calls", |socket: Socket, Data(n): Data<u8>| async move {
            let (n, note): (u8, Note) = socket.call("increase", (n, note())).await?;
            socket.emit("increased", (n, note)).await?;
            Ok::<_, CallError>(())
        });
    for parser in PARSERS {
        let client = client(&io, parser).await;
        let (n, answered): (u8, Note) = client.call("typed", (note(), 7)).await.unwrap();
        assert_eq!((n, answered), (8, note()), "{parser}");
        let any = AnyValue::from(json!({ "a": [1, { "b": null }], "c": "x" }));
        assert_eq!(client.call::<AnyValue>("any", &any).await.unwrap(), any);
        let args: (u8, Bytes, Option<u8>) = (1, Bytes::from_static(&[9]), None);
        assert_eq!(
            client
                .call::<(u8, Bytes, Option<u8>)>("args", &args)
                .await
                .unwrap(),
            args
        );
        client.call::<()>("none", ()).await.unwrap();
        let later: (u8, String, Bytes) = client.call("later", ()).await.unwrap();
        assert_eq!(later, (1, "two".to_owned(), Bytes::from_static(b"3")));
        let TestError::Failed(failed) = client.call::<()>("fails", ()).await.unwrap_err() else {
            panic!("a failed call")
        };
        assert_eq!(Value::from(failed), json!({ "error": "no" }), "{parser}");
        let TestError::Failed(failed) = client.call::<()>("wrong", "x").await.unwrap_err() else {
            panic!("a failed call")
        };
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains("argument 1") && error.contains("invalid type: string \"x\""));
        client.emit("calls", 1).await.unwrap();
        let asked = client.expect_event("increase", SOON).await.unwrap();
        let (n, image): (u8, Note) = asked.read().unwrap();
        asked.answer((n + 1, image)).await.unwrap();
        let increased: (u8, Note) = client.expect("increased", SOON).await.unwrap();
        assert_eq!(increased, (2, note()), "{parser}");
    }
}

/// Connecting with data, being refused with data, leaving from either side, several namespaces.
#[actix_web::test]
async fn a_client_of_each_parser_connects_is_refused_and_leaves() {
    let io = start();
    let (left, mut leaves) = channel();
    io.of("/")
        .on_connect(|Auth(auth): Auth<Option<Value>>| async move {
            match auth {
                Some(auth) if auth["token"] == "wrong" => {
                    Err(ConnectError::new("who?").with_data(json!({ "code": 7 })))
                }
                _ => Ok(()),
            }
        })
        .on_disconnect(move |socket: Socket| {
            let _ = left.send(socket.id());
            async {}
        });
    io.of("/chat").on("where", |socket: Socket| async move {
        socket.namespace().to_owned()
    });
    for parser in PARSERS {
        let builder = TestClient::builder(&io).query("parser", parser);
        let refused = builder.auth(json!({ "token": "wrong" })).connect().await;
        let Err(ConnectFailed::Refused { message, data }) = refused else {
            panic!("{parser}: {refused:?}")
        };
        assert_eq!(
            (message.as_str(), data),
            ("who?", Some(json!({ "code": 7 }))),
            "{parser}"
        );
        let builder = TestClient::builder(&io).query("parser", parser);
        let first = builder
            .auth(json!({ "token": "right" }))
            .connect()
            .await
            .unwrap();
        let chat = first.join("/chat").await.unwrap();
        assert_eq!(chat.call::<String>("where", ()).await.unwrap(), "/chat");
        let id = first.id().unwrap();
        first.disconnect().await.unwrap();
        assert_eq!(leaves.next().await, id);
        io.of("/chat")
            .socket(chat.id().unwrap())
            .unwrap()
            .disconnect(false);
        chat.disconnected(SOON).await.unwrap();
    }
}

/// An event to a room reaches the clients of all parsers, and the other ways to send too.
#[actix_web::test]
async fn clients_of_different_parsers_are_in_one_room() {
    let io = start();
    io.of("/")
        .on_connect(|socket: Socket| async move { socket.join("all").await });
    let mut clients = Vec::new();
    for parser in PARSERS {
        clients.push(client(&io, parser).await);
    }
    io.to("all").emit("news", (note(), 1)).await.unwrap();
    io.to("all")
        .compress(false)
        .emit("news", (note(), 2))
        .await
        .unwrap();
    io.to("all").emit_sync("news", (note(), 3)).unwrap();
    let args = Args::from_value(&(note(), 4)).unwrap();
    io.emit("news", &args).await.unwrap();
    let sender = io.of("/").socket(clients[0].id().unwrap()).unwrap();
    sender.broadcast().emit("news", (note(), 5)).await.unwrap();
    for (number, client) in clients.iter().enumerate() {
        let all = if number == 0 { 1..5 } else { 1..6 };
        for n in all {
            let (news, came): (Note, u8) = client.expect("news", SOON).await.unwrap();
            assert_eq!((news, came), (note(), n), "{}", PARSERS[number]);
        }
    }
    let mut answers = io
        .to("all")
        .emit_with_ack::<String>("who", ())
        .await
        .unwrap();
    for (client, parser) in clients.iter().zip(PARSERS) {
        let asked = client.expect_event("who", SOON).await.unwrap();
        asked.answer(parser).await.unwrap();
    }
    let mut heard = Vec::new();
    while let Some(answer) = answers.next().await {
        heard.push(answer.1.unwrap());
    }
    heard.sort();
    assert_eq!(heard, ["json", "marked", "msgpack"]);
}

/// Events, calls and questions between nodes whose clients have different parsers.
#[actix_web::test]
async fn nodes_of_a_cluster_have_clients_of_different_parsers() {
    let broker = MemoryBroker::new();
    let nodes = [
        configured(|builder| builder.adapter(broker.adapter())),
        configured(|builder| builder.adapter(broker.adapter())),
    ];
    let two = || async { nodes[0].nodes().await.is_ok_and(|nodes| nodes.len() == 2) };
    while !two().await {
        tokio::task::yield_now().await;
    }
    let mut clients = Vec::new();
    for io in &nodes {
        for parser in PARSERS {
            clients.push(client(io, parser).await);
        }
    }
    nodes[0].emit("news", (note(), 7)).await.unwrap();
    for client in &clients {
        let news: (Note, u8) = client.expect("news", SOON).await.unwrap();
        assert_eq!(news, (note(), 7));
    }
}

/// Middleware sees and changes the events of all clients.
#[actix_web::test]
async fn middleware_changes_events_of_all_parsers() {
    let io = start();
    io.of("/")
        .event_middleware(|event: &mut actix_socketio::IncomingEvent<'_>| {
            let (text, data): (String, Bytes) = event.read().map_err(Rejection::Data)?;
            event.rename("changed");
            let changed = (text.to_uppercase(), data);
            event.set_data(changed).map_err(Rejection::Data)
        })
        .on("changed", |Data(data): Data<(String, Bytes)>| async move {
            data
        });
    for parser in PARSERS {
        let client = client(&io, parser).await;
        let sent = ("quiet", Bytes::from_static(&[1]));
        let (text, data): (String, Bytes) = client.call("say", sent).await.unwrap();
        assert_eq!((text.as_str(), &data[..]), ("QUIET", &[1][..]), "{parser}");
    }
}

/// The default of the server, without a rule.
#[actix_web::test]
async fn one_parser_for_all_clients() {
    for io in [
        SocketIo::builder()
            .parser(MessagePackParser::new())
            .start()
            .unwrap(),
        SocketIo::builder().parser(Marked).start().unwrap(),
        SocketIo::builder().parser(JsonParser).start().unwrap(),
    ] {
        io.of("/")
            .on("echo", |Data(note): Data<Note>| async move { note });
        let client = TestClient::connect(&io).await.unwrap();
        assert_eq!(client.call::<Note>("echo", note()).await.unwrap(), note());
        io.emit("news", note()).await.unwrap();
        assert_eq!(client.expect::<Note>("news", SOON).await.unwrap(), note());
    }
}

/// A message that the parser refuses, or that makes it panic, ends the session of its sender only.
#[actix_web::test]
async fn a_parser_that_fails_costs_one_client() {
    let io = start();
    io.of("/")
        .on("echo", |Data(text): Data<String>| async move { text });
    let (other, bad) = (client(&io, "marked").await, client(&io, "marked").await);
    bad.emit("echo", "decoder panics").await.unwrap();
    bad.disconnected(SOON).await.unwrap();
    assert_eq!(other.call::<String>("echo", "a").await.unwrap(), "a");
    let unmarked = TestClient::builder(&io)
        .query("parser", "json")
        .connect()
        .await
        .unwrap();
    assert_eq!(unmarked.call::<String>("echo", "b").await.unwrap(), "b");
    assert_eq!(other.call::<String>("echo", "c").await.unwrap(), "c");
}

/// An event that a parser in use cannot encode is an error of its sender, and is sent to nobody.
#[actix_web::test]
async fn an_event_without_a_form_is_an_error() {
    let io = start();
    let namespace = io.of("/refuses");
    let json = TestClient::builder(&io)
        .namespace("/refuses")
        .connect()
        .await
        .unwrap();
    namespace.emit("fine", 1).await.unwrap();
    assert_eq!(json.expect::<u8>("fine", SOON).await.unwrap(), 1);
    let marked = client(&io, "marked").await;
    let refused = namespace.emit("news", 1).await;
    assert!(
        matches!(&refused, Err(EmitError::Encode(error)) if error.to_string().contains("no event here")),
        "{refused:?}"
    );
    marked.close().await;
    until("the client to be gone", || io.of("/").count() == 0).await;
    namespace.emit("fine", 2).await.unwrap();
    assert_eq!(json.expect::<u8>("fine", SOON).await.unwrap(), 2);
}

/// A rule that panics does not hold; the client gets the default.
#[actix_web::test]
async fn a_rule_that_panics_does_not_hold() {
    let io = SocketIo::builder()
        .parser_when(MessagePackParser::new(), |_| panic!("the rule"))
        .start()
        .unwrap();
    io.of("/")
        .on("echo", |Data(text): Data<String>| async move { text });
    let client = TestClient::connect(&io).await.unwrap();
    assert_eq!(client.call::<String>("echo", "a").await.unwrap(), "a");
}

/// 256 parsers, JSON included, are the most.
#[actix_web::test]
async fn too_many_parsers_are_refused_at_the_start() {
    let with = |parsers: usize| {
        let builders = (0..parsers).fold(SocketIo::builder(), |builder, _| {
            builder.parser_when(Marked, |_| false)
        });
        builders.start()
    };
    assert!(with(255).is_ok());
    let refused = with(256).unwrap_err().to_string();
    assert!(
        refused.contains("257 parsers, the maximum is 256"),
        "{refused}"
    );
}
