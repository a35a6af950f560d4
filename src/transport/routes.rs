//! The routes of the server in the program's App.

use std::cell::Cell;
use std::sync::Arc;

use actix_cors::Cors as CorsLayer;
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, apply, fn_service};
use actix_web::dev::{
    AppService, HttpServiceFactory, Payload, ResourceDef, ServiceRequest, ServiceResponse,
};
use actix_web::middleware::Condition;
use actix_web::{App, Error, FromRequest, HttpRequest, HttpResponse, web};

use crate::config::HttpConfig;
use crate::session::Engine;
use crate::transport::app::AppFactory;
use crate::transport::client_files;
use crate::transport::dispatch::handle;
use crate::transport::held::Held;
use crate::transport::hooks::Hooks;
use crate::transport::origin::lets_in;

/// Registers the server's path, with and without its last slash. As on the Node.js server all
/// requests below it belong to the server.
pub(crate) fn mount(engine: &Arc<Engine>, hooks: &Arc<Hooks>, app: &mut web::ServiceConfig) {
    MOUNTED.set(Some(Arc::as_ptr(engine)));
    if engine.is_closing() {
        let path = &engine.config.http.path;
        log::error!(
            "the server at {path} is closed and responds with 503: start a new one by its builder"
        );
    }
    for pattern in patterns(&engine.config.http.path) {
        let (engine, hooks) = (Arc::clone(engine), Arc::clone(hooks));
        let cors = cors(&engine.config.http);
        let answer = move |request: HttpRequest, payload: web::Payload| {
            let (engine, hooks) = (Arc::clone(&engine), Arc::clone(&hooks));
            async move { answer(&engine, &hooks, &request, payload.into_inner()).await }
        };
        app.service(
            web::resource(pattern)
                .route(web::route().to(answer))
                .wrap(cors),
        );
    }
}

/// Makes an App that has the server's path, even if the program has not mounted it. In that case
/// the path comes before all services of the App, and inside its middleware.
pub(crate) fn mount_once<F: AppFactory>(
    engine: &Arc<Engine>,
    hooks: &Arc<Hooks>,
    factory: &F,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<F::Body>,
        Error = Error,
        InitError = (),
    > + use<F>,
> {
    MOUNTED.set(None);
    let mut app = factory.app();
    let is_mounted = MOUNTED.take() == Some(Arc::as_ptr(engine));
    if !is_mounted {
        // The router tries its services in the order of their registration. Most requests are for
        // `First`: if it came later, a regular expression of each other service would run for them.
        app = app.service(First {
            engine: Arc::clone(engine),
            hooks: Arc::clone(hooks),
        });
        app = app.configure(|app| mount(engine, hooks, app));
    }
    let path = &engine.config.http.path;
    // A server at the root would take all requests of the App: its path stays after the App's
    // services.
    let first = (!is_mounted && path != "/").then(|| path.clone());
    app.wrap_fn(move |mut request, app| {
        let found = request.match_info().unprocessed();
        if first.as_ref().is_some_and(|path| belongs(found, path)) {
            // Without its first slash the path matches no service except `First`, in any order.
            // Only the router sees this path: middleware reads and changes the URI.
            request.match_info_mut().skip(1);
        }
        app.call(request)
    })
}

/// The server's path as the router finds it after its first slash.
struct First {
    engine: Arc<Engine>,
    hooks: Arc<Hooks>,
}

impl HttpServiceFactory for First {
    fn register(self, app: &mut AppService) {
        for pattern in patterns(&self.engine.config.http.path) {
            let definition = ResourceDef::new(pattern.trim_start_matches('/'));
            let (engine, hooks) = (Arc::clone(&self.engine), Arc::clone(&self.hooks));
            let service = fn_service(move |request: ServiceRequest| {
                let (engine, hooks) = (Arc::clone(&engine), Arc::clone(&hooks));
                async move {
                    let (request, body) = request.into_parts();
                    let response = answer(&engine, &hooks, &request, body).await;
                    Ok::<_, Error>(ServiceResponse::new(request, response))
                }
            });
            let service = apply(cors(&self.engine.config.http), service);
            let service = service.map(ServiceResponse::map_into_boxed_body);
            app.register_service(definition, None, service, None);
        }
    }
}

/// Returns the patterns with which the router compares a path.
fn patterns(path: &str) -> Vec<String> {
    // The path itself first: unlike paths below it, it is found without a regular expression.
    let mut patterns = vec![path.to_owned()];
    let bare = path.trim_end_matches('/');
    if !bare.is_empty() {
        patterns.push(bare.to_owned());
    }
    patterns.push(format!("{path}{{file:.*}}"));
    patterns
}

/// Returns `true` if a request's path is the server's path, which ends with a slash, or below it.
fn belongs(found: &str, path: &str) -> bool {
    found.starts_with(path) || path.strip_suffix('/') == Some(found)
}

async fn answer(
    engine: &Arc<Engine>,
    hooks: &Arc<Hooks>,
    request: &HttpRequest,
    mut body: Payload,
) -> HttpResponse {
    let held = Held::share(request.headers(), &mut body);
    let payload = match web::Payload::from_request(request, &mut body).await {
        Ok(payload) => payload,
        Err(error) => return HttpResponse::from_error(error),
    };
    let mut response = match client_files::find(&engine.config, request) {
        Some(file) => file.await,
        None => handle(engine, hooks, request, payload).await,
    };
    hooks.on_response_headers(request, response.headers_mut());
    match held {
        Some(held) => response.map_body(|_, body| held.until_sent(body)),
        None => response,
    }
}

fn cors(config: &HttpConfig) -> Condition<CorsLayer> {
    Condition::new(config.cors.is_some(), layer(config))
}

fn layer(config: &HttpConfig) -> CorsLayer {
    let Some(cors) = &config.cors else {
        return CorsLayer::default();
    };
    let mut layer = CorsLayer::default()
        // A method that the protocol does not know gets the protocol's own error.
        .allow_any_method()
        .allow_any_header();
    layer = if !cors.any {
        let cors = cors.clone();
        layer.allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| lets_in(&cors, origin))
        })
    } else if cors.credentials {
        layer.allow_any_origin()
    } else {
        layer.allow_any_origin().send_wildcard()
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
