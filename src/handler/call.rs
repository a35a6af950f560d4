//! The conversion of an async function with extractors to a handler of the table.
//!
//! The arguments are extracted at once, from the packet's own bytes; the future runs in the
//! handler's place. Its result goes to the reply, the admission or the log.

use std::sync::Arc;

use actix::Recipient;

use crate::error::{INTERNAL, Rejection};
use crate::handler::context::NamespaceContext;
use crate::handler::extract::{ConnectContext, DisconnectContext, Event, EventContext, Extract};
use crate::handler::failure::{FailureCause, failed, failed_as, panicked};
use crate::handler::future_slots::FutureSlots;
use crate::handler::kinds::{
    AsyncEventCheck, ConnectHandler, ConnectedHandler, EventHandler, LeaveHandler,
};
use crate::handler::pending::{Pending, Unfinished};
use crate::handler::turn::save;
use crate::handler::{ConnectOutcome, EventOutcome, Handler, LeaveOutcome};
use crate::link::InFlight;
use crate::panics::catch_panic;
use crate::socket::Socket;

/// Makes the handler of an event.
pub(crate) fn on_event<H, A>(handler: H) -> EventHandler
where
    H: Handler<A>,
    H::Output: EventOutcome,
    A: for<'a> Extract<EventContext<'a>> + 'static,
{
    let slots = FutureSlots::new();
    Arc::new(move |incoming| match A::extract(incoming) {
        Err(rejection) => incoming.take_reply().reject(rejection),
        Ok(args) => {
            incoming.hand_over();
            let reply = incoming.take_reply();
            let state = incoming.socket.state();
            let timer = incoming.start_timer();
            slots.run(
                || handler.call(args),
                move |ended| {
                    if let Some(timer) = timer {
                        timer.stop();
                    }
                    reply.finish(ended);
                },
                || Pending::of_event(state, incoming.size()),
            );
        }
    })
}

/// Makes an actor the handler of an event.
pub(crate) fn forward(actor: Recipient<Event>) -> EventHandler {
    let slots = FutureSlots::new();
    Arc::new(move |incoming| {
        let limit = incoming.socket.state().link.config.sockets.ack_timeout;
        let event = Event::forwarded(incoming);
        let actor = actor.clone();
        let (socket, context) = (incoming.socket.clone(), Arc::clone(incoming.context));
        let name = Arc::clone(incoming.event);
        let is_answering = event.is_answering();
        // `send` by a new recipient, so that the event counts as in flight until the actor has
        // taken it. An event that is not taken answers itself when it is dropped.
        let sent = move || async move {
            let sent = tokio::time::timeout(limit, actor.send(event)).await;
            // If the actor has ended and dropped the event, its `Ack` has reported it already.
            if sent.is_err() || matches!(sent, Ok(Err(_))) && !is_answering {
                failed(&context, &socket, &name, FailureCause::NotTaken);
            }
        };
        let state = incoming.socket.state();
        slots.run(sent, |_| (), || Pending::of_socket(state, incoming.size()));
    })
}

/// Makes an asynchronous check of events.
pub(crate) fn check<H, A>(check: H) -> AsyncEventCheck
where
    H: Handler<A, Output = Result<(), Rejection>>,
    A: for<'a> Extract<EventContext<'a>> + 'static,
{
    Arc::new(move |incoming| Ok(Box::pin(check.call(A::extract(incoming)?))))
}

/// Makes the handler of a connecting client.
pub(crate) fn on_connect<H, A>(handler: H) -> ConnectHandler
where
    H: Handler<A>,
    H::Output: ConnectOutcome,
    A: for<'a> Extract<ConnectContext<'a>> + 'static,
{
    let slots = FutureSlots::new();
    Arc::new(move |connecting, admission| {
        let args = match A::extract(connecting) {
            Ok(args) => args,
            Err(rejection) => {
                let error = rejection.refusal();
                let cause = FailureCause::Rejected(rejection);
                failed(connecting.context, connecting.socket, "connect", cause);
                return admission(Err(error));
            }
        };
        let (socket, context) = (connecting.socket.clone(), connecting.context.clone());
        let finish = move |ended: Result<H::Output, Unfinished>| {
            // The conversion of an error to a `ConnectError` may run code of the program too.
            let decided = ended.and_then(|outcome| {
                catch_panic(|| outcome.outcome()).map_err(Unfinished::Panicked)
            });
            admission(match decided {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    let message = error.message().to_owned();
                    let cause = if error.is_internal() {
                        FailureCause::Returned(serde_json::Value::from(message).to_string())
                    } else {
                        FailureCause::Refused(message)
                    };
                    failed(&context, &socket, "connect", cause);
                    Err(error)
                }
                Err(Unfinished::Panicked(panic)) => {
                    panicked(&context, &socket, "connect", panic);
                    Err(INTERNAL.into())
                }
                Err(Unfinished::Dropped) => {
                    failed(&context, &socket, "connect", FailureCause::Dropped);
                    Err(INTERNAL.into())
                }
            });
        };
        let state = connecting.socket.state();
        // The payload belongs to the socket, and is kept as long as the socket.
        let pending = || Pending::of_socket(state, 0);
        slots.run(|| handler.call(args), finish, pending);
    })
}

/// Makes the handler of a client whose login ends soon.
pub(crate) fn on_expiring<H, A>(handler: H) -> ConnectedHandler
where
    H: Handler<A>,
    H::Output: LeaveOutcome,
    A: for<'a> Extract<ConnectContext<'a>> + 'static,
{
    let slots = FutureSlots::new();
    Arc::new(move |connected| match A::extract(connected) {
        Ok(args) => {
            let finish = noted(connected.context, connected.socket, "expiring");
            let state = connected.socket.state();
            slots.run(
                || handler.call(args),
                finish,
                || Pending::of_socket(state, 0),
            );
        }
        Err(rejection) => {
            let cause = FailureCause::Rejected(rejection);
            failed(connected.context, connected.socket, "expiring", cause);
        }
    })
}

/// Makes the handler of a client that is disconnecting, or has disconnected.
pub(crate) fn on_leave<H, A>(event: &'static str, handler: H) -> LeaveHandler
where
    H: Handler<A>,
    H::Output: LeaveOutcome,
    A: for<'a> Extract<DisconnectContext<'a>> + 'static,
{
    let slots = FutureSlots::new();
    Arc::new(move |leaving| match A::extract(leaving) {
        Ok(args) => {
            let finish = noted(leaving.context, leaving.socket, event);
            let link = &leaving.socket.state().link;
            slots.run(
                || handler.call(args),
                finish,
                || InFlight::enter_leaving(link),
            );
        }
        Err(rejection) => {
            let cause = FailureCause::Rejected(rejection);
            failed(leaving.context, leaving.socket, event, cause);
        }
    })
}

/// Returns the end of a handler that answers nobody: its failure is reported, and the session of a
/// store is saved.
fn noted<O: LeaveOutcome>(
    context: &Arc<NamespaceContext>,
    socket: &Socket,
    event: &'static str,
) -> impl FnOnce(Result<O, Unfinished>) + use<O> {
    let (socket, context) = (socket.clone(), context.clone());
    move |ended| {
        // An error's `Display` may run code of the program too.
        let error = |outcome: O| Some((outcome.error()?, outcome.says_gone()));
        let failure =
            ended.and_then(|outcome| catch_panic(|| error(outcome)).map_err(Unfinished::Panicked));
        match failure {
            Ok(None) => {}
            Ok(Some((text, says_gone))) => {
                let json = serde_json::Value::from(text).to_string();
                let cause = FailureCause::Returned(json);
                failed_as(&context, &socket, event, cause, says_gone);
            }
            Err(Unfinished::Panicked(panic)) => {
                panicked(&context, &socket, event, panic);
            }
            Err(Unfinished::Dropped) => {
                failed(&context, &socket, event, FailureCause::Dropped);
            }
        }
        save(&context, &socket, event);
    }
}
