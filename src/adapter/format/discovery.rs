//! The other nodes of a namespace, found by the channels to which they subscribe.

use std::collections::HashSet;

use crate::adapter::format::channel::{Channel, glob};

/// The discovery of the nodes of a namespace: all subscribe to one channel, and each to a channel
/// of its own name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeDiscovery {
    /// The channel to which all subscribe.
    pub(crate) everyone: Channel,
    /// The part of the channels' names before the nodes'.
    pub(crate) prefix: String,
    /// The number of characters of a node's name.
    pub(crate) length: usize,
}

impl NodeDiscovery {
    /// Returns the pattern of the nodes' own channels.
    pub(crate) fn pattern(&self) -> String {
        format!("{}{}#", glob(&self.prefix), "?".repeat(self.length))
    }

    /// Returns the channel of a node.
    pub(crate) fn channel(&self, name: &str) -> Channel {
        let channel = format!("{}{name}#", self.prefix);
        match self.everyone {
            Channel::Shard(_) => Channel::Shard(channel),
            Channel::Plain(_) | Channel::Pattern(_) => Channel::Plain(channel),
        }
    }

    /// Returns the nodes except `own`, from the channels that match the pattern and the number of
    /// subscribers of the common channel.
    pub(crate) fn others(&self, own: &str, channels: &[String], listeners: usize) -> Peers {
        let names = channels.iter().filter_map(|channel| self.name(channel));
        let mut names: HashSet<_> = names.map(str::to_owned).collect();
        let is_there = names.remove(own);
        Peers {
            names,
            count: listeners.saturating_sub(usize::from(is_there)),
        }
    }

    /// Returns the node's name in the name of a channel.
    fn name<'c>(&self, channel: &'c str) -> Option<&'c str> {
        let name = channel.strip_prefix(&self.prefix)?.strip_suffix('#')?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (name.len() == self.length && plain).then_some(name)
    }
}

/// The other nodes of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peers {
    /// Their names. In the sharded format a room has a channel of the same form. A room whose name
    /// is as long as a node's is among them, and only the number shows it.
    pub(crate) names: HashSet<String>,
    pub(crate) count: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery() -> NodeDiscovery {
        NodeDiscovery {
            everyone: Channel::Plain("socket.io-request#/a*#".to_owned()),
            prefix: "socket.io#/a*#".to_owned(),
            length: 6,
        }
    }

    #[test]
    fn discovery_ignores_room_channels() {
        let discovery = discovery();
        assert_eq!(discovery.pattern(), r"socket.io#/a\*#??????#");
        assert_eq!(discovery.name("socket.io#/a*#abc-_9#"), Some("abc-_9"));
        for other in [
            "socket.io#/a*#abc#",
            "socket.io#/a*#ab#def#",
            "socket.io#/b#abcdef#",
        ] {
            assert_eq!(discovery.name(other), None, "{other}");
        }
    }

    #[test]
    fn number_of_peers_comes_from_the_listener_count() {
        let channel = |name: &str| format!("socket.io#/a*#{name}#");
        for (channels, listeners, names, count) in [
            (&["node-1", "node-2"][..], 2, &["node-2"][..], 1),
            (&["node-1", "a-room"], 1, &["a-room"], 0),
            // This node's connection is being made.
            (&["node-2"], 1, &["node-2"], 1),
            (&[], 0, &[], 0),
        ] {
            let channels: Vec<_> = channels.iter().map(|name| channel(name)).collect();
            let others = discovery().others("node-1", &channels, listeners);
            let names = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(others, Peers { names, count });
        }
    }
}
