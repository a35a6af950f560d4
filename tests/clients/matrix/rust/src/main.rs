//! `rust_socketio`, over one transport, through all features of the matrix.
//!
//! ```sh
//! matrix-rust-client URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//! ```
//!
//! It speaks with the matrix by lines of JSON, see `runner.mjs`.

use std::env;
use std::error::Error;
use std::io::stdin;
use std::process::exit;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rust_socketio::client::Client;
use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn Error>>;

const LIMIT: Duration = Duration::from_secs(10);

/// A client, and what it receives.
struct Peer {
    client: Client,
    events: Receiver<(String, Payload)>,
}

/// Returns a callback that keeps an event of the client itself.
fn heard(
    name: &'static str,
    events: &Sender<(String, Payload)>,
) -> impl FnMut(Payload, RawClient) + Send + 'static {
    let events = events.clone();
    move |payload, _| {
        let _ = events.send((name.to_owned(), payload));
    }
}

/// The settings of a run.
struct Run {
    url: String,
    transports: String,
}

impl Run {
    fn builder(
        &self,
        namespace: &str,
        query: &str,
        events: Sender<(String, Payload)>,
    ) -> ClientBuilder {
        let transport = match self.transports.as_str() {
            "polling" => TransportType::Polling,
            "websocket" => TransportType::Websocket,
            _ => TransportType::WebsocketUpgrade,
        };
        ClientBuilder::new(format!("{}/{query}", self.url))
            .namespace(namespace)
            .transport_type(transport)
            .reconnect(true)
            .reconnect_on_disconnect(true)
            .reconnect_delay(50, 200)
            .on(Event::Error, heard("error", &events))
            .on(Event::Close, heard("close", &events))
            .on_any(move |event: Event, payload: Payload, _: RawClient| {
                // The receiver is gone if the feature has ended.
                let _ = events.send((String::from(event), payload));
            })
    }

    fn connect(&self) -> Result<Peer, Box<dyn Error>> {
        self.connect_with("/", "", None)
    }

    fn connect_with(
        &self,
        namespace: &str,
        query: &str,
        auth: Option<Value>,
    ) -> Result<Peer, Box<dyn Error>> {
        let (sender, events) = channel();
        let mut builder = self.builder(namespace, query, sender);
        if let Some(auth) = auth {
            builder = builder.auth(auth);
        }
        let client = builder.connect()?;
        Ok(Peer { client, events })
    }
}

impl Peer {
    /// Waits for an event, and returns its arguments.
    fn next(&self, name: &str) -> Result<Payload, Box<dyn Error>> {
        loop {
            let (event, payload) = self.events.recv_timeout(LIMIT)?;
            if event == name {
                return Ok(payload);
            }
        }
    }

    fn echo(&self, args: Vec<Value>) -> Outcome {
        self.client.emit("echo", Payload::Text(args.clone()))?;
        same(self.next("echoed")?, Payload::Text(args))
    }

    fn echo_binary(&self, bytes: Vec<u8>) -> Outcome {
        let payload = Payload::Binary(bytes.into());
        self.client.emit("echo", payload.clone())?;
        same(self.next("echoed")?, payload)
    }
}

fn connect(run: &Run) -> Outcome {
    run.connect()?.next("hello").map(|_| ())
}

fn auth(run: &Run) -> Outcome {
    let token = json!({ "token": "ä", "n": [1] });
    let peer = run.connect_with("/", "", Some(token.clone()))?;
    let hello = json!({ "auth": token, "value": null });
    same(peer.next("hello")?, Payload::Text(vec![hello]))
}

fn query(run: &Run) -> Outcome {
    let peer = run.connect_with("/", "?value=a%20b%26%C3%A4", None)?;
    // It sends an empty object if it has no auth payload.
    let hello = json!({ "auth": {}, "value": "a b&ä" });
    same(peer.next("hello")?, Payload::Text(vec![hello]))
}

fn refused(run: &Run) -> Outcome {
    let peer = run.connect_with("/private", "", Some(json!({ "token": "wrong" })))?;
    let error = format!("{:?}", peer.next("error")?);
    match error.contains("not authorized") {
        true => Ok(()),
        false => Err(error.into()),
    }
}

fn events(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    peer.echo(vec![
        json!("text"),
        json!(1.5),
        json!(null),
        json!({ "a": [[1]] }),
        json!(""),
    ])?;
    for number in 0..100 {
        peer.client
            .emit("echo", Payload::Text(vec![json!(number)]))?;
    }
    (0..100).try_for_each(|number| same(peer.next("echoed")?, Payload::Text(vec![json!(number)])))
}

fn binary(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    peer.echo_binary(vec![0, 1, 254, 255])?;
    peer.echo_binary(vec![7; 70_000])
}

fn acks(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    let args = vec![json!(1), json!({ "two": [3] })];
    let (sender, answers) = channel();
    let answered = move |payload: Payload, _: RawClient| {
        let _ = sender.send(payload);
    };
    let sent = Payload::Text(args.clone());
    peer.client.emit_with_ack("ack", sent, LIMIT, answered)?;
    // It wraps the arguments of an acknowledgement in a list.
    same(
        answers.recv_timeout(LIMIT)?,
        Payload::Text(vec![Value::Array(args)]),
    )
}

fn namespaces(run: &Run) -> Outcome {
    let peer = run.connect_with("/chat", "", None)?;
    peer.next("hello")?;
    peer.echo(vec![json!("of chat")])
}

fn server_disconnect(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    peer.client.emit("kick", Payload::Text(Vec::new()))?;
    peer.next("close").map(|_| ())
}

fn reconnect(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    ask("cut")?;
    peer.next("hello")?;
    peer.echo(vec![json!("again")])
}

fn large(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    peer.echo(vec!["ä".repeat(524_288).into()])?;
    peer.echo_binary(vec![3; 1_048_576])
}

fn utf8(run: &Run) -> Outcome {
    let peer = run.connect()?;
    peer.next("hello")?;
    let planes = (0..17_u32).flat_map(|plane| [0xfffd, 0x41].map(|at| (plane << 16) + at));
    let planes: String = planes.filter_map(char::from_u32).collect();
    peer.echo(vec![
        format!("\0\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{2028}\"\\{planes}").into(),
    ])
}

fn same(actual: Payload, expected: Payload) -> Outcome {
    if actual == expected {
        return Ok(());
    }
    let short = |payload: &Payload| format!("{payload:?}").chars().take(200).collect::<String>();
    Err(format!("expected {}, got {}", short(&expected), short(&actual)).into())
}

/// Asks the matrix to do something, and waits until it has done so.
fn ask(what: &str) -> Outcome {
    println!("{}", json!({ "ask": what }));
    stdin().read_line(&mut String::new())?;
    Ok(())
}

type Feature = fn(&Run) -> Outcome;

const FEATURES: [(&str, Option<Feature>); 18] = [
    ("connect", Some(connect)),
    ("auth", Some(auth)),
    ("query", Some(query)),
    ("refused", Some(refused)),
    ("events", Some(events)),
    ("binary", Some(binary)),
    ("acks", Some(acks)),
    ("calls", None),
    ("namespaces", Some(namespaces)),
    ("server disconnect", Some(server_disconnect)),
    ("client disconnect", None),
    ("server timeout", None),
    ("client timeout", None),
    ("reconnect", Some(reconnect)),
    ("recovery", None),
    ("compression", None),
    ("1 MB", Some(large)),
    ("UTF-8", Some(utf8)),
];

fn main() {
    let mut args = env::args().skip(1);
    let (Some(url), _, Some(transports)) = (args.next(), args.next(), args.next()) else {
        eprintln!("usage: matrix-rust-client URL RECOVERY_URL TRANSPORT");
        exit(2);
    };
    let run = Run { url, transports };
    for (feature, test) in FEATURES {
        // It sometimes ends its polling thread instead of reconnecting.
        let tries = if feature == "reconnect" { 3 } else { 1 };
        let tried = |test: Feature| {
            (1..tries)
                .map(|_| test(&run))
                .find(Result::is_ok)
                .unwrap_or_else(|| test(&run))
        };
        let result = match test.map(tried) {
            None => "none".to_owned(),
            Some(Ok(())) => "ok".to_owned(),
            Some(Err(error)) => format!("error: {error}"),
        };
        println!("{}", json!({ "feature": feature, "result": result }));
    }
    exit(0);
}
