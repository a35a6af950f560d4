//! Where the server is mounted in the program's App.

use std::cell::Cell;
use std::sync::Arc;

use actix_cors::Cors as CorsLayer;
use actix_service::ServiceFactory;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::Condition;
use actix_web::{App, Error, FromRequest, HttpRequest, HttpResponse, web};

use crate::actor::Engine;
use crate::config::Config;
use crate::transport::held::Held;
use crate::transport::hooks::Hooks;
use crate::transport::{client_files, handle};

/// Registers the server's path. As on the Node.js server everything below it belongs to the server.
pub(crate) fn mount(engine: &Arc<Engine>, hooks: &Arc<Hooks>, app: &mut web::ServiceConfig) {
    MOUNTED.set(Some(Arc::as_ptr(engine)));
    let path = &engine.config.path;
    // The path itself first: unlike what is below it, it is found without a regular expression.
    for pattern in [path.clone(), format!("{path}{{file:.*}}")] {
        let (engine, hooks) = (Arc::clone(engine), Arc::clone(hooks));
        let cors = Condition::new(engine.config.cors.is_some(), layer(&engine.config));
        let answer = move |request: HttpRequest, payload: web::Payload| {
            let (engine, hooks) = (Arc::clone(&engine), Arc::clone(&hooks));
            async move {
                let mut body = payload.into_inner();
                let held = Held::share(request.headers(), &mut body);
                let payload = match web::Payload::from_request(&request, &mut body).await {
                    Ok(payload) => payload,
                    Err(error) => return HttpResponse::from_error(error),
                };
                let mut response = match client_files::find(&engine.config, &request) {
                    Some(file) => file.await,
                    None => handle(&engine, &hooks, &request, payload).await,
                };
                hooks.on_response_headers(&request, response.headers_mut());
                match held {
                    Some(held) => response.map_body(|_, body| held.until_sent(body)),
                    None => response,
                }
            }
        };
        app.service(
            web::resource(pattern)
                .route(web::route().to(answer))
                .wrap(cors),
        );
    }
}

/// Makes an App that has the server's path, whether or not it has mounted it by itself.
pub(crate) fn mount_once<T>(
    engine: &Arc<Engine>,
    hooks: &Arc<Hooks>,
    make: impl FnOnce() -> App<T>,
) -> App<T>
where
    T: ServiceFactory<ServiceRequest, Config = (), Error = Error, InitError = ()>,
{
    MOUNTED.set(None);
    let app = make();
    if MOUNTED.take() == Some(Arc::as_ptr(engine)) {
        return app;
    }
    app.configure(|app| mount(engine, hooks, app))
}

fn layer(config: &Config) -> CorsLayer {
    let Some(cors) = &config.cors else {
        return CorsLayer::default();
    };
    let mut layer = CorsLayer::default()
        // A method that the protocol does not know gets the protocol's own error.
        .allow_any_method()
        .allow_any_header();
    layer = match &cors.origins {
        None if cors.credentials => layer.allow_any_origin(),
        None => layer.allow_any_origin().send_wildcard(),
        Some(origins) => origins
            .iter()
            .fold(layer, |layer, origin| layer.allowed_origin(origin)),
    };
    if cors.credentials {
        layer = layer.supports_credentials();
    }
    layer
}

thread_local! {
    /// The server that was mounted last on this thread.
    static MOUNTED: Cell<Option<*const Engine>> = const { Cell::new(None) };
}
