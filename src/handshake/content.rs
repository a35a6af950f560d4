//! The text of a client's first request, and the questions of the program about it.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::handshake::{Extensions, Origin, Peer, Revision};

/// The content of a client's first HTTP request. It stays the same while the client is connected,
/// also after an upgrade from polling to a WebSocket.
///
/// A cheap handle for any thread. [`Socket::handshake`](crate::Socket::handshake) and
/// [`EngineSession::handshake`](crate::EngineSession::handshake) borrow it, and a handler may take
/// it as an argument.
///
/// # Examples
///
/// ```
/// use actix_socketio::{ConnectError, Handshake};
///
/// // io("https://chat.example/?lang=en")
/// async fn enter(handshake: Handshake) -> Result<(), ConnectError> {
///     let language = handshake.query_value("lang").unwrap_or("en".into());
///     let known = handshake.cookie("session").is_some();
///     println!("from {:?}, in {language}, with a cookie: {known}", handshake.address());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Handshake(Arc<Said>);

/// The parts of a handshake besides its text.
pub(crate) struct HandshakeMeta {
    /// The client, seen through the proxies.
    pub(crate) peer: Peer,
    pub(crate) time: SystemTime,
    pub(crate) revision: Revision,
    pub(crate) extensions: Extensions,
}

struct Said {
    /// The URL, then each header as `name:value`, one per line: no part may contain a line end.
    text: Box<[u8]>,
    facts: HandshakeMeta,
}

impl Handshake {
    /// Keeps the content of a request, in about `size` bytes. A header that is invalid in HTTP is
    /// omitted.
    pub(crate) fn new<'a>(
        url: &str,
        size: usize,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        facts: HandshakeMeta,
    ) -> Self {
        let url = url.split(['\n', '\r']).next().unwrap_or_default();
        let mut text = Vec::with_capacity(size);
        text.extend_from_slice(url.as_bytes());
        for (name, value) in headers {
            let name = name.as_bytes();
            if name.contains(&b':') || name.contains(&b'\n') || value.contains(&b'\n') {
                continue;
            }
            text.push(b'\n');
            text.extend_from_slice(name);
            text.push(b':');
            text.extend_from_slice(value);
        }
        let text = text.into_boxed_slice();
        Self(Arc::new(Said { text, facts }))
    }

    /// Returns the value of a header's first line; the case of the name does not matter. Returns
    /// `None` if the header was not sent, or is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines_of(name);
        lines.next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Returns all header lines as received: names in lower case, values as bytes.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let lines = self.0.text.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let end = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(end)?;
            Some((str::from_utf8(name).ok()?, value.get(1..)?))
        })
    }

    /// Returns the path and the query, as received.
    #[must_use]
    pub fn url(&self) -> &str {
        let url = self.0.text.split(|byte| *byte == b'\n').next();
        url.and_then(|url| str::from_utf8(url).ok())
            .unwrap_or_default()
    }

    /// Returns the query as received, without its question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.url().split_once('?').map_or("", |(_, query)| query)
    }

    /// Returns the first value of this name in the query, percent-decoded.
    ///
    /// The query contains the protocol's own `EIO` and `transport`, and the client's option
    /// `query`.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut pairs = form_urlencoded::parse(self.query().as_bytes());
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Returns all values of this name in the query, in order, percent-decoded.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{Handshake, RoomError, Socket};
    ///
    /// // io("https://chat.example/?room=lobby&room=news")
    /// async fn enter(socket: Socket, handshake: Handshake) -> Result<(), RoomError> {
    ///     for room in handshake.query_values("room") {
    ///         socket.join(&*room).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn query_values<'a>(&'a self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let pairs = form_urlencoded::parse(self.query().as_bytes());
        pairs.filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// Reads the query into a value with a field for each name of interest.
    ///
    /// # Errors
    ///
    /// Returns the parameter that does not match the type.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{ConnectError, Handshake};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     lang: Option<String>,
    ///     page: u32,
    /// }
    ///
    /// async fn enter(handshake: Handshake) -> Result<(), ConnectError> {
    ///     let page: Page = handshake.read_query().map_err(|error| error.to_string())?;
    ///     println!("page {} in {:?}", page.page, page.lang);
    ///     Ok(())
    /// }
    /// ```
    pub fn read_query<T: DeserializeOwned>(&self) -> Result<T, QueryError> {
        serde_urlencoded::from_str(self.query()).map_err(|error| QueryError(error.to_string()))
    }

    /// Returns the value of a cookie, percent-decoded.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let mut cookies = self.cookies();
        cookies.find_map(|(cookie, value)| (cookie == name).then_some(value))
    }

    /// Returns the cookies, names and values percent-decoded. Invalid cookies are omitted.
    pub fn cookies(&self) -> impl Iterator<Item = (String, String)> {
        self.lines_of("cookie")
            .filter_map(|line| str::from_utf8(line).ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|text| cookie::Cookie::parse_encoded(text.trim()).ok())
            .map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned()))
    }

    /// Returns the client's address: the peer of the connection or, if that is one of the
    /// [`trusted_proxies`](crate::Builder::trusted_proxies), the address that the proxy names. An
    /// IPv4 address that arrives over IPv6 is returned as IPv4.
    ///
    /// Returns `None` if the connection has no address, for example on a Unix socket.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.0.facts.peer.address
    }

    /// Returns `true` if the client used TLS: to this server, or to a trusted proxy in front of it.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.facts.peer.is_secure
    }

    /// Returns `true` if the request has an `Origin` header. Browsers send it with each WebSocket,
    /// and omit it if a page polls its own server.
    #[must_use]
    pub fn has_origin(&self) -> bool {
        self.lines_of("origin").next().is_some()
    }

    /// Compares the `Origin` header with the server's own origin: scheme, host and port. Returns
    /// `None` if there is no such header: the client may not be a browser.
    ///
    /// The server's own origin consists of [`is_secure`](Self::is_secure) and the `Host` header, or
    /// the `X-Forwarded-Host` of a trusted proxy.
    #[must_use]
    pub fn is_same_origin(&self) -> Option<bool> {
        let origin = self.lines_of("origin").next()?;
        let origin = str::from_utf8(origin)
            .ok()
            .and_then(|text| Origin::parse(text).ok());
        Some(origin.is_some_and(|origin| {
            origin.is_secure() == self.is_secure() && self.is_host_of(&origin)
        }))
    }

    /// The same, but a page with TLS is an own page even if this server sees no TLS: a proxy that
    /// is not trusted may have ended it.
    pub(crate) fn is_of_own_page(&self) -> bool {
        let origin = self
            .header("origin")
            .and_then(|text| Origin::parse(text).ok());
        origin.is_some_and(|origin| {
            (origin.is_secure() || !self.is_secure()) && self.is_host_of(&origin)
        })
    }

    fn is_host_of(&self, origin: &Origin) -> bool {
        let hops = usize::from(self.0.facts.peer.hops);
        let forwarded = self.lines_of("x-forwarded-host");
        let mut hosts: Vec<&[u8]> = forwarded
            .flat_map(|line| line.split(|byte| *byte == b','))
            .collect();
        // As many entries of the list as there are trusted hops. The list is shorter if some proxy
        // does not add to it.
        hosts.reverse();
        hosts.truncate(hops);
        let host = hosts
            .last()
            .copied()
            .or_else(|| self.lines_of("host").next());
        let host = host.and_then(|host| str::from_utf8(host).ok());
        origin.is_web() && host.is_some_and(|host| origin.is_at(host.trim()))
    }

    /// Returns the time of the handshake.
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.0.facts.time
    }

    /// Returns the revision of Engine.IO that the client speaks: 4, or 3 for a client of the 2.x line
    /// of Socket.IO, which [`Builder::allow_eio3`](crate::Builder::allow_eio3) lets in.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::Handshake;
    ///
    /// async fn count_old_clients(handshake: Handshake) {
    ///     if handshake.protocol() == 3 {
    ///         println!("an old client from {:?}", handshake.address());
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.revision().number()
    }

    /// Returns the revision of Engine.IO that the client speaks.
    pub(crate) fn revision(&self) -> Revision {
        self.0.facts.revision
    }

    /// Returns the value of type `T` that
    /// [`Builder::handshake_extensions`](crate::Builder::handshake_extensions) took from the
    /// request.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.0.facts.extensions.get()
    }

    fn lines_of<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let named = self.headers();
        named.filter_map(move |(header, value)| header.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl fmt::Debug for Handshake {
    /// Omits the query, the cookies and the other headers, because they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.url().split('?').next().unwrap_or_default())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Serialized as an object with `path`, `address`, `secure`, `time` (in milliseconds since 1970),
/// and `headers` with those of `host`, `origin`, `user-agent` and `accept-language` that were sent.
///
/// The query, the cookies, all other headers and the extensions are omitted, because they may be
/// secrets. A program that needs them writes them itself.
impl Serialize for Handshake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = self.time().duration_since(SystemTime::UNIX_EPOCH);
        let time = u64::try_from(time.unwrap_or_default().as_millis()).unwrap_or_default();
        let mut object = serializer.serialize_struct("Handshake", 5)?;
        object.serialize_field("path", self.url().split('?').next().unwrap_or_default())?;
        object.serialize_field("address", &self.address())?;
        object.serialize_field("secure", &self.is_secure())?;
        object.serialize_field("time", &time)?;
        object.serialize_field("headers", &PlainHeaders(self))?;
        object.end()
    }
}

/// The headers of a handshake that are not secrets.
struct PlainHeaders<'a>(&'a Handshake);

impl Serialize for PlainHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = PLAIN_HEADERS.into_iter();
        serializer.collect_map(named.filter_map(|name| Some((name, self.0.header(name)?))))
    }
}

/// The headers that a handshake is serialized with.
const PLAIN_HEADERS: [&str; 4] = ["host", "origin", "user-agent", "accept-language"];

/// The reason why a query was not read: it does not match the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError(String);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may repeat the client's query, so it is cut.
        write!(f, "invalid query: {:.256}", self.0)
    }
}

impl std::error::Error for QueryError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::seeds::replay;

    impl Handshake {
        /// A handshake without content.
        pub(crate) fn empty() -> Self {
            handshake("/", &[])
        }
    }

    fn handshake(url: &str, headers: &[(&str, &[u8])]) -> Handshake {
        let facts = HandshakeMeta {
            peer: Peer {
                address: None,
                is_secure: false,
                hops: 0,
            },
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            revision: Revision::V4,
            extensions: Extensions::default(),
        };
        Handshake::new(url, 0, headers.iter().copied(), facts)
    }

    #[test]
    fn headers_are_found_whatever_the_case_of_their_name() {
        let handshake = handshake(
            "/",
            &[("x-token", b"a:b"), ("x-token", b"c"), ("empty", b"")],
        );
        assert_eq!(handshake.header("X-Token"), Some("a:b"));
        assert_eq!(handshake.header("x-token"), Some("a:b"));
        assert_eq!(handshake.header("empty"), Some(""));
        assert_eq!(handshake.header("token"), None);
        let all: Vec<_> = handshake.headers().collect();
        let expected: [(&str, &[u8]); 3] = [("x-token", b"a:b"), ("x-token", b"c"), ("empty", b"")];
        assert_eq!(all, expected);
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_bytes() {
        let handshake = handshake("/", &[("x-bad", b"\xff\xfe"), ("cookie", b"\xff=1")]);
        assert_eq!(handshake.header("x-bad"), None);
        assert_eq!(
            handshake.headers().next(),
            Some(("x-bad", &b"\xff\xfe"[..]))
        );
        assert_eq!(handshake.cookies().count(), 0);
    }

    #[test]
    fn a_line_that_no_request_has_adds_no_header() {
        let handshake = handshake("/a\nx:1", &[("x-evil", b"1\nx-root:1"), ("a:b", b"1")]);
        assert_eq!(handshake.headers().count(), 0);
        assert_eq!(handshake.url(), "/a");
    }

    #[test]
    fn the_query_is_decoded_when_it_is_asked_for() {
        let handshake = handshake("/chat/?a=1%202&b=x+y&c&a=3&d=%ff&n=7", &[]);
        assert_eq!(handshake.url(), "/chat/?a=1%202&b=x+y&c&a=3&d=%ff&n=7");
        assert_eq!(handshake.query(), "a=1%202&b=x+y&c&a=3&d=%ff&n=7");
        for (name, value) in [
            ("a", Some("1 2")),
            ("b", Some("x y")),
            ("c", Some("")),
            ("d", Some("\u{fffd}")),
            ("e", None),
        ] {
            assert_eq!(handshake.query_value(name).as_deref(), value, "{name}");
        }
        let values = |name| handshake.query_values(name).collect::<Vec<_>>();
        assert_eq!(values("a"), ["1 2", "3"]);
        assert_eq!(values("c"), [""]);
        assert!(values("e").is_empty());
        #[derive(serde::Deserialize)]
        struct Numbers {
            n: u8,
        }
        assert_eq!(handshake.read_query::<Numbers>().unwrap().n, 7);
    }

    #[test]
    fn a_query_that_does_not_fit_is_an_error_that_says_so() {
        #[derive(Debug, serde::Deserialize)]
        struct Numbers {
            #[allow(dead_code, reason = "only the reading of it matters")]
            n: u8,
        }
        for (url, text) in [
            ("/?n=x", "invalid query: invalid digit found in string"),
            ("/", "invalid query: missing field `n`"),
        ] {
            let error = handshake(url, &[]).read_query::<Numbers>().unwrap_err();
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn cookies_of_all_lines_are_decoded() {
        let handshake = handshake(
            "/",
            &[
                ("cookie", b"a=1; b=x%20y;; nonsense"),
                ("cookie", b"c=\"3\""),
            ],
        );
        assert_eq!(handshake.cookie("a").as_deref(), Some("1"));
        assert_eq!(handshake.cookie("b").as_deref(), Some("x y"));
        assert_eq!(handshake.cookie("A"), None);
        assert_eq!(handshake.cookies().count(), 3);
    }

    #[test]
    fn a_handshake_takes_little_beside_its_text() {
        assert!(size_of::<Said>() <= 96, "{}", size_of::<Said>());
    }

    #[test]
    fn debugging_and_serializing_show_no_secrets() {
        let headers: [(&str, &[u8]); 6] = [
            ("cookie", b"id=secret"),
            ("authorization", b"Bearer secret"),
            ("x-api-key", b"secret"),
            ("referer", b"https://a.example/?token=secret"),
            ("User-Agent", b"Lynx"),
            ("origin", b"https://a.example"),
        ];
        let handshake = handshake("/chat/?token=secret", &headers);
        let shown = format!("{handshake:?}");
        assert!(
            shown.contains("/chat/") && !shown.contains("secret"),
            "{shown}"
        );
        let expected = serde_json::json!({
            "path": "/chat/",
            "address": null,
            "secure": false,
            "time": 1000,
            "headers": { "origin": "https://a.example", "user-agent": "Lynx" },
        });
        assert_eq!(serde_json::to_value(&handshake).unwrap(), expected);
    }

    /// Reads a URL, and a header in each further line.
    fn parsed(input: &[u8]) -> Handshake {
        let mut lines = input.split(|byte| *byte == b'\n');
        let url = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let headers: Vec<(String, &[u8])> = lines
            .filter_map(|line| {
                let end = line.iter().position(|byte| *byte == b':')?;
                let name = String::from_utf8_lossy(&line[..end]).into_owned();
                Some((name, &line[end + 1..]))
            })
            .collect();
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        handshake(&url, &headers)
    }

    #[test]
    fn seeds_and_their_mutations_do_not_panic() {
        replay("handshake", |input| {
            let handshake = parsed(input);
            for (name, value) in handshake.cookies() {
                assert_eq!(
                    handshake.cookie(&name).is_some(),
                    !name.is_empty() || !value.is_empty()
                );
            }
            for (name, value) in handshake.headers() {
                assert!(!value.contains(&b'\n') && !name.contains(':'));
            }
            let pairs = form_urlencoded::parse(handshake.query().as_bytes());
            for (name, _) in pairs {
                assert!(handshake.query_value(&name).is_some());
            }
            let _ = handshake.is_same_origin();
            let _ = handshake.is_of_own_page();
            assert!(serde_json::to_value(&handshake).is_ok());
        });
    }

    proptest! {
        /// RFC 6265, 4.2.1, and the percent encoding of the crate `cookie`.
        #[test]
        fn a_cookie_is_read_as_it_was_written(
            written in prop::collection::vec(("[a-z]{1,8}", any::<String>()), 0..5),
            lines in any::<bool>(),
        ) {
            let cookies: Vec<String> = written
                .iter()
                .map(|(name, value)| cookie::Cookie::new(name, value).encoded().to_string())
                .collect();
            let lines: Vec<String> = if lines { cookies } else { vec![cookies.join("; ")] };
            let headers: Vec<(&str, &[u8])> = lines
                .iter()
                .map(|line| ("cookie", line.as_bytes()))
                .collect();
            let read: Vec<_> = handshake("/", &headers).cookies().collect();
            prop_assert_eq!(read, written);
        }
    }
}
