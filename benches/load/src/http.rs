//! HTTP as long-polling needs it: requests written, answers read, by hand. In: chunks of a byte
//! stream, cut anywhere. Out: one answer at a time, by status and body.
//!
//! An answer's body ends by `Content-Length`, by its last chunk, or with the stream. No compression is
//! offered, so none is understood. It owns no stream and knows no Engine.IO but the path.

use std::net::SocketAddr;

/// Reads the answers of one stream, none of which begins before the one before it is complete.
pub(crate) struct Reader {
    state: State,
    /// The line under way: of the head, or around a chunk.
    line: Vec<u8>,
    status: u16,
    length: Option<usize>,
    chunked: bool,
    closes: bool,
    body: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Complete,
            line: Vec::new(),
            status: 0,
            length: None,
            chunked: false,
            closes: false,
            body: Vec::new(),
        }
    }

    /// Forgets the last answer and expects another.
    pub(crate) fn begin(&mut self) {
        self.state = State::StatusLine;
        self.line.clear();
        self.length = None;
        self.chunked = false;
        self.closes = false;
        self.body.clear();
    }

    /// Takes in a chunk, and returns whether the answer is complete.
    ///
    /// # Errors
    ///
    /// It is no HTTP, or goes on behind the answer's end.
    pub(crate) fn read(&mut self, mut chunk: &[u8]) -> Result<bool, &'static str> {
        while self.state != State::Complete && !chunk.is_empty() {
            chunk = match self.state {
                State::Body { missing } => self.read_body(chunk, missing, State::Complete),
                State::Chunk { missing } => self.read_body(chunk, missing, State::ChunkEnd),
                State::ToTheEnd => {
                    self.body.extend_from_slice(chunk);
                    &[]
                }
                _ => self.read_line(chunk)?,
            };
        }
        if !chunk.is_empty() {
            return Err("an answer to no request");
        }
        Ok(self.state == State::Complete)
    }

    /// Takes note of the stream's end, and returns whether that completes the answer.
    pub(crate) fn end(&mut self) -> bool {
        if self.state == State::ToTheEnd {
            self.state = State::Complete;
        }
        self.state == State::Complete
    }

    /// Returns whether the server ends the stream behind this answer.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    fn read_body<'c>(&mut self, chunk: &'c [u8], missing: usize, then: State) -> &'c [u8] {
        let (part, rest) = chunk.split_at(chunk.len().min(missing));
        self.body.extend_from_slice(part);
        let missing = missing - part.len();
        self.state = match self.state {
            _ if missing == 0 => then,
            State::Chunk { .. } => State::Chunk { missing },
            _ => State::Body { missing },
        };
        rest
    }

    fn read_line<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], &'static str> {
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (part, rest) = chunk.split_at(end.map_or(chunk.len(), |end| end + 1));
        self.line.extend_from_slice(part);
        if self.line.len() > LINE_MAX {
            return Err("an HTTP line without an end");
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.on_line(line.trim_ascii())?;
            self.line = line;
            self.line.clear();
        }
        Ok(rest)
    }

    fn on_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        self.state = match self.state {
            State::StatusLine => {
                self.on_status_line(line)?;
                State::Headers
            }
            State::Headers if line.is_empty() => self.body_state(),
            State::Headers => {
                self.on_header(line)?;
                State::Headers
            }
            State::ChunkSize => match chunk_size(line).ok_or("a chunk without a size")? {
                0 => State::Trailers,
                missing => State::Chunk { missing },
            },
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err("a chunk longer than its size"),
            State::Trailers if line.is_empty() => State::Complete,
            state => state,
        };
        Ok(())
    }

    fn on_status_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let mut words = line.split(|byte| *byte == b' ');
        let version = words.next().unwrap_or_default();
        self.status = words.next().and_then(number).ok_or("no HTTP status")?;
        // RFC 9112, 9.3: before 1.1 a stream persists only if the server says so.
        self.closes = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err("no HTTP/1 answer"),
        };
        Ok(())
    }

    fn on_header(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().ok_or("a header without a value")?;
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.length = Some(number(value).ok_or("a content length that is no number")?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"connection") {
            if value.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if value.eq_ignore_ascii_case(b"keep-alive") {
                self.closes = false;
            }
        }
        Ok(())
    }

    /// Says what comes behind the head (RFC 9112, 6.3).
    fn body_state(&mut self) -> State {
        match (self.status, self.chunked, self.length) {
            (100..=199, ..) => State::StatusLine,
            (204 | 304, ..) | (_, false, Some(0)) => State::Complete,
            (_, true, _) => State::ChunkSize,
            (_, false, Some(missing)) => State::Body { missing },
            (_, false, None) => {
                self.closes = true;
                State::ToTheEnd
            }
        }
    }
}

/// StatusLine → Headers → Body | ToTheEnd | ChunkSize ⇄ Chunk, ChunkEnd; ChunkSize → Trailers
/// and all of them → Complete
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    StatusLine,
    Headers,
    Body { missing: usize },
    ToTheEnd,
    ChunkSize,
    Chunk { missing: usize },
    ChunkEnd,
    Trailers,
    Complete,
}

/// Returns a poll's request, or the handshake's if there is no session yet.
pub(crate) fn get(addr: SocketAddr, sid: Option<&str>) -> Vec<u8> {
    let (parameter, sid) = match sid {
        Some(sid) => ("&sid=", sid),
        None => ("", ""),
    };
    format!(
        "GET /socket.io/?EIO=4&transport=polling{parameter}{sid} HTTP/1.1\r\n\
         Host: {addr}\r\n\
         Connection: keep-alive\r\n\
         Accept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// Returns the head of a POST up to the length, which [`post`] adds together with the body.
pub(crate) fn post_head(addr: SocketAddr, sid: &str) -> Vec<u8> {
    format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\n\
         Host: {addr}\r\n\
         Connection: keep-alive\r\n\
         Accept: */*\r\n\
         Content-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: "
    )
    .into_bytes()
}

/// Writes a whole POST into `request`.
pub(crate) fn post(head: &[u8], body: &[u8], request: &mut Vec<u8>) {
    request.clear();
    request.extend_from_slice(head);
    request.extend_from_slice(body.len().to_string().as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(body);
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads the size that begins a chunk. Extensions may follow it.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?;
    usize::from_str_radix(std::str::from_utf8(digits.trim_ascii()).ok()?, 16).ok()
}

/// More than any server sends; keeps one that sends no line from filling the memory.
const LINE_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::{Reader, post};

    /// Status, body, and whether the stream is to be closed.
    type Answer = (u16, Vec<u8>, bool);

    fn read(chunks: &[&[u8]]) -> Result<Option<Answer>, &'static str> {
        let mut reader = Reader::new();
        reader.begin();
        let mut complete = false;
        for chunk in chunks {
            complete = reader.read(chunk)?;
        }
        Ok(complete.then(|| (reader.status(), reader.body().to_vec(), reader.closes())))
    }

    #[test]
    fn each_way_to_end_a_body_is_understood() {
        for (stream, status, body, closes) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                200,
                "hello",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n",
                200,
                "",
                false,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", false),
            (
                "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n\
                 3\r\nhel\r\n0A;x=y\r\nlo, world!\r\n0\r\nx-sum: 1\r\n\r\n",
                200,
                "hello, world!",
                false,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\nconnection: Close\r\n\
                 content-length: 1\r\n\r\n?",
                400,
                "?",
                true,
            ),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
                200,
                "ok",
                false,
            ),
        ] {
            let expected = Ok(Some((status, body.as_bytes().to_vec(), closes)));
            assert_eq!(read(&[stream.as_bytes()]), expected, "{stream}");
            for cut in 1..stream.len() {
                let (left, right) = stream.as_bytes().split_at(cut);
                assert_eq!(read(&[left, right]), expected, "{stream} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes), expected, "{stream}");
        }
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_stream() {
        let mut reader = Reader::new();
        reader.begin();
        assert_eq!(reader.read(b"HTTP/1.1 200 OK\r\n\r\nhel"), Ok(false));
        assert_eq!(reader.read(b"lo"), Ok(false));
        assert!(reader.end() && reader.closes());
        assert_eq!(reader.body(), b"hello");
    }

    #[test]
    fn the_stream_must_not_end_early() {
        let mut reader = Reader::new();
        reader.begin();
        assert_eq!(
            reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"),
            Ok(false)
        );
        assert!(!reader.end());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for stream in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 abc\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        ] {
            assert!(read(&[stream.as_bytes()]).is_err(), "{stream}");
        }
    }

    #[test]
    fn one_reader_reads_answer_after_answer() {
        let mut reader = Reader::new();
        assert_eq!(
            reader.read(b"HTTP/1.1 200 OK\r\n"),
            Err("an answer to no request")
        );
        for body in ["one", "three"] {
            reader.begin();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            assert_eq!(reader.read(answer.as_bytes()), Ok(true));
            assert_eq!(reader.body(), body.as_bytes());
        }
    }

    #[test]
    fn a_post_says_its_length() {
        let mut request = vec![1];
        post(b"Content-Length: ", b"40", &mut request);
        assert_eq!(request, b"Content-Length: 2\r\n\r\n40");
    }
}
