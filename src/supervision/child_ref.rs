//! The program's handle of a child.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::dev::{EnvelopeProxy, MessageResponse, OneshotSender};
use actix::{Actor, Addr, AsyncContext, Context, Handler, MailboxError, Message};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::supervision::ChildEnd;
use crate::supervision::group::ChildId;
use crate::supervision::mailbox::{Letter, Mailbox, Undelivered};
use crate::supervision::node::Node;

/// An actor that a [`Supervisor`](crate::Supervisor) runs: a cheap handle for any thread, which is
/// valid in each life of the actor.
///
/// Messages wait in the child's mailbox while it is restarted. After its end for good they are
/// [`DeadLetter`](crate::DeadLetter)s. Messages that are sent by the plain [`addr`](Self::addr) wait
/// too, but are dropped after the end, and have no order with those of the handle.
pub struct ChildRef<A: Actor> {
    pub(super) path: Arc<str>,
    pub(super) id: ChildId,
    pub(super) mailbox: Arc<Mailbox<A>>,
    pub(super) addr: Addr<A>,
    pub(super) supervisor: Arc<Node>,
    pub(super) ended: CancellationToken,
}

impl<A> ChildRef<A>
where
    A: Actor<Context = Context<A>>,
{
    /// Sends a message, and does not wait.
    pub fn do_send<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.put(message, None);
    }

    /// Sends a message, and waits for its result. The message is sent by the call, not by the first
    /// poll. If the future is dropped before the child takes the message, the child skips it.
    ///
    /// # Errors
    ///
    /// [`MailboxError::Closed`], if the child has ended for good, or panics with this message.
    pub fn send<M>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<M::Result, MailboxError>> + Send + use<A, M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let (sender, receiver) = oneshot::channel();
        self.put(message, Some(sender));
        async move { receiver.await.map_err(|_| MailboxError::Closed) }
    }

    /// Returns the actix address, for recipients. It is the same in each life of the child.
    #[must_use]
    pub fn addr(&self) -> Addr<A> {
        self.addr.clone()
    }

    /// Returns the names of the supervisors above the child, and its own, as `orders/store`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns how often the child was restarted.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.mailbox.vitals.restarts()
    }

    /// Returns the number of messages that wait for the child.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.mailbox.vitals.mailbox()
    }

    /// Returns the cause of the child's end for good; `None` as long as it may run.
    #[must_use]
    pub fn end(&self) -> Option<ChildEnd> {
        self.mailbox.end()
    }

    /// Stops the child for good, whatever its policy is.
    pub fn stop(&self) {
        self.supervisor.remove(self.id);
    }

    /// Waits for the child's end for good.
    pub async fn ended(&self) -> ChildEnd {
        self.ended.cancelled().await;
        self.end().unwrap_or(ChildEnd::Shutdown)
    }

    fn put<M>(&self, message: M, reply: Option<OneshotSender<M::Result>>)
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let message = Some(message);
        if let Err((letter, end)) = self.mailbox.put(Sent { message, reply }) {
            let undelivered = Letter::<A>::undelivered(Box::new(letter));
            if let Some(undelivered) = undelivered {
                self.supervisor.bury(&self.path, &end, undelivered);
            }
        }
    }
}

impl<A: Actor> Clone for ChildRef<A> {
    fn clone(&self) -> Self {
        Self {
            path: Arc::clone(&self.path),
            id: self.id,
            mailbox: Arc::clone(&self.mailbox),
            addr: self.addr.clone(),
            supervisor: Arc::clone(&self.supervisor),
            ended: self.ended.clone(),
        }
    }
}

impl<A: Actor> fmt::Debug for ChildRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildRef")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A message of a handle.
struct Sent<M: Message> {
    /// `None` after it was taken.
    message: Option<M>,
    /// The sender of the result, if somebody waits for it.
    reply: Option<OneshotSender<M::Result>>,
}

impl<M: Message> Sent<M> {
    /// Returns `true` if its sender has stopped waiting.
    fn is_cancelled(&self) -> bool {
        self.reply.as_ref().is_some_and(OneshotSender::is_closed)
    }
}

impl<A, M> EnvelopeProxy<A> for Sent<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: AsyncContext<A>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn handle(&mut self, actor: &mut A, ctx: &mut Context<A>) {
        if self.is_cancelled() {
            return;
        }
        if let Some(message) = self.message.take() {
            let result = actor.handle(message, ctx);
            result.handle(ctx, self.reply.take());
        }
    }
}

impl<A, M> Letter<A> for Sent<M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn undelivered(self: Box<Self>) -> Option<Undelivered> {
        if self.is_cancelled() {
            return None;
        }
        let message = self.message?;
        Some(Undelivered {
            message_type: type_name::<M>(),
            message: Box::new(message),
        })
    }
}
