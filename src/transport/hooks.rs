//! The program's hooks for HTTP: which clients may connect, which values of a request are kept, and
//! the headers of responses.
//!
//! All of it is the program's code, so it runs under `catch_unwind`: a panic affects only its own
//! request. The meaning of the results for a session is not known here.

use std::fmt;
use std::future::Future;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{Error, HttpRequest, HttpResponse};
use futures_core::future::LocalBoxFuture;
use log::Level;

use crate::handshake::Extensions;
use crate::id::Id;
use crate::logging::{LogKind, LogLimits, Quoted, cut};
use crate::panics::{Caught, catch_panic};
use crate::transport::connection_error::{ConnectionError, ConnectionErrorHook};
use crate::transport::events::ServerSentEvents;
use crate::transport::refusal::Refusal;

/// The hooks of a program.
#[derive(Default)]
pub(crate) struct Hooks {
    allow: Vec<Box<AllowHook>>,
    extend: Vec<Box<ExtensionHook>>,
    cookie: Option<Cookie<'static>>,
    events: Option<ServerSentEvents>,
    initial_headers: Vec<Box<HeaderHook>>,
    response_headers: Vec<Box<HeaderHook>>,
    subprotocol: Option<Box<SubprotocolHook>>,
    connection_error: Vec<Box<ConnectionErrorHook>>,
}

type AllowHook = dyn Fn(HttpRequest) -> Asked + Send + Sync;
type ExtensionHook = dyn Fn(&HttpRequest, &mut Extensions) + Send + Sync;
/// An error is the response to the client.
type Asked = LocalBoxFuture<'static, Result<(), HttpResponse>>;
type SubprotocolHook = dyn Fn(&HttpRequest, &[&str]) -> Option<String> + Send + Sync;
type HeaderHook = dyn Fn(&HttpRequest, &mut HeaderMap) + Send + Sync;

impl Hooks {
    pub(crate) fn add_allow<F, R>(&mut self, handler: F)
    where
        F: Fn(HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Error>> + 'static,
    {
        self.allow.push(Box::new(move |request| {
            let asked = handler(request);
            Box::pin(async move {
                // Here, because the program also makes the error's response.
                asked.await.map_err(HttpResponse::from_error)
            })
        }));
    }

    pub(crate) fn add_extension(
        &mut self,
        hook: impl Fn(&HttpRequest, &mut Extensions) + Send + Sync + 'static,
    ) {
        self.extend.push(Box::new(hook));
    }

    pub(crate) fn add_initial_headers(
        &mut self,
        hook: impl Fn(&HttpRequest, &mut HeaderMap) + Send + Sync + 'static,
    ) {
        self.initial_headers.push(Box::new(hook));
    }

    pub(crate) fn add_response_headers(
        &mut self,
        hook: impl Fn(&HttpRequest, &mut HeaderMap) + Send + Sync + 'static,
    ) {
        self.response_headers.push(Box::new(hook));
    }

    pub(crate) fn add_connection_error(
        &mut self,
        hook: impl Fn(&ConnectionError<'_>) + Send + Sync + 'static,
    ) {
        self.connection_error.push(Box::new(hook));
    }

    /// Returns the hooks for refused requests.
    pub(crate) fn connection_error(&self) -> &[Box<ConnectionErrorHook>] {
        &self.connection_error
    }

    pub(crate) fn set_events(&mut self, options: ServerSentEvents) {
        self.events = Some(options);
    }

    /// Returns the options of the event stream, if the server has one.
    pub(crate) fn events(&self) -> Option<&ServerSentEvents> {
        self.events.as_ref()
    }

    /// Sets the cookie of the session's id; the defaults of the template are those of Node.js.
    pub(crate) fn set_cookie(&mut self, mut template: Cookie<'static>) {
        if template.name().is_empty() {
            template.set_name("io");
        }
        if template.path().is_none() {
            template.set_path("/");
        }
        if template.http_only().is_none() {
            template.set_http_only(true);
        }
        if template.same_site().is_none() {
            template.set_same_site(SameSite::Lax);
        }
        self.cookie = Some(template);
    }

    pub(crate) fn set_subprotocol(
        &mut self,
        hook: impl Fn(&HttpRequest, &[&str]) -> Option<String> + Send + Sync + 'static,
    ) {
        self.subprotocol = Some(Box::new(hook));
    }

    /// Chooses one of the subprotocols that the client offers: the first, as `ws` on Node.js does,
    /// unless the program has a hook.
    ///
    /// # Errors
    ///
    /// The refusal, if the program's hook panicked.
    pub(crate) fn subprotocol(
        &self,
        request: &HttpRequest,
        offered: &[&str],
    ) -> Result<Option<String>, Refusal> {
        let Some(choose) = &self.subprotocol else {
            return Ok(offered.first().map(|&first| first.to_owned()));
        };
        let chosen = catch_panic(|| choose(request, offered)).map_err(|panic| {
            panicked("subprotocol", &panic);
            Refusal::HookFailed
        })?;
        // RFC 6455, 4.1: a client closes the connection if it did not offer the subprotocol.
        if let Some(name) = chosen.as_deref().filter(|name| !offered.contains(name)) {
            let name = Quoted(name);
            let line = format_args!(
                "subprotocol {name} of the hook is not selected: the client did not offer it"
            );
            LogLimits::of_process().write(LogKind::Refused, Level::Error, line);
            return Ok(None);
        }
        Ok(chosen)
    }

    /// Returns `true` if the program has hooks for first requests.
    pub(crate) fn asks(&self) -> bool {
        !self.allow.is_empty() || !self.extend.is_empty()
    }

    /// Calls the hooks that accept or refuse the client of a first request. Returns the values to
    /// keep.
    ///
    /// # Errors
    ///
    /// The response of the hook that refuses.
    pub(crate) async fn admit(&self, request: &HttpRequest) -> Result<Extensions, HttpResponse> {
        for allow in &self.allow {
            match finished(|| allow(request.clone())).await {
                Ok(Ok(())) => {}
                Ok(Err(refusal)) => return Err(refusal),
                Err(panic) => {
                    panicked("allow_request", &panic);
                    return Err(HttpResponse::InternalServerError().finish());
                }
            }
        }
        let mut extensions = Extensions::default();
        for extend in &self.extend {
            if let Err(panic) = catch_panic(|| extend(request, &mut extensions)) {
                panicked("handshake_extensions", &panic);
                return Err(HttpResponse::InternalServerError().finish());
            }
        }
        Ok(extensions)
    }

    /// Adds the cookie of a session's id to the response to a polling handshake.
    pub(crate) fn add_cookie(&self, sid: Id, headers: &mut HeaderMap) {
        let Some(template) = &self.cookie else { return };
        let mut cookie = template.clone();
        cookie.set_value(sid.as_str().to_owned());
        match HeaderValue::try_from(cookie.to_string()) {
            Ok(value) => headers.append(header::SET_COOKIE, value),
            Err(_) => {
                let line = format_args!(
                    "cookie {:?} not set: it is not a valid header value",
                    template.name()
                );
                LogLimits::of_process().write(LogKind::Refused, Level::Error, line);
            }
        }
    }

    /// Lets the program change the headers of the response to a handshake.
    pub(crate) fn on_initial_headers(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        change("initial_headers", &self.initial_headers, request, headers);
    }

    /// Lets the program change the headers of any response.
    pub(crate) fn on_response_headers(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        change("response_headers", &self.response_headers, request, headers);
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("allow", &self.allow.len())
            .field("extend", &self.extend.len())
            .finish_non_exhaustive()
    }
}

/// Runs header hooks one after the other. If one panics, the headers keep its changes so far.
fn change(name: &str, hooks: &[Box<HeaderHook>], request: &HttpRequest, headers: &mut HeaderMap) {
    for hook in hooks {
        if let Err(panic) = catch_panic(|| hook(request, headers)) {
            panicked(name, &panic);
        }
    }
}

/// Any request may cause this line.
pub(crate) fn panicked(hook: &str, panic: &str) {
    let line = format_args!("hook `{hook}` panicked: {}", cut(panic));
    LogLimits::of_process().write(LogKind::Panicked, Level::Error, line);
}

/// Runs a future of the program to its end; an error is the text of its panic.
async fn finished<T>(start: impl FnOnce() -> LocalBoxFuture<'static, T>) -> Result<T, String> {
    Caught::new(catch_panic(start)?).await
}
