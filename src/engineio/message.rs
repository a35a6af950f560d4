//! A message with its own data, as programs send and receive it.

use bytes::Bytes;

/// A message of Engine.IO, of a raw session or of a [`Parser`](crate::Parser).
///
/// # Examples
///
/// ```
/// use actix_socketio::EngineMessage;
///
/// fn length(message: &EngineMessage) -> usize {
///     match message {
///         EngineMessage::Text(text) => text.len(),
///         EngineMessage::Binary(data) => data.len(),
///     }
/// }
/// assert_eq!(length(&EngineMessage::Text("four".into())), 4);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineMessage {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
}

impl EngineMessage {
    /// Returns the message's size, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(data) => data.len(),
        }
    }
}
