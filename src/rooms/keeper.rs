//! The latest snapshot of one room, and its way to and from the store.
//!
//! Snapshots enter from the task in the actor, requests for them from the program. One write is in
//! progress at a time, and a later snapshot replaces one that waits. The actor is not known here.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::panics::Caught;
use crate::rooms::store::{RoomId, RoomStore, StoreError};

/// The snapshot of a room.
pub(super) struct Keeper {
    room: RoomId,
    store: Arc<dyn RoomStore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_loaded: bool,
    latest: Option<Arc<[u8]>>,
    /// The store has the latest snapshot, or must have none.
    is_written: bool,
    is_writing: bool,
    /// The program wants no more snapshots by the schedule.
    is_forgotten: bool,
    /// The program waits for the snapshot that is taken next.
    requests: Vec<SaveRequest>,
    /// The program waits for the write of the latest snapshot.
    waiting: Vec<SaveRequest>,
    /// The task in the actor.
    waker: Option<Waker>,
}

/// Receives the outcome of a write.
pub(super) type SaveRequest = oneshot::Sender<Result<(), StoreError>>;

impl Keeper {
    pub(super) fn new(room: RoomId, store: Arc<dyn RoomStore>) -> Self {
        let state = State {
            is_written: true,
            ..State::default()
        };
        Self {
            room,
            store,
            state: Mutex::new(state),
        }
    }

    /// Returns `true` if the snapshot was read since the last [`unload`](Self::unload).
    pub(super) fn is_loaded(&self) -> bool {
        self.state.lock().is_loaded
    }

    /// Reads the snapshot.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let loaded = timeout(LOAD_LIMIT, Caught::new(self.store.load(&self.room))).await;
        let snapshot = match loaded {
            Ok(Ok(loaded)) => loaded?,
            Ok(Err(panic)) => return Err(StoreError::new(format!("the store panicked: {panic}"))),
            Err(_) => {
                let text = format!("the store did not answer within {LOAD_LIMIT:?}");
                return Err(StoreError::new(text));
            }
        };
        let mut state = self.state.lock();
        state.is_loaded = true;
        state.latest = snapshot.map(Arc::from);
        Ok(())
    }

    /// Drops the snapshot from memory, because there is no actor. The next one reads it again.
    pub(super) fn unload(&self) {
        let mut state = self.state.lock();
        if !state.is_writing {
            (state.is_loaded, state.latest) = (false, None);
        }
    }

    /// Returns the snapshot with which the next actor starts.
    pub(super) fn latest(&self) -> Option<Arc<[u8]>> {
        self.state.lock().latest.clone()
    }

    /// Asks for a snapshot, behind the present message of the actor.
    pub(super) fn request(&self) -> oneshot::Receiver<Result<(), StoreError>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.is_forgotten = false;
        state.requests.push(sender);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        receiver
    }

    /// Takes the requests; `waker` is woken by the next one.
    pub(super) fn take_requests(&self, waker: &Waker) -> Vec<SaveRequest> {
        let mut state = self.state.lock();
        state.waker = Some(waker.clone());
        std::mem::take(&mut state.requests)
    }

    /// Keeps a snapshot that was taken for these requests, or by the schedule. Returns `true` if the
    /// caller must start [`write`](Self::write).
    pub(super) fn keep(&self, snapshot: Vec<u8>, requests: Vec<SaveRequest>) -> bool {
        let mut state = self.state.lock();
        if state.is_forgotten {
            return false;
        }
        let is_new = state.latest.as_deref() != Some(&snapshot[..]);
        if is_new {
            state.latest = Some(snapshot.into());
            state.is_written = false;
        }
        if state.is_written {
            answer_all(requests, &Ok(()));
            return false;
        }
        state.waiting.extend(requests);
        !std::mem::replace(&mut state.is_writing, true)
    }

    /// Drops the snapshot, also from the store. Returns `true` if the caller must start
    /// [`write`](Self::write).
    pub(super) fn forget(&self) -> (bool, oneshot::Receiver<Result<(), StoreError>>) {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        (state.is_forgotten, state.is_written, state.latest) = (true, false, None);
        state.waiting.push(sender);
        (!std::mem::replace(&mut state.is_writing, true), receiver)
    }

    /// Returns `true` if the store has the latest snapshot.
    pub(super) fn is_settled(&self) -> bool {
        !self.state.lock().is_writing
    }

    /// Writes until the store has the latest snapshot.
    pub(super) async fn write(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (latest, waiting) = {
                let mut state = self.state.lock();
                (state.latest.clone(), std::mem::take(&mut state.waiting))
            };
            let written = self.put(latest.as_deref()).await;
            answer_all(waiting, &written);
            match written {
                Ok(()) if self.is_done(latest.as_ref()) => return,
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    log::error!("{} was not saved, again in {pause:?}: {error}", self.room);
                    sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    /// Ends the writes, unless there is a later snapshot than the written one. Requests for this one
    /// that arrived during its write are answered by it.
    fn is_done(&self, written: Option<&Arc<[u8]>>) -> bool {
        let mut state = self.state.lock();
        let is_latest = is_same(written, state.latest.as_ref());
        if is_latest {
            (state.is_written, state.is_writing) = (true, false);
            answer_all(std::mem::take(&mut state.waiting), &Ok(()));
        }
        is_latest
    }

    async fn put(&self, snapshot: Option<&[u8]>) -> Result<(), StoreError> {
        let put = match snapshot {
            Some(snapshot) => self.store.save(&self.room, snapshot.to_vec()),
            None => self.store.delete(&self.room),
        };
        let caught = Caught::new(put).await;
        caught.unwrap_or_else(|panic| Err(StoreError::new(format!("the store panicked: {panic}"))))
    }
}

/// Gives the outcome to everybody who has asked.
pub(super) fn answer_all(requests: Vec<SaveRequest>, outcome: &Result<(), StoreError>) {
    for request in requests {
        // The program may have stopped to wait.
        let _ = request.send(outcome.clone());
    }
}

fn is_same(one: Option<&Arc<[u8]>>, other: Option<&Arc<[u8]>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// The time limit of a read.
const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// The pauses behind a write that has failed: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::store::MemoryRoomStore;

    /// A snapshot that is written already, or is being written, is an answer to all who ask for it.
    #[actix_rt::test]
    async fn each_request_for_a_snapshot_is_answered_by_its_write() {
        let keeper = Keeper::new(RoomId::new("/", None), Arc::new(MemoryRoomStore::new()));
        let request = || {
            let received = keeper.request();
            (keeper.take_requests(Waker::noop()), received)
        };
        let (first, first_answer) = request();
        assert!(keeper.keep(b"1".to_vec(), first));
        // Its write has begun, and takes the requests so far.
        let write = keeper.state.lock().waiting.drain(..).collect();
        answer_all(write, &Ok(()));
        let (second, second_answer) = request();
        assert!(!keeper.keep(b"1".to_vec(), second));
        let latest = keeper.latest();
        assert!(keeper.is_done(latest.as_ref()));
        let (third, third_answer) = request();
        assert!(!keeper.keep(b"1".to_vec(), third));
        for answer in [first_answer, second_answer, third_answer] {
            assert_eq!(answer.await, Ok(Ok(())));
        }
    }
}
