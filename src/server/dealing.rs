//! Connections, dealt to workers and counted.
//!
//! actix-server deals them in turn, and passes over a worker that has as many as it may have. It
//! counts a connection until its service's future ends. Here a worker may have one, and that future
//! ends when the worker has taken the connection and has room for another: so a worker that is held
//! up gets one more and no other, and those that come next are for workers that are free. The
//! connections that have been taken run in tasks of their own, and are counted here: for the limit of
//! each worker, and for the end of the server.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_rt::net::TcpStream;
use actix_rt::time::{interval, sleep, timeout};
use actix_service::{Service, ServiceFactory};
use futures_core::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How many connections a worker may have been dealt that it has not taken.
pub(crate) const DEALT: usize = 1;

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
        self.draining.cancel();
        self.tracker.close();
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
    type Future = LocalBoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connection.poll_ready(cx)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        if self.connections.draining.is_cancelled() {
            // The server ends, and closes it.
            return Box::pin(async { Ok(()) });
        }
        let counted = Counted::begin(&self.connections);
        let serving = self.connection.call(stream);
        let is_late = HERE.with(Worker::is_late);
        actix_rt::spawn(async move {
            if is_late {
                // actix-http measures by a clock that its own task sets. That task has been held up
                // too: before it has run, the time for the first request would be over already.
                sleep(Duration::from_millis(1)).await;
            }
            // What has gone wrong is the connection's own affair.
            let _ = serving.await;
            drop(counted);
        });
        let connections = self.connections.clone();
        Box::pin(async move {
            let limit = connections.limit.load(Ordering::Relaxed);
            let has_room = poll_fn(|cx| HERE.with(|here| here.poll_room(limit, cx)));
            tokio::select! {
                () = has_room => {}
                () = connections.draining.cancelled() => {}
            }
            Ok(())
        })
    }
}

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
            if let Some(waker) = here.waiting.take() {
                waker.wake();
            }
        });
    }
}

/// What a worker's listeners share.
struct Worker {
    connections: Cell<usize>,
    /// Wakes who waits for room.
    waiting: RefCell<Option<Waker>>,
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

    /// Waits until there is room for one more connection. Whoever waits was dealt the last one, and
    /// no other is dealt meanwhile.
    fn poll_room(&self, limit: usize, cx: &Context<'_>) -> Poll<()> {
        if self.connections.get() < limit.max(1) {
            return Poll::Ready(());
        }
        self.waiting.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

thread_local! {
    static HERE: Worker = const {
        Worker {
            connections: Cell::new(0),
            waiting: RefCell::new(None),
            ticked: Cell::new(None),
        }
    };
}

/// How often a worker says that its tasks have their turns.
const TICK: Duration = Duration::from_millis(250);
