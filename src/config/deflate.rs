//! The options of the compression of WebSocket messages.

/// The options of permessage-deflate (RFC 7692), the compression of WebSocket messages; see
/// [`Builder::per_message_deflate`](crate::Builder::per_message_deflate).
///
/// # Examples
///
/// ```
/// use actix_socketio::{PerMessageDeflate, SocketIo};
///
/// let compression = PerMessageDeflate::new().threshold(4096).level(6);
/// let builder = SocketIo::builder().per_message_deflate(compression);
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is compressed before it is passed to the builder"]
pub struct PerMessageDeflate {
    pub(crate) threshold: usize,
    pub(crate) level: u8,
    pub(crate) server_context_takeover: bool,
    pub(crate) client_context_takeover: bool,
    pub(crate) server_max_window_bits: u8,
    pub(crate) client_max_window_bits: u8,
}

impl PerMessageDeflate {
    /// Returns the default options: messages from 1024 bytes on are compressed at level 1, without
    /// context takeover.
    pub fn new() -> Self {
        Self {
            threshold: 1024,
            level: 1,
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }

    /// Sets the size in bytes from which a message to a client is compressed; 1024 by default. The
    /// size is that of the Engine.IO packet, with the byte of its type.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets the level of compression, from 1, which is the fastest and the default, to 9. A worker
    /// does nothing else while it compresses a message.
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Sets whether messages may refer to the messages before them, in both directions, if the
    /// client agrees; false by default.
    ///
    /// Small messages that resemble each other become smaller. Each client then occupies up to
    /// 320 kB after its first compressed message from the server, and up to 48 kB after its first
    /// one to the server. A broadcast is compressed for each client by itself.
    pub fn context_takeover(mut self, allowed: bool) -> Self {
        self.server_context_takeover = allowed;
        self.client_context_takeover = allowed;
        self
    }

    /// Sets whether messages to a client may refer to the messages before them; false by default.
    /// See [`context_takeover`](Self::context_takeover).
    pub fn server_context_takeover(mut self, allowed: bool) -> Self {
        self.server_context_takeover = allowed;
        self
    }

    /// Sets whether messages of a client may refer to the messages before them; false by default.
    /// See [`context_takeover`](Self::context_takeover).
    pub fn client_context_takeover(mut self, allowed: bool) -> Self {
        self.client_context_takeover = allowed;
        self
    }

    /// Sets the base-2 logarithm of the size of the window for messages to clients, from 9 to 15,
    /// the default. A client may request a smaller one, except of 8: its WebSocket is not
    /// compressed.
    pub fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = bits;
        self
    }

    /// Sets the base-2 logarithm of the size of the window for messages of clients, from 8 to 15,
    /// the default. With less than 15, the WebSocket of a client that does not offer
    /// `client_max_window_bits` is not compressed.
    pub fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = bits;
        self
    }

    /// Returns an error that names an invalid option and the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        let table = [
            ("level", self.level, 1..=9),
            (
                "server_max_window_bits",
                self.server_max_window_bits,
                9..=15,
            ),
            (
                "client_max_window_bits",
                self.client_max_window_bits,
                8..=15,
            ),
        ];
        for (name, value, allowed) in table {
            if !allowed.contains(&value) {
                return Err(format!(
                    "PerMessageDeflate::{name}: expected {} to {}, got {value}",
                    allowed.start(),
                    allowed.end()
                ));
            }
        }
        Ok(())
    }
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_of_their_ranges_are_refused() {
        let fresh = PerMessageDeflate::new;
        for (options, error) in [
            (fresh(), None),
            (fresh().level(9), None),
            (fresh().server_max_window_bits(9), None),
            (fresh().client_max_window_bits(8), None),
            (fresh().level(0), Some("level: expected 1 to 9, got 0")),
            (fresh().level(10), Some("level: expected 1 to 9, got 10")),
            (
                fresh().server_max_window_bits(8),
                Some("server_max_window_bits: expected 9 to 15, got 8"),
            ),
            (
                fresh().client_max_window_bits(16),
                Some("client_max_window_bits: expected 8 to 15, got 16"),
            ),
        ] {
            let expected = error.map(|error| format!("PerMessageDeflate::{error}"));
            assert_eq!(options.check().err(), expected);
        }
    }
}
