//! A Redis server of the test's own, and clusters on it.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

#[cfg(feature = "testing")]
use actix_socketio::testing::MemoryBroker;
use actix_socketio::{AdapterSetup, Builder, DisconnectReason, RedisAdapter, SocketIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::{Heard, PATIENCE, Pending, Polling, Server, Site, channel, within};

/// A running Redis, which ends with the test; nothing is written to disk.
#[derive(Debug)]
pub(crate) struct Redis {
    port: u16,
    child: Option<Child>,
    /// For the nodes of [`Format::Memory`], which need no Redis.
    #[cfg(feature = "testing")]
    memory: MemoryBroker,
}

impl Redis {
    pub(crate) fn start() -> Self {
        // Somebody may take the port between the two: then another.
        for _ in 0..10 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let mut redis = Self {
                port,
                child: None,
                #[cfg(feature = "testing")]
                memory: MemoryBroker::seeded(u64::from(port)),
            };
            if redis.run() {
                return redis;
            }
        }
        panic!("no port for Redis");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    /// Returns how many messages have been published.
    pub(crate) fn published(&self) -> u64 {
        self.calls("publish") + self.calls("spublish")
    }

    /// Returns how often it was asked who listens where.
    pub(crate) fn looks(&self) -> u64 {
        self.calls("pubsub")
    }

    /// Returns how many commands of this name there were.
    fn calls(&self, name: &str) -> u64 {
        let stats = self.command("INFO commandstats");
        let calls = |line: &str| {
            let rest = line.strip_prefix("cmdstat_")?.strip_prefix(name)?;
            // The words of a command of two are counted apart.
            let (word, calls) = rest.split_once(":calls=")?;
            let is_it = word.is_empty() || word.starts_with('|');
            let calls = calls.split(',').next()?;
            is_it.then(|| calls.parse::<u64>().unwrap())
        };
        stats.lines().filter_map(calls).sum()
    }

    /// Does a command, and returns what Redis says in its own words.
    pub(crate) fn command(&self, command: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(connection, "{command}\r\nQUIT\r\n").unwrap();
        let mut said = String::new();
        connection.read_to_string(&mut said).unwrap();
        said
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Lets it hang: its connections stay, and nothing comes by them.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after a [`stop`](Self::stop).
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Starts it again on its port, empty.
    pub(crate) fn start_again(&mut self) {
        assert!(self.run(), "the port of Redis is taken");
    }

    fn run(&mut self) -> bool {
        let binary = env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let port = self.port.to_string();
        let options = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let child = Command::new(&binary)
            .args(options)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{binary} is needed: {error}"));
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = |line: io::Result<String>| {
            line.is_ok_and(|line| line.contains("Ready to accept connections"))
        };
        if !log.by_ref().any(ready) {
            let _ = child.wait();
            return false;
        }
        // Its later output must not fill the pipe.
        thread::spawn(move || log.count());
        self.child = Some(child);
        true
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A node's way to Redis, which can be cut, and can go dead without a word.
#[derive(Debug)]
pub(crate) struct Way {
    redis: u16,
    port: u16,
    relays: Option<JoinHandle<()>>,
    /// Whether what is on the way flows, for the connections that are made now.
    flows: Arc<Mutex<watch::Sender<bool>>>,
}

impl Way {
    pub(crate) async fn to(redis: &Redis) -> Self {
        let mut way = Self {
            redis: redis.port,
            port: 0,
            relays: None,
            flows: Arc::new(Mutex::new(watch::Sender::new(true))),
        };
        way.mend().await;
        way
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends its connections, and takes no more.
    pub(crate) async fn cut(&mut self) {
        if let Some(relays) = self.relays.take() {
            relays.abort();
            let _ = relays.await;
        }
    }

    /// Nothing comes by its connections any more, and nobody is told; new ones are as good as ever.
    pub(crate) fn go_dead(&self) -> Dead {
        let mut flows = self.flows.lock().unwrap();
        let dead = std::mem::replace(&mut *flows, watch::Sender::new(true));
        dead.send_replace(false);
        Dead(dead)
    }

    /// Takes connections, after a cut on the same port.
    pub(crate) async fn mend(&mut self) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", self.port)).await;
        let listener = listener.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let (redis, flows) = (self.redis, Arc::clone(&self.flows));
        self.relays = Some(tokio::spawn(async move {
            // Ends with this task.
            let mut relays = JoinSet::new();
            while let Ok((node, _)) = listener.accept().await {
                let flows = flows.lock().unwrap().subscribe();
                relays.spawn(async move {
                    let there = tokio::net::TcpStream::connect(("127.0.0.1", redis)).await;
                    let (node_reads, node_writes) = node.into_split();
                    let (redis_reads, redis_writes) = there.unwrap().into_split();
                    let out = relay(node_reads, redis_writes, flows.clone());
                    tokio::join!(out, relay(redis_reads, node_writes, flows));
                });
            }
        }));
    }
}

async fn relay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flows: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer).await;
        // An end is no more passed on than bytes are.
        let flowing = flows.wait_for(|flows| *flows).await.is_ok();
        let (true, Ok(count @ 1..)) = (flowing, read) else {
            return;
        };
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Connections that have gone dead, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Dead(watch::Sender<bool>);

impl Dead {
    /// Lets everything flow again, for as long as this is kept.
    pub(crate) fn revive(&self) {
        self.0.send_replace(true);
    }

    /// Lets everything arrive that was on the way, and waits until the connections have ended.
    pub(crate) async fn arrive(self) {
        self.0.send_replace(true);
        within("the connections to end", self.0.closed()).await;
    }
}

/// A format of the cluster, and the broker that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Classic,
    Sharded,
    Streams,
    Flask,
    /// The format of streams, on the broker in memory.
    #[cfg(feature = "testing")]
    Memory,
}

impl Format {
    /// Those of the Node.js adapters, which have words for everything, on Redis.
    pub(crate) const NODE: [Self; 3] = [Self::Classic, Self::Sharded, Self::Streams];
    /// All on Redis.
    pub(crate) const ALL: [Self; 4] = [Self::Classic, Self::Sharded, Self::Streams, Self::Flask];

    /// Returns those that have words for everything, on every broker.
    pub(crate) fn node_anywhere() -> Vec<Self> {
        let anywhere = Self::NODE.into_iter().chain(Self::in_memory());
        anywhere.collect()
    }

    /// Returns all, on every broker.
    pub(crate) fn anywhere() -> Vec<Self> {
        let anywhere = Self::ALL.into_iter().chain(Self::in_memory());
        anywhere.collect()
    }

    /// Returns those that keep events for clients that come back, on every broker.
    pub(crate) fn with_streams() -> Vec<Self> {
        let streams = [Self::Streams].into_iter().chain(Self::in_memory());
        streams.collect()
    }

    fn in_memory() -> Option<Self> {
        #[cfg(feature = "testing")]
        return Some(Self::Memory);
        #[cfg(not(feature = "testing"))]
        None
    }

    /// Returns an adapter with the defaults.
    fn setup(self, redis: &Redis) -> AdapterSetup {
        match self {
            #[cfg(feature = "testing")]
            Self::Memory => redis.memory.adapter(),
            _ => self.adapter(redis).into(),
        }
    }

    pub(crate) fn adapter(self, redis: &Redis) -> RedisAdapter {
        self.adapter_to(&redis.url())
    }

    pub(crate) fn adapter_to(self, url: &str) -> RedisAdapter {
        let adapter = match self {
            Self::Classic => RedisAdapter::classic(url),
            Self::Sharded => RedisAdapter::sharded(url),
            Self::Streams => RedisAdapter::streams(url),
            Self::Flask => RedisAdapter::flask_socketio(url),
            #[cfg(feature = "testing")]
            Self::Memory => panic!("the broker in memory has no Redis"),
        };
        adapter.unwrap()
    }

    /// Starts a node and waits until it is connected.
    pub(crate) async fn node(
        self,
        redis: &Redis,
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
    ) -> Server<SocketIo> {
        Self::node_of(self.setup(redis), build).await
    }

    /// Starts a node on a way of its own.
    pub(crate) async fn node_on(self, way: &Way) -> Server<SocketIo> {
        Self::node_of(self.adapter_to(&way.url()).into(), |io| io).await
    }

    async fn node_of(
        adapter: AdapterSetup,
        build: impl FnOnce(Builder) -> Builder + Send + 'static,
    ) -> Server<SocketIo> {
        let server = Server::socketio(move |io| build(io.adapter(adapter)), |_| ());
        connected(&server.io).await;
        server
    }
}

/// Starts two nodes that know each other.
pub(crate) async fn cluster(redis: &Redis, format: Format) -> [Server<SocketIo>; 2] {
    [
        format.node(redis, |io| io).await,
        format.node(redis, |io| io).await,
    ]
}

/// Waits until messages go both ways.
pub(crate) async fn connected(io: &SocketIo) {
    let looking = async {
        while !io.adapter_health().is_connected() {
            tokio::task::yield_now().await;
        }
    };
    within("the adapter to be connected", looking).await;
}

/// A client that is a socket of one node, seen from another.
#[derive(Debug)]
pub(crate) struct Astray {
    /// Its requests reach its own node.
    pub(crate) home: Polling,
    /// They reach the other one.
    pub(crate) away: Polling,
    /// Why it left.
    pub(crate) left: Heard<&'static str>,
}

impl Astray {
    pub(crate) async fn enter(here: &Server<SocketIo>, there: &Site) -> Self {
        let (told, left) = channel();
        let namespace = here.io.of("/");
        namespace.on_disconnect(move |reason: DisconnectReason| {
            let _ = told.send(reason.as_str());
            async {}
        });
        let home = Polling::open(here).await;
        let away = Polling {
            site: *there,
            open: home.open.clone(),
        };
        away.post(&["40"]).await;
        let connected = away.poll().await;
        assert!(connected[0].starts_with("40{"), "{connected:?}");
        Self { home, away, left }
    }

    /// Starts a poll, and returns when it is on its way to its node.
    pub(crate) async fn forwarded(&self, redis: &Redis) -> Pending {
        let published = redis.published();
        let poll = self.away.start_poll().await;
        let on_its_way = async {
            while redis.published() == published {
                tokio::task::yield_now().await;
            }
        };
        within("the poll to be forwarded", on_its_way).await;
        poll
    }
}
