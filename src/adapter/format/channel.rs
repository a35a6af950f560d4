//! The names of channels.

use crate::id::Tag;

/// A channel to which a node can subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Plain(String),
    /// All channels of this glob pattern.
    Pattern(String),
    Shard(String),
}

impl Channel {
    pub(crate) fn name(&self) -> &str {
        let (Self::Plain(name) | Self::Pattern(name) | Self::Shard(name)) = self;
        name
    }

    pub(crate) fn into_name(self) -> String {
        match self {
            Self::Plain(name) | Self::Pattern(name) | Self::Shard(name) => name,
        }
    }
}

/// Returns the name of the channel for polls to a node; all channels of the cluster begin with
/// `key`.
pub(super) fn polls(key: &str, node: Tag) -> String {
    format!("{key}-poll#{}#", node.as_str())
}

/// Escapes the characters that have a meaning in a glob pattern.
pub(crate) fn glob(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
