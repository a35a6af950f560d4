//! The session actor: one client, on the worker that holds its transport.
//!
//! * receives: packets from its transport (read in place, not through the mailbox), and from any
//!   worker [`Control`], [`Deliver`] (a POST's body), [`Probe`], [`HandOver`], [`Arrive`];
//! * sends: frames into its outbox; messages and attachments to its [`Protocol`];
//! * parent: its [`SessionHost`], which has it by its id;
//! * ends: if its transport has closed, if its client is silent, or if it is closed. An upgrade on
//!   another worker starts a new actor there, which takes over the state; this one forwards late
//!   messages for a while.
//!
//! Its decisions are made by the pure [`Machine`]. The content of messages is unknown here.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use log::Level;

use crate::clock::now;
use crate::config::Transport;
use crate::link::{BinaryForm, Control, Inbound, Link, Protocol};
use crate::logging::{LogKind, TARGET_SESSION, cut};
use crate::panics::catch_panic;
use crate::reason::CloseReason;
use crate::session::drive::SessionFuture;
use crate::session::host::SessionHost;
use crate::session::machine::{Machine, UpgradeRefused};
use crate::session::post::{Deliver, Post};
use crate::session::state::State;
use crate::supervision;

/// The actor. It has a state from its start, or its arrival, until the session ends or moves.
pub(crate) struct Session {
    pub(super) state: Option<Box<State>>,
    pub(super) inbound: Option<Box<dyn Inbound>>,
    /// The actor of the session after its move.
    heir: Option<Addr<Self>>,
}

impl Session {
    /// Starts the actor of a new session on this worker.
    pub(crate) fn open(
        host: Arc<dyn SessionHost<Self>>,
        link: &Arc<Link>,
        protocol: Box<dyn Protocol>,
        transport: Transport,
        inbound: Option<Box<dyn Inbound>>,
        now: Instant,
    ) -> Addr<Self> {
        let state = State {
            host: Arc::clone(&host),
            link: Arc::clone(link),
            machine: Machine::new(&link.config, link.handshake.revision(), transport, now),
            protocol,
            post: None,
            ping: 0,
            pinged_at: now,
            leaving: None,
            is_awaited: false,
            is_farewell: false,
        };
        let session = Self::start(host, Some(Box::new(state)), inbound);
        link.held_by(session.clone().recipient());
        session
    }

    /// Starts an actor on this worker for a session that will arrive and whose transport is here.
    pub(crate) fn await_arrival(
        host: Arc<dyn SessionHost<Self>>,
        inbound: Box<dyn Inbound>,
    ) -> Addr<Self> {
        Self::start(host, None, Some(inbound))
    }

    fn start(
        host: Arc<dyn SessionHost<Self>>,
        state: Option<Box<State>>,
        inbound: Option<Box<dyn Inbound>>,
    ) -> Addr<Self> {
        let session = Self {
            state,
            inbound,
            heir: None,
        };
        // A session is unreliable after a panic: it ends, and `stopped` closes it.
        let fallen = move |fall| host.crashed(fall);
        supervision::start_mortal(fallen, session)
    }

    /// Ends the session for the reason in `outcome`.
    fn settle(&mut self, outcome: Result<(), CloseReason>) {
        if let (Err(reason), Some(state)) = (outcome, &mut self.state) {
            state.close(reason);
        }
    }

    /// Releases the state after its client has received the last packet.
    pub(super) fn finish(&mut self) {
        if let Some(state) = self.state.take() {
            state.host.forgotten(&state.link);
            state.link.release();
            if state.is_farewell {
                // Nothing is left, unless the client does not read.
                state.link.outbox.abandon();
            }
        }
        self.inbound = None;
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(state) = &mut self.state {
            let opened = state.protocol.opened();
            self.settle(opened);
            ctx.spawn(SessionFuture::default());
        }
    }

    /// Also runs after a panic and at the end of the worker, so that the client, its sockets and
    /// all others are notified.
    fn stopped(&mut self, _: &mut Self::Context) {
        let reason = if supervision::is_abandoned() {
            CloseReason::ServerShuttingDown
        } else {
            CloseReason::Panicked
        };
        if let Some(state) = &mut self.state
            && let Err(panic) = catch_panic(|| state.close(reason))
        {
            let (link, panic) = (&state.link, cut(panic));
            let line = format_args!("{link} panicked again while it closed: {panic}");
            state
                .link
                .config
                .line_limits
                .write(LogKind::Panicked, Level::Error, line);
            state.link.outbox.discard(None);
        }
        self.finish();
    }
}

impl Handler<Control> for Session {
    type Result = ();

    fn handle(&mut self, control: Control, _: &mut Self::Context) {
        if let Some(heir) = &self.heir {
            return heir.do_send(control);
        }
        let Some(state) = &mut self.state else { return };
        match control {
            Control::Close(reason) => state.close(reason),
            Control::Gone => state.transport_gone(),
            // The session's task reads the link's state.
            Control::Drain => state.hurry(now()),
            Control::Overflowed => state.link.report_overflows(),
            Control::StateChanged => {
                state.polled(now());
                let outcome = state.protocol.state_changed();
                self.settle(outcome);
            }
        }
    }
}

impl Handler<Deliver> for Session {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Self::Context) {
        if let Some(heir) = &self.heir {
            // A POST that the client had sent before it requested the upgrade.
            return heir.do_send(deliver);
        }
        let Some(state) = &mut self.state else { return };
        if state.post.is_some() {
            // The client aborted its last POST while its packets waited for room.
            state.close(CloseReason::TransportError);
        } else {
            let revision = state.link.handshake.revision();
            state.post = Some(Post::new(deliver, revision));
        }
    }
}

/// Another transport for this session has sent its probe.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), UpgradeRefused>")]
pub(crate) struct Probe;

impl Handler<Probe> for Session {
    type Result = Result<(), UpgradeRefused>;

    fn handle(&mut self, _: Probe, _: &mut Self::Context) -> Self::Result {
        let state = self.state.as_mut().ok_or(UpgradeRefused)?;
        if state.leaving.is_some() {
            return Err(UpgradeRefused);
        }
        state.machine.begin_upgrade(now())
    }
}

/// The transport of the probe has closed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ProbeFailed;

impl Handler<ProbeFailed> for Session {
    type Result = ();

    fn handle(&mut self, _: ProbeFailed, _: &mut Self::Context) {
        if let Some(state) = &mut self.state {
            state.machine.abandon_upgrade();
        }
    }
}

/// The probe has succeeded: the session moves to the actor of its new transport.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), UpgradeRefused>")]
pub(crate) struct HandOver {
    pub(crate) heir: Addr<Session>,
    /// The form of binary messages on the new transport.
    pub(crate) form: BinaryForm,
    pub(crate) transport: Transport,
}

impl Handler<HandOver> for Session {
    type Result = Result<(), UpgradeRefused>;

    fn handle(&mut self, hand_over: HandOver, ctx: &mut Self::Context) -> Self::Result {
        let HandOver {
            heir,
            form,
            transport,
        } = hand_over;
        let mut state = self.state.take().ok_or(UpgradeRefused)?;
        if state.leaving.is_some() || state.machine.complete_upgrade(transport).is_err() {
            self.state = Some(state);
            return Err(UpgradeRefused);
        }
        let (link, host) = (Arc::clone(&state.link), Arc::clone(&state.host));
        link.outbox.set_form(form);
        link.set_stream(transport);
        link.outbox.attach_websocket();
        // A life-cycle message. It is sent before others know the heir, so it is the heir's first.
        heir.do_send(Arrive(state));
        link.held_by(heir.clone().recipient());
        host.moved(link.id, heir.clone(), transport);
        self.heir = Some(heir);
        log::debug!(target: TARGET_SESSION, "{link} upgraded to {}", transport.as_str());
        ctx.run_later(FORWARDING, |_, ctx| ctx.stop());
        Ok(())
    }
}

/// A session during its move to another worker.
#[derive(Message)]
#[rtype(result = "()")]
struct Arrive(Box<State>);

impl Handler<Arrive> for Session {
    type Result = ();

    fn handle(&mut self, Arrive(state): Arrive, ctx: &mut Self::Context) {
        self.state = Some(state);
        ctx.spawn(SessionFuture::default());
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// The time for which an actor forwards late messages after its session has moved.
const FORWARDING: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use actix::MailboxError;
    use bytes::Bytes;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::sync::oneshot;

    use super::*;
    use crate::client::Client;
    use crate::config::Config;
    use crate::id::Id;
    use crate::message::PanicSource;
    use crate::namespace::Registry;
    use crate::namespace::fixture::{Boom, Fixture, explodes, read, within};
    use crate::reason::DisconnectReason;
    use crate::session::engine::Engine;
    use crate::session::handle::Handle;
    use crate::session::new_client::NewClient;
    use crate::session::poll::PostBody;
    use crate::socket::Socket;

    explodes!(Session);

    fn engine(registry: &Arc<Registry>) -> Arc<Engine> {
        let (accepting, reporting) = (Arc::clone(registry), Arc::clone(registry));
        Engine::new(
            Arc::new(Config::new("/")),
            Box::new(move |link, now| Box::new(Client::new(&accepting, link, now))),
            move |fall| {
                reporting
                    .supervisor
                    .report(PanicSource::Session, None, fall.panic);
            },
            None,
        )
    }

    /// Opens a session on polling and connects to the namespace `/`.
    async fn connect(engine: &Arc<Engine>) -> Handle {
        let open = engine.open_polling(NewClient::empty()).packet;
        let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
        let handle = engine.find(Id::parse(open["sid"].as_str().unwrap()).unwrap());
        let handle = handle.unwrap();
        post(&handle, "40").await;
        let connected = read(&handle.link.outbox).await.unwrap();
        assert!(connected.starts_with(r#"40{"sid":""#), "{connected}");
        handle
    }

    async fn post(handle: &Handle, body: &str) {
        let (done, taken) = oneshot::channel();
        let body = PostBody::Text(body.to_owned());
        handle.session.do_send(Deliver { body, done });
        within(taken).await.unwrap();
    }

    #[actix_rt::test]
    async fn panic_of_a_session_disconnects_its_client_only() {
        let mut fixture = Fixture::new();
        let namespace = fixture.registry.open("/");
        let (left, mut leavers) = unbounded_channel();
        let told = move |socket: Socket, reason: DisconnectReason| {
            left.send((socket.id(), reason)).unwrap();
            std::future::ready(())
        };
        namespace.handlers.on_disconnect(told);
        let engine = engine(&fixture.registry);
        let falls = connect(&engine).await;
        let falling = namespace.membership.all()[0].id.clone();
        let stays = connect(&engine).await;

        let waiting = tokio::spawn({
            let outbox = Arc::clone(&falls.link.outbox);
            async move { read(&outbox).await }
        });
        let boom = falls.session.send(Boom("fire")).await;
        assert_eq!(boom, Err(MailboxError::Closed));

        // Its client's poll receives the close.
        assert_eq!(waiting.await.unwrap().as_deref(), Some("1"));
        let crashed = fixture.crashes.next().await;
        assert_eq!(crashed.source, PanicSource::Session);
        assert_eq!(crashed.panic, "fire");
        let reason = DisconnectReason::Session(CloseReason::Panicked);
        assert_eq!(within(leavers.recv()).await, Some((falling, reason)));
        assert_eq!(reason.as_str(), "session panicked");
        assert!(engine.find(falls.link.id).is_none());
        assert_eq!(engine.count(), 1);

        post(&stays, r#"420["unheard"]"#).await;
        let answer = read(&stays.link.outbox).await.unwrap();
        assert!(answer.starts_with("430["), "{answer}");
        assert_eq!(namespace.membership.count(), 1);
    }

    #[actix_rt::test]
    async fn a_call_to_a_session_that_panics_fails_at_once() {
        let fixture = Fixture::new();
        let namespace = fixture.registry.open("/");
        let engine = engine(&fixture.registry);
        let handle = connect(&engine).await;
        let socket = Socket::new(
            &namespace.membership,
            Arc::clone(&namespace.membership.all()[0]),
        );
        let call = socket.call::<()>("ask", ());
        handle.session.do_send(Boom("fire"));
        let error = within(call).await.unwrap_err();
        assert!(
            matches!(error, crate::error::CallError::Disconnected),
            "{error}"
        );
    }

    #[actix_rt::test]
    async fn a_session_that_panics_while_closing_is_removed() {
        struct Bad;

        impl Protocol for Bad {
            fn text(&mut self, _: &str) -> Result<(), CloseReason> {
                panic!("on text");
            }

            fn binary(&mut self, _: Bytes) -> Result<(), CloseReason> {
                Ok(())
            }

            fn closed(&mut self, _: CloseReason) {
                panic!("on close");
            }
        }

        let (told, mut falls) = unbounded_channel();
        let engine = Engine::new(
            Arc::new(Config::new("/")),
            Box::new(|_, _| Box::new(Bad)),
            move |fall| told.send(fall.panic).unwrap(),
            None,
        );
        let open = engine.open_polling(NewClient::empty()).packet;
        let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
        let handle = engine.find(Id::parse(open["sid"].as_str().unwrap()).unwrap());
        let handle = handle.unwrap();
        let (done, taken) = oneshot::channel();
        let body = PostBody::Text("4text".to_owned());
        handle.session.do_send(Deliver { body, done });
        assert!(within(taken).await.is_err());
        assert_eq!(falls.recv().await.as_deref(), Some("on text"));
        assert_eq!(read(&handle.link.outbox).await.as_deref(), Some("1"));
        assert_eq!(engine.count(), 0);
    }
}
