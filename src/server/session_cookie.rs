//! The cookie of a client's HTTP session, and whether the program's middleware reads the same.
//!
//! A request comes in, the key of its session leaves, or what is wrong with the options.

use actix_session::config::CookieContentSecurity;
use actix_session::{SessionExt, SessionStatus};
use actix_web::cookie::{CookieJar, Key};
use actix_web::{HttpMessage, HttpRequest};

/// How sessions are named by cookies.
#[derive(Clone)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) security: CookieContentSecurity,
    pub(super) key: Key,
}

impl Cookie {
    /// Compares what is read here with what the middleware has read.
    pub(super) fn fit(&self, request: &HttpRequest) -> Fit {
        if self.session_key(request).is_some() {
            return Fit::Right;
        }
        let is_named = request.cookie(&self.name).is_some();
        if !has_session(request) {
            // Nobody else reads cookies here. One of a stranger looks the same.
            return if is_named {
                Fit::Wrong(format!(
                    "HttpSession::shared: a cookie {:?} was not made with its key: if all clients have \
                     such a one, set key and cookie_content_security to those of the \
                     SessionMiddleware",
                    self.name
                ))
            } else {
                Fit::Unknown
            };
        }
        let session = request.get_session();
        // What a handler in front has inserted was not read from a cookie.
        let is_read = session.status() == SessionStatus::Unchanged && !session.entries().is_empty();
        if !is_read {
            return Fit::Unknown;
        }
        Fit::Wrong(format!(
            "HttpSession::shared: the SessionMiddleware has read a session that the cookie {:?} does \
             not name: set cookie_name, key and cookie_content_security to those of the middleware",
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
            log::debug!("a cookie {:?} that this server has not made", self.name);
        }
        cookie.map(|cookie| cookie.value().to_owned())
    }
}

/// Whether the options fit the program's middleware, as far as one request tells.
pub(super) enum Fit {
    Right,
    Wrong(String),
    Unknown,
}

/// Tells whether a `SessionMiddleware` has put a session into the request.
///
/// actix-session makes an empty one for whoever asks, and does not say whether it did. So it is asked
/// where there is none, and what was there is laid over it: if the new one is still found, there was
/// no other.
pub(super) fn has_session(request: &HttpRequest) -> bool {
    let before = std::mem::take(&mut *request.extensions_mut());
    let probe = request.get_session();
    // A boolean can be written as JSON.
    let _ = probe.insert(PROBE, true);
    request.extensions_mut().extend(before);
    let is_probe = request.get_session().contains_key(PROBE);
    probe.remove(PROBE);
    !is_probe
}

/// The key that tells a session which was made to look for another.
const PROBE: &str = "actix-socketio-probe";
