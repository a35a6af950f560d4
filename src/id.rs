//! The ids of sessions and sockets: twenty characters of base64url, with 118 random bits.
//!
//! In a cluster the first six characters of a session's id are its node's [`Tag`], and 84 bits are
//! random. Load balancers and other servers of a cluster recognize an id by its length. A session's
//! id is a secret between client and server, a socket's id is public. This module depends only on
//! the format of ids.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};

/// An id's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id([u8; Self::LENGTH]);

impl Hash for Id {
    /// The last eight characters have 48 random bits, enough to distinguish ids.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut last = [0; 8];
        last.copy_from_slice(&self.0[Self::LENGTH - 8..]);
        state.write_u64(u64::from_ne_bytes(last));
    }
}

impl Id {
    /// Characters in an id.
    pub(crate) const LENGTH: usize = 20;

    /// Returns a new id that cannot be guessed.
    pub(crate) fn random() -> Self {
        let random = uuid::Uuid::new_v4().into_bytes();
        let mut bytes = [0; 15];
        // The seventh byte of a version 4 UUID holds its version; of the others all but two bits
        // are random.
        bytes[..6].copy_from_slice(&random[..6]);
        bytes[6..].copy_from_slice(&random[7..]);
        let mut text = [b'A'; Self::LENGTH];
        // Fifteen bytes are twenty characters without padding, so the slice is always large enough.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        Self(text)
    }

    /// Returns a new id that begins with a tag.
    pub(crate) fn tagged(tag: Tag) -> Self {
        let Self(mut text) = Self::random();
        text[..Tag::LENGTH].copy_from_slice(&tag.0);
        Self(text)
    }

    /// Returns the tag at the beginning of the id.
    pub(crate) fn tag(&self) -> Tag {
        let mut tag = [0; Tag::LENGTH];
        tag.copy_from_slice(&self.0[..Tag::LENGTH]);
        Tag(tag)
    }

    /// Returns the id in `text`, or `None` if it is not an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    /// Returns the id's characters.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Values by id. The server makes ids at random, so a client cannot choose ids for one bucket: a
/// fast hash is enough.
pub(crate) type IdMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The beginning of the ids of one node's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tag([u8; Self::LENGTH]);

#[allow(dead_code, reason = "a server of its own has no tag")]
impl Tag {
    const LENGTH: usize = 6;

    pub(crate) fn random() -> Self {
        Id::random().tag()
    }

    /// Returns the tag in `text`, or `None` if it is not a tag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns `LENGTH` characters of base64url, or `None` if the text has another form.
fn parse<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    bytes.iter().all(plain).then_some(bytes)
}

/// Makes public ids of clients, of twelve characters, because the `sid` of a session is a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientIds {
    /// Differs between processes, whose sessions have the same numbers.
    salt: u64,
}

impl ClientIds {
    #[cfg(feature = "admin")]
    pub(crate) fn random() -> Self {
        let (salt, _) = uuid::Uuid::new_v4().as_u64_pair();
        Self { salt }
    }

    /// Returns the id of the client whose session has this number.
    pub(crate) fn of(self, number: u64) -> String {
        // An odd factor: different numbers have different ids.
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.salt;
        format!("{:012x}", mixed & 0xffff_ffff_ffff)
    }
}

/// The public id of a socket: the client's `socket.id`, and the name of the room that contains only
/// this socket.
///
/// # Examples
///
/// ```
/// use actix_socketio::SocketId;
///
/// let id: SocketId = "sESZeQCLFtgdFjHnAAAA".parse()?;
/// assert_eq!(id.as_str(), "sESZeQCLFtgdFjHnAAAA");
/// assert!("too short".parse::<SocketId>().is_err());
/// # Ok::<(), actix_socketio::InvalidSocketId>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SocketId(SocketIdText);

#[derive(Clone, PartialEq, Eq)]
enum SocketIdText {
    Short(Id),
    /// The namespace, `#`, and the id of the session.
    Long(Arc<str>),
}

impl SocketId {
    pub(crate) fn random() -> Self {
        Self(SocketIdText::Short(Id::random()))
    }

    /// Returns the id of the socket that a client of Socket.IO 2 has in a namespace. The client makes
    /// it in the same way.
    pub(crate) fn of_session(id: Id, namespace: &str) -> Self {
        Self(match namespace {
            "/" => SocketIdText::Short(id),
            _ => SocketIdText::Long(format!("{namespace}#{id}").into()),
        })
    }

    /// Returns the id's text: twenty characters, after the namespace and a `#` if it is the id of a
    /// client of Socket.IO 2 in another namespace than `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            SocketIdText::Short(id) => id.as_str(),
            SocketIdText::Long(text) => text,
        }
    }
}

impl Hash for SocketId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            SocketIdText::Short(id) => id.hash(state),
            SocketIdText::Long(text) => text.hash(state),
        }
    }
}

impl PartialOrd for SocketId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SocketId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl FromStr for SocketId {
    type Err = InvalidSocketId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(id) = Id::parse(text) {
            return Ok(Self(SocketIdText::Short(id)));
        }
        let start = text.len().checked_sub(Id::LENGTH).ok_or(InvalidSocketId)?;
        let (namespace, id) = text.split_at_checked(start).ok_or(InvalidSocketId)?;
        if namespace.starts_with('/') && namespace.ends_with('#') && Id::parse(id).is_some() {
            return Ok(Self(SocketIdText::Long(text.into())));
        }
        Err(InvalidSocketId)
    }
}

impl AsRef<str> for SocketId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SocketId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The error that a text is not a socket id: ids have exactly twenty characters of base64url. Those
/// of clients of Socket.IO 2 may follow a namespace and a `#`.
///
/// # Examples
///
/// ```
/// use actix_socketio::SocketId;
///
/// let error = "lobby".parse::<SocketId>().unwrap_err();
/// println!("{error}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSocketId;

impl fmt::Display for InvalidSocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a socket id has exactly 20 characters of base64url, or the form `/namespace#id`",
        )
    }
}

impl std::error::Error for InvalidSocketId {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_have_twenty_characters_and_differ() {
        let ids: HashSet<_> = (0..1000).map(|_| Id::random()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| Id::parse(id.as_str()) == Some(*id)));
    }

    #[test]
    fn a_tag_is_what_ids_begin_with() {
        let tag = Tag::random();
        let (one, other) = (Id::tagged(tag), Id::tagged(tag));
        assert_ne!(one, other);
        assert_eq!((one.tag(), other.tag()), (tag, tag));
        assert!(one.as_str().starts_with(tag.as_str()));
        assert_eq!(Tag::parse(tag.as_str()), Some(tag));
        assert_eq!(Tag::parse("abc d"), None);
    }

    #[test]
    fn client_ids_differ_by_number_and_by_process() {
        let (one, other) = (ClientIds { salt: 1 }, ClientIds { salt: 2 });
        let ids: std::collections::HashSet<_> = (0..1000).map(|number| one.of(number)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 12));
        assert_ne!(one.of(7), other.of(7));
    }

    #[test]
    fn an_older_client_has_its_namespace_in_its_ids() {
        let id = Id::random();
        let main = SocketId::of_session(id, "/");
        assert_eq!(main.as_str(), id.as_str());
        assert_eq!(id.as_str().parse(), Ok(main));
        let text = format!("/chat#1#{id}");
        let other = SocketId::of_session(id, "/chat#1");
        assert_eq!(other.as_str(), text);
        assert_eq!(text.parse(), Ok(other.clone()));
        let ids: HashSet<_> = [other, text.parse().unwrap()].into();
        assert_eq!(ids.len(), 1);
        for text in [
            format!("chat#{id}"),
            format!("/chat{id}"),
            format!("/chat#{}", &id.as_str()[1..]),
            format!("/chat#{id}A"),
            format!("é{}", &id.as_str()[1..]),
            format!("/é{}", &id.as_str()[1..]),
        ] {
            assert_eq!(text.parse::<SocketId>(), Err(InvalidSocketId), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "short", "sESZeQCLFtgdFjHnAAAAA", "sESZeQCLFtgdFjHn AAA"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
