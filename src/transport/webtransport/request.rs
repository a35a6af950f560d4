//! The request of a session, as the program's App sees it.
//!
//! The fields of a CONNECT enter, with the address of the client; a request leaves, or the status of
//! a refusal. It is the GET with which a client opens a WebSocket, without a body.

use std::collections::HashMap;
use std::net::SocketAddr;

use actix_http::header::{self, HeaderName, HeaderValue};
use actix_http::{Method, Request, StatusCode, Uri, Version};

/// The fields of a request in HTTP/3, by their names.
pub(super) type Fields = HashMap<String, String>;

/// Makes the request of a session.
///
/// # Errors
///
/// The status for the client, if the fields are not those of a session.
// RFC 9220, 3, and WebTransport over HTTP/3, 3.2: an extended CONNECT.
pub(super) fn request(fields: &Fields, client: SocketAddr) -> Result<Request, StatusCode> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    match (field(":method"), field(":protocol"), field(":scheme")) {
        (Some("CONNECT"), Some("webtransport" | "webtransport-h3"), Some("https")) => {}
        // There is no other resource on this port.
        (Some("CONNECT"), None | Some(_), _) => return Err(StatusCode::NOT_IMPLEMENTED),
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    }
    let (Some(authority), Some(path)) = (field(":authority"), field(":path")) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let mut request = Request::new();
    let head = request.head_mut();
    head.method = Method::GET;
    head.version = Version::HTTP_3;
    head.uri = uri(path).ok_or(StatusCode::BAD_REQUEST)?;
    // An IPv6 socket also receives from IPv4 addresses.
    head.peer_addr = Some(SocketAddr::new(client.ip().to_canonical(), client.port()));
    for (name, value) in fields {
        if name.starts_with(':') {
            continue;
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
        let value = HeaderValue::from_str(value).map_err(|_| StatusCode::BAD_REQUEST)?;
        if !is_of_connection(&name) {
            head.headers.append(name, value);
        }
    }
    let host = HeaderValue::from_str(authority).map_err(|_| StatusCode::BAD_REQUEST)?;
    head.headers.insert(header::HOST, host);
    Ok(request)
}

/// Returns the path with the parameters that the official client leaves out on this transport.
fn uri(path: &str) -> Option<Uri> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let behind = if query.is_empty() { "" } else { "&" };
    // The first parameter of a name is the one that counts.
    let text = format!("{path}?EIO=4&transport=webtransport{behind}{query}");
    path.starts_with('/').then(|| text.parse().ok()).flatten()
}

/// RFC 9114, 4.2: fields of a connection of HTTP/1.1 have no place in HTTP/3.
fn is_of_connection(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use actix_http::HttpMessage;

    use super::*;

    const CLIENT: &str = "[::ffff:192.0.2.7]:5000";

    fn fields(changes: &[(&str, Option<&str>)]) -> Fields {
        let usual = [
            (":method", "CONNECT"),
            (":protocol", "webtransport"),
            (":scheme", "https"),
            (":authority", "chat.example:3000"),
            (":path", "/socket.io/"),
            ("origin", "https://chat.example"),
            ("upgrade", "websocket"),
        ];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut fields: Fields = usual.into_iter().map(owned).collect();
        for (name, value) in changes {
            match value {
                Some(value) => fields.insert((*name).to_owned(), (*value).to_owned()),
                None => fields.remove(*name),
            };
        }
        fields
    }

    fn made(changes: &[(&str, Option<&str>)]) -> Result<Request, StatusCode> {
        request(&fields(changes), CLIENT.parse().unwrap())
    }

    #[test]
    fn the_app_sees_a_get_of_the_transport() {
        let request = made(&[]).unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "/socket.io/?EIO=4&transport=webtransport");
        assert_eq!(request.peer_addr(), Some("192.0.2.7:5000".parse().unwrap()));
        let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
        assert_eq!(header(header::HOST), Some(&b"chat.example:3000"[..]));
        assert_eq!(header(header::ORIGIN), Some(&b"https://chat.example"[..]));
        assert_eq!(header(header::UPGRADE), None);
    }

    #[test]
    fn the_query_of_the_client_is_kept() {
        let request = made(&[(":path", Some("/socket.io/?a=1&transport=polling"))]).unwrap();
        assert_eq!(
            request.uri(),
            "/socket.io/?EIO=4&transport=webtransport&a=1&transport=polling"
        );
    }

    #[test]
    fn other_requests_are_refused() {
        for (name, value, status) in [
            (":method", Some("GET"), StatusCode::METHOD_NOT_ALLOWED),
            (":method", None, StatusCode::METHOD_NOT_ALLOWED),
            (":protocol", Some("websocket"), StatusCode::NOT_IMPLEMENTED),
            (":protocol", None, StatusCode::NOT_IMPLEMENTED),
            (":path", None, StatusCode::BAD_REQUEST),
            (":path", Some("socket.io"), StatusCode::BAD_REQUEST),
            (":path", Some("/a b"), StatusCode::BAD_REQUEST),
            (":authority", None, StatusCode::BAD_REQUEST),
            (":authority", Some("a\nb"), StatusCode::BAD_REQUEST),
            ("x", Some("a\r\nb"), StatusCode::BAD_REQUEST),
            ("a b", Some("c"), StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(
                made(&[(name, value)]).err(),
                Some(status),
                "{name} {value:?}"
            );
        }
    }
}
