//! A message as the broker sends it, and the limit of its length.

use bytes::Bytes;

use crate::adapter::format::channel::Channel;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    Publish {
        channel: Channel,
        payload: Bytes,
    },
    /// An entry of a stream.
    Append {
        stream: String,
        fields: Vec<(&'static str, Bytes)>,
    },
}

impl Envelope {
    /// Returns its approximate size, in bytes.
    pub(crate) fn len(&self) -> usize {
        let content = match self {
            Self::Publish { channel, payload } => channel.name().len() + payload.len(),
            Self::Append { stream, fields } => {
                let fields = fields.iter().map(|(name, value)| name.len() + value.len());
                stream.len() + fields.sum::<usize>()
            }
        };
        content + OVERHEAD
    }
}

/// Refuses a message that is too long to read, because its JSON occupies several times its size.
///
/// # Errors
///
/// Its length and the limit.
pub(crate) fn check_length(length: usize) -> Result<(), String> {
    if length <= MAX_MESSAGE {
        return Ok(());
    }
    Err(format!(
        "message of {length} bytes, the limit between nodes is {MAX_MESSAGE} bytes"
    ))
}

/// The maximal size of a message between nodes: that of one POST or WebSocket message with sixty
/// times the default of `max_payload`.
const MAX_MESSAGE: usize = 64 << 20;

/// The number of bytes of an envelope beside its content.
const OVERHEAD: usize = 64;
