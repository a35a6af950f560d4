//! The options of a cluster on Redis.

use std::sync::Arc;

use uuid::Uuid;

use crate::adapter::broker::DirectPublisher;
use crate::adapter::format::{Bus, Classic, Format, Sharded, Streams};
use crate::adapter::redis::Redis;
use crate::adapter::redis::emitter::RedisEmitter;
use crate::adapter::setup::{AdapterSetup, QUEUE_LIMIT, REQUESTS_IN_FLIGHT, STREAM_LENGTH};
use crate::cluster::{AdapterError, Mark};

/// The way to the other nodes of a cluster: which Redis, and in which format.
///
/// All nodes of a cluster speak the same format, under the same names. Each is that of an existing
/// kind of server, so that nodes of this crate may stand beside them.
///
/// # Redis
///
/// Connects to one Redis server: the primary. Redis Cluster is not supported, because redirections
/// are not followed. A node holds two connections, and a third if it reads streams. An address that
/// begins with `rediss://` is one only in a program that has the crate `redis` with a feature for
/// TLS, as `tokio-rustls-comp`.
///
/// The user of the address needs the rights to these commands, on what begins with the names of the
/// cluster (see [`key`](Self::key)):
///
/// * always `HELLO`, `PING` and `PUBSUB`, and `CLIENT`, without which a node does too;
/// * by publish and subscribe `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`, `PSUBSCRIBE` and
///   `PUNSUBSCRIBE`, or for [`sharded`](Self::sharded) `SPUBLISH`, `SSUBSCRIBE` and `SUNSUBSCRIBE`;
/// * for [`streams`](Self::streams) `XADD`, `XREAD`, `XRANGE`, `XREVRANGE` and `XINFO` besides, and
///   with connection state recovery `SET`, `GET`, `DEL`, `MULTI` and `EXEC` on `sio:session:*`.
///
/// Polls that reach the wrong node go by channels whose names begin with the cluster's, followed by
/// `-poll#`. A channel that Redis denies to a node costs it that channel only, and
/// [`AdapterHealth::error`](crate::AdapterHealth::error) says so.
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
    /// Questions, and server-side events, of other nodes that are worked on at the same time.
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
    /// Speaks the format of `@socket.io/redis-adapter`, by publish and subscribe. Messages
    /// that are sent while a node is cut off from Redis do not reach it.
    ///
    /// # Errors
    ///
    /// [`AdapterError`] if `url` is no address of a Redis server. Whether it can be reached is not
    /// checked here.
    pub fn classic(url: &str) -> Result<Self, AdapterError> {
        let key = "socket.io".to_owned();
        Self::new(url, Kind::Classic { key })
    }

    /// Speaks the format of `createShardedAdapter` of `@socket.io/redis-adapter`, by sharded
    /// publish and subscribe, in its dynamic mode: a node hears only of rooms in which it has
    /// somebody. It needs Redis 7.
    ///
    /// # Errors
    ///
    /// As of [`classic`](Self::classic).
    pub fn sharded(url: &str) -> Result<Self, AdapterError> {
        let prefix = "socket.io".to_owned();
        Self::new(url, Kind::Sharded { prefix })
    }

    /// Speaks the format of `@socket.io/redis-streams-adapter`: a node that was cut off reads on
    /// where it was, and misses nothing that is still in the stream. It needs Redis 6.2.
    ///
    /// # Errors
    ///
    /// As of [`classic`](Self::classic).
    pub fn streams(url: &str) -> Result<Self, AdapterError> {
        let (stream, prefix) = ("socket.io".to_owned(), "socket.io".to_owned());
        let kind = Kind::Streams {
            stream,
            prefix,
            count: 1,
        };
        Self::new(url, kind)
    }

    /// Speaks the format of Flask-SocketIO's `message_queue`, python-socketio's `RedisManager`, on
    /// the channel `flask-socketio`. Beside Flask-SocketIO servers it is the only one.
    ///
    /// It carries events to everybody, to rooms and to single sockets, calls of one socket, and
    /// closed rooms; sockets join, leave and are disconnected by their ids only. For the rest it
    /// has no word: rooms that are left out, what is done to many sockets, events between servers
    /// and the names of nodes are [`ClusterError::Unsupported`](crate::ClusterError), after the
    /// sockets of this node have been served; and acknowledgements of many, the sockets and the
    /// rooms of other nodes are not asked for
    /// ([`Coverage::is_cut_off`](crate::Coverage::is_cut_off)). `volatile` and `compress` hold on
    /// this node only, and an acknowledgement with binary does not arrive. A callback of a Python
    /// program is waited for as long as its client is connected, ten minutes at most.
    ///
    /// # Errors
    ///
    /// As of [`classic`](Self::classic).
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
        // A small message does not wait for the answer to the one before it.
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

    /// Sets the name that all channels of the cluster begin with; `socket.io` by default, and for
    /// Flask-SocketIO the channel itself. For [`streams`](Self::streams) it is the stream's name,
    /// and [`channel_prefix`](Self::channel_prefix) that of the channels. It is the option `key`,
    /// `channelPrefix`, `streamName` or `channel` of the other servers.
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

    /// Sets what the channels begin with that stand beside the streams; `socket.io` by default, the
    /// option `channelPrefix` of the Node.js server. It matters to [`streams`](Self::streams) only.
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

    /// Sets among how many streams namespaces are shared out, up to 1024; one by default, and for
    /// zero. All nodes need the same number. It matters to [`streams`](Self::streams) only.
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

    /// Sets how many entries a stream keeps, about; 10,000 by default. A node that is cut off for
    /// longer misses what has gone. It matters to [`streams`](Self::streams) only.
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

    /// Sets how many bytes may wait to be published while Redis is away or slow; 16 MiB by default.
    /// Later messages are refused with [`ClusterError::QueueFull`](crate::ClusterError). The
    /// records of clients that may reconnect wait beside it: the latest state of each, and nothing
    /// older. One message has at most 64 MiB, whatever the limit: a larger one is
    /// [`ClusterError::Encode`](crate::ClusterError).
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

    /// Sets how many questions of other nodes may wait for clients of this node at the same time,
    /// and, counted apart, how many of their server-side events the program may work on; 10,000 by
    /// default.
    ///
    /// A question beyond that is not sent to any client: the node that asked is told at once that
    /// none of these clients answered, or, if it is no node of this crate, waits until its own
    /// timeout. A server-side event beyond that is dropped, and one that asks for an
    /// acknowledgement is not answered. The log says so once, and again after half of the places
    /// were free.
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
                let streams = Streams::new(&own(Mark::NODE_LENGTH), stream, prefix, *count);
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

/// A format, and the streams that are to be read.
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
