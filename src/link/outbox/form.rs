//! The form of the binary messages of an outbox's client.
//!
//! A packet takes it before it is added, so that its cost is that of its form.

use std::sync::atomic::Ordering;

use crate::link::Outgoing;
use crate::link::frame::{BinaryForm, Frame};
use crate::link::outbox::queue::Outbox;

impl Outbox {
    /// Sets the form of the client's binary messages.
    pub(crate) fn set_form(&self, form: BinaryForm) {
        self.form.store(form as u8, Ordering::Relaxed);
    }

    /// Returns the form of the client's binary messages.
    pub(super) fn form(&self) -> BinaryForm {
        let form = self.form.load(Ordering::Relaxed);
        if form == BinaryForm::V3 as u8 {
            BinaryForm::V3
        } else if form == BinaryForm::V3Base64 as u8 {
            BinaryForm::V3Base64
        } else {
            BinaryForm::V4
        }
    }

    /// Gives a binary message the client's form.
    pub(crate) fn formed(&self, mut message: Frame) -> Frame {
        message.take_form(self.form());
        message
    }

    /// Gives the binary messages of a packet the client's form, before its cost is counted. A text is
    /// the same in all forms.
    #[inline]
    pub(super) fn form_binary(&self, packet: &mut Outgoing) {
        if packet.is_more() {
            self.form_all(packet);
        }
    }

    /// Apart from the usual case, a text without attachments, so that the compiler keeps that
    /// short.
    #[cold]
    #[inline(never)]
    fn form_all(&self, packet: &mut Outgoing) {
        let form = self.form();
        if form != BinaryForm::V4 {
            *packet = packet.clone().map(|mut frame| {
                frame.take_form(form);
                frame
            });
        }
    }
}
