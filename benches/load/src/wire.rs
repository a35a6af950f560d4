//! One TCP stream to the server. In: bytes to send, readiness. Out: bytes received. It knows neither
//! HTTP nor WebSocket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::set_socket_linger;

pub(crate) struct Wire {
    stream: TcpStream,
    established: bool,
    /// Bytes the kernel has not taken yet.
    outbox: Vec<u8>,
}

impl Wire {
    /// Begins a TCP handshake, behind which `first` is sent.
    pub(crate) fn connect(
        addr: SocketAddr,
        registry: &Registry,
        token: Token,
        first: Vec<u8>,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            established: false,
            outbox: first,
        })
    }

    /// Sends what is left over, once the stream is established.
    pub(crate) fn on_writable(&mut self) -> io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        if !self.established {
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
            self.established = true;
        }
        let written = write(&mut self.stream, &self.outbox)?;
        self.outbox.drain(..written);
        Ok(())
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

    /// Ends the stream at once and leaves no TIME_WAIT behind, which would use up the ports.
    pub(crate) fn abandon(mut self, registry: &Registry) {
        // If this fails, dropping the stream closes it.
        let _ = registry.deregister(&mut self.stream);
        if set_socket_linger(&self.stream, Some(Duration::ZERO)).is_err() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
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
