//! Metrics: a page for Prometheus, which docs/grafana.json shows.
//!
//! ```sh
//! cargo run --example metrics --features metrics
//! curl localhost:3000/metrics
//! ```
//! ```js
//! const socket = io("http://localhost:3000");
//! await socket.emitWithAck("add", 1, 2);
//! ```

use std::error::Error;

use actix_socketio::{Data, SocketIo};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// The upper bounds of the histograms, in seconds: of handlers, and of sessions.
const HANDLERS: &[f64] = &[0.0001, 0.001, 0.01, 0.1, 1.0, 10.0];
const SESSIONS: &[f64] = &[1.0, 10.0, 60.0, 600.0, 3600.0, 86400.0];

fn recorder() -> Result<PrometheusRecorder, Box<dyn Error>> {
    let handlers = Matcher::Prefix("socketio_handler".to_owned());
    let sessions = Matcher::Prefix("socketio_session".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(handlers, HANDLERS)?
        .set_buckets_for_metric(sessions, SESSIONS)?;
    Ok(builder.build_recorder())
}

/// `GET /metrics`, which only the scraper should reach.
fn page(handle: &PrometheusHandle) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let handle = handle.clone();
    move |app| {
        let handle = handle.clone();
        let render = move || {
            let text = handle.render();
            async {
                HttpResponse::Ok()
                    .content_type("text/plain; version=0.0.4")
                    .body(text)
            }
        };
        app.route("/metrics", web::get().to(render));
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let recorder = recorder()?;
    let page = page(&recorder.handle());
    let io = SocketIo::builder().metrics_recorder(recorder).start()?;
    io.of("/")
        .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
    let app = move || App::new().configure(page.clone());
    Ok(io.serve(app).bind(("127.0.0.1", 3000))?.run().await?)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use actix_socketio::testing::TestClient;
    use actix_web::test::{TestRequest, call_and_read_body, init_service};

    use super::*;

    #[actix_web::test]
    async fn the_page_has_the_handlers_in_buckets() -> Result<(), Box<dyn Error>> {
        let recorder = recorder()?;
        let page = page(&recorder.handle());
        let io = SocketIo::builder().metrics_recorder(recorder).start()?;
        io.of("/")
            .on("add", |Data((a, b)): Data<(i64, i64)>| async move { a + b });
        let client = TestClient::builder(&io).connect().await?;
        assert_eq!(client.call::<i64>("add", (1, 2)).await?, 3);
        let app = init_service(App::new().configure(page)).await;
        let request = TestRequest::get().uri("/metrics").to_request();
        let text = call_and_read_body(&app, request).await;
        let text = std::str::from_utf8(&text)?;
        for line in [
            "# HELP socketio_handler_duration_seconds Time from the call of a handler to its end",
            r#"socketio_handler_duration_seconds_bucket{namespace="/",event="add",le="10"} 1"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        Ok(())
    }
}
