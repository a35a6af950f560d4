//! The program's supervisors, and their builders.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Recipient};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::supervision::ChildEnd;
use crate::supervision::child::{FIRST_LIFE, Parent, run_on};
use crate::supervision::child_ref::ChildRef;
use crate::supervision::dead_letter::DeadLetter;
use crate::supervision::group::{ChildId, Group, Report};
use crate::supervision::intensity::RestartIntensity;
use crate::supervision::mailbox::{Command, Letter, Mailbox};
use crate::supervision::node::{Above, Node, NodeState, Subordinate};
use crate::supervision::restart::{BackOff, Restart, Strategy};
use crate::supervision::root::SupervisionRoot;
use crate::supervision::supervisor_error::SupervisorError;
use crate::supervision::tree::{ChildState, SupervisionRole, SupervisionTree};
use crate::supervision::vitals::Vitals;

/// Runs actors of the program, and restarts those that end: a cheap handle for any thread.
///
/// It restarts an actor after a panic, unlike the `Supervisor` of actix. A child is any actor with
/// a `Context` of actix. A factory makes it, again for each restart; its mailbox and its addresses
/// stay, and the messages behind the one that panicked are handled by the next life.
/// [`ChildEnd`] has the table of the ends and the policies.
///
/// If its children end too often, a supervisor escalates: it stops them all, the last started
/// first, and its own supervisor treats this as the end of a child. One without a supervisor above
/// it ends for good, and the actors of [`SocketIo::supervise`](crate::SocketIo::supervise) receive
/// a [`Panicked`](crate::Panicked). Without a handle and a child a supervisor is dropped.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use actix::{Actor, Context, Handler, Message};
/// use actix_socketio::{BackOff, ChildRef, Restart, SocketIo, Strategy, SupervisorError};
///
/// struct Store {
///     orders: Vec<u64>,
/// }
///
/// impl Actor for Store {
///     type Context = Context<Self>;
/// }
///
/// #[derive(Message)]
/// #[rtype(result = "usize")]
/// struct Order(u64);
///
/// impl Handler<Order> for Store {
///     type Result = usize;
///
///     fn handle(&mut self, Order(id): Order, _: &mut Self::Context) -> usize {
///         self.orders.push(id);
///         self.orders.len()
///     }
/// }
///
/// fn start(io: &SocketIo) -> Result<ChildRef<Store>, SupervisorError> {
///     let orders = io
///         .supervisor("orders")
///         .strategy(Strategy::RestForOne)
///         .intensity(3, Duration::from_secs(10))
///         .back_off(BackOff::new(Duration::from_millis(50), Duration::from_secs(2)).jitter(0.5))
///         .start()?;
///     orders
///         .child("store", |start| {
///             log::info!("restart {}, the last end: {:?}", start.restarts(), start.last_end());
///             Store { orders: Vec::new() }
///         })
///         .restart(Restart::Permanent)
///         .start()
/// }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    node: Arc<Node>,
}

impl Supervisor {
    /// Begins a child. `make` makes its actor, on the child's thread, for the start and for each
    /// restart. A panic in it is an end of the child.
    pub fn child<A, F>(&self, name: &str, make: F) -> ChildBuilder<A, F>
    where
        A: Actor<Context = Context<A>>,
        F: FnMut(&ChildStart) -> A + Send + 'static,
    {
        ChildBuilder {
            supervisor: Arc::clone(&self.node),
            name: name.to_owned(),
            make,
            restart: Restart::default(),
            back_off: self.node.back_off,
            arbiter: self.node.arbiter.clone(),
            actor: PhantomData,
        }
    }

    /// Begins a supervisor that is a child of this one.
    pub fn supervisor(&self, name: &str) -> SupervisorBuilder {
        SupervisorBuilder {
            dead_letters: self.node.dead_letters.clone(),
            back_off: self.node.back_off,
            arbiter: self.node.arbiter.clone(),
            parent: Some(Arc::clone(&self.node)),
            ..SupervisorBuilder::new(&self.node.root, name)
        }
    }

    /// Returns the names of the supervisors above it, and its own, as `orders/workers`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.node.path
    }

    /// Returns the supervisor and its children at this moment.
    #[must_use]
    pub fn tree(&self) -> SupervisionTree {
        self.node.tree()
    }

    /// Stops all children for good, the last started first, and then the supervisor.
    pub fn stop(&self) {
        self.node.stop();
    }

    /// Waits until the supervisor has ended for good.
    pub async fn ended(&self) {
        self.node.ended.cancelled().await;
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("path", &self.node.path)
            .finish_non_exhaustive()
    }
}

/// The options of a [`Supervisor`].
#[must_use = "nothing is supervised before `start`"]
pub struct SupervisorBuilder {
    root: Arc<SupervisionRoot>,
    parent: Option<Arc<Node>>,
    name: String,
    strategy: Strategy,
    intensity: RestartIntensity,
    restart: Restart,
    back_off: BackOff,
    arbiter: ArbiterHandle,
    dead_letters: Option<Recipient<DeadLetter>>,
}

impl SupervisorBuilder {
    /// Begins a supervisor without one above it.
    pub(crate) fn new(root: &Arc<SupervisionRoot>, name: &str) -> Self {
        Self {
            root: Arc::clone(root),
            parent: None,
            name: name.to_owned(),
            strategy: Strategy::default(),
            intensity: RestartIntensity::LASTING,
            restart: Restart::default(),
            back_off: BackOff::default(),
            arbiter: root.arbiter.clone(),
            dead_letters: None,
        }
    }

    /// Sets which children are restarted together. The default is [`Strategy::OneForOne`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the number of restarts within a time that is allowed, over all children; one more
    /// escalates. The default is 5 within 10 s.
    ///
    /// Pauses of [`back_off`](Self::back_off) take up this time: with long ones it is never exceeded.
    pub fn intensity(mut self, restarts: usize, within: Duration) -> Self {
        self.intensity = RestartIntensity { restarts, within };
        self
    }

    /// Sets whether the supervisor above this one restarts it after an escalation. The default is
    /// [`Restart::Permanent`]. Without a supervisor above it, it is not restarted.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the pauses before restarts, for children without one of their own. The default is that of
    /// the supervisor above it, or none.
    pub fn back_off(mut self, back_off: BackOff) -> Self {
        self.back_off = back_off;
        self
    }

    /// Sets the thread of children without one of their own. The default is that of the supervisor
    /// above it, or that of [`Builder::start`](crate::Builder::start).
    pub fn arbiter(mut self, arbiter: ArbiterHandle) -> Self {
        self.arbiter = arbiter;
        self
    }

    /// Sets the actor that receives the messages to children that have ended for good. The default
    /// is that of the supervisor above it, or none: then a line is written to the log.
    pub fn dead_letters(mut self, recipient: Recipient<DeadLetter>) -> Self {
        self.dead_letters = Some(recipient);
        self
    }

    /// Starts the supervisor.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`], if the name is taken, or if the supervisor above it has ended or the server
    /// was closed.
    pub fn start(self) -> Result<Supervisor, SupervisorError> {
        let node = match self.parent.clone() {
            Some(parent) => {
                let (restart, back_off, name) = (self.restart, parent.back_off, self.name.clone());
                parent.add(&name, restart, back_off, |id| {
                    let path = parent.path_of(&name);
                    self.node(path, Above::Supervisor(Arc::clone(&parent), id))
                })?
            }
            None => {
                let (root, name) = (Arc::clone(&self.root), self.name.clone());
                let node = self.node(name, Above::Root);
                root.add(&node)?;
                node.begin();
                node
            }
        };
        Ok(Supervisor { node })
    }

    fn node(self, path: String, above: Above) -> Arc<Node> {
        Arc::new(Node {
            path: path.into(),
            root: self.root,
            above,
            strategy: self.strategy,
            back_off: self.back_off,
            arbiter: self.arbiter,
            dead_letters: self.dead_letters,
            vitals: Vitals::new(),
            ended: CancellationToken::new(),
            state: NodeState::new(Group::new(self.strategy, self.intensity)),
        })
    }
}

impl fmt::Debug for SupervisorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorBuilder")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .finish_non_exhaustive()
    }
}

/// Why a child's actor is made.
#[derive(Clone, Debug)]
pub struct ChildStart {
    restarts: u64,
    last_end: Option<ChildEnd>,
}

impl ChildStart {
    /// Returns how often the child was restarted, with this restart; 0 at the first start.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Returns the end of the life before; `None` at the first start.
    #[must_use]
    pub fn last_end(&self) -> Option<&ChildEnd> {
        self.last_end.as_ref()
    }
}

/// The options of a child.
#[must_use = "no actor runs before `start`"]
pub struct ChildBuilder<A, F> {
    supervisor: Arc<Node>,
    name: String,
    make: F,
    restart: Restart,
    back_off: BackOff,
    arbiter: ArbiterHandle,
    actor: PhantomData<fn() -> A>,
}

impl<A, F> ChildBuilder<A, F>
where
    A: Actor<Context = Context<A>>,
    F: FnMut(&ChildStart) -> A + Send + 'static,
{
    /// Sets which ends are followed by a restart. The default is [`Restart::Permanent`].
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the pauses before restarts. The default is that of the supervisor.
    pub fn back_off(mut self, back_off: BackOff) -> Self {
        self.back_off = back_off;
        self
    }

    /// Sets the thread of the child. The default is that of the supervisor.
    pub fn arbiter(mut self, arbiter: ArbiterHandle) -> Self {
        self.arbiter = arbiter;
        self
    }

    /// Starts the child behind the others. It takes messages from now on, also if the children
    /// before it, or its supervisor, are being restarted.
    ///
    /// # Errors
    ///
    /// [`SupervisorError`], if the name is taken or the supervisor has ended.
    pub fn start(self) -> Result<ChildRef<A>, SupervisorError> {
        let Self {
            supervisor,
            name,
            mut make,
            restart,
            back_off,
            arbiter,
            ..
        } = self;
        let mailbox = Mailbox::new(&Vitals::new());
        let subordinate = supervisor.add(&name, restart, back_off, |id| {
            Arc::new(ChildActor {
                id,
                restart,
                supervisor: Arc::downgrade(&supervisor),
                mailbox: Arc::clone(&mailbox),
            })
        })?;
        let (path, ended) = (
            Arc::from(supervisor.path_of(&name)),
            CancellationToken::new(),
        );
        let last_end = Arc::default();
        let parent = SupervisedChild {
            id: subordinate.id,
            path: Arc::clone(&path),
            supervisor: Arc::clone(&supervisor),
            last_end: Arc::clone(&last_end),
            ended: ended.clone(),
            is_closed: false,
        };
        let counted = Arc::clone(&mailbox);
        let make = move |_: &mut Context<A>| {
            make(&ChildStart {
                restarts: counted.vitals.restarts(),
                last_end: last_end.lock().clone(),
            })
        };
        let addr = run_on(&arbiter, &mailbox, false, make, parent);
        Ok(ChildRef {
            path,
            id: subordinate.id,
            mailbox,
            addr,
            supervisor,
            ended,
        })
    }
}

impl<A, F> fmt::Debug for ChildBuilder<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildBuilder")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

/// A child, as its supervisor sees it.
struct ChildActor<A: Actor> {
    id: ChildId,
    restart: Restart,
    supervisor: Weak<Node>,
    mailbox: Arc<Mailbox<A>>,
}

impl<A: Actor> Subordinate for ChildActor<A> {
    fn command(&self, command: Command) -> Vec<Report> {
        if let Command::Start { life, .. } = &command
            && *life > FIRST_LIFE
            && let Some(supervisor) = self.supervisor.upgrade()
        {
            supervisor.root.reports.restarted(&supervisor.path);
        }
        self.mailbox.give(command);
        Vec::new()
    }

    fn tree(&self) -> SupervisionTree {
        SupervisionTree {
            name: String::new(),
            role: SupervisionRole::Child(self.restart),
            state: ChildState::Running,
            restarts: self.mailbox.vitals.restarts(),
            mailbox: self.mailbox.vitals.mailbox(),
            clients: None,
            children: Vec::new(),
        }
    }
}

/// A supervisor, as the task of a child sees it.
struct SupervisedChild {
    id: ChildId,
    path: Arc<str>,
    supervisor: Arc<Node>,
    last_end: Arc<Mutex<Option<ChildEnd>>>,
    ended: CancellationToken,
    is_closed: bool,
}

impl<A: Actor> Parent<A> for SupervisedChild {
    fn started(&mut self, life: u64) {
        self.supervisor.hear(self.id, Report::Started { life });
    }

    fn ended(&mut self, life: u64, end: ChildEnd, _: &Mailbox<A>) {
        let reports = &self.supervisor.root.reports;
        match &end {
            ChildEnd::Panic(panic) => reports.panicked(&self.path, panic.clone()),
            ChildEnd::Error(error) => reports.failed(&self.path, error),
            ChildEnd::Escalated(_) | ChildEnd::Normal | ChildEnd::Shutdown => {}
        }
        *self.last_end.lock() = Some(end.clone());
        self.supervisor.hear(self.id, Report::Ended { life, end });
    }

    fn closed(&mut self, end: &ChildEnd, letters: VecDeque<Box<dyn Letter<A>>>) {
        self.is_closed = true;
        for letter in letters {
            if let Some(undelivered) = letter.undelivered() {
                self.supervisor.bury(&self.path, end, undelivered);
            }
        }
        self.ended.cancel();
    }
}

impl Drop for SupervisedChild {
    fn drop(&mut self) {
        if !self.is_closed {
            self.supervisor.lose(self.id);
            self.ended.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    //! With real actors; those of `group.rs` have none.

    use std::sync::Arc;
    use std::time::Duration;

    use actix::fut::wrap_future;
    use actix::{
        Actor, ActorContext, Arbiter, AsyncContext, Context, Handler, MailboxError, Message,
        Recipient,
    };
    use parking_lot::Mutex;
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::time::Instant;

    use super::*;
    use crate::supervision::{ChildContext, SupervisionReports};

    /// The lines that actors and supervisors have written.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    impl Log {
        fn add(&self, line: impl Into<String>) {
            self.0.lock().push(line.into());
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock())
        }
    }

    impl SupervisionReports for Log {
        fn panicked(&self, child: &str, panic: String) {
            self.add(format!("{child} panicked: {panic}"));
        }

        fn failed(&self, child: &str, error: &str) {
            self.add(format!("{child} failed: {error}"));
        }

        fn escalated(&self, supervisor: &str, text: String) {
            self.add(format!("{supervisor} escalated: {text}"));
        }

        fn restarted(&self, supervisor: &str) {
            self.add(format!("restart under {supervisor}"));
        }

        fn undelivered(&self, supervisor: &str, letter: &DeadLetter, is_taken: bool) {
            self.add(format!(
                "dead letter under {supervisor}, taken: {is_taken}, {letter}"
            ));
        }
    }

    fn root() -> (Arc<SupervisionRoot>, Log) {
        let log = Log::default();
        (SupervisionRoot::new(Arbiter::current(), log.clone()), log)
    }

    fn supervisor(root: &Arc<SupervisionRoot>) -> SupervisorBuilder {
        SupervisorBuilder::new(root, "orders")
    }

    /// Counts in a value of its own, so that each life begins at 0.
    struct Counter {
        name: &'static str,
        count: u32,
        log: Log,
    }

    impl Counter {
        fn new(name: &'static str, log: &Log) -> Self {
            let log = log.clone();
            Self {
                name,
                count: 0,
                log,
            }
        }
    }

    impl Actor for Counter {
        type Context = Context<Self>;

        fn started(&mut self, _: &mut Self::Context) {
            self.log.add(format!("{} started", self.name));
        }

        fn stopped(&mut self, _: &mut Self::Context) {
            self.log.add(format!("{} stopped", self.name));
        }
    }

    #[derive(Debug, PartialEq, Message)]
    #[rtype(result = "u32")]
    struct Add(u32);

    impl Handler<Add> for Counter {
        type Result = u32;

        fn handle(&mut self, Add(number): Add, _: &mut Self::Context) -> u32 {
            self.count += number;
            self.count
        }
    }

    #[derive(Clone, Copy, Debug, Message)]
    #[rtype(result = "()")]
    enum Finish {
        Panic,
        PanicLater,
        Error,
        ErrorLater,
        Stop,
        Terminate,
    }

    impl Handler<Finish> for Counter {
        type Result = ();

        fn handle(&mut self, end: Finish, ctx: &mut Self::Context) {
            match end {
                Finish::Panic => panic!("boom"),
                Finish::PanicLater => {
                    ctx.spawn(wrap_future(async { panic!("boom") }));
                }
                Finish::Error => ctx.fail("no database"),
                Finish::ErrorLater => {
                    ctx.run_later(Duration::from_millis(1), |_, ctx| ctx.fail("no database"));
                }
                Finish::Stop => ctx.stop(),
                Finish::Terminate => ctx.terminate(),
            }
        }
    }

    fn counter(
        of: &Supervisor,
        log: &Log,
    ) -> ChildBuilder<Counter, impl FnMut(&ChildStart) -> Counter + use<>> {
        let log = log.clone();
        of.child("counter", move |_| Counter::new("counter", &log))
    }

    /// Takes dead letters.
    struct Undelivered(UnboundedSender<DeadLetter>);

    impl Actor for Undelivered {
        type Context = Context<Self>;
    }

    impl Handler<DeadLetter> for Undelivered {
        type Result = ();

        fn handle(&mut self, letter: DeadLetter, _: &mut Self::Context) {
            self.0.send(letter).unwrap();
        }
    }

    fn undelivered() -> (Recipient<DeadLetter>, UnboundedReceiver<DeadLetter>) {
        let (sender, letters) = unbounded_channel();
        (Undelivered(sender).start().recipient(), letters)
    }

    #[actix_rt::test]
    async fn each_policy_restarts_after_the_ends_of_its_row() {
        tokio::time::pause();
        let panic = ChildEnd::Panic("boom".to_owned());
        let error = ChildEnd::Error("no database".to_owned());
        let ends = [
            (Finish::Panic, panic.clone(), [true, true, false]),
            (Finish::PanicLater, panic, [true, true, false]),
            (Finish::Error, error.clone(), [true, true, false]),
            (Finish::ErrorLater, error, [true, true, false]),
            (Finish::Stop, ChildEnd::Normal, [true, false, false]),
            (Finish::Terminate, ChildEnd::Normal, [true, false, false]),
        ];
        for (finish, end, row) in ends {
            let policies = [Restart::Permanent, Restart::Transient, Restart::Temporary];
            for (restart, is_restarted) in policies.into_iter().zip(row) {
                let (root, log) = root();
                let of = supervisor(&root).start().unwrap();
                let child = counter(&of, &log).restart(restart).start().unwrap();
                assert_eq!(child.send(Add(1)).await, Ok(1));
                child.do_send(finish);
                let case = format!("{finish:?} of a {restart} child");
                if is_restarted {
                    while child.restarts() == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    assert_eq!(child.send(Add(2)).await, Ok(2), "{case}");
                    assert_eq!((child.restarts(), child.end()), (1, None), "{case}");
                } else {
                    assert_eq!(child.ended().await, end, "{case}");
                    assert_eq!(
                        child.send(Add(2)).await,
                        Err(MailboxError::Closed),
                        "{case}"
                    );
                    assert!(!child.addr().connected(), "{case}");
                }
                let stopped = log
                    .take()
                    .iter()
                    .filter(|line| *line == "counter stopped")
                    .count();
                assert_eq!(stopped, 1, "{case}");
            }
        }
    }

    #[actix_rt::test]
    async fn messages_behind_the_one_that_panicked_wait_for_the_next_life() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let child = counter(&of, &log).start().unwrap();
        let before = child.send(Add(1));
        let panicked = child.send(Finish::Panic);
        let (second, third) = (child.send(Add(2)), child.send(Add(3)));
        assert_eq!(child.waiting(), 4);
        assert_eq!(before.await, Ok(1));
        assert_eq!(panicked.await, Err(MailboxError::Closed));
        assert_eq!((second.await, third.await), (Ok(2), Ok(5)));
        // An address of actix is valid in each life too.
        let addr = child.addr();
        addr.do_send(Finish::Panic);
        assert_eq!(addr.send(Add(7)).await, Ok(7));
        assert_eq!((child.restarts(), child.waiting()), (2, 0));
    }

    #[actix_rt::test]
    async fn the_factory_knows_the_restart_and_its_cause() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let (sender, mut starts) = unbounded_channel();
        let child = of.child("counter", move |start| {
            let cause = start.last_end().map(ToString::to_string);
            sender.send((start.restarts(), cause)).unwrap();
            Counter::new("counter", &log)
        });
        let child = child.start().unwrap();
        child.do_send(Finish::Panic);
        child.do_send(Finish::Error);
        child.do_send(Finish::Stop);
        let causes = [
            None,
            Some("panic: boom"),
            Some("error: no database"),
            Some("normal end"),
        ];
        for (restarts, cause) in (0..).zip(causes) {
            let cause = cause.map(str::to_owned);
            assert_eq!(starts.recv().await, Some((restarts, cause)));
        }
    }

    #[actix_rt::test]
    async fn a_supervisor_above_its_intensity_ends_its_children_and_reports() {
        let (root, log) = root();
        let of = supervisor(&root)
            .intensity(2, Duration::from_secs(60))
            .start()
            .unwrap();
        let (recipient, mut letters) = undelivered();
        let of_letters = of
            .supervisor("letters")
            .dead_letters(recipient)
            .start()
            .unwrap();
        let idle = counter(&of_letters, &log).start().unwrap();
        let child = counter(&of, &log).start().unwrap();
        for restart in 1..=2 {
            child.do_send(Finish::Panic);
            assert_eq!(child.send(Add(1)).await, Ok(1));
            assert_eq!(child.restarts(), restart);
        }
        child.do_send(Finish::Panic);
        let text = "too many restarts, the last after panic: boom";
        assert_eq!(child.ended().await.to_string(), text);
        assert_eq!(idle.ended().await.to_string(), text);
        of.ended().await;
        let reported = log.take();
        assert!(
            reported.contains(&format!("orders escalated: {text}")),
            "{reported:?}"
        );
        assert!(root.trees().is_empty());
        assert_eq!(
            counter(&of, &log).start().unwrap_err().to_string(),
            r#"supervisor "orders" has ended and starts no child"#
        );
        idle.do_send(Add(9));
        assert_eq!(
            letters.recv().await.unwrap().downcast::<Add>().unwrap(),
            Add(9)
        );
    }

    #[actix_rt::test]
    async fn an_escalation_restarts_all_children_of_the_supervisor_with_their_mailboxes() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let workers = of.supervisor("workers").strategy(Strategy::RestForOne);
        let workers = workers
            .intensity(0, Duration::from_secs(60))
            .start()
            .unwrap();
        let (first_log, last_log) = (log.clone(), log.clone());
        let first = workers.child("first", move |_| Counter::new("first", &first_log));
        let first = first.start().unwrap();
        let last = workers
            .child("last", move |_| Counter::new("last", &last_log))
            .start()
            .unwrap();
        assert_eq!(
            (first.send(Add(1)).await, last.send(Add(1)).await),
            (Ok(1), Ok(1))
        );
        log.take();
        for restarts in 1..=3 {
            first.do_send(Finish::Panic);
            let waits = first.send(Add(5));
            assert_eq!((waits.await, last.send(Add(5)).await), (Ok(5), Ok(5)));
            assert_eq!((first.restarts(), last.restarts()), (restarts, restarts));
        }
        let lines = log.take();
        let expected = [
            "first stopped",
            "orders/workers/first panicked: boom",
            "last stopped",
            "restart under orders",
            "restart under orders/workers",
            "first started",
            "restart under orders/workers",
            "last started",
        ];
        assert_eq!(lines[..8], expected);
        assert_eq!(workers.tree().restarts, 3);
    }

    #[actix_rt::test]
    async fn the_rest_is_restarted_in_order_on_several_threads() {
        let (root, log) = root();
        let of = supervisor(&root)
            .strategy(Strategy::RestForOne)
            .start()
            .unwrap();
        let arbiter = Arbiter::new();
        let mut children = Vec::new();
        for (name, elsewhere) in [
            ("one", false),
            ("two", true),
            ("three", false),
            ("four", true),
        ] {
            let own = log.clone();
            let mut child = of.child(name, move |_| Counter::new(name, &own));
            if elsewhere {
                child = child.arbiter(arbiter.handle());
            }
            children.push(child.start().unwrap());
        }
        assert_eq!(children[3].send(Add(1)).await, Ok(1));
        let started = [
            "one started",
            "two started",
            "three started",
            "four started",
        ];
        assert_eq!(log.take(), started);
        children[1].do_send(Finish::Error);
        // The last is started after all others.
        while children[3].restarts() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(children[3].send(Add(3)).await, Ok(3));
        assert_eq!(children[1].send(Add(3)).await, Ok(3));
        let is_life = |line: &String| line.ends_with(" started") || line.ends_with(" stopped");
        let lives: Vec<_> = log.take().into_iter().filter(is_life).collect();
        let expected = [
            "two stopped",
            "four stopped",
            "three stopped",
            "two started",
            "three started",
            "four started",
        ];
        assert_eq!(lives, expected);
        assert_eq!(children[0].restarts(), 0);
        arbiter.stop();
    }

    #[actix_rt::test]
    async fn messages_wait_for_the_end_of_the_back_off() {
        tokio::time::pause();
        let (root, log) = root();
        let back_off = BackOff::new(Duration::from_secs(1), Duration::from_secs(4));
        let of = supervisor(&root)
            .back_off(back_off)
            .intensity(9, Duration::from_secs(1));
        let of = of.start().unwrap();
        let child = counter(&of, &log).start().unwrap();
        for pause in [1, 2, 4, 4] {
            let begun = Instant::now();
            child.do_send(Finish::Panic);
            let waits = child.send(Add(1));
            assert_eq!(waits.await, Ok(1));
            assert_eq!(begun.elapsed().as_secs(), pause);
        }
    }

    #[actix_rt::test]
    async fn a_child_that_is_stopped_in_its_back_off_does_not_start_again() {
        tokio::time::pause();
        let (root, log) = root();
        let back_off = BackOff::new(Duration::from_secs(60), Duration::from_secs(60));
        let of = supervisor(&root).back_off(back_off).start().unwrap();
        let child = counter(&of, &log).start().unwrap();
        assert_eq!(child.send(Finish::Panic).await, Err(MailboxError::Closed));
        assert_eq!(of.tree().children[0].state, ChildState::Starting);
        let begun = Instant::now();
        child.stop();
        assert_eq!(child.ended().await, ChildEnd::Shutdown);
        assert!(begun.elapsed().is_zero());
        assert!(of.tree().children.is_empty());
    }

    #[actix_rt::test]
    async fn messages_that_nobody_takes_are_dead_letters_with_their_type() {
        let (root, log) = root();
        let (recipient, mut letters) = undelivered();
        let of = supervisor(&root).dead_letters(recipient).start().unwrap();
        let child = counter(&of, &log)
            .restart(Restart::Temporary)
            .start()
            .unwrap();
        child.do_send(Add(1));
        child.do_send(Finish::Panic);
        child.do_send(Add(2));
        drop(child.send(Add(3)));
        let waits = child.send(Add(4));
        assert_eq!(waits.await, Err(MailboxError::Closed));
        child.do_send(Add(5));
        for number in [2, 4, 5] {
            let letter = letters.recv().await.unwrap();
            assert_eq!(letter.child, "orders/counter");
            assert_eq!(letter.end, ChildEnd::Panic("boom".to_owned()));
            assert!(letter.message_type.ends_with("::Add"), "{letter}");
            let letter = letter.downcast::<String>().unwrap_err();
            assert_eq!(letter.downcast::<Add>().unwrap(), Add(number));
        }
        assert!(letters.try_recv().is_err());
        let buried = log
            .take()
            .iter()
            .filter(|line| line.starts_with("dead letter"))
            .count();
        assert_eq!(buried, 3);
    }

    #[actix_rt::test]
    async fn a_stop_ends_children_from_the_last_to_the_first() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let children = ["one", "two"].map(|name| {
            let own = log.clone();
            of.child(name, move |_| Counter::new(name, &own))
                .start()
                .unwrap()
        });
        assert_eq!(children[1].send(Add(1)).await, Ok(1));
        log.take();
        root.stop();
        root.ended().await;
        assert_eq!(log.take(), ["two stopped", "one stopped"]);
        assert_eq!(children[0].ended().await, ChildEnd::Shutdown);
        let refused = supervisor(&root).start().unwrap_err();
        assert_eq!(refused, SupervisorError::Ended("orders".to_owned()));
    }

    #[actix_rt::test]
    async fn a_name_is_taken_until_its_child_ends() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let child = counter(&of, &log).start().unwrap();
        let taken = SupervisorError::NameTaken("orders/counter".to_owned());
        assert_eq!(counter(&of, &log).start().unwrap_err(), taken);
        assert_eq!(of.supervisor("counter").start().unwrap_err(), taken);
        let other = supervisor(&root).start().unwrap_err();
        assert_eq!(other, SupervisorError::NameTaken("orders".to_owned()));
        child.stop();
        child.ended().await;
        counter(&of, &log).start().unwrap();
    }

    #[actix_rt::test]
    async fn children_of_a_thread_that_ends_have_ended() {
        let (root, log) = root();
        let of = supervisor(&root).start().unwrap();
        let arbiter = Arbiter::new();
        let child = counter(&of, &log)
            .arbiter(arbiter.handle())
            .start()
            .unwrap();
        assert_eq!(child.send(Add(1)).await, Ok(1));
        arbiter.stop();
        assert_eq!(child.ended().await, ChildEnd::Shutdown);
        arbiter.join().unwrap();
        let late = counter(&of, &log);
        let late = late.arbiter(Arbiter::new().handle()).start().unwrap();
        assert_eq!(late.send(Add(1)).await, Ok(1));
    }

    #[actix_rt::test]
    async fn the_tree_shows_states_restarts_and_waiting_messages() {
        tokio::time::pause();
        let (root, log) = root();
        let of = supervisor(&root)
            .strategy(Strategy::RestForOne)
            .start()
            .unwrap();
        let back_off = BackOff::new(Duration::from_secs(1), Duration::from_secs(1));
        let first = counter(&of, &log).back_off(back_off).start().unwrap();
        let workers = of.supervisor("workers").start().unwrap();
        let second = counter(&workers, &log)
            .restart(Restart::Transient)
            .start()
            .unwrap();
        assert_eq!(second.send(Add(1)).await, Ok(1));
        assert_eq!(first.send(Finish::Panic).await, Err(MailboxError::Closed));
        first.do_send(Add(1));
        second.do_send(Add(1));
        let expected = "\
orders (supervisor, rest for one) restarts=0 mailbox=0
├─ counter (permanent) starting restarts=0 mailbox=1
└─ workers (supervisor, one for one) held restarts=0 mailbox=0
   └─ counter (transient) held restarts=0 mailbox=1
";
        while root.trees()[0].children[1].state != ChildState::Held {
            tokio::task::yield_now().await;
        }
        assert_eq!(root.trees()[0].to_string(), expected);
        assert_eq!(second.send(Add(1)).await, Ok(2));
        let expected = "\
orders (supervisor, rest for one) restarts=0 mailbox=0
├─ counter (permanent) restarts=1 mailbox=0
└─ workers (supervisor, one for one) restarts=1 mailbox=0
   └─ counter (transient) restarts=1 mailbox=0
";
        assert_eq!(of.tree().to_string(), expected);
        assert_eq!(workers.path(), "orders/workers");
    }
}
