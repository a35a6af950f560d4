//! Logins that end: the warning before, and the disconnect.
//!
//! The session's one timer calls this at the time of the next step of any socket; a socket without
//! a login has no step. The wall clock is read here.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::client::passing::expiring;
use crate::client::state::{Client, Slot};
use crate::clock::wall;
use crate::members::LoginStep;
use crate::notice::DisconnectNotice;

impl Client {
    /// Executes the steps of logins that are due, and notes the time of the next one.
    pub(super) fn logins(&mut self, now: Instant) {
        let has_login = |slot: &Slot| slot.socket.state().login().is_some();
        if !self.slots.iter().any(has_login) {
            self.login_step_by = None;
            return;
        }
        let clock = wall();
        let waits = self.slots.iter().filter_map(|slot| slot.login_step(clock));
        self.login_step_by = waits.min().map(|wait| Box::new(now + wait));
    }
}

impl Slot {
    /// Executes the steps of this socket's login that are due. Returns the time until the next one.
    fn login_step(&self, now: SystemTime) -> Option<Duration> {
        let state = self.socket.state();
        let login = state.login()?;
        let lead = state.link.config.sockets.expiry_warning;
        loop {
            if state.has_ended() {
                return None;
            }
            match login.step(now, lead, state.is_connected())? {
                LoginStep::Wait(wait) => return Some(wait),
                LoginStep::Warn(left) => expiring(&self.socket, &self.namespace, left),
                LoginStep::Expire => {
                    let notice = Arc::new(DisconnectNotice::login_expired());
                    // If the reason cannot be sent, the client is disconnected without it.
                    let _ = self.socket.membership().disconnect_with(state, &notice);
                }
            }
        }
    }
}
