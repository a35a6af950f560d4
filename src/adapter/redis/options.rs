//! The options of a cluster on Redis.

use std::sync::Arc;

use uuid::Uuid;

use crate::adapter::broker::DirectPublisher;
use crate::adapter::format::{Bus, Classic, Format, Sharded, Streams};
use crate::adapter::redis::emitter::RedisEmitter;
use crate::adapter::redis::state::Redis;
use crate::adapter::setup::{AdapterSetup, QUEUE_LIMIT, REQUESTS_IN_FLIGHT, STREAM_LENGTH};
use crate::cluster::{AdapterError, ClusterOffset};

/// The adapter of a cluster on Redis: the server's address, and the format of messages.
///
/// All nodes of a cluster use the same format, and the same names. Each format is that of an
/// existing kind of server, so nodes of this crate can join a cluster of such servers.
///
/// # Redis
///
/// Connects to one Redis server: the primary. Redis Cluster is not supported, because redirections
/// are not followed. A node holds two connections, and a third if it reads streams. An address that
/// begins with `rediss://` is one only in a program that has the crate `redis` with a feature for
/// TLS, as `tokio-rustls-comp`.
///
/// The user of the address needs the rights to these commands, on all names that begin with those
/// of the cluster (see [`key`](Self::key)):
///
/// * always `HELLO`, `PING` and `PUBSUB`; `CLIENT` is optional;
/// * with publish and subscribe `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`, `PSUBSCRIBE` and
///   `PUNSUBSCRIBE`, or for [`sharded`](Self::sharded) `SPUBLISH`, `SSUBSCRIBE` and `SUNSUBSCRIBE`;
/// * for [`streams`](Self::streams) also `XADD`, `XREAD`, `XRANGE`, `XREVRANGE` and `XINFO`, and
///   with connection state recovery `EVAL`, `GET`, `SET`, `DEL`, `INCR` and `PEXPIRE` on
///   `sio:session:*`.
///
/// Polls at the wrong node are forwarded on channels whose names begin with the cluster's, followed
/// by `-poll#`. If Redis denies a channel to a node, the node runs without that channel, and
/// [`AdapterHealth::error`](crate::AdapterHealth::error) names it.
///
/// # Examples
///
/// ```no_run
/// use actix_socketio::{RedisAdapter, SocketIo};
///
/// # fn start() -> std::io::Result<()> {
/// let adapter = RedisAdapter::classic("redis://127.0.0.1:6379")?;
/// let io = SocketIo::builder().adapter(adapter).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RedisAdapter {
    pub(crate) client: redis::Client,
    kind: Kind,
    pub(crate) queue_limit: usize,
    pub(crate) max_length: usize,
    /// The maximal number of questions, and of server-side events, of other nodes in progress.
    pub(crate) requests_in_flight: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Classic {
        key: String,
    },
    Sharded {
        prefix: String,
    },
    Streams {
        stream: String,
        prefix: String,
        count: u32,
    },
    FlaskSocketIo {
        channel: String,
    },
}

impl RedisAdapter {
    /// Uses the format of `@socket.io/redis-adapter`, by publish and subscribe. A node that is
    /// disconnected from Redis misses the messages sent in the meantime.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] if `url` is not the address of a Redis server. The server's reachability is
    /// not checked here.
    pub fn classic(url: &str) -> Result<Self, AdapterError> {
        let key = "socket.io".to_owned();
        Self::new(url, Kind::Classic { key })
    }

    /// Uses the format of `createShardedAdapter` of `@socket.io/redis-adapter`, by sharded publish
    /// and subscribe, in its dynamic mode: a node receives only events of rooms in which it has
    /// members. It needs Redis 7.
    ///
    /// # Errors
    ///
    /// The same as of [`classic`](Self::classic).
    pub fn sharded(url: &str) -> Result<Self, AdapterError> {
        let prefix = "socket.io".to_owned();
        Self::new(url, Kind::Sharded { prefix })
    }

    /// Uses the format of `@socket.io/redis-streams-adapter`: after a disconnect from Redis a node
    /// continues to read at its position, and misses no entry that is still in the stream. It needs
    /// Redis 6.2.
    ///
    /// # Errors
    ///
    /// The same as of [`classic`](Self::classic).
    pub fn streams(url: &str) -> Result<Self, AdapterError> {
        let (stream, prefix) = ("socket.io".to_owned(), "socket.io".to_owned());
        let kind = Kind::Streams {
            stream,
            prefix,
            count: 1,
        };
        Self::new(url, kind)
    }

    /// Uses the format of Flask-SocketIO's `message_queue`, python-socketio's `RedisManager`, on
    /// the channel `flask-socketio`. It is the only format that works with Flask-SocketIO servers.
    ///
    /// It supports events to all sockets, to rooms and to single sockets, calls of one socket, and
    /// closed rooms. Sockets join, leave and are disconnected by their ids only. The exclusion of
    /// rooms, operations on many sockets, events between servers and the names of nodes are not
    /// supported: they are [`ClusterError::Unsupported`](crate::ClusterError), after the sockets of
    /// this node were served. Acknowledgements of many, and the sockets and rooms of other nodes,
    /// are not requested ([`Coverage::is_cut_off`](crate::Coverage::is_cut_off)). `volatile` and
    /// `compress` apply to this node only, and an acknowledgement with binary does not arrive. A
    /// callback of a Python program is awaited while its client is connected, for at most ten
    /// minutes.
    /// program is waited for as long as its client is connected, ten minutes at most.
    ///
    /// # Errors
    ///
    /// The same as of [`classic`](Self::classic).
    pub fn flask_socketio(url: &str) -> Result<Self, AdapterError> {
        let channel = "flask-socketio".to_owned();
        Self::new(url, Kind::FlaskSocketIo { channel })
    }

    fn new(url: &str, kind: Kind) -> Result<Self, AdapterError> {
        let info = redis::IntoConnectionInfo::into_connection_info(url)
            .map_err(|error| AdapterError::new(&error))?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(redis::ProtocolVersion::RESP3);
        // A small message does not wait for the response to the previous one.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let client = redis::Client::open(info);
        Ok(Self {
            client: client.map_err(|error| AdapterError::new(&error))?,
            kind,
            queue_limit: QUEUE_LIMIT,
            max_length: STREAM_LENGTH,
            requests_in_flight: REQUESTS_IN_FLIGHT,
        })
    }

    /// Sets the beginning of the names of all channels; `socket.io` by default, and for
    /// Flask-SocketIO the channel itself. For [`streams`](Self::streams) it is the stream's name,
    /// and [`channel_prefix`](Self::channel_prefix) is that of the channels. It is the option
    /// `key`, `channelPrefix`, `streamName` or `channel` of the other servers.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// // Two clusters on one Redis.
    /// let chat = RedisAdapter::classic("redis://127.0.0.1:6379")?.key("chat");
    /// let shop = RedisAdapter::classic("redis://127.0.0.1:6379")?.key("shop");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn key(mut self, name: &str) -> Self {
        match &mut self.kind {
            Kind::Classic { key } => *key = name.to_owned(),
            Kind::Sharded { prefix } => *prefix = name.to_owned(),
            Kind::Streams { stream, .. } => *stream = name.to_owned(),
            Kind::FlaskSocketIo { channel } => *channel = name.to_owned(),
        }
        self
    }

    /// Sets the beginning of the names of the channels beside the streams; `socket.io` by default,
    /// the option `channelPrefix` of the Node.js server. It applies to [`streams`](Self::streams)
    /// only.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// let adapter = RedisAdapter::streams("redis://127.0.0.1:6379")?
    ///     .key("chat")
    ///     .channel_prefix("chat");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn channel_prefix(mut self, name: &str) -> Self {
        if let Kind::Streams { prefix, .. } = &mut self.kind {
            *prefix = name.to_owned();
        }
        self
    }

    /// Sets the number of streams among which namespaces are distributed, up to 1024; one by
    /// default, and for zero. All nodes need the same number. It applies to
    /// [`streams`](Self::streams) only.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// // `socket.io-0` to `socket.io-3`.
    /// let adapter = RedisAdapter::streams("redis://127.0.0.1:6379")?.stream_count(4);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stream_count(mut self, streams: u32) -> Self {
        if let Kind::Streams { count, .. } = &mut self.kind {
            *count = streams.clamp(1, 1024);
        }
        self
    }

    /// Sets the approximate number of entries in a stream; 10,000 by default. A node that is
    /// disconnected for longer misses the trimmed entries. It applies to [`streams`](Self::streams)
    /// only.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// let adapter = RedisAdapter::streams("redis://127.0.0.1:6379")?.stream_length(100_000);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stream_length(mut self, entries: usize) -> Self {
        self.max_length = entries.max(1);
        self
    }

    /// Sets the maximal number of bytes that wait to be published while Redis is unreachable or
    /// slow; 16 MiB by default. Later messages are refused with
    /// [`ClusterError::QueueFull`](crate::ClusterError). The records of clients that may reconnect
    /// are not counted: only the latest one of each client waits. One message has at most 64 MiB,
    /// whatever the limit: a larger one is [`ClusterError::Encode`](crate::ClusterError).
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// let adapter = RedisAdapter::classic("redis://127.0.0.1:6379")?.queue_limit(1 << 20);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn queue_limit(mut self, bytes: usize) -> Self {
        self.queue_limit = bytes;
        self
    }

    /// Sets the maximal number of questions of other nodes that wait for clients of this node, and
    /// separately of their server-side events that the program is handling; 10,000 by default.
    ///
    /// A question beyond that is sent to no client: the node that asked is notified at once that
    /// none of these clients answered. If it is not a node of this crate, it waits until its own
    /// timeout. A server-side event beyond that is dropped, and one that expects an acknowledgement
    /// is not answered. The log reports it once, and again after half of the places were free.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn adapter() -> Result<(), actix_socketio::AdapterError> {
    /// use actix_socketio::RedisAdapter;
    ///
    /// let adapter = RedisAdapter::classic("redis://127.0.0.1:6379")?.requests_in_flight(1000);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn requests_in_flight(mut self, requests: usize) -> Self {
        self.requests_in_flight = requests;
        self
    }

    /// Makes the parts of an emitter that signs with `uid`.
    pub(crate) fn emitter(self, uid: &str) -> (Arc<dyn Format>, Box<dyn DirectPublisher>) {
        let format = self.format(Some(uid)).format;
        let publisher = RedisEmitter::new(self.client, self.max_length);
        (format, Box::new(publisher))
    }

    /// Returns the format, for a node that signs with `uid`; for a new node without.
    pub(crate) fn format(&self, uid: Option<&str>) -> FormatConfig {
        let random = Uuid::new_v4().simple().to_string();
        let own = |length: usize| uid.map_or_else(|| random[..length].to_owned(), str::to_owned);
        match &self.kind {
            Kind::Classic { key } => FormatConfig::plain(Classic::new(&own(6), key)),
            Kind::Sharded { prefix } => FormatConfig::plain(Sharded::new(&own(16), prefix)),
            Kind::FlaskSocketIo { channel } => FormatConfig::plain(Bus::new(&own(32), channel)),
            Kind::Streams {
                stream,
                prefix,
                count,
            } => {
                let streams =
                    Streams::new(&own(ClusterOffset::NODE_LENGTH), stream, prefix, *count);
                FormatConfig {
                    read: streams.streams(),
                    format: Arc::new(streams),
                }
            }
        }
    }
}

impl From<RedisAdapter> for AdapterSetup {
    fn from(adapter: RedisAdapter) -> Self {
        let FormatConfig { format, read } = adapter.format(None);
        let broker = Redis::new(adapter.client, adapter.max_length, format.uid(), read);
        Self {
            format,
            broker: Arc::new(broker),
            queue_limit: adapter.queue_limit,
            requests_in_flight: adapter.requests_in_flight,
        }
    }
}

/// A format, and the streams to read.
#[derive(Debug)]
pub(crate) struct FormatConfig {
    pub(crate) format: Arc<dyn Format>,
    pub(crate) read: Vec<String>,
}

impl FormatConfig {
    fn plain(format: impl Format + 'static) -> Self {
        Self {
            format: Arc::new(format),
            read: Vec::new(),
        }
    }
}
