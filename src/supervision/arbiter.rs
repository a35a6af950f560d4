//! The arbiter of actors that outlive every worker.

use actix::{Arbiter, ArbiterHandle};

/// Returns an arbiter for actors that outlive every worker: that of this thread if it has one,
/// otherwise one of a system of its own, for programs without actix.
pub(crate) fn lasting_arbiter() -> std::io::Result<ArbiterHandle> {
    if let Some(arbiter) = Arbiter::try_current() {
        return Ok(arbiter);
    }
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("socketio-system".to_owned())
        .spawn(move || {
            let system = actix_rt::System::new();
            let handle = system.block_on(async { Arbiter::try_current() });
            if sender.send(handle).is_ok() {
                // Ends with the process.
                let _ = system.run();
            }
        })?;
    let handle = receiver.recv().ok().flatten();
    handle.ok_or_else(|| std::io::Error::other("the actors' system did not start"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_actix_gets_an_arbiter_too() {
        let arbiter = lasting_arbiter().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        assert!(arbiter.spawn_fn(move || sender.send(()).unwrap()));
        receiver.recv().unwrap();
    }
}
