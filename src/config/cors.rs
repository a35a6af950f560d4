//! The origins of pages that may use the server.

use std::fmt;
use std::sync::Arc;

use crate::handshake::{Origin, OriginError, OriginPattern};

/// The pages of other origins that may use the server.
///
/// Without it no CORS header is sent. Browsers then prevent pages of other origins from polling,
/// but not from opening a WebSocket: a client must authenticate by its CONNECT payload
/// ([`Auth`](crate::Auth)), not by a cookie. With a list of origins the server itself refuses
/// requests of other origins with 403, on both transports ([`refuse_others`](Self::refuse_others)).
///
/// # Examples
///
/// ```
/// use actix_socketio::Cors;
///
/// let anyone = Cors::any();
/// let ours = Cors::origins(["https://app.example"]).credentials(true);
/// ```
#[derive(Clone)]
pub struct Cors {
    /// Every origin is allowed.
    pub(crate) any: bool,
    patterns: Vec<OriginPattern>,
    pub(crate) predicates: Vec<Arc<OriginPredicate>>,
    /// An entry that is not an origin; the server does not start with it.
    pub(super) fault: Option<OriginError>,
    pub(crate) credentials: bool,
    refuses: Option<bool>,
}

type OriginPredicate = dyn Fn(&str) -> bool + Send + Sync;

impl Cors {
    /// Allows every origin, without credentials.
    #[must_use]
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::none()
        }
    }

    /// Allows these origins and no others; an empty list allows none.
    ///
    /// | entry | allows |
    /// | --- | --- |
    /// | `https://app.example`, `http://localhost:3000` | this origin; case, a slash at the end and the scheme's own port do not matter |
    /// | `https://*.example.com` | all hosts below `example.com`, not `example.com` itself |
    /// | `null` | pages without an origin, such as sandboxed frames |
    /// | `file://` | pages of web views that send it |
    /// | `*` | every origin, as [`any`](Self::any) |
    ///
    /// Any other entry is an error at the server's start, which names the entry.
    #[must_use]
    pub fn origins<I, O>(origins: I) -> Self
    where
        I: IntoIterator<Item = O>,
        O: Into<String>,
    {
        let mut cors = Self::none();
        for origin in origins {
            let origin = origin.into();
            if origin.trim() == "*" {
                cors.any = true;
                continue;
            }
            match OriginPattern::parse(&origin) {
                Ok(pattern) => cors.patterns.push(pattern),
                Err(error) => cors.fault = cors.fault.or(Some(error)),
            }
        }
        cors
    }

    /// Also allows the origins for which `predicate` returns true. Its argument is the value of the
    /// `Origin` header as received. If it panics the origin is not allowed.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Cors;
    ///
    /// let cors = Cors::origins(["https://app.example"])
    ///     .allow_if(|origin| origin.starts_with("http://localhost:"));
    /// ```
    #[must_use]
    pub fn allow_if(mut self, predicate: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Arc::new(predicate));
        self
    }

    /// Sets whether requests of pages of other origins are answered with 403, including WebSockets.
    /// By default they are, unless every origin is allowed. A request without an `Origin` header,
    /// and one from the server's own pages, is accepted.
    ///
    /// The server's own origin is that of the `Host` header, or of `X-Forwarded-Host` from one of
    /// the [`trusted_proxies`](crate::Builder::trusted_proxies).
    #[must_use]
    pub fn refuse_others(mut self, refused: bool) -> Self {
        self.refuses = Some(refused);
        self
    }

    pub(crate) fn refuses(&self) -> bool {
        !self.any && self.refuses.unwrap_or(true)
    }

    /// Returns `true` if an origin is in the list.
    pub(crate) fn lists(&self, origin: &str) -> bool {
        let read = Origin::parse(origin).ok();
        let fits = |pattern: &OriginPattern| pattern.fits(origin, read.as_ref());
        self.any || self.patterns.iter().any(fits)
    }

    fn none() -> Self {
        Self {
            any: false,
            patterns: Vec::new(),
            predicates: Vec::new(),
            fault: None,
            credentials: false,
            refuses: None,
        }
    }

    /// Allows cookies and HTTP authentication (`Access-Control-Allow-Credentials`).
    #[must_use]
    pub fn credentials(mut self, allowed: bool) -> Self {
        self.credentials = allowed;
        self
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cors")
            .field("any", &self.any)
            .field("patterns", &self.patterns)
            .field("predicates", &self.predicates.len())
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
