//! Connections, dealt to workers and counted.
//!
//! actix-server deals them in turn, and passes over a worker that has as many as it may have. It
//! counts a connection until its service's future ends. Here each of several workers may have one,
//! and that future ends when the worker has taken the connection and has room for another: so a
//! worker that is held up gets one more and no other, and the next are for workers that are free. The
//! connections that have been taken run in tasks of their own, and are counted here: for the limit of
//! each worker, and for the end of the server.

use std::cell::Cell;
use std::future::{Future, Ready, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_rt::net::TcpStream;
use actix_rt::time::{interval, sleep, timeout};
use actix_service::{Service, ServiceFactory};
use futures_core::future::LocalBoxFuture;
use tokio::sync::Notify;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Returns how many connections each of `workers` may have been dealt that it has not taken.
///
/// Whenever a worker has as many, the thread that deals stops, and has to be woken. If there is no
/// other worker that could have the connection instead, that would only cost time.
pub(crate) fn ahead(workers: usize) -> usize {
    if workers == 1 { AHEAD_ALONE } else { 1 }
}

/// The HTTP connections of a server, on all its workers.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    tracker: TaskTracker,
    draining: CancellationToken,
    /// How many a worker may have.
    limit: Arc<AtomicUsize>,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            limit: Arc::new(AtomicUsize::new(limit)),
        }
    }

    /// Sets how many each worker may have.
    pub(crate) fn limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Says when the server ends: then each connection answers what it has been asked, and no more.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Takes no more connections, and waits until those that there are have ended, for up to `limit`.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.tracker.close();
        self.draining.cancel();
        if timeout(limit, self.tracker.wait()).await.is_err() {
            let left = self.tracker.len();
            log::info!("{left} HTTP connections have not ended within {limit:?}, and are closed");
        }
    }

    /// Makes the service of a listener, of the service of its connections.
    pub(crate) fn dealt<F>(self, connection: F) -> Dealt<F> {
        Dealt {
            connection,
            connections: self,
        }
    }
}

/// Makes a listener's service on each worker.
pub(crate) struct Dealt<F> {
    connection: F,
    connections: Connections,
}

impl<F> ServiceFactory<TcpStream> for Dealt<F>
where
    F: ServiceFactory<TcpStream, Config = (), Response = ()>,
    F::Service: 'static,
    F::Future: 'static,
{
    type Response = ();
    type Error = F::Error;
    type Config = ();
    type Service = Dealing<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, F::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let connection = self.connection.new_service(());
        let connections = self.connections.clone();
        Box::pin(async move {
            let connection = connection.await?;
            HERE.with(Worker::begin);
            Ok(Dealing {
                connection,
                connections,
            })
        })
    }
}

/// A listener's service on one worker.
pub(crate) struct Dealing<S> {
    connection: S,
    connections: Connections,
}

impl<S> Service<TcpStream> for Dealing<S>
where
    S: Service<TcpStream, Response = ()>,
    S::Future: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Taken<S::Error>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connection.poll_ready(cx)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        if self.connections.tracker.is_closed() {
            // The server ends, and closes it.
            return Either::Left(ready(Ok(())));
        }
        let serving = self.connection.call(stream);
        let limit = self.connections.limit.load(Ordering::Relaxed);
        let mut waiting = Some(serving);
        if HERE.with(|here| here.has_room(limit))
            && let Some(serving) = waiting.take()
        {
            serve(&self.connections, serving);
            if HERE.with(|here| here.has_room(limit)) {
                return Either::Left(ready(Ok(())));
            }
        }
        let connections = self.connections.clone();
        let room = HERE.with(|here| Rc::clone(&here.room));
        Either::Right(Box::pin(async move {
            let has_room = async {
                while !HERE.with(|here| here.has_room(limit)) {
                    room.notified().await;
                }
            };
            tokio::select! {
                biased;
                () = connections.draining.cancelled() => return Ok(()),
                () = has_room => {}
            }
            if let Some(serving) = waiting {
                serve(&connections, serving);
            }
            if HERE.with(|here| here.has_room(limit)) {
                // For the next that waits.
                room.notify_one();
            }
            Ok(())
        }))
    }
}

/// Serves a connection in a task of its own.
fn serve(connections: &Connections, serving: impl Future + 'static) {
    let counted = Counted::begin(connections);
    let is_late = HERE.with(Worker::is_late);
    actix_rt::spawn(async move {
        if is_late {
            // actix-http measures by a clock that its own task sets. That task has been held up too:
            // before it has run, the time for the first request would be over already.
            sleep(Duration::from_millis(1)).await;
        }
        // What has gone wrong is the connection's own affair.
        let _ = serving.await;
        drop(counted);
    });
}

/// Ends when the worker has taken a connection, and has room for another: at once, but for a worker
/// that has as many as it may have.
type Taken<E> = Either<Ready<Result<(), E>>, LocalBoxFuture<'static, Result<(), E>>>;

/// One HTTP connection of this worker.
struct Counted {
    _tracked: TaskTrackerToken,
}

impl Counted {
    fn begin(connections: &Connections) -> Self {
        HERE.with(|here| here.connections.set(here.connections.get() + 1));
        Self {
            _tracked: connections.tracker.token(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // At the end of the thread there is nobody left to be woken.
        let _ = HERE.try_with(|here| {
            here.connections.set(here.connections.get() - 1);
            here.room.notify_one();
        });
    }
}

/// What a worker's listeners share.
#[derive(Default)]
struct Worker {
    connections: Cell<usize>,
    /// Told when there may be room for one more.
    room: Rc<Notify>,
    /// When the worker's tasks have had their turn lately.
    ticked: Cell<Option<Instant>>,
}

impl Worker {
    /// Begins to watch whether the worker is held up.
    fn begin(&self) {
        if self.ticked.replace(Some(Instant::now())).is_some() {
            return;
        }
        actix_rt::spawn(async {
            let mut ticks = interval(TICK);
            loop {
                ticks.tick().await;
                HERE.with(|here| here.ticked.set(Some(Instant::now())));
            }
        });
    }

    /// Tells whether the worker's tasks have had no turn for long.
    fn is_late(&self) -> bool {
        let ticked = self.ticked.get();
        ticked.is_some_and(|ticked| ticked.elapsed() > 2 * TICK)
    }

    fn has_room(&self, limit: usize) -> bool {
        self.connections.get() < limit.max(1)
    }
}

thread_local! {
    static HERE: Worker = Worker::default();
}

/// Connections that the only worker of a server may have been dealt and not taken.
const AHEAD_ALONE: usize = 64;

/// How often a worker says that its tasks have their turns.
const TICK: Duration = Duration::from_millis(250);
