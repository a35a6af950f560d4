//! Tracing: the spans of the server go to a collector by OTLP, in the traces of the clients.
//!
//! ```sh
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 cargo run --example tracing --features tracing
//! ```
//! ```js
//! const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! const socket = io("http://localhost:3000", { extraHeaders: { traceparent } });
//! await socket.emitWithAck("add", 1, 2);
//! ```

use std::error::Error;

use actix_socketio::{Data, SocketIo, TraceParent};
use actix_web::App;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// Makes an exporter to a collector: by default that of `OTEL_EXPORTER_OTLP_ENDPOINT`.
fn exporter(endpoint: Option<&str>) -> Result<SdkTracerProvider, Box<dyn Error>> {
    let mut exporter = SpanExporter::builder().with_http();
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = exporter.with_protocol(Protocol::HttpJson).build()?;
    let resource = Resource::builder().with_service_name("chat").build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter);
    Ok(provider.build())
}

/// Lets the spans of the process go to the exporter.
fn export_to(provider: &SdkTracerProvider) -> Result<(), Box<dyn Error>> {
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("actix-socketio"));
    let subscriber = tracing_subscriber::registry().with(layer);
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// Puts a span into the trace of its client.
fn adopt(span: &Span, parent: &TraceParent) {
    let parent = SpanContext::new(
        TraceId::from(parent.trace_id()),
        SpanId::from(parent.span_id()),
        TraceFlags::default().with_sampled(parent.is_sampled()),
        true,
        TraceState::default(),
    );
    // It fails for spans that the subscriber does not record.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

async fn add(Data((a, b)): Data<(i64, i64)>) -> i64 {
    a + b
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = exporter(None)?;
    export_to(&provider)?;
    let io = SocketIo::builder().trace_parent(adopt).start()?;
    io.of("/").on("add", add);
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    io.serve(App::new).bind(("127.0.0.1", port))?.run().await?;
    // The last spans leave.
    Ok(provider.shutdown()?)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use actix_socketio::testing::TestClient;
    use actix_web::web::{self, Bytes};
    use actix_web::{HttpResponse, HttpServer};
    use serde_json::Value;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[actix_web::test]
    async fn a_collector_gets_the_spans_in_the_trace_of_the_client() -> Result<(), Box<dyn Error>> {
        let (sender, mut exported) = unbounded_channel();
        let collector = HttpServer::new(move || {
            let sender = sender.clone();
            let receive = move |body: Bytes| {
                let _ = sender.send(body);
                async { HttpResponse::Ok().json(serde_json::json!({})) }
            };
            App::new().route("/v1/traces", web::post().to(receive))
        });
        let collector = collector.workers(1).bind(("127.0.0.1", 0))?;
        let endpoint = format!("http://{}/v1/traces", collector.addrs()[0]);
        let collector = collector.run();
        let handle = collector.handle();
        actix_web::rt::spawn(collector);

        let provider = exporter(Some(&endpoint))?;
        export_to(&provider)?;
        let io = SocketIo::builder().trace_parent(adopt).start()?;
        io.of("/").on("add", add);
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let client = TestClient::builder(&io).header("traceparent", &parent);
        let client = client.connect().await?;
        assert_eq!(client.call::<i64>("add", (1, 2)).await?, 3);

        let mut names = Vec::new();
        while !names.iter().any(|name| name == "event") {
            let flushing = provider.clone();
            web::block(move || flushing.force_flush()).await??;
            let body = exported.recv().await.ok_or("no collector")?;
            let body: Value = serde_json::from_slice(&body)?;
            let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
            for span in spans.as_array().ok_or("no spans")? {
                assert_eq!(span["traceId"], TRACE, "{span}");
                names.push(span["name"].as_str().unwrap_or_default().to_owned());
            }
        }
        assert_eq!(names, ["handshake", "connect", "event"]);
        handle.stop(false).await;
        Ok(())
    }
}
