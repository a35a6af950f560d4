//! Handlers that are held up: they tell that they have begun, and end when the test lets them.

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture};
use actix_socketio::{Builder, Event, SocketIo};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, watch};

use super::{Heard, Server, channel, within};

/// Holds handlers up until the test opens it.
#[derive(Clone, Debug)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is open.
    pub(crate) async fn pass(&self) {
        let mut watching = self.0.subscribe();
        within("the gate to open", watching.wait_for(|open| *open))
            .await
            .unwrap();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

/// A gate, and the words of those who wait at it. Each handler has a clone.
#[derive(Clone, Debug)]
pub(crate) struct HeldUp {
    gate: Gate,
    told: UnboundedSender<&'static str>,
}

/// Makes handlers wait: [`HeldUp::wait`] tells `begun`, waits until the gate is open, and tells `ended`.
pub(crate) fn held_up() -> (Gate, HeldUp, Heard<&'static str>) {
    let (told, hears) = channel();
    let gate = Gate::default();
    let held = HeldUp {
        gate: gate.clone(),
        told,
    };
    (gate, held, hears)
}

impl HeldUp {
    pub(crate) async fn wait(self) {
        // The test may have heard enough.
        let _ = self.told.send("begun");
        self.gate.pass().await;
        let _ = self.told.send("ended");
    }
}

/// A server whose handlers of `n`, and whose actor for `f`, tell the arguments of each event that they
/// have begun, and end one by one. `n` acknowledges with its arguments; `quick` ends at once.
pub(crate) struct Workshop {
    pub(crate) server: Server<SocketIo>,
    /// The arguments, in JSON.
    pub(crate) begins: Heard<String>,
    /// Each permit lets one handler end.
    pub(crate) ends: Arc<Semaphore>,
}

pub(crate) fn workshop(build: impl FnOnce(Builder) -> Builder + Send + 'static) -> Workshop {
    let (work, begins, ends) = work();
    let server = Server::socketio(build, |io| work.register(io));
    Workshop {
        server,
        begins,
        ends,
    }
}

/// Makes the handlers of a [`Workshop`] for a server of another kind.
pub(crate) fn work() -> (Work, Heard<String>, Arc<Semaphore>) {
    let (begun, begins) = channel();
    let ends = Arc::new(Semaphore::new(0));
    let work = Work {
        begun,
        ends: Arc::clone(&ends),
    };
    (work, begins, ends)
}

/// Takes its time over each event.
#[derive(Clone)]
pub(crate) struct Work {
    begun: UnboundedSender<String>,
    ends: Arc<Semaphore>,
}

impl Work {
    /// Registers the handlers, in the thread of the server, whose actix system the actor lives in.
    pub(crate) fn register(self, io: &SocketIo) {
        let actor = self.clone().start();
        io.of("/")
            .on("n", move |event: Event| {
                let work = self.on(&event);
                async move {
                    work.await;
                    event.into_args()
                }
            })
            .on("quick", || async { "quick" })
            .forward("f", actor.recipient());
    }

    /// Tells that an event has begun; returns when a permit has come.
    fn on(&self, event: &Event) -> impl Future<Output = ()> + use<> {
        let _ = self.begun.send(event.args().as_json().to_owned());
        let ends = Arc::clone(&self.ends);
        async move { ends.acquire().await.unwrap().forget() }
    }
}

impl Actor for Work {
    type Context = Context<Self>;
}

impl Handler<Event> for Work {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, event: Event, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.on(&event))
    }
}
