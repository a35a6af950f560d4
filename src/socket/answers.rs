//! A call to many: what each of them answers, as it comes.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Sleep, sleep};

use crate::id::SocketId;
use crate::link::Outgoing;
use crate::message::Gathered;
use crate::socket::core::Core;
use crate::socketio::{Args, ArgsError};

/// The answers of many sockets to one event, as they come: a stream of who answered, and what.
///
/// Made by [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack). It ends when everyone has
/// answered or left, or when time is up. Dropped before, it waits for nobody any more.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # async fn run(socket: actix_socketio::Socket) -> Result<(), actix_socketio::EmitError> {
/// let mut votes = socket
///     .to("lobby")
///     .timeout(Duration::from_secs(5))
///     .emit_with_ack::<bool>("vote", "lunch")
///     .await?;
/// while let Some((voter, vote)) = votes.next().await {
///     match vote {
///         Ok(vote) => log::info!("{voter} says {vote}"),
///         Err(error) => log::warn!("{voter} says something else: {error}"),
///     }
/// }
/// log::info!("{} of {} were silent", votes.missing().len(), votes.expected());
/// # Ok(()) }
/// ```
#[must_use = "nobody sees the answers"]
pub struct Answers<R> {
    receiver: UnboundedReceiver<(SocketId, Args)>,
    lapse: Pin<Box<Sleep>>,
    id: u64,
    asked: Vec<Arc<Core>>,
    answered: HashSet<SocketId>,
    timed_out: bool,
    read: PhantomData<fn() -> R>,
}

/// Sends a packet with this id to each of them. Who does not get it is not waited for.
pub(crate) fn ask<R>(
    asked: Vec<Arc<Core>>,
    id: u64,
    packet: &Outgoing,
    volatile: bool,
    limit: Duration,
) -> Answers<R> {
    let (answers, receiver) = unbounded_channel();
    for socket in &asked {
        if socket.expect_shared_ack(id, &answers).is_err() {
            continue;
        }
        let is_sent = if volatile {
            socket.deliver_volatile(packet.clone())
        } else {
            socket.deliver(packet.clone()).is_ok()
        };
        if !is_sent {
            socket.forget_call(id);
        }
    }
    Answers {
        receiver,
        lapse: Box::pin(sleep(limit)),
        id,
        asked,
        answered: HashSet::new(),
        timed_out: false,
        read: PhantomData,
    }
}

impl<R> Answers<R> {
    /// Returns how many sockets were asked.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.asked.len()
    }

    /// Returns who has not answered so far.
    #[must_use]
    pub fn missing(&self) -> Vec<SocketId> {
        let ids = self.asked.iter().map(|socket| socket.id);
        ids.filter(|id| !self.answered.contains(id)).collect()
    }

    /// Tells whether time was up before everyone had answered or left.
    #[must_use]
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    fn poll_args(&mut self, cx: &mut Context<'_>) -> Poll<Option<(SocketId, Args)>> {
        if self.timed_out {
            return Poll::Ready(None);
        }
        // Answers that are there are taken, whatever the time.
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some((id, args))) => {
                self.answered.insert(id);
                Poll::Ready(Some((id, args)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.lapse.as_mut().poll(cx).map(|()| {
                self.timed_out = true;
                None
            }),
        }
    }

    /// Waits for the answers and returns them as they came, unread.
    pub(crate) async fn gather(mut self) -> Gathered<Args> {
        let mut answers = Vec::new();
        while let Some(answer) = poll_fn(|cx| self.poll_args(cx)).await {
            answers.push(answer);
        }
        Gathered {
            answers,
            unreadable: Vec::new(),
            missing: self.missing(),
            timed_out: self.timed_out,
        }
    }
}

impl<R: DeserializeOwned> Answers<R> {
    /// Waits for the next answer; `None` is the end.
    pub async fn next(&mut self) -> Option<(SocketId, Result<R, ArgsError>)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for all answers, and says who gave none.
    pub async fn collect(mut self) -> Gathered<R> {
        let (mut answers, mut unreadable) = (Vec::new(), Vec::new());
        while let Some((id, answer)) = self.next().await {
            match answer {
                Ok(answer) => answers.push((id, answer)),
                Err(error) => unreadable.push((id, error)),
            }
        }
        Gathered {
            answers,
            unreadable,
            missing: self.missing(),
            timed_out: self.timed_out,
        }
    }
}

impl<R: DeserializeOwned> Stream for Answers<R> {
    type Item = (SocketId, Result<R, ArgsError>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.get_mut().poll_args(cx);
        next.map(|next| next.map(|(id, args)| (id, args.read())))
    }
}

impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        for socket in &self.asked {
            socket.forget_call(self.id);
        }
    }
}

impl<R> fmt::Debug for Answers<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("expected", &self.asked.len())
            .field("answered", &self.answered.len())
            .finish_non_exhaustive()
    }
}
