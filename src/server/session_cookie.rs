//! The cookie of a client's HTTP session, and its comparison with the program's middleware.
//!
//! A request enters. The key of its session leaves, or the error in the options.

use actix_session::config::CookieContentSecurity;
use actix_session::{SessionExt, SessionStatus};
use actix_web::cookie::{CookieJar, Key};
use actix_web::{HttpMessage, HttpRequest};

/// The name and the security of session cookies.
#[derive(Clone)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) security: CookieContentSecurity,
    pub(super) key: Key,
}

impl Cookie {
    /// Compares the session read here with the session that the middleware has read.
    pub(super) fn fit(&self, request: &HttpRequest) -> Fit {
        if self.session_key(request).is_some() {
            return Fit::Right;
        }
        let is_named = request.cookie(&self.name).is_some();
        if !has_session(request) {
            // No other code here reads cookies. A stranger's cookie looks the same.
            return if is_named {
                Fit::Wrong(format!(
                    "HttpSession::shared: a cookie {:?} was made with another key: if the cookies of \
                     all clients were, set key and cookie_content_security to those of the \
                     SessionMiddleware",
                    self.name
                ))
            } else {
                Fit::Unknown
            };
        }
        let session = request.get_session();
        // Values that an earlier handler has inserted were not read from a cookie.
        let is_read = session.status() == SessionStatus::Unchanged && !session.entries().is_empty();
        if !is_read {
            return Fit::Unknown;
        }
        Fit::Wrong(format!(
            "HttpSession::shared: the SessionMiddleware has read a session, but the cookie {:?} has \
             no session key: set cookie_name, key and cookie_content_security to those of the middleware",
            self.name
        ))
    }

    /// Reads the session's key from a request, as the middleware does.
    pub(super) fn session_key(&self, request: &HttpRequest) -> Option<String> {
        let mut jar = CookieJar::new();
        jar.add_original(request.cookie(&self.name)?);
        let cookie = match self.security {
            CookieContentSecurity::Signed => jar.signed(&self.key).get(&self.name),
            CookieContentSecurity::Private => jar.private(&self.key).get(&self.name),
        };
        if cookie.is_none() {
            log::debug!(
                "session cookie {:?} rejected: wrong key or tampered",
                self.name
            );
        }
        cookie.map(|cookie| cookie.value().to_owned())
    }
}

/// The result of the comparison with the program's middleware, by one request.
pub(super) enum Fit {
    Right,
    Wrong(String),
    Unknown,
}

/// Returns `true` if a `SessionMiddleware` has put a session into the request.
///
/// actix-session makes an empty session on request, and does not report it. So a probe session is
/// made without the extensions, and the original extensions are then merged over it: if the probe
/// is still found, there was no other session.
pub(super) fn has_session(request: &HttpRequest) -> bool {
    let before = std::mem::take(&mut *request.extensions_mut());
    let probe = request.get_session();
    // A boolean can always be written as JSON.
    let _ = probe.insert(PROBE, true);
    request.extensions_mut().extend(before);
    let is_probe = request.get_session().contains_key(PROBE);
    probe.remove(PROBE);
    !is_probe
}

/// The key that marks the probe session.
const PROBE: &str = "actix-socketio-probe";
