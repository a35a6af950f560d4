//! The distribution of connections to workers, and their number.
//!
//! actix-server distributes connections in turn, and skips a worker that has reached its limit. It
//! counts a connection until its service's future ends. Here the limit is one if there are several
//! workers. The future ends when the worker has accepted the connection and has room for another.
//! So a blocked worker gets one more connection, and the next ones go to free workers. Accepted
//! connections run in tasks of their own. They are counted here for the end of the server, and
//! together with the WebSockets for the limit of each worker.

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

use crate::panics::{Caught, PanicReports, TaskOwner};
use crate::transport::{websocket_ended, websockets_here};

/// Returns the number of connections that each of `workers` may have been sent but not accepted.
///
/// At this number the accepting thread stops and has to be woken. If no other worker could take the
/// connection, that would only cost time.
pub(crate) fn ahead(workers: usize) -> usize {
    if workers == 1 { AHEAD_ALONE } else { 1 }
}

/// The HTTP connections of a server, on all its workers.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    tracker: TaskTracker,
    draining: CancellationToken,
    /// The limit of a worker.
    limit: Arc<AtomicUsize>,
    panic_reports: PanicReports,
}

impl Connections {
    pub(crate) fn new(limit: usize, panic_reports: &PanicReports) -> Self {
        Self {
            tracker: TaskTracker::new(),
            draining: CancellationToken::new(),
            limit: Arc::new(AtomicUsize::new(limit)),
            panic_reports: panic_reports.clone(),
        }
    }

    /// Sets the limit of each worker.
    pub(crate) fn limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Returns the limit of each worker.
    #[cfg(feature = "webtransport")]
    pub(crate) fn limit_here(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Returns the token of the server's end. Each connection then answers its present request, and
    /// no more.
    pub(crate) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Accepts no more connections, and waits up to `limit` for the end of the existing ones.
    pub(crate) async fn drain(&self, limit: Duration) {
        self.tracker.close();
        self.draining.cancel();
        if timeout(limit, self.tracker.wait()).await.is_err() {
            let left = self.tracker.len();
            log::info!(
                "server stopped: {left} HTTP connections did not end within {limit:?} and are closed"
            );
        }
    }

    /// Makes the service of a listener from the service of its connections.
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
            // The server ends, and the connection is closed.
            return Either::Left(ready(Ok(())));
        }
        let serving = self.connection.call(stream);
        let limit = self.connections.limit.load(Ordering::Relaxed);
        let waiting = if has_room(limit) {
            serve(&self.connections, serving);
            if has_room(limit) {
                return Either::Left(ready(Ok(())));
            }
            None
        } else {
            Some(serving)
        };
        let connections = self.connections.clone();
        let room = HERE.with(|here| Rc::clone(&here.room));
        let websocket_ended = websocket_ended();
        Either::Right(Box::pin(async move {
            let room_for_one = async {
                while !has_room(limit) {
                    tokio::select! {
                        () = room.notified() => {}
                        () = websocket_ended.notified() => {}
                    }
                }
            };
            tokio::select! {
                biased;
                () = connections.draining.cancelled() => return Ok(()),
                () = room_for_one => {}
            }
            if let Some(serving) = waiting {
                serve(&connections, serving);
            }
            if has_room(limit) {
                // Wakes the next waiting connection.
                room.notify_one();
            }
            Ok(())
        }))
    }
}

/// Returns `true` if this worker may serve one more connection. A WebSocket that its session holds
/// directly counts too.
pub(crate) fn has_room(limit: usize) -> bool {
    let websockets = websockets_here();
    HERE.with(|here| here.connections.get() + websockets < limit.max(1))
}

/// Serves a connection in a task of its own.
pub(crate) fn serve(connections: &Connections, serving: impl Future + 'static) {
    let counted = Counted::begin(connections);
    let panic_reports = connections.panic_reports.clone();
    let is_late = HERE.with(Worker::is_late);
    actix_rt::spawn(async move {
        if is_late {
            // actix-http uses a clock that its own task sets. That task was blocked too: before it
            // has run, the timeout of the first request would seem to be over.
            sleep(Duration::from_millis(1)).await;
        }
        // The connection handles its own errors. A panic comes from the program's App.
        if let Err(panic) = Caught::new(serving).await {
            panic_reports.report(TaskOwner::HttpConnection, panic);
        }
        drop(counted);
    });
}

/// Ends when the worker has accepted a connection and has room for another. It is ready at once
/// unless the worker has reached its limit.
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
        // At the end of the thread no task waits.
        let _ = HERE.try_with(|here| {
            here.connections.set(here.connections.get() - 1);
            here.room.notify_one();
        });
    }
}

/// The state that a worker's listeners share.
#[derive(Default)]
struct Worker {
    connections: Cell<usize>,
    /// Notified when there may be room for one more connection.
    room: Rc<Notify>,
    /// The last time at which the worker's tasks could run.
    ticked: Cell<Option<Instant>>,
}

impl Worker {
    /// Starts the check whether the worker is blocked. Its task belongs to the thread, not to a
    /// server, and ends with it.
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

    /// Returns `true` if the worker's tasks could not run for too long.
    fn is_late(&self) -> bool {
        let ticked = self.ticked.get();
        ticked.is_some_and(|ticked| ticked.elapsed() > 2 * TICK)
    }
}

thread_local! {
    static HERE: Worker = Worker::default();
}

/// The limit of waiting connections of a server's only worker.
const AHEAD_ALONE: usize = 64;

/// The interval at which a worker records that its tasks run.
const TICK: Duration = Duration::from_millis(250);
