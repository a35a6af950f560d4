//! Redis as a broker: publish and subscribe, streams and records.
//!
//! [`Redis`](state::Redis) is the Redis of one node: a task publishes, one subscribes, and one reads
//! streams, each by its own connection. Questions to Redis itself use the publisher's connection.
//! Nothing outside this folder names the crate `redis`. The formats in `adapter/format/` write the
//! content of messages.
//!
//! | command | purpose | file |
//! | --- | --- | --- |
//! | `PUBLISH`, `SPUBLISH`, `XADD` | sends a message, to a channel or a stream | `connection.rs` |
//! | `EVAL`, with `GET`, `SET`, `DEL` | stores and deletes the record of a client | `scripts.rs` |
//! | `CLIENT INFO`, `CLIENT KILL`, `XREVRANGE` | after a disconnect: finds entries of the last batch | `publisher.rs` |
//! | `SUBSCRIBE`, `PSUBSCRIBE`, `SSUBSCRIBE`, and their opposites | follows the subscriptions | `subscriber.rs` |
//! | `XREAD`, `XRANGE` | reads the entries of other nodes | `reader.rs` |
//! | `XRANGE`, `XREVRANGE`, `XINFO STREAM` | reads the events that a client missed, and the ends of a stream | `stream.rs` |
//! | `GET`; `EVAL`, with `DEL`, `INCR`, `PEXPIRE` | reads and takes the record of a client | `records.rs`, `scripts.rs` |
//! | `PUBSUB` | finds and counts the nodes that subscribe | `roster.rs` |
//! | `PING` | checks each connection | `connection.rs` |

mod broker;
mod connection;
mod emitter;
mod options;
mod publisher;
mod reader;
mod records;
mod roster;
mod scripts;
mod state;
mod stream;
mod subscriber;

pub use options::RedisAdapter;
