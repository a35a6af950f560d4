//! A server for production: seen, protected, and replaced without losing a client.
//!
//! docs/operations.md explains each part. A client has a JSON Web Token with `sub` and `exp`.
//!
//! ```sh
//! REDIS_URL=redis://localhost:6379 TOKEN_SECRET=secret RUST_LOG=info \
//!     cargo run --example production --features metrics,redis,tracing
//! curl localhost:3000/ready localhost:9000/metrics
//! ```
//! ```js
//! const auth = async (send) => send({ token: await freshToken() });
//! const socket = io("http://localhost:3000", { auth });
//! socket.on("login_expiring", async () => socket.emitWithAck("renew", await freshToken()));
//! await socket.emitWithAck("say", "hello");
//! ```

use std::env;
use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use actix_socketio::{
    Auth, Builder, ConnectError, Cors, Data, DrainOptions, EmitError, HandlerError, RateLimit,
    RatePolicy, RedisAdapter, Socket, SocketIo, State, UserPolicy,
};
use actix_web::{App, HttpResponse, HttpServer, web};
use jsonwebtoken::{DecodingKey as Key, Validation, decode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::layer::SubscriberExt;

/// Sends spans to the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn export_spans() -> Result<SdkTracerProvider, Box<dyn Error>> {
    let exporter = SpanExporter::builder().with_http();
    let exporter = exporter.with_protocol(Protocol::HttpJson).build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("chat"));
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))?;
    Ok(provider)
}

/// Bounds clients, and the memory of all of them together.
fn protected(builder: Builder) -> Builder {
    builder
        .max_sessions(50_000)
        .sessions_per_address(200)
        .handshakes_per_second(RateLimit::new(500).burst(2_000))
        .handshakes_per_second_per_address(RateLimit::new(10).burst(50))
        .first_poll_timeout(Duration::from_secs(10))
        .memory_limit(1_700_000_000)
        .events_per_second(RateLimit::new(50).burst(200).policy(RatePolicy::Delay))
        .rooms_per_socket(50)
        .on_limit(|hit| log::info!("{:?} reached {}", hit.address(), hit.limit()))
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// Makes the socket one of the token's user, until the token ends.
async fn log_in(socket: &Socket, token: &str, key: &Key) -> Result<(), ConnectError> {
    let token = decode::<Claims>(token, key, &Validation::default());
    let token = token.map_err(|_| ConnectError::new("invalid token"))?;
    let Claims { sub, exp } = token.claims;
    if socket.user().is_some_and(|user| user != sub) {
        return Err("a token of another user".into());
    }
    socket.expires_at(UNIX_EPOCH + Duration::from_secs(exp));
    Ok(socket.identify(&sub).await?)
}

async fn enter(me: Socket, Auth(login): Auth<Login>, key: State<Key>) -> Result<(), ConnectError> {
    log_in(&me, &login.token, &key).await
}

async fn renew(me: Socket, Data(token): Data<String>, key: State<Key>) -> Result<(), HandlerError> {
    Ok(log_in(&me, &token, &key).await?)
}

async fn say(socket: Socket, Data(text): Data<String>) -> Result<(), EmitError> {
    socket.everyone().emit("said", (socket.user(), text)).await
}

/// The page for Prometheus, on a port of its own that clients do not reach.
fn serve_metrics(page: PrometheusHandle) -> std::io::Result<()> {
    let app = move || {
        let page = page.clone();
        let render = move || std::future::ready(HttpResponse::Ok().body(page.render()));
        App::new().route("/metrics", web::get().to(render))
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    actix_web::rt::spawn(server.bind(("127.0.0.1", 9000))?.run());
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let spans = export_spans()?;
    let buckets = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0];
    let recorder = PrometheusBuilder::new()
        .set_buckets(&buckets)?
        .build_recorder();
    serve_metrics(recorder.handle())?;
    let secret = env::var("TOKEN_SECRET")?;

    let io = protected(SocketIo::builder())
        .cors(Cors::origins(["https://chat.example"]))
        .trusted_proxies([IpAddr::from([127, 0, 0, 1])])
        .metrics_recorder(recorder)
        .adapter(RedisAdapter::streams(&env::var("REDIS_URL")?)?)
        .connection_state_recovery(Duration::from_secs(120))
        .user_policy(UserPolicy::EndOldest(5))
        .state(Key::from_secret(secret.as_bytes())?)
        .start()?;
    io.of("/")
        .on_connect(enter)
        .on("renew", renew)
        .on("say", say)
        .on("log_out", |me: Socket, io: SocketIo| async move {
            // On all devices and nodes: the clients get the reason, and stay away.
            let mine = io.user(me.user().unwrap_or_default());
            mine.disconnect_sockets_with("logged out").await
        })
        .event_rate("renew", RateLimit::new(1).burst(5));

    let health = io.health_routes();
    let app = move || App::new().configure(health.clone());
    // Twice the interval at which the load balancer checks `/ready`, then 60 s for the clients.
    let drain = DrainOptions::new()
        .delay(Duration::from_secs(10))
        .limit(Duration::from_secs(60))
        .jitter(0.5);
    let server = io.serve(app).drain_on_signal(drain);
    server.bind(("0.0.0.0", 3000))?.run().await?;
    Ok(spans.shutdown()?)
}
