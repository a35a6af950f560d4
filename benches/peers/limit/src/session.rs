//! One client: its stream, and what could not be done at once. It moves bytes and knows no packets.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

pub(crate) struct Session {
    stream: TcpStream,
    /// Whether frames follow, and no longer the request.
    pub(crate) upgraded: bool,
    /// Whether it is in the namespace.
    pub(crate) connected: bool,
    /// A frame, or the request, as far as it has come.
    pub(crate) partial: Vec<u8>,
    /// The bytes that the stream did not take.
    outbox: Vec<u8>,
}

impl Session {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            upgraded: false,
            connected: false,
            partial: Vec::new(),
            outbox: Vec::new(),
        }
    }

    /// Reads once; `None` if nothing is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a frame with one call; what is not taken waits until the stream is writable.
    pub(crate) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let taken = match self.outbox.is_empty() {
            true => self.write(frame)?,
            false => 0,
        };
        if taken < frame.len() {
            if self.outbox.len() + frame.len() > OUTBOX_MAX {
                return Err(ErrorKind::OutOfMemory.into());
            }
            self.outbox.extend_from_slice(&frame[taken..]);
        }
        Ok(())
    }

    /// Writes what has been left behind.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            // Taken out for the call alone, which borrows the stream.
            let outbox = std::mem::take(&mut self.outbox);
            let taken = self.write(&outbox);
            self.outbox = outbox;
            let taken = taken?;
            if taken == 0 {
                break;
            }
            self.outbox.drain(..taken);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Ok(taken) => return Ok(taken),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// More than this means that the client does not read at all.
const OUTBOX_MAX: usize = 16 << 20;
