//! A payload in JSON or, if it has binary, in MessagePack.

use bytes::Bytes;

use crate::cluster::ClusterError;
use crate::socketio::msgpack;

/// JSON begins with a brace, and MessagePack never does.
pub(crate) fn unpack(payload: &Bytes) -> Result<(String, Vec<Bytes>), String> {
    if payload.first() == Some(&b'{') {
        let json = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
        return Ok((json.to_owned(), Vec::new()));
    }
    Ok(msgpack::to_json(payload)?)
}

/// Writes JSON, or MessagePack if there is binary.
pub(crate) fn payload(json: String, attachments: &[Bytes]) -> Result<Bytes, ClusterError> {
    if attachments.is_empty() {
        return Ok(json.into());
    }
    let packed = msgpack::from_json(&json, attachments);
    packed.map(Into::into).map_err(ClusterError::Encode)
}
