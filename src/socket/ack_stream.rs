//! A call to many sockets: their answers, as they arrive.

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

use crate::cluster::{Answer, Coverage, NodeId, Reply};
use crate::id::SocketId;
use crate::link::{Outgoing, Pushed};
use crate::members::{Crowd, SocketState};
use crate::message::AckResults;
use crate::socketio::{Args, ArgsError};

/// The answers of many sockets to one event, as a stream of sockets and answers. The socket is
/// unknown if it is on another kind of node, such as a Node.js server.
///
/// Made by [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack). It ends after all sockets
/// have answered or disconnected, or at the timeout. If it is dropped earlier, the answers are
/// ignored.
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
///         Ok(vote) => log::info!("{voter:?} says {vote}"),
///         Err(error) => log::warn!("{voter:?} says something else: {error}"),
///     }
/// }
/// log::info!("{} of {} were silent", votes.missing().len(), votes.expected());
/// # Ok(()) }
/// ```
#[must_use = "the acknowledgements are dropped"]
pub struct AckStream<R> {
    receiver: UnboundedReceiver<(SocketId, Args)>,
    lapse: Pin<Box<Sleep>>,
    id: u64,
    asked: Vec<Arc<SocketState>>,
    answered: HashSet<SocketId>,
    timed_out: bool,
    here_ended: bool,
    elsewhere: RemoteAnswers,
    read: PhantomData<fn() -> R>,
}

/// The answers of other nodes so far.
#[derive(Debug, Default)]
struct RemoteAnswers {
    /// `None` if no other node is asked, or all have answered.
    answers: Option<UnboundedReceiver<Answer>>,
    asked: usize,
    answered: usize,
    coverage: Coverage,
}

/// A call to many sockets in progress.
#[must_use = "`crowd` needs a call of `give_turn`"]
pub(crate) struct Asked<R> {
    pub(crate) answers: AckStream<R>,
    pub(crate) crowd: Crowd,
}

/// Sends a packet with this id to each socket. If a socket does not receive it, its answer is not
/// awaited.
pub(crate) fn ask<R>(
    asked: Vec<Arc<SocketState>>,
    id: u64,
    packet: &Outgoing,
    volatile: bool,
    limit: Duration,
) -> Asked<R> {
    let (answers, receiver) = unbounded_channel();
    let mut crowd = Crowd::new();
    for socket in &asked {
        if socket.expect_shared_ack(id, &answers).is_err() {
            continue;
        }
        let sent = if volatile {
            let is_sent = socket.deliver_volatile(packet.clone());
            is_sent.then_some(Pushed::Within)
        } else {
            socket.deliver(packet.clone()).ok()
        };
        match sent {
            Some(Pushed::Within) => {}
            Some(Pushed::Over) => crowd.push(Arc::clone(socket)),
            None => socket.forget_call(id),
        }
    }
    let answers = AckStream {
        receiver,
        lapse: Box::pin(sleep(limit)),
        id,
        asked,
        answered: HashSet::new(),
        timed_out: false,
        here_ended: false,
        elsewhere: RemoteAnswers::default(),
        read: PhantomData,
    };
    Asked { answers, crowd }
}

impl<R> AckStream<R> {
    /// Adds the answers of other nodes.
    pub(crate) fn and_elsewhere(mut self, answers: UnboundedReceiver<Answer>) -> Self {
        self.elsewhere.answers = Some(answers);
        self
    }

    /// Returns the number of asked sockets; in a cluster, the number known so far.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.asked.len().saturating_add(self.elsewhere.asked)
    }

    /// Returns the sockets of this node that have not answered so far.
    #[must_use]
    pub fn missing(&self) -> Vec<SocketId> {
        let ids = self.asked.iter().map(|socket| socket.id.clone());
        ids.filter(|id| !self.answered.contains(id)).collect()
    }

    /// Returns `true` if every socket of this node has answered.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_complete(&self) -> bool {
        self.answered.len() == self.asked.len()
    }

    /// Returns the number of sockets of other nodes that have not answered so far.
    #[must_use]
    pub fn missing_elsewhere(&self) -> usize {
        self.elsewhere.asked.saturating_sub(self.elsewhere.answered)
    }

    /// Returns the nodes that did not report the number of asked sockets, or that ended before
    /// their sockets had answered. It is known after the end of the answers.
    #[must_use]
    pub fn unresponsive_nodes(&self) -> &[NodeId] {
        self.elsewhere.coverage.unresponsive_nodes()
    }

    /// Returns the nodes that did not answer, and the reason if they could not be asked. It is
    /// known after the end of the answers.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.elsewhere.coverage
    }

    /// Returns `true` if the timeout ended it before all sockets had answered or disconnected.
    #[must_use]
    pub fn has_timed_out(&self) -> bool {
        self.timed_out
    }

    fn poll_args(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Option<SocketId>, Args)>> {
        let here = self.poll_here(cx);
        if let Poll::Ready(Some((id, args))) = here {
            return Poll::Ready(Some((Some(id), args)));
        }
        match self.poll_elsewhere(cx) {
            Poll::Ready(None) => here.map(|_| None),
            other => other,
        }
    }

    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<Option<(SocketId, Args)>> {
        if self.here_ended {
            return Poll::Ready(None);
        }
        // Present answers are taken, even after the timeout.
        match self.receiver.poll_recv(cx) {
            Poll::Ready(Some((id, args))) => {
                self.answered.insert(id.clone());
                return Poll::Ready(Some((id, args)));
            }
            Poll::Ready(None) => {}
            Poll::Pending => {
                std::task::ready!(self.lapse.as_mut().poll(cx));
                self.timed_out = true;
            }
        }
        self.here_ended = true;
        Poll::Ready(None)
    }

    fn poll_elsewhere(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Option<SocketId>, Args)>> {
        let elsewhere = &mut self.elsewhere;
        while let Some(answers) = &mut elsewhere.answers {
            match std::task::ready!(answers.poll_recv(cx)) {
                Some(Answer::Reply(Reply::Asked(count))) => {
                    elsewhere.asked = elsewhere.asked.saturating_add(count);
                }
                Some(Answer::Reply(Reply::Acknowledged(socket, args))) => {
                    elsewhere.answered += 1;
                    return Poll::Ready(Some((socket, args)));
                }
                Some(Answer::Coverage(coverage)) => {
                    self.timed_out |= coverage.timed_out;
                    elsewhere.coverage = coverage;
                }
                Some(Answer::Reply(_)) => {}
                None => elsewhere.answers = None,
            }
        }
        Poll::Ready(None)
    }

    /// Waits for the next answer, as raw arguments.
    #[cfg(feature = "cluster")]
    pub(crate) async fn next_args(&mut self) -> Option<(Option<SocketId>, Args)> {
        poll_fn(|cx| self.poll_args(cx)).await
    }

    /// Waits for the answers and returns them in the order of arrival, as raw arguments.
    pub(crate) async fn gather(mut self) -> AckResults<Args> {
        let mut answers = Vec::new();
        while let Some(answer) = poll_fn(|cx| self.poll_args(cx)).await {
            answers.push(answer);
        }
        AckResults {
            answers,
            unreadable: Vec::new(),
            missing: self.missing(),
            missing_elsewhere: self.missing_elsewhere(),
            coverage: self.elsewhere.coverage.clone(),
            timed_out: self.timed_out,
        }
    }
}

impl<R: DeserializeOwned> AckStream<R> {
    /// Waits for the next answer; `None` is the end.
    pub async fn next(&mut self) -> Option<(Option<SocketId>, Result<R, ArgsError>)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for all answers, and also returns the sockets without one.
    pub async fn collect(mut self) -> AckResults<R> {
        let (mut answers, mut unreadable) = (Vec::new(), Vec::new());
        while let Some((id, answer)) = self.next().await {
            match answer {
                Ok(answer) => answers.push((id, answer)),
                Err(error) => unreadable.push((id, error)),
            }
        }
        AckResults {
            answers,
            unreadable,
            missing: self.missing(),
            missing_elsewhere: self.missing_elsewhere(),
            coverage: self.elsewhere.coverage.clone(),
            timed_out: self.timed_out,
        }
    }
}

impl<R: DeserializeOwned> Stream for AckStream<R> {
    type Item = (Option<SocketId>, Result<R, ArgsError>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.get_mut().poll_args(cx);
        next.map(|next| next.map(|(id, args)| (id, args.read())))
    }
}

impl<R> Drop for AckStream<R> {
    fn drop(&mut self) {
        for socket in &self.asked {
            socket.forget_call(self.id);
        }
    }
}

impl<R> fmt::Debug for AckStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AckStream")
            .field("expected", &self.asked.len())
            .field("answered", &self.answered.len())
            .finish_non_exhaustive()
    }
}
