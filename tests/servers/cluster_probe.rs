//! A node of a cluster that does what a test asks of it, by `POST /control`.
//!
//! `PORT`, `REDIS_URL`, `MODE` (`classic`, `sharded`, `streams`, `bus`) and `SERVER` (`http` or
//! `direct`) come from the environment, and `RECOVERY` to let clients come back. Clients join the
//! rooms of their query's `rooms`, and more by `join`, `leave` and `set`; `bcast` sends its
//! arguments to everyone on all nodes, `address` asks whence the client came and `length` how long
//! a text is.
//!
//! ```sh
//! PORT=3000 REDIS_URL=redis://127.0.0.1:6379 MODE=classic cargo run --features redis --example cluster_probe
//! ```

mod ticker;

use std::env;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_socketio::{
    Args, Broadcast, Bytes, CallMany, ClusterError, Data, DrainOptions, EmitError, Emitter, Event,
    Namespace, NodeId, RedisAdapter, RemoteSocket, ServerSideEvent, Socket, SocketIo,
};
use actix_web::{App, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::ticker::Ticker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A request of a test.
#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Order {
    op: String,
    nsp: String,
    rooms: Vec<String>,
    except: Vec<String>,
    volatile: bool,
    local: bool,
    event: String,
    args: Vec<Value>,
    count: u32,
    /// Events a second.
    rate: u32,
    timeout: u64,
    targets: Vec<String>,
    close: bool,
    /// The order is for an emitter beside the node.
    outside: bool,
}

impl Default for Order {
    fn default() -> Self {
        let nsp = "/".to_owned();
        let (op, event) = (String::new(), String::new());
        let (rooms, except, targets) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            op,
            nsp,
            rooms,
            except,
            volatile: false,
            local: false,
            event,
            args: Vec::new(),
            count: 0,
            rate: 0,
            timeout: 5000,
            targets,
            close: false,
            outside: false,
        }
    }
}

/// JSON in which `{"$binary": base64}` stands for bytes.
struct Marked<'a>(&'a Value);

impl Serialize for Marked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(list) => serializer.collect_seq(list.iter().map(Marked)),
            Value::Object(map) => match map.get("$binary").and_then(Value::as_str) {
                Some(text) => {
                    let bytes = STANDARD.decode(text).map_err(serde::ser::Error::custom)?;
                    serializer.serialize_bytes(&bytes)
                }
                None => serializer.collect_map(map.iter().map(|(key, value)| (key, Marked(value)))),
            },
            other => other.serialize(serializer),
        }
    }
}

/// Makes each value an argument; the values come from JSON, and so they can be written.
fn arguments(values: &[Value]) -> Args {
    Args::from_values(values.iter().map(Marked)).unwrap_or_default()
}

type Heard = Arc<Mutex<Vec<Value>>>;

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let adapter = match env::var("MODE").as_deref() {
        Ok("sharded") => RedisAdapter::sharded(&url),
        Ok("streams") => RedisAdapter::streams(&url),
        Ok("bus") => RedisAdapter::flask_socketio(&url),
        _ => RedisAdapter::classic(&url),
    }?;
    let emitter = Emitter::new(adapter.clone());
    // The test's own proxy.
    let mut builder = SocketIo::builder()
        .error_details(true)
        .adapter(adapter)
        .trusted_proxies([IpAddr::from([127, 0, 0, 1])]);
    if env::var_os("RECOVERY").is_some() {
        builder = builder.connection_state_recovery(Duration::from_secs(60));
    }
    let io = builder.start()?;
    let heard = Heard::default();
    let ticker = Ticker::default();
    for name in ["/", "/chat"] {
        register(&io.of(name), &heard, &ticker);
    }
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let address = ("127.0.0.1", port.unwrap_or(3000));
    let control = {
        let (io, heard) = (web::Data::new(io.clone()), web::Data::new(heard));
        let emitter = web::Data::new(emitter);
        let ticker = web::Data::new(ticker);
        move |app: &mut web::ServiceConfig| {
            app.app_data(io.clone())
                .app_data(emitter.clone())
                .app_data(heard.clone())
                .app_data(ticker.clone())
                .route("/control", web::post().to(control));
        }
    };
    if env::var("SERVER").is_ok_and(|server| server == "http") {
        let mounted = io.clone();
        let app = move || {
            App::new()
                .configure(mounted.routes())
                .configure(control.clone())
        };
        return io
            .tune(HttpServer::new(app))
            .workers(1)
            .bind(address)?
            .run()
            .await;
    }
    let app = move || App::new().configure(control.clone());
    io.serve(app).workers(1).bind(address)?.run().await
}

fn register(namespace: &Namespace, heard: &Heard, ticker: &Ticker) {
    let ticker = ticker.clone();
    namespace
        .on_connect(move |socket: Socket| {
            ticker.note_connect();
            connected(socket)
        })
        .on("address", |socket: Socket| async move {
            socket.handshake().address()
        })
        .on(
            "length",
            |Data(text): Data<String>| async move { text.len() },
        )
        .on(
            "join",
            |socket: Socket, Data(room): Data<String>| async move { socket.join(room).await },
        )
        .on(
            "leave",
            |socket: Socket, Data(room): Data<String>| async move { socket.leave(room).await },
        )
        .on(
            "set",
            |socket: Socket, Data((key, value)): Data<(String, Value)>| async move {
                socket.session().insert(key, value)
            },
        )
        .on("bcast", |event: Event| async move {
            event.socket().everyone().emit("bcast", event.args()).await
        });
    let (name, heard) = (namespace.name().to_owned(), Arc::clone(heard));
    let note = move |event: &ServerSideEvent| {
        let args = marked(event.args());
        let note = json!({ "nsp": name, "event": event.name(), "args": args });
        if let Ok(mut heard) = heard.lock() {
            heard.push(note);
        }
        args
    };
    for event in ["sum", "ping", "note"] {
        let note = note.clone();
        namespace.on_server_side(event, move |event: ServerSideEvent| {
            let args = note(&event);
            let sum: f64 = args.iter().filter_map(Value::as_f64).sum();
            async move { json!({ "node": "rust", "sum": sum }) }
        });
    }
}

async fn connected(socket: Socket) -> Result<(), String> {
    let Some(rooms) = socket.handshake().query_value("rooms") else {
        return Ok(());
    };
    let rooms = rooms.split(',').filter(|room| !room.is_empty());
    let rooms: Vec<_> = rooms.map(str::to_owned).collect();
    if socket.recovered() {
        return Ok(());
    }
    let joined = socket.join(rooms).await;
    joined.map_err(|error| error.to_string())?;
    let ready = socket.emit("ready", socket.id()).await;
    ready.map_err(|error| error.to_string())
}

async fn control(
    io: web::Data<SocketIo>,
    emitter: web::Data<Emitter>,
    heard: web::Data<Heard>,
    ticker: web::Data<Ticker>,
    order: web::Json<Order>,
) -> web::Json<Value> {
    let order = order.into_inner();
    let obeyed = if order.outside {
        emit_from_outside(&emitter, order).await
    } else {
        obey(&io, &heard, &ticker, order).await
    };
    let answer = match obeyed {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": error }),
    };
    web::Json(answer)
}

#[allow(
    clippy::too_many_lines,
    reason = "a list of orders, each a line or two"
)]
async fn obey(
    io: &SocketIo,
    heard: &Heard,
    ticker: &Ticker,
    order: Order,
) -> Result<Value, String> {
    let namespace = io.of(&order.nsp);
    let limit = Duration::from_millis(order.timeout);
    let audience = audience(&namespace, &order);
    let cluster = |result: Result<usize, ClusterError>| match result {
        Ok(_) => Ok(Value::Null),
        Err(error) => Err(error.to_string()),
    };
    let emitted = |result: Result<(), EmitError>| result.map_err(|error| error.to_string());
    match order.op.as_str() {
        "emit" => {
            let args = arguments(&order.args);
            emitted(audience.emit(&order.event, args).await)?;
            Ok(Value::Null)
        }
        "emitMany" => {
            for number in 0..order.count {
                emitted(audience.clone().emit(&order.event, number).await)?;
            }
            Ok(Value::Null)
        }
        "ask" => ask(io, &order, limit).await,
        "fetch" => fetch(audience.timeout(limit)).await,
        "handshakes" => {
            let found = audience.fetch_sockets().await;
            let describe = |socket: &RemoteSocket| {
                let (id, handshake) = (socket.id(), socket.handshake());
                json!({ "id": id, "handshake": handshake })
            };
            Ok(found.iter().map(describe).collect::<Vec<_>>().into())
        }
        "join" => cluster(audience.sockets_join(order.targets).await),
        "leave" => cluster(audience.sockets_leave(order.targets).await),
        "disconnect" => cluster(audience.disconnect_sockets(order.close).await),
        "closeRoom" => {
            for room in &order.rooms {
                cluster(namespace.close_room(room).await)?;
            }
            Ok(Value::Null)
        }
        "serverSideEmit" => {
            emitted(
                namespace
                    .server_side_emit(&order.event, arguments(&order.args))
                    .await,
            )?;
            Ok(Value::Null)
        }
        "serverSideAsk" => ask_servers(&namespace, &order, limit).await,
        "heard" => Ok(heard
            .lock()
            .map(|heard| heard.clone())
            .unwrap_or_default()
            .into()),
        "nodes" => {
            let nodes = io.nodes().await.map_err(|error| error.to_string())?;
            Ok(nodes.len().into())
        }
        "rooms" => {
            let mut rooms = namespace.rooms_everywhere().await.into_inner();
            rooms.sort();
            Ok(rooms.into())
        }
        "localCount" => Ok(audience.count().into()),
        "count" => Ok((*audience.count_everywhere().await).into()),
        "startTicks" => {
            ticker.start(namespace, order.event, order.count, order.rate);
            Ok(Value::Null)
        }
        "stopTicks" => Ok(json!(ticker.stop())),
        "connects" => Ok(ticker.connects().into()),
        "drain" => {
            let options = DrainOptions::new().delay(Duration::from_secs(1));
            let report = io.drain(options.limit(limit)).await;
            let (clients, complete) = (report.clients(), report.is_complete());
            Ok(json!({ "clients": clients, "complete": complete, "sent": ticker.stop() }))
        }
        "health" => {
            let health = io.adapter_health();
            Ok(json!({
                "connected": health.is_connected(), "queuedBytes": health.queued_bytes(),
                "lost": health.lost(), "refused": health.refused(),
            }))
        }
        _ => Err("unsupported".to_owned()),
    }
}

/// Does through an emitter what it can do.
async fn emit_from_outside(emitter: &Emitter, order: Order) -> Result<Value, String> {
    let emitter = emitter.of(&order.nsp);
    let mut audience = emitter.except(&order.except);
    if !order.rooms.is_empty() {
        audience = audience.to(&order.rooms);
    }
    if order.volatile {
        audience = audience.volatile();
    }
    let (event, args) = (&order.event, arguments(&order.args));
    let cluster = |result: Result<(), ClusterError>| result.map_err(|error| error.to_string());
    let emitted = |result: Result<(), EmitError>| result.map_err(|error| error.to_string());
    let done = match order.op.as_str() {
        "emit" => emitted(audience.emit(event, args).await),
        "emitMany" => {
            for number in 0..order.count {
                emitted(audience.clone().emit(event, number).await)?;
            }
            Ok(())
        }
        "join" => cluster(audience.sockets_join(order.targets).await),
        "leave" => cluster(audience.sockets_leave(order.targets).await),
        "disconnect" => cluster(audience.disconnect_sockets(order.close).await),
        "closeRoom" => {
            for room in &order.rooms {
                cluster(emitter.close_room(room).await)?;
            }
            Ok(())
        }
        "serverSideEmit" => emitted(emitter.server_side_emit(event, args).await),
        _ => Err("unsupported".to_owned()),
    };
    done.map(|()| Value::Null)
}

async fn ask(io: &SocketIo, order: &Order, limit: Duration) -> Result<Value, String> {
    let mut call = CallMany::event(&order.event, arguments(&order.args))
        .of(&order.nsp)
        .except(&order.except)
        .timeout(limit);
    if !order.rooms.is_empty() {
        call = call.to(&order.rooms);
    }
    let asked = io.server().send(call).await;
    let gathered = asked.map_err(|error| error.to_string())?;
    let gathered = gathered.map_err(|error| error.to_string())?;
    let answers: Vec<_> = gathered
        .answers
        .iter()
        .map(|(_, args)| first(args))
        .collect();
    let missing = gathered.missing.len() + gathered.missing_elsewhere;
    let silent: Vec<_> = gathered
        .coverage
        .unresponsive_nodes()
        .iter()
        .map(NodeId::as_str)
        .collect();
    Ok(json!({
        "answers": answers, "timedOut": gathered.timed_out, "missing": missing, "silent": silent,
    }))
}

/// Returns the first argument, with its binary marked.
fn first(args: &Args) -> Value {
    marked(args).into_iter().next().unwrap_or_default()
}

/// Returns the arguments, with their binary marked.
fn marked(args: &Args) -> Vec<Value> {
    fn mark(value: &mut Value, attachments: &[Bytes]) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(|value| mark(value, attachments)),
            Value::Object(map) if map.contains_key("_placeholder") => {
                let number = map.get("num").and_then(Value::as_u64).unwrap_or_default();
                let data = attachments
                    .get(number as usize)
                    .cloned()
                    .unwrap_or_default();
                *value = json!({ "$binary": STANDARD.encode(data) });
            }
            Value::Object(map) => map.values_mut().for_each(|value| mark(value, attachments)),
            _ => {}
        }
    }
    let mut list: Vec<Value> =
        serde_json::from_str(&format!("[{}]", args.as_json())).unwrap_or_default();
    list.iter_mut()
        .for_each(|value| mark(value, args.attachments()));
    list
}

async fn fetch(audience: Broadcast) -> Result<Value, String> {
    let found = audience.fetch_sockets().await;
    let describe = |socket: &RemoteSocket| {
        let mut rooms = socket.rooms();
        rooms.sort();
        json!({ "id": socket.id(), "rooms": rooms, "data": socket.all_data() })
    };
    let sockets: Vec<_> = found.iter().map(describe).collect();
    if found.coverage().is_complete() {
        Ok(sockets.into())
    } else {
        Err(format!("{} sockets, {:?}", sockets.len(), found.coverage()))
    }
}

async fn ask_servers(
    namespace: &Namespace,
    order: &Order,
    limit: Duration,
) -> Result<Value, String> {
    let args = arguments(&order.args);
    let asked = namespace.server_side_emit_with_ack(&order.event, args, limit);
    let found = asked.await.map_err(|error| error.to_string())?;
    let answers: Vec<_> = found.iter().map(first).collect();
    Ok(json!({ "answers": answers, "timedOut": !found.coverage().is_complete() }))
}

fn audience(namespace: &Namespace, order: &Order) -> Broadcast {
    let mut audience = namespace.except(&order.except);
    if !order.rooms.is_empty() {
        audience = audience.to(&order.rooms);
    }
    if order.volatile {
        audience = audience.volatile();
    }
    if order.local {
        audience = audience.local();
    }
    audience
}
