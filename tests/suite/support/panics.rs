//! The panics of a server, as its supervisor hears of them.

use std::future::pending;
use std::sync::mpsc;
use std::thread;

use actix::{Actor, Context, Handler, System};
use actix_socketio::{Panicked, SocketIo};
use tokio::sync::mpsc::UnboundedSender;

use super::{Heard, channel};

/// Supervises the server by an actor on a thread of its own.
pub(crate) fn panics_of(io: &SocketIo) -> Heard<Panicked> {
    let (told, panics) = channel();
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async move {
            sender.send(Supervisor(told).start().recipient()).unwrap();
            pending::<()>().await;
        });
    });
    io.supervise(started.recv().unwrap());
    panics
}

struct Supervisor(UnboundedSender<Panicked>);

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Panicked> for Supervisor {
    type Result = ();

    fn handle(&mut self, panicked: Panicked, _: &mut Self::Context) {
        let _ = self.0.send(panicked);
    }
}
