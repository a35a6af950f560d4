//! The format of `@socket.io/redis-adapter` 8.3 and `@socket.io/redis-emitter` 5.1, on Redis
//! pub/sub.
//!
//! An event goes to `<prefix>#<namespace>#`, or to its room's channel below that, as MessagePack.
//! Other messages go to `<prefix>-request#<namespace>#`, as JSON, or as MessagePack if clients are
//! asked or binary is sent. Answers go to `<prefix>-response#<namespace>#<uid>#` of the node that
//! asked. The readers of the reference ignore the fields that only this crate writes: `uid`, `sid`,
//! `more` and `gone` in answers and `kin` in requests.

mod messages;
mod words;

pub(crate) use messages::Classic;
