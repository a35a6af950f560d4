//! The position of a client in the events of a whole cluster.
//!
//! A node delivers its own events to its clients before the stream gives them an id; events of
//! other nodes have one. So an offset has two parts: all events of one node up to a number of that
//! node, and all events of the other nodes up to an entry of the stream. The entries that a node
//! has read from the stream before it sent an event also precede that event in the stream, so the
//! two parts leave no gap.

use std::fmt;
use std::str::FromStr;

/// A position in the events of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterOffset {
    /// The node whose own events are counted; empty if all of them have ids.
    pub(crate) node: String,
    pub(crate) own: u64,
    pub(crate) entry: EntryId,
}

impl ClusterOffset {
    /// The length of the name of a node that writes offsets, in hexadecimal digits.
    pub(crate) const NODE_LENGTH: usize = 16;

    /// Returns `true` if a client at this offset has already received an entry.
    pub(crate) fn covers(&self, node: &str, own: Option<u64>, entry: EntryId) -> bool {
        match own {
            Some(own) if node == self.node => own <= self.own,
            _ => entry <= self.entry,
        }
    }
}

impl fmt::Display for ClusterOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.node, self.own, self.entry)
    }
}

impl FromStr for ClusterOffset {
    type Err = ();

    /// Reads an offset, or the bare id of an entry, which is the offset of other servers. It comes
    /// from a client, so a name that no node can have is refused before it is stored.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.rsplitn(3, '.');
        let entry = parts.next().ok_or(())?.parse()?;
        Ok(match (parts.next(), parts.next()) {
            (Some(own), Some(node)) if is_node(node) => Self {
                node: node.to_owned(),
                own: own.parse().map_err(|_| ())?,
                entry,
            },
            (None, _) => Self {
                entry,
                ..Self::default()
            },
            (Some(_), _) => return Err(()),
        })
    }
}

/// Returns `true` if a text can be a node's name, or is empty.
fn is_node(text: &str) -> bool {
    let digits = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.is_empty() || text.len() == ClusterOffset::NODE_LENGTH && text.bytes().all(digits)
}

/// The id of a stream's entry: milliseconds, and a counter within the same millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId {
    pub(crate) time: u64,
    pub(crate) number: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.time, self.number)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, number) = text.split_once('-').ok_or(())?;
        let number_of = |text: &str| text.parse().map_err(|_| ());
        Ok(Self {
            time: number_of(time)?,
            number: number_of(number)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written_and_so_are_bare_ids() {
        for text in ["63cb95890f858ad4.17.1732360000000-3", ".0.0-0"] {
            assert_eq!(text.parse::<ClusterOffset>().unwrap().to_string(), text);
        }
        let bare: ClusterOffset = "1732360000000-3".parse().unwrap();
        assert_eq!((bare.node.as_str(), bare.entry.number), ("", 3));
        for text in [
            "",
            "3",
            "a-b",
            "a.1-2",
            "63cb95890f858ad4.x.1-2",
            "1-2-3",
            "63cb95890f858ad.1.1-2",
            "63cb95890f858ad45.1.1-2",
            "63cb95890f858ad\u{e4}.1.1-2",
            "63CB95890F858AD4.1.1-2",
        ] {
            assert!(text.parse::<ClusterOffset>().is_err(), "{text}");
        }
    }

    #[test]
    fn own_events_are_covered_by_number_and_others_by_entry() {
        let offset = ClusterOffset {
            node: "a".to_owned(),
            own: 5,
            entry: "100-0".parse().unwrap(),
        };
        let at = |time| EntryId { time, number: 0 };
        assert!(offset.covers("a", Some(5), at(101)));
        assert!(!offset.covers("a", Some(6), at(101)));
        assert!(offset.covers("b", Some(9), at(100)));
        assert!(!offset.covers("b", Some(1), at(101)));
        assert!(!offset.covers("a", None, at(101)));
    }
}
