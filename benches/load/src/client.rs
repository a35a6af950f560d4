//! One simulated client: a TCP stream, how far it has come, and what it has in flight. It moves bytes
//! and knows no workload.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::set_socket_linger;

use crate::scan::Scanner;

pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) scanner: Scanner,
    pub(crate) progress: Progress,
    /// Bytes the kernel has not taken yet.
    outbox: Vec<u8>,
    /// The response to the upgrade request, as far as it has come.
    response: Vec<u8>,
    pub(crate) opened_at: u64,
    /// Tells this client from an earlier one at the same index.
    pub(crate) serial: u64,
}

impl Client {
    pub(crate) fn connect(
        addr: SocketAddr,
        registry: &Registry,
        index: usize,
        opened_at: u64,
        serial: u64,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr)?;
        registry.register(
            &mut stream,
            Token(index),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(Self {
            stream,
            scanner: Scanner::new(),
            progress: Progress {
                stage: Stage::Connecting,
                sent: VecDeque::new(),
                received: 0,
            },
            outbox: Vec::new(),
            response: Vec::new(),
            opened_at,
            serial,
        })
    }

    /// Takes an established stream on to the upgrade request; otherwise sends what is left over.
    pub(crate) fn on_writable(&mut self, addr: SocketAddr) -> io::Result<()> {
        if self.progress.stage != Stage::Connecting {
            return self.flush();
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {}
            // Woken for an earlier stream of the same token.
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
            Err(error) => return Err(error),
        }
        self.stream.set_nodelay(true)?;
        self.progress.stage = Stage::Upgrading;
        self.send(upgrade_request(addr).as_bytes())
    }

    /// Reads once. `Ok(None)` means there is nothing more for now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.outbox.is_empty() {
            self.outbox.extend_from_slice(bytes);
            return Ok(());
        }
        let written = write(&mut self.stream, bytes)?;
        self.outbox.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    /// Takes the response to the upgrade request off the front of a chunk.
    ///
    /// Returns how long that part is once the response is complete.
    pub(crate) fn upgrade(&mut self, chunk: &[u8]) -> Result<Option<usize>, String> {
        let before = self.response.len();
        self.response.extend_from_slice(chunk);
        let end = self
            .response
            .windows(4)
            .position(|window| window == b"\r\n\r\n");
        if !self.response.starts_with(b"HTTP/1.1 101 ") && end.is_some() {
            let line = self
                .response
                .split(|byte| *byte == b'\r')
                .next()
                .unwrap_or_default();
            return Err(format!(
                "upgrade refused: {}",
                String::from_utf8_lossy(line)
            ));
        }
        let Some(end) = end else {
            return Ok(None);
        };
        self.response = Vec::new();
        self.progress.stage = Stage::Opening;
        Ok(Some(end + 4 - before))
    }

    /// Ends the stream at once and leaves no TIME_WAIT behind, which would use up the ports.
    pub(crate) fn abandon(mut self, registry: &Registry) {
        // Whatever fails here, dropping the stream closes it.
        let _ = registry.deregister(&mut self.stream);
        if set_socket_linger(&self.stream, Some(Duration::ZERO)).is_err() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.outbox.is_empty() {
            let written = write(&mut self.stream, &self.outbox)?;
            self.outbox.drain(..written);
        }
        Ok(())
    }
}

/// How far a client has come, and what a workload keeps of it.
pub(crate) struct Progress {
    pub(crate) stage: Stage,
    /// When each message in flight was sent.
    pub(crate) sent: VecDeque<u64>,
    /// How many broadcasts have come in.
    pub(crate) received: u64,
}

/// Connecting → Upgrading → Opening → (Joining →) Ready → Closing
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The TCP handshake is under way.
    Connecting,
    /// The upgrade request is sent.
    Upgrading,
    /// WebSocket is up; Engine.IO's handshake or the namespace's CONNECT is missing.
    Opening,
    /// Asked for its room, and for an echo that shows the server has seen that.
    Joining,
    Ready,
    /// The close frame is sent; the server ends the stream (RFC 6455, 7.1.1).
    Closing,
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => written += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn upgrade_request(addr: SocketAddr) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
         Host: {addr}\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
