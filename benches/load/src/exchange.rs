//! Requests and answers on one keep-alive connection. In: a request at a time. Out: its answer. It
//! opens a new stream if the server has ended the one before, and knows no Engine.IO.

use std::io;
use std::net::SocketAddr;

use mio::{Registry, Token};

use crate::http::Reader;
use crate::wire::Wire;

pub(crate) struct Exchange {
    addr: SocketAddr,
    token: Token,
    wire: Option<Wire>,
    reader: Reader,
    /// Whether a request is not answered yet.
    busy: bool,
}

impl Exchange {
    pub(crate) fn new(addr: SocketAddr, token: Token) -> Self {
        Self {
            addr,
            token,
            wire: None,
            reader: Reader::new(),
            busy: false,
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Sends a request. The one before it must have been answered.
    pub(crate) fn request(&mut self, registry: &Registry, request: &[u8]) -> io::Result<()> {
        self.busy = true;
        self.reader.begin();
        match &mut self.wire {
            Some(wire) => wire.send(request)?,
            None => {
                let wire = Wire::connect(self.addr, registry, self.token, request.to_vec())?;
                self.wire = Some(wire);
            }
        }
        Ok(())
    }

    pub(crate) fn on_writable(&mut self) -> io::Result<()> {
        self.wire.as_mut().map_or(Ok(()), Wire::on_writable)
    }

    /// Reads what has come, and returns whether that completes the answer.
    ///
    /// # Errors
    ///
    /// The answer is broken, or it is a refusal.
    pub(crate) fn on_readable(
        &mut self,
        registry: &Registry,
        buffer: &mut [u8],
        end_seen: bool,
    ) -> Result<bool, String> {
        while let Some(wire) = &mut self.wire {
            let length = match wire.read(buffer) {
                Ok(Some(length)) => length,
                Ok(None) => return Ok(false),
                Err(error) => return Err(error.to_string()),
            };
            let complete = if length == 0 {
                self.hang_up(registry);
                self.busy && self.reader.end()
            } else {
                self.reader.read(&buffer[..length])?
            };
            if complete {
                // An end reported together with the answer is not reported again.
                if end_seen || self.reader.closes() {
                    self.hang_up(registry);
                }
                self.busy = false;
                return self.check().map(|()| true);
            }
            if length == 0 && self.busy {
                return Err("the server ended the stream within an answer".to_owned());
            }
        }
        Ok(false)
    }

    /// Returns the body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.reader.body()
    }

    pub(crate) fn hang_up(&mut self, registry: &Registry) {
        if let Some(wire) = self.wire.take() {
            wire.abandon(registry);
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.reader.status() {
            200..=299 => Ok(()),
            status => Err(format!(
                "HTTP {status}: {}",
                String::from_utf8_lossy(self.body())
            )),
        }
    }
}
