//! The WebSocket handshake. In: the request, as far as it has come. Out: the response. Polling is
//! refused, and so is everything that is no upgrade.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub(crate) enum Handshake {
    Partial,
    /// The response, and how long the request was.
    Upgrade(Vec<u8>, usize),
    Refused,
}

pub(crate) fn handshake(bytes: &[u8]) -> Handshake {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match bytes.len() {
            0..REQUEST_MAX => Handshake::Partial,
            _ => Handshake::Refused,
        };
    };
    let key = str::from_utf8(&bytes[..end]).ok().and_then(|request| {
        request
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
            .map(|(_, key)| key.trim())
    });
    match key {
        Some(key) => Handshake::Upgrade(response(key), end + 4),
        None => Handshake::Refused,
    }
}

fn response(key: &str) -> Vec<u8> {
    // RFC 6455, 4.2.2: the accept value is the hash of the key and this GUID.
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(hash)
    )
    .into_bytes()
}

const REQUEST_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::{Handshake, handshake};

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let request = b"GET / HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let Handshake::Upgrade(response, length) = handshake(request) else {
            panic!("no upgrade");
        };
        let response = String::from_utf8(response).unwrap();
        assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert_eq!(length, request.len());
    }

    #[test]
    fn half_a_request_is_partial_and_a_plain_one_refused() {
        assert!(matches!(handshake(b"GET / HT"), Handshake::Partial));
        assert!(matches!(
            handshake(b"GET / HTTP/1.1\r\n\r\n"),
            Handshake::Refused
        ));
    }
}
