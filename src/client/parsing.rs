//! Messages of clients whose parser is not JSON.
//!
//! A message enters, and goes on as a whole packet.

use std::borrow::Cow;

use bytes::Bytes;

use crate::client::message::Message;
use crate::client::state::Client;
use crate::engineio::EngineMessage;
use crate::panics::catch_panic;
use crate::reason::CloseReason;
use crate::socketio::{DecodeError, Encoding, IncomingPacket, ParserError};

impl Client {
    pub(super) fn other_text(&mut self, text: &str) -> Result<(), CloseReason> {
        match self.encoding() {
            Encoding::Json | Encoding::MessagePack(_) => {
                Err(self.refused(&DecodeError::UnexpectedText))
            }
            Encoding::Own(_) => self.parse(EngineMessage::Text(text.to_owned())),
        }
    }

    pub(super) fn other_binary(&mut self, data: Bytes) -> Result<(), CloseReason> {
        match self.encoding() {
            Encoding::Json => self.attachment(data),
            Encoding::MessagePack(limits) => {
                let limits = *limits;
                self.packet(Message::Packed(data, limits))
            }
            Encoding::Own(_) => self.parse(EngineMessage::Binary(data)),
        }
    }

    /// Gives a message to the decoder of the program's parser.
    fn parse(&mut self, message: EngineMessage) -> Result<(), CloseReason> {
        let bytes = message.size();
        let parsed = match self.decoder.take() {
            Some(decoder) => Ok(decoder),
            None => self.new_decoder(),
        };
        let parsed = parsed.and_then(|mut decoder| {
            let parsed = caught(|| decoder.decode(message));
            self.decoder = Some(decoder);
            parsed.and_then(|decoded| decoded)
        });
        match parsed {
            Ok(Some(packet)) => self.packet(Message::Parsed(Box::new(packet), bytes)),
            Ok(None) => Ok(()),
            Err(error) => Err(self.refused(&error.into())),
        }
    }

    fn new_decoder(&self) -> Result<Box<Box<dyn crate::socketio::PacketDecoder>>, ParserError> {
        match self.encoding() {
            Encoding::Own(own) => caught(|| own.decoder()).map(Box::new),
            Encoding::Json | Encoding::MessagePack(_) => Err(ParserError::new("no parser")),
        }
    }

    fn encoding(&self) -> &Encoding {
        self.link.config.parsers.get(self.link.parser())
    }

    /// Returns the CONNECT packet that a client of Socket.IO v4 does not send.
    pub(super) fn connect_to_main(&self) -> Message<'static> {
        match self.encoding() {
            Encoding::Json => Message::Json(Cow::Borrowed("0"), Vec::new()),
            Encoding::MessagePack(_) | Encoding::Own(_) => {
                Message::Parsed(Box::new(IncomingPacket::connect("/", None)), 0)
            }
        }
    }
}

/// Calls the parser, and returns a panic as an error.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, ParserError> {
    catch_panic(call).map_err(|panic| ParserError::new(format_args!("it panicked: {panic}")))
}
