//! The part of HTTP/3 that a session of WebTransport needs, RFC 9114 and RFC 9220.
//!
//! A QUIC connection enters. The fields of the client's request leave, and after the response the
//! stream of the session. The contents of both are not known here.

use std::net::SocketAddr;

use actix_http::StatusCode;
use actix_http::header::HeaderMap;
use quinn::{
    Connection, ConnectionError, ReadError, ReadExactError, RecvStream, SendStream, VarInt,
    WriteError,
};
use wtransport_proto::qpack;

use crate::link::InboundError;
use crate::panics::catch_panic;
use crate::transport::webtransport::inbound::ended;
use crate::transport::webtransport::request::Fields;

/// A connection whose client has requested a session.
pub(super) struct Http3 {
    pub(super) connection: Connection,
    /// The stream of the request, which lasts as long as the session.
    send: SendStream,
    recv: RecvStream,
    /// RFC 9114, 6.2.1: these streams must not be closed before the connection.
    _control: SendStream,
    critical: Vec<RecvStream>,
}

/// The reason why a connection has no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Http3Error {
    /// The connection has ended.
    Lost(ConnectionError),
    /// The client violated a rule; the connection is closed with this code.
    Violation { code: u32, cause: &'static str },
    /// The head of the request is larger than the limit.
    HeadTooLarge,
}

impl Http3 {
    /// Exchanges the settings, and reads the client's request, whose head has up to `limit` bytes.
    pub(super) async fn accept(
        connection: Connection,
        limit: usize,
    ) -> Result<(Self, Result<Fields, Http3Error>), Http3Error> {
        let mut control = connection.open_uni().await.map_err(Http3Error::Lost)?;
        control.write_all(&settings()).await?;
        let mut critical = Vec::new();
        // WebTransport over HTTP/3, 3.1: no request is handled before the client's settings.
        loop {
            let mut stream = connection.accept_uni().await.map_err(Http3Error::Lost)?;
            let kind = varint(&mut stream).await?;
            if kind == CONTROL_STREAM {
                frame(&mut stream, SETTINGS, SETTINGS_LIMIT).await?;
                critical.push(stream);
                break;
            }
            keep(&mut critical, kind, stream);
        }
        let (send, mut recv) = connection.accept_bi().await.map_err(Http3Error::Lost)?;
        let fields = match frame(&mut recv, HEADERS, limit).await {
            Ok(payload) => Ok(fields(&payload)?),
            Err(error @ Http3Error::HeadTooLarge) => Err(error),
            Err(error) => return Err(error),
        };
        let http3 = Self {
            connection,
            send,
            recv,
            _control: control,
            critical,
        };
        Ok((http3, fields))
    }

    /// Returns the address of the client.
    pub(super) fn client(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Responds to the request. The session is open after a status of success.
    pub(super) async fn respond(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<(), Http3Error> {
        let mut fields = vec![(":status", status.as_str())];
        if status.is_success() {
            // Older versions of Chromium require it.
            fields.push(("sec-webtransport-http3-draft", "draft02"));
        }
        for (name, value) in headers {
            // The body is not sent.
            if let Ok(value) = value.to_str()
                && name != "content-length"
            {
                fields.push((name.as_str(), value));
            }
        }
        let fields = qpack::Encoder::encode(fields);
        self.send.write_all(&frame_of(HEADERS, &fields)).await?;
        if !status.is_success() {
            self.finish().await;
        }
        Ok(())
    }

    /// Waits for the client's stream. A client that opens another one waits forever.
    pub(super) async fn stream(&mut self) -> Result<(SendStream, RecvStream), Http3Error> {
        let (send, mut recv) = self
            .connection
            .accept_bi()
            .await
            .map_err(Http3Error::Lost)?;
        // WebTransport over HTTP/3, 4.2: the signal, and the session, which is named by its stream.
        let session = VarInt::from(self.recv.id()).into_inner();
        if varint(&mut recv).await? != WEBTRANSPORT_STREAM || varint(&mut recv).await? != session {
            return Err(violation(H3_ID_ERROR, "stream of no session"));
        }
        Ok((send, recv))
    }

    /// Waits until the client has closed the session, or its connection. Streams that the client
    /// opens in the meantime are stopped.
    pub(super) async fn closed(&mut self) -> InboundError {
        let Self {
            connection,
            recv,
            critical,
            ..
        } = self;
        tokio::select! {
            end = session_closed(recv) => end,
            error = other_streams(connection, critical) => ended(&error),
        }
    }

    /// Closes the session: the client gets the code and the reason.
    pub(super) async fn close(&mut self, code: u32, reason: &str) {
        // WebTransport over HTTP/3, 5: CLOSE_WEBTRANSPORT_SESSION, and then the end of the stream.
        let mut content = code.to_be_bytes().to_vec();
        content.extend_from_slice(reason.as_bytes());
        let capsule = frame_of(CLOSE_SESSION, &content);
        if self.send.write_all(&frame_of(DATA, &capsule)).await.is_ok() {
            self.finish().await;
        }
    }

    /// Ends the stream of the request, and waits until the client has received it.
    async fn finish(&mut self) {
        if self.send.finish().is_ok() {
            // The caller has a time limit.
            let _ = self.send.stopped().await;
        }
    }
}

/// Reads the client's capsules up to the one that closes the session, or to the end.
async fn session_closed(recv: &mut RecvStream) -> InboundError {
    loop {
        match frame(recv, DATA, CAPSULE_LIMIT).await {
            Ok(capsule) if starts_with(&capsule, CLOSE_SESSION) => return InboundError::Closed,
            // An unknown capsule is ignored.
            Ok(_) => {}
            // WebTransport over HTTP/3, 5: the end of the stream closes the session too.
            Err(Http3Error::Violation { code: 0, .. }) => return InboundError::Closed,
            Err(Http3Error::Lost(error)) => return ended(&error),
            Err(_) => return InboundError::Broken,
        }
    }
}

/// Stops the client's further streams, except those of HTTP/3 itself.
async fn other_streams(connection: &Connection, critical: &mut Vec<RecvStream>) -> ConnectionError {
    loop {
        match connection.accept_uni().await {
            Ok(mut stream) => {
                if let Ok(kind) = varint(&mut stream).await {
                    keep(critical, kind, stream);
                }
            }
            Err(error) => return error,
        }
    }
}

/// Keeps a stream of HTTP/3 itself, and stops any other.
fn keep(critical: &mut Vec<RecvStream>, kind: u64, mut stream: RecvStream) {
    if matches!(kind, QPACK_ENCODER_STREAM | QPACK_DECODER_STREAM) && critical.len() < CRITICAL {
        critical.push(stream);
    } else {
        // A stream that the client has reset already.
        let _ = stream.stop(VarInt::from_u32(H3_STREAM_CREATION_ERROR));
    }
}

/// Reads the next frame of this kind, of up to `limit` bytes. Frames of unknown kinds are skipped.
async fn frame(stream: &mut RecvStream, wanted: u64, limit: usize) -> Result<Vec<u8>, Http3Error> {
    let mut skipped = 0;
    loop {
        let kind = varint(stream).await?;
        let length = usize::try_from(varint(stream).await?).unwrap_or(usize::MAX);
        if kind != wanted && is_known(kind) {
            return Err(violation(H3_FRAME_UNEXPECTED, "unexpected frame"));
        }
        skipped += if kind == wanted { 0 } else { length };
        if length > limit || skipped > limit {
            return Err(Http3Error::HeadTooLarge);
        }
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await?;
        if kind == wanted {
            return Ok(payload);
        }
    }
}

/// RFC 9000, 16: an integer of variable length.
async fn varint(stream: &mut RecvStream) -> Result<u64, Http3Error> {
    let mut bytes = [0; 8];
    let (first, rest) = bytes.split_at_mut(1);
    stream.read_exact(first).await?;
    let size = 1_usize << (first[0] >> 6);
    first[0] &= 0x3F;
    if let Some(rest) = rest.get_mut(..size - 1) {
        stream.read_exact(rest).await?;
    }
    let value = bytes.iter().take(size);
    Ok(value.fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn push_varint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => {
            out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes());
        }
        _ => out.extend_from_slice(&(value | 0xC000_0000_0000_0000).to_be_bytes()),
    }
}

/// Returns a frame, or a capsule, which has the same form.
fn frame_of(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 8);
    push_varint(&mut out, kind);
    push_varint(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

fn starts_with(bytes: &[u8], value: u64) -> bool {
    let mut start = Vec::new();
    push_varint(&mut start, value);
    bytes.starts_with(&start)
}

/// Returns the first bytes of the control stream: its kind, and the settings.
fn settings() -> Vec<u8> {
    let mut settings = Vec::new();
    for (name, value) in SENT_SETTINGS {
        push_varint(&mut settings, *name);
        push_varint(&mut settings, *value);
    }
    let mut out = Vec::new();
    push_varint(&mut out, CONTROL_STREAM);
    out.extend_from_slice(&frame_of(SETTINGS, &settings));
    out
}

/// RFC 9204: the fields of a request. The decoder adds without a check, so that a program that
/// checks its arithmetic would panic for some bytes.
fn fields(payload: &[u8]) -> Result<Fields, Http3Error> {
    match catch_panic(|| qpack::Decoder::decode(payload)) {
        Ok(Ok(fields)) => Ok(fields),
        Ok(Err(_)) | Err(_) => Err(violation(QPACK_DECOMPRESSION_FAILED, "invalid fields")),
    }
}

fn violation(code: u32, cause: &'static str) -> Http3Error {
    Http3Error::Violation { code, cause }
}

/// RFC 9114, 7.2: frames with a place of their own.
fn is_known(kind: u64) -> bool {
    matches!(
        kind,
        DATA | HEADERS | 0x03 | SETTINGS | 0x05 | 0x07 | 0x0D | WEBTRANSPORT_STREAM
    )
}

impl From<ReadExactError> for Http3Error {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(0) => violation(0, "stream ended"),
            ReadExactError::FinishedEarly(_) => violation(H3_FRAME_ERROR, "incomplete frame"),
            ReadExactError::ReadError(ReadError::ConnectionLost(error)) => Self::Lost(error),
            ReadExactError::ReadError(_) => {
                violation(H3_CLOSED_CRITICAL_STREAM, "stream was reset")
            }
        }
    }
}

impl From<WriteError> for Http3Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => Self::Lost(error),
            _ => violation(H3_CLOSED_CRITICAL_STREAM, "stream was stopped"),
        }
    }
}

/// RFC 9114, 11.2.2, and RFC 9297, 2.1.1; the last two are WebTransport, of the drafts that clients
/// know. The dynamic table of QPACK is off, which is its default.
const SENT_SETTINGS: &[(u64, u64)] = &[
    // SETTINGS_ENABLE_CONNECT_PROTOCOL
    (0x08, 1),
    // SETTINGS_H3_DATAGRAM
    (0x33, 1),
    // SETTINGS_ENABLE_WEBTRANSPORT of draft 2
    (0x2B60_3742, 1),
    // SETTINGS_WEBTRANSPORT_MAX_SESSIONS of draft 7
    (0xC671_706A, 1),
];

const CONTROL_STREAM: u64 = 0x00;
const QPACK_ENCODER_STREAM: u64 = 0x02;
const QPACK_DECODER_STREAM: u64 = 0x03;

const DATA: u64 = 0x00;
const HEADERS: u64 = 0x01;
const SETTINGS: u64 = 0x04;
const WEBTRANSPORT_STREAM: u64 = 0x41;

/// The capsule that closes a session.
const CLOSE_SESSION: u64 = 0x2843;

pub(super) const H3_NO_ERROR: u32 = 0x100;
const H3_STREAM_CREATION_ERROR: u32 = 0x103;
const H3_CLOSED_CRITICAL_STREAM: u32 = 0x104;
const H3_FRAME_UNEXPECTED: u32 = 0x105;
const H3_FRAME_ERROR: u32 = 0x106;
const H3_ID_ERROR: u32 = 0x108;
const QPACK_DECOMPRESSION_FAILED: u32 = 0x200;

/// The streams of HTTP/3 itself that a client may open.
const CRITICAL: usize = 3;

/// The maximal size of the client's settings.
const SETTINGS_LIMIT: usize = 4 * 1024;

/// The maximal size of a capsule of the client. The longest reason has 1024 bytes.
const CAPSULE_LIMIT: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_have_the_shortest_form() {
        for (value, bytes) in [
            (0, &[0][..]),
            (0x3F, &[0x3F]),
            (0x40, &[0x40, 0x40]),
            (0x3FFF, &[0x7F, 0xFF]),
            (0x4000, &[0x80, 0, 0x40, 0]),
            (0x3FFF_FFFF, &[0xBF, 0xFF, 0xFF, 0xFF]),
            (0x4000_0000, &[0xC0, 0, 0, 0, 0x40, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            push_varint(&mut out, value);
            assert_eq!(out, bytes, "{value:#x}");
        }
    }

    #[test]
    fn the_settings_are_those_that_clients_require() {
        let expected = [
            &[0, 4, 20, 0x08, 1, 0x33, 1][..],
            &[0xAB, 0x60, 0x37, 0x42, 1],
            &[0xC0, 0, 0, 0, 0xC6, 0x71, 0x70, 0x6A, 1],
        ];
        let written = settings();
        assert_eq!(written[2] as usize, written.len() - 3);
        assert_eq!(written[3..], expected.concat()[3..]);
        assert_eq!(written[..2], [0, 4]);
    }

    #[test]
    fn fields_that_need_a_dynamic_table_are_refused() {
        assert!(fields(&[0, 0, 0x80]).is_err());
        // An integer that is longer than 64 bits.
        let long = [&[0, 0, 0xFF][..], &[0xFF; 20], &[0]].concat();
        assert!(fields(&long).is_err());
    }

    proptest! {
        #[test]
        fn random_fields_do_not_end_the_task(bytes in vec(any::<u8>(), 0..300)) {
            let _ = fields(&bytes);
        }
    }
}
