//! The builder's options of parsers.

use std::sync::Arc;

use crate::handshake::Handshake;
use crate::server::SocketIo;
use crate::server::builder::Builder;
use crate::socketio::{Encoding, Parser};

impl Builder<SocketIo> {
    /// Sets the parser of all clients for which no rule of
    /// [`parser_when`](Self::parser_when) holds; [`JsonParser`](crate::JsonParser) by default.
    ///
    /// Clients with another parser cannot connect: their first packet closes the session, with a
    /// line in the log. The event streams of
    /// [`server_sent_events`](Self::server_sent_events) always have JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{MessagePackParser, SocketIo};
    ///
    /// let builder = SocketIo::builder().parser(MessagePackParser::new());
    /// ```
    pub fn parser(mut self, parser: impl Parser) -> Self {
        Arc::make_mut(&mut self.config.parsers).set_default(Encoding::of(parser));
        self
    }

    /// Sets the parser of the clients for which `holds` returns `true`. It gets the first request of
    /// the client; of several rules the first that holds is used. A rule that panics does not hold,
    /// and the panic is logged.
    ///
    /// Clients of different parsers may be in one room: an event is then encoded once for each parser
    /// that connected clients use. There may be 255 rules and parsers together.
    ///
    /// # Examples
    ///
    /// ```
    /// use actix_socketio::{MessagePackParser, SocketIo};
    ///
    /// // io(url, { parser, query: { parser: "msgpack" } })
    /// let builder = SocketIo::builder().parser_when(MessagePackParser::new(), |client| {
    ///     client.query_value("parser").as_deref() == Some("msgpack")
    /// });
    /// ```
    pub fn parser_when(
        mut self,
        parser: impl Parser,
        holds: impl Fn(&Handshake) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.config.parsers).add_rule(Encoding::of(parser), holds);
        self
    }
}
