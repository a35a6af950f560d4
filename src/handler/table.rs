//! The handlers of one namespace, found by the event's name.
//!
//! The table is shared by all sockets of the namespace and replaced as a whole when a handler is
//! added, so that a session reads its own view of it without a lock.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Recipient;
use bytes::Bytes;
use parking_lot::RwLock;
use serde::Serialize;

use crate::error::ConnectError;
use crate::handler::environment::Environment;
use crate::handler::extract::{Connecting, Event, Extract, Incoming, Leaving};
use crate::handler::place::{Places, caught};
use crate::handler::reply::report;
use crate::handler::turn::save;
use crate::handler::{ConnectOutcome, Handler};
use crate::link::InFlight;
use crate::socket::Socket;

/// Handlers by event, sorted by the length of the name and then by the name.
#[derive(Clone, Default)]
pub(crate) struct Table {
    connect: Option<ConnectHandler>,
    disconnect: Option<DisconnectHandler>,
    events: Vec<(Arc<str>, EventHandler)>,
}

/// Tells what became of a client that asked to be let in.
pub(crate) type Admission = Box<dyn FnOnce(Result<(), ConnectError>)>;

type EventHandler = Arc<dyn Fn(&Incoming<'_>) + Send + Sync>;
type ConnectHandler = Arc<dyn Fn(&Connecting<'_>, Admission) + Send + Sync>;
type DisconnectHandler = Arc<dyn Fn(&Leaving<'_>) + Send + Sync>;

impl Table {
    /// Makes `handler` the one of this event.
    pub(crate) fn on<H, A>(&mut self, event: &str, handler: H)
    where
        H: Handler<A>,
        H::Output: Serialize,
        A: for<'a> Extract<Incoming<'a>> + 'static,
    {
        let places = Places::new();
        self.insert(
            event,
            Arc::new(move |incoming| match A::extract(incoming) {
                Err(rejection) => incoming.take_reply().reject(&rejection),
                Ok(args) => {
                    incoming.hand_over();
                    let reply = incoming.take_reply();
                    let link = &incoming.socket.core().link;
                    places.run(
                        || handler.call(args),
                        move |ended| reply.finish(ended),
                        || InFlight::enter(link),
                    );
                }
            }),
        );
    }

    /// Makes an actor the handler of this event.
    pub(crate) fn forward(&mut self, event: &str, actor: Recipient<Event>) {
        let places = Places::new();
        self.insert(
            event,
            Arc::new(move |incoming| {
                let limit = incoming.socket.core().link.config.ack_timeout;
                let event = Event::forwarded(incoming);
                let actor = actor.clone();
                // `send` by a fresh recipient, so that the event counts as in flight until the actor
                // has taken it. An event that is not taken answers by itself, when it is dropped.
                let sent = move || async move {
                    let sent = tokio::time::timeout(limit, actor.send(event)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        log::warn!("an event was forwarded to an actor that does not take it");
                    }
                };
                let link = &incoming.socket.core().link;
                places.run(sent, |_| (), || InFlight::enter(link));
            }),
        );
    }

    fn insert(&mut self, event: &str, handler: EventHandler) {
        match self.position(event) {
            Ok(at) => {
                log::warn!("a second handler for event {event:?} replaces the first");
                self.events[at].1 = handler;
            }
            Err(at) => self.events.insert(at, (event.into(), handler)),
        }
    }

    pub(crate) fn on_connect<H, A>(&mut self, handler: H)
    where
        H: Handler<A>,
        H::Output: ConnectOutcome,
        A: for<'a> Extract<Connecting<'a>> + 'static,
    {
        let places = Places::new();
        self.connect = Some(Arc::new(move |connecting, admission| {
            let args = match A::extract(connecting) {
                Ok(args) => args,
                Err(rejection) => {
                    log::warn!("client refused: {rejection}");
                    return admission(Err(ConnectError::new(rejection.to_string())));
                }
            };
            let (socket, environment) = (connecting.socket.clone(), connecting.environment.clone());
            let finish = move |ended: Result<H::Output, String>| {
                // Making a `ConnectError` of an error may run code of the program too.
                let decided = ended.and_then(|outcome| caught(|| outcome.outcome()));
                admission(decided.unwrap_or_else(|panic| {
                    report(&environment, &socket, "connect", panic);
                    Err(INTERNAL.into())
                }));
            };
            let link = &connecting.socket.core().link;
            places.run(|| handler.call(args), finish, || InFlight::enter(link));
        }));
    }

    pub(crate) fn on_disconnect<H, A>(&mut self, handler: H)
    where
        H: Handler<A>,
        A: for<'a> Extract<Leaving<'a>> + 'static,
    {
        let places = Places::new();
        self.disconnect = Some(Arc::new(move |leaving| match A::extract(leaving) {
            Ok(args) => {
                let (socket, environment) = (leaving.socket.clone(), leaving.environment.clone());
                let finish = move |ended: Result<H::Output, String>| {
                    if let Err(panic) = ended {
                        report(&environment, &socket, "disconnect", panic);
                    }
                    save(&socket);
                };
                places.run(|| handler.call(args), finish, || ());
            }
            Err(rejection) => log::warn!("disconnect handler not run: {rejection}"),
        }));
    }

    /// Calls the event's handler; one that nobody handles is answered with an error.
    pub(crate) fn dispatch(&self, received: &Received<'_>) {
        let Ok(at) = self.position(received.name) else {
            let name = received.name.into();
            return received.incoming(&name).take_reply().unhandled();
        };
        let (event, handler) = &self.events[at];
        let incoming = received.incoming(event);
        // An extractor may run code of the program, as a `Deserialize`.
        if let Err(panic) = caught(|| handler(&incoming)) {
            incoming.take_reply().panicked(panic);
        }
    }

    /// Asks the program whether the client may enter; everybody may where it has no opinion.
    pub(crate) fn admit(&self, connecting: &Connecting<'_>, admission: Admission) {
        let Some(handler) = &self.connect else {
            return admission(Ok(()));
        };
        if let Err(panic) = caught(|| handler(connecting, admission)) {
            report(connecting.environment, connecting.socket, "connect", panic);
            connecting.socket.core().refuse(&INTERNAL.into());
        }
    }

    /// Tells the program that a socket has left.
    pub(crate) fn farewell(&self, leaving: &Leaving<'_>) {
        let Some(handler) = &self.disconnect else {
            return;
        };
        if let Err(panic) = caught(|| handler(leaving)) {
            report(leaving.environment, leaving.socket, "disconnect", panic);
        }
    }

    fn position(&self, event: &str) -> Result<usize, usize> {
        // By length first: names are compared byte by byte where their lengths agree, seldom twice.
        self.events.binary_search_by(|(name, _)| {
            let by_length = name.len().cmp(&event.len());
            by_length.then_with(|| name.as_ref().cmp(event))
        })
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.events.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// An event as the session has decoded it.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) name: &'a str,
    pub(crate) args: &'a str,
    pub(crate) attachments: &'a [Bytes],
    pub(crate) id: Option<u64>,
    pub(crate) environment: &'a Arc<Environment>,
}

impl<'a> Received<'a> {
    fn incoming<'b>(&self, event: &'b Arc<str>) -> Incoming<'b>
    where
        'a: 'b,
    {
        Incoming {
            socket: self.socket,
            event,
            args: self.args,
            attachments: self.attachments,
            ack: Cell::new(self.id),
            lent: OnceCell::new(),
            environment: self.environment,
        }
    }
}

/// The table that a namespace's sockets look at.
#[derive(Debug, Default)]
pub(crate) struct SharedTable {
    current: RwLock<Arc<Table>>,
    version: AtomicU64,
}

impl SharedTable {
    /// Replaces the table with a changed one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut current = self.current.write();
        change(Arc::make_mut(&mut current));
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn read(&self) -> Arc<Table> {
        Arc::clone(&self.current.read())
    }

    pub(crate) fn view(&self) -> TableView {
        let current = self.current.read();
        TableView {
            version: self.version.load(Ordering::Acquire),
            table: Arc::clone(&current),
        }
    }
}

/// One socket's copy of the table's address.
#[derive(Clone, Debug)]
pub(crate) struct TableView {
    table: Arc<Table>,
    version: u64,
}

impl TableView {
    /// Returns the table as it is now.
    pub(crate) fn current(&mut self, shared: &SharedTable) -> &Arc<Table> {
        if shared.version.load(Ordering::Acquire) != self.version {
            *self = shared.view();
        }
        &self.table
    }
}

/// What a client learns of a panic.
const INTERNAL: &str = "internal server error";
