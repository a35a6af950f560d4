//! Packets to a client in MessagePack.
//!
//! Names, ids and the writers of values enter; the bytes of a binary message leave. The order of the
//! fields is that of the Node.js server.

use serde::ser::Error as _;
use serde_json::Error;

use crate::socketio::msgpack::transcode::{from_json, push_text};
use crate::socketio::msgpack::write::push_head;

/// Appends an EVENT. `write` appends the arguments, and returns their number.
pub(crate) fn push_event<E: From<Error>>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
) -> Result<(), E> {
    push_list_of_event(out, namespace, id, |out| {
        push_text(out, name);
        Ok(1 + write(out)?)
    })
}

/// Appends an EVENT whose list of name and arguments is given.
pub(crate) fn push_list_of_event<E: From<Error>>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
) -> Result<(), E> {
    push_start(out, if id.is_some() { 4 } else { 3 }, EVENT);
    push_list(out, write)?;
    push_namespace(out, namespace);
    if let Some(id) = id {
        push_id(out, id);
    }
    Ok(())
}

/// Appends an ACK. `write` appends the arguments, and returns their number.
pub(crate) fn push_ack<E: From<Error>>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: u64,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
) -> Result<(), E> {
    out.push(MAP | 4);
    push_id(out, id);
    push_type(out, ACK);
    push_list(out, write)?;
    push_namespace(out, namespace);
    Ok(())
}

/// Appends a CONNECT, whose data are JSON.
///
/// # Errors
///
/// If the data have no form in MessagePack.
pub(crate) fn push_connect(
    out: &mut Vec<u8>,
    namespace: &str,
    data: Option<&str>,
) -> Result<(), Error> {
    push_start(out, if data.is_some() { 3 } else { 2 }, CONNECT);
    if let Some(data) = data {
        push_text(out, "data");
        out.extend(from_json(data, &[]).map_err(Error::custom)?);
    }
    push_namespace(out, namespace);
    Ok(())
}

/// Appends a CONNECT_ERROR, whose data are JSON.
///
/// # Errors
///
/// If the data have no form in MessagePack.
pub(crate) fn push_connect_error(
    out: &mut Vec<u8>,
    namespace: &str,
    data: &str,
) -> Result<(), Error> {
    push_start(out, 3, CONNECT_ERROR);
    push_namespace(out, namespace);
    push_text(out, "data");
    out.extend(from_json(data, &[]).map_err(Error::custom)?);
    Ok(())
}

/// Appends a DISCONNECT.
pub(crate) fn push_disconnect(out: &mut Vec<u8>, namespace: &str) {
    push_start(out, 2, DISCONNECT);
    push_namespace(out, namespace);
}

fn push_start(out: &mut Vec<u8>, fields: u8, kind: u8) {
    out.push(MAP | fields);
    push_type(out, kind);
}

fn push_type(out: &mut Vec<u8>, kind: u8) {
    push_text(out, "type");
    out.push(kind);
}

fn push_namespace(out: &mut Vec<u8>, namespace: &str) {
    push_text(out, "nsp");
    push_text(out, namespace);
}

fn push_id(out: &mut Vec<u8>, id: u64) {
    push_text(out, "id");
    // A vector accepts any bytes.
    let _ = rmp::encode::write_uint(out, id);
}

/// Appends the field `data`, a list whose length is known behind it.
fn push_list<E: From<Error>>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<usize, E>,
) -> Result<(), E> {
    push_text(out, "data");
    let start = out.len();
    out.push(0);
    let count = write(out)?;
    push_head(out, start, count, false)?;
    Ok(())
}

// Socket.IO v5, Packet types.
const CONNECT: u8 = 0;
const DISCONNECT: u8 = 1;
const EVENT: u8 = 2;
const ACK: u8 = 3;
const CONNECT_ERROR: u8 = 4;

/// The head of a map of up to 15 fields, without their number.
const MAP: u8 = 0x80;
