//! Marks in the recipients of a message: content for nodes of this crate only.
//!
//! A mark is an exception with a name that no room has, so a node of another kind does what the
//! message says without it.

use crate::cluster::Scope;
use crate::notice::DisconnectNotice;

impl Scope {
    /// Marks an event that nodes of this crate do not deliver, because they make it themselves.
    pub(crate) fn for_other_kinds(mut self) -> Self {
        self.except.insert(0, FOR_OTHER_KINDS.to_owned());
        self
    }

    /// Returns `true` if the event is for other kinds of nodes.
    pub(crate) fn is_for_other_kinds(&self) -> bool {
        self.except.first().is_some_and(|it| it == FOR_OTHER_KINDS)
    }

    /// Adds the notice of a disconnect. If the clients are to reconnect, other kinds of nodes do
    /// nothing: their disconnect would keep the clients away.
    pub(crate) fn with_notice(mut self, notice: &DisconnectNotice) -> Self {
        // A notice is plain data, and always has a text.
        let text = serde_json::to_string(notice).unwrap_or_default();
        let mut marks = vec![NOTICE.to_owned(), text];
        if notice.reconnects() {
            let rooms = std::mem::replace(&mut self.rooms, NOBODY.map(str::to_owned).to_vec());
            marks.push(rooms.len().to_string());
            marks.extend(rooms);
        }
        marks.append(&mut self.except);
        self.except = marks;
        self
    }

    /// Takes the notice of a disconnect, and restores the recipients.
    pub(crate) fn take_notice(&mut self) -> Option<DisconnectNotice> {
        self.except.first().filter(|it| *it == NOTICE)?;
        let notice: DisconnectNotice = serde_json::from_str(self.except.get(1)?).ok()?;
        if !notice.reconnects() {
            self.except.drain(..2);
            return Some(notice);
        }
        let rooms: usize = self.except.get(2)?.parse().ok()?;
        let after = rooms.checked_add(3)?;
        if after > self.except.len() {
            return None;
        }
        let except = self.except.split_off(after);
        self.rooms = self.except.split_off(3);
        self.except = except;
        Some(notice)
    }
}

/// The first exception of a disconnect with a notice; the second is the notice.
const NOTICE: &str = "@disconnect-notice";

/// The first exception of an event for other kinds of nodes.
const FOR_OTHER_KINDS: &str = "@other-kinds";

/// Rooms without members. Two, because some formats send what is for one room to its members' nodes
/// only.
const NOBODY: [&str; 2] = ["@nobody", "@nobody-else"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_taken_and_the_recipients_are_restored() {
        let kicked = DisconnectNotice::new("kicked").with_data(7);
        for notice in [kicked.clone(), kicked.clone().close(), kicked.reconnect()] {
            for rooms in [&[][..], &["a"], &["a", "b"]] {
                let scope = Scope {
                    rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
                    except: vec!["c".to_owned()],
                };
                let mut marked = scope.clone().with_notice(&notice);
                assert_eq!(marked.rooms == scope.rooms, !notice.reconnects());
                assert_eq!(marked.take_notice(), Some(notice.clone()));
                assert_eq!(marked, scope);
                assert_eq!(marked.take_notice(), None);
            }
        }
    }

    #[test]
    fn damaged_marks_are_no_notice() {
        let reconnect = DisconnectNotice::new("x").reconnect();
        let text = serde_json::to_string(&reconnect).unwrap();
        let max = usize::MAX.to_string();
        for except in [
            vec![NOTICE],
            vec![NOTICE, "{}"],
            vec![NOTICE, &text],
            vec![NOTICE, &text, "x"],
            vec![NOTICE, &text, "2", "a"],
            vec![NOTICE, &text, &max],
        ] {
            let mut scope = Scope {
                rooms: Vec::new(),
                except: except.into_iter().map(str::to_owned).collect(),
            };
            assert_eq!(scope.take_notice(), None, "{scope:?}");
        }
    }
}
