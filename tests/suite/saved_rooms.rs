//! State that survives: the snapshots of rooms, and their stores.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context};
use actix_socketio::{
    Ack, Data, DirectoryRoomStore, MemoryRoomStore, RoomActor, RoomActors, RoomContext, RoomId,
    RoomStore, SaveOptions, SavedRoom, SocketIo, StoreError,
};
use futures_core::future::BoxFuture;
use parking_lot::Mutex;

use crate::support::panics::panics_of;
use crate::support::socketio::{BOTH, Client, Via, start, until};
use crate::support::{Server, within};

/// Counts, and survives.
struct Counter {
    room: RoomContext,
    count: u32,
}

impl Counter {
    fn add(&mut self, Data(number): Data<u32>, _: &mut Context<Self>) -> u32 {
        self.count += number;
        self.count
    }

    fn save_now(&mut self, ack: Ack, ctx: &mut Context<Self>) {
        let saved = self.room.save();
        // Part of the snapshot, because it is taken behind this message.
        self.count += 1000;
        ctx.spawn(actix::fut::wrap_future(async move {
            ack.send(saved.await.map_err(|error| error.to_string()));
        }));
    }

    fn forget(&mut self, ack: Ack, ctx: &mut Context<Self>) {
        let forgotten = self.room.forget();
        ctx.spawn(actix::fut::wrap_future(async move {
            ack.send(forgotten.await.map_err(|error| error.to_string()));
        }));
    }
}

fn break_down(counter: &mut Counter, _: &mut Context<Counter>) {
    counter.count += 7;
    panic!("the counter breaks");
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl RoomActor for Counter {}

impl SavedRoom for Counter {
    type Snapshot = u32;

    fn save(&self) -> u32 {
        self.count
    }

    fn restore(&mut self, count: u32) {
        self.count = count;
    }
}

fn counters(io: &SocketIo) -> RoomActors<Counter> {
    let pattern = io.of_pattern("/counter-{id}").unwrap();
    let rooms = pattern.actor(|room| Counter { room, count: 0 });
    rooms
        .on("add", Counter::add)
        .on("save", Counter::save_now)
        .on("forget", Counter::forget)
        .on("boom", break_down);
    rooms
}

async fn ask(client: &mut Client, id: u32, event: &str, answer: &str) {
    client.send(&format!("42/counter-1,{id}[{event}]")).await;
    client.expect(&format!("43/counter-1,{id}[{answer}]")).await;
}

/// A folder of this test alone, which is removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("saved-rooms-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A snapshot is taken behind the last leave, and the next actor starts with it.
#[on_both_servers]
async fn the_next_actor_starts_with_the_last_snapshot() {
    let server = start();
    let rooms = counters(&server.io);
    let store = MemoryRoomStore::new();
    rooms.saved(SaveOptions::new(store.clone()));
    let mut expected = 0;
    for via in BOTH {
        let mut client = Client::open(&server, via).await;
        client.connect("/counter-1").await;
        expected += 5;
        ask(&mut client, 1, r#""add",5"#, &expected.to_string()).await;
        client.close().await;
        until("the actor to end", || rooms.address("/counter-1").is_none()).await;
    }
    until("the write", || store.len() == 1).await;
}

/// In a directory it survives the program too; a server that stops waits for it.
#[on_both_servers]
async fn a_server_that_stops_waits_for_the_last_snapshots() {
    let folder = Folder::new();
    for round in 1..=2 {
        let server = start();
        let rooms = counters(&server.io);
        let store = DirectoryRoomStore::new(&folder.0).sync(round == 1);
        rooms
            .saved(SaveOptions::new(store))
            .grace(Duration::from_secs(60));
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.connect("/counter-1").await;
        ask(&mut client, 1, r#""add",5"#, &(5 * round).to_string()).await;
        assert!(server.io.close(Duration::from_secs(5)).await);
    }
    let file = folder.0.join("%2fcounter-1.json");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "10");
}

/// After a panic the actor continues from its last snapshot, with its members.
#[on_both_servers]
async fn a_panic_continues_from_the_last_snapshot() {
    let server = start();
    let mut panics = panics_of(&server.io);
    let rooms = counters(&server.io);
    rooms.saved(SaveOptions::new(MemoryRoomStore::new()));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/counter-1").await;
    ask(&mut client, 1, r#""add",5"#, "5").await;
    ask(&mut client, 2, r#""save""#, "").await;
    // Lost: no snapshot follows it.
    ask(&mut client, 3, r#""add",1"#, "1006").await;
    ask(
        &mut client,
        4,
        r#""boom""#,
        r#"{"error":"internal server error"}"#,
    )
    .await;
    assert_eq!(panics.next().await.panic, "the counter breaks");
    ask(&mut client, 5, r#""add",1"#, "1006").await;
}

/// By change, and at an interval, without a demand.
#[on_both_servers]
async fn snapshots_are_taken_behind_changes_and_at_intervals() {
    let short = Duration::from_millis(20);
    let schedules: [&dyn Fn(SaveOptions) -> SaveOptions; 3] = [
        &|options| options.on_change(Duration::ZERO),
        &|options| options.on_change(short),
        &|options| options.every(short),
    ];
    for schedule in schedules {
        let folder = Folder::new();
        let kept = Recording::new(DirectoryRoomStore::new(&folder.0));
        let saves = Arc::clone(&kept.saves);
        let server = start();
        let rooms = counters(&server.io);
        rooms.saved(schedule(SaveOptions::new(kept)));
        let mut client = Client::open(&server, Via::WebSocket).await;
        client.connect("/counter-1").await;
        for round in 1..=3 {
            ask(&mut client, 1, r#""add",1"#, &round.to_string()).await;
            let last = round.to_string();
            until("the snapshot", || saves.lock().last() == Some(&last)).await;
        }
        client.close().await;
        until("the actor to end", || rooms.address("/counter-1").is_none()).await;
        // An unchanged snapshot is not written again.
        let mut distinct = saves.lock().clone();
        distinct.dedup();
        assert_eq!(distinct, *saves.lock());
    }
}

/// A snapshot that the program deletes is not taken again, until the program asks for one.
#[on_both_servers]
async fn a_room_that_is_forgotten_begins_anew() {
    let server = start();
    let rooms = counters(&server.io);
    let store = MemoryRoomStore::new();
    rooms.saved(SaveOptions::new(store.clone()).on_change(Duration::ZERO));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/counter-1").await;
    ask(&mut client, 1, r#""add",5"#, "5").await;
    until("the snapshot", || store.len() == 1).await;
    ask(&mut client, 2, r#""forget""#, "").await;
    assert!(store.is_empty());
    ask(&mut client, 3, r#""add",5"#, "10").await;
    client.close().await;
    until("the actor to end", || rooms.address("/counter-1").is_none()).await;
    assert!(store.is_empty());
    let mut client = Client::open(&server, Via::Polling).await;
    client.connect("/counter-1").await;
    ask(&mut client, 1, r#""add",1"#, "1").await;
    ask(&mut client, 2, r#""save""#, "").await;
    assert_eq!(store.len(), 1);
}

/// A store, and what it was given.
#[derive(Clone)]
struct Recording<S> {
    store: S,
    saves: Arc<Mutex<Vec<String>>>,
    /// How many calls fail from now on.
    failing: Arc<AtomicU32>,
}

impl<S> Recording<S> {
    fn new(store: S) -> Self {
        let (saves, failing) = (Arc::default(), Arc::default());
        Self {
            store,
            saves,
            failing,
        }
    }

    fn fails(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let ordering = Ordering::Relaxed;
        self.failing
            .fetch_update(ordering, ordering, one_less)
            .is_ok()
    }
}

impl<S: RoomStore> RoomStore for Recording<S> {
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        if self.fails() {
            return Box::pin(async { Err(StoreError::new("the disk is away")) });
        }
        self.store.load(room)
    }

    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        snapshot: Vec<u8>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        if self.fails() {
            return Box::pin(async { panic!("the disk burns") });
        }
        self.saves
            .lock()
            .push(String::from_utf8(snapshot.clone()).unwrap());
        self.store.save(room, snapshot)
    }

    fn delete<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.delete(room)
    }
}

/// A snapshot that cannot be read refuses the clients, and is not overwritten.
#[on_both_servers]
async fn a_snapshot_that_cannot_be_read_refuses_clients() {
    let server = start();
    let rooms = counters(&server.io);
    let store = Recording::new(MemoryRoomStore::new());
    rooms.saved(SaveOptions::new(store.clone()));
    store.failing.store(1, Ordering::Relaxed);
    let refused = r#"{"message":"internal server error"}"#;
    let mut client = Client::open(&server, Via::WebSocket).await;
    let answer = client.connect_with("/counter-1", "").await;
    assert_eq!(answer.unwrap_err(), refused);
    client.connect("/counter-1").await;
    ask(&mut client, 1, r#""add",5"#, "5").await;
    client.close().await;
    until("the actor to end", || rooms.address("/counter-1").is_none()).await;

    let invalid = br#"{"count":"many"}"#.to_vec();
    until("the write", || !store.store.is_empty()).await;
    let id = counter_id(&store);
    store.store.save(&id, invalid.clone()).await.unwrap();
    let mut client = Client::open(&server, Via::Polling).await;
    let answer = client.connect_with("/counter-1", "").await;
    assert_eq!(answer.unwrap_err(), refused);
    assert_eq!(store.store.load(&id).await, Ok(Some(invalid)));
}

fn counter_id(store: &Recording<MemoryRoomStore>) -> RoomId {
    let ids = store.store.rooms();
    assert_eq!(ids[0].namespace(), "/counter-1");
    assert_eq!(ids[0].room(), None);
    ids[0].clone()
}

/// A write that fails is reported to the program, and tried again.
#[on_both_servers]
async fn a_write_that_fails_is_tried_again() {
    let server = start();
    let rooms = counters(&server.io);
    let store = Recording::new(MemoryRoomStore::new());
    rooms.saved(SaveOptions::new(store.clone()));
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/counter-1").await;
    store.failing.store(1, Ordering::Relaxed);
    let told = r#"{"error":"the store panicked: the disk burns"}"#;
    ask(&mut client, 1, r#""save""#, told).await;
    until("the second try", || *store.saves.lock() == ["1000"]).await;
    // A later snapshot is written behind it.
    ask(&mut client, 2, r#""save""#, "").await;
    assert_eq!(*store.saves.lock(), ["1000", "2000"]);
    within("the end", server.io.close(Duration::from_secs(4))).await;
}

/// Rooms that are not saved say so.
#[on_both_servers]
async fn a_room_that_is_not_saved_says_so() {
    let server: Server<SocketIo> = start();
    counters(&server.io);
    let mut client = Client::open(&server, Via::WebSocket).await;
    client.connect("/counter-1").await;
    let told = r#"{"error":"the rooms of this kind are not saved"}"#;
    ask(&mut client, 1, r#""save""#, told).await;
    ask(&mut client, 2, r#""forget""#, told).await;
}
