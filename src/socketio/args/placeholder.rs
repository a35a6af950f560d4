//! Placeholders: the objects that represent attachments in an argument.
//!
//! An object's entries enter; the attachment that it represents leaves, or the entries unchanged. A
//! value under the keys `_placeholder` and `num` that belongs to the program is kept as a [`Value`]
//! until it is read. serde_json's recursion limit holds for it as well.

use std::{borrow::Cow, cell::Cell, fmt};

use bytes::Bytes;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};
use serde_json::Value;

use crate::socketio::args::{binary::Binary, buffered::Buffered};

/// The attachments that placeholders may refer to.
pub(super) struct Attachments<'de> {
    all: &'de [Bytes],
    absent: Cell<Option<u64>>,
}

impl<'de> Attachments<'de> {
    pub(super) fn new(all: &'de [Bytes]) -> Self {
        Self {
            all,
            absent: Cell::new(None),
        }
    }

    /// Returns the number of attachments.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the last attachment that a placeholder referred to but that does not exist. It is
    /// kept here because errors of serde hold only text.
    pub(super) fn absent(&self) -> Option<u64> {
        self.absent.get()
    }

    /// Returns the attachment at the index of a placeholder.
    pub(super) fn attachment<E: de::Error>(&self, num: Option<u64>) -> Result<&'de [u8], E> {
        // Socket.IO v5, Packet types: a placeholder's num is the index of an attachment.
        let Some(num) = num else {
            return Err(E::custom(
                "the num of a placeholder is missing or not an index",
            ));
        };
        let attachment = usize::try_from(num)
            .ok()
            .and_then(|index| self.all.get(index));
        attachment.map(|bytes| &**bytes).ok_or_else(|| {
            self.absent.set(Some(num));
            E::custom(format_args!("there is no attachment {num}"))
        })
    }
}

/// The meaning of an object.
pub(super) enum Found<'a, 'de, A> {
    /// A placeholder of this attachment.
    Attachment(&'de [u8]),
    /// Any other object.
    Map(Entries<'a, 'de, A>),
}

/// Reads an object that can only be a placeholder. `None` means that it is not one.
pub(super) fn read<'de, A: MapAccess<'de>>(
    map: &mut A,
    attachments: &Attachments<'de>,
) -> Result<Option<&'de [u8]>, A::Error> {
    let mut marked = false;
    let mut num = None;
    while let Some(Key(key)) = map.next_key()? {
        match &*key {
            MARK => marked = map.next_value::<Value>()? == Value::Bool(true),
            NUM => num = map.next_value::<Value>()?.as_u64(),
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    if marked {
        attachments.attachment(num).map(Some)
    } else {
        Ok(None)
    }
}

/// Distinguishes a placeholder from an object of the program by its beginning.
///
/// Recognizes only `_placeholder`, or `num` and then `_placeholder`. Every client writes them first
/// and in one of these orders. Searching further would buffer every object.
pub(super) fn find<'a, 'de, A: MapAccess<'de>>(
    mut map: A,
    attachments: &'a Attachments<'de>,
) -> Result<Found<'a, 'de, A>, A::Error> {
    let Some(Key(first)) = map.next_key()? else {
        return Ok(Found::Map(Entries::new(map, attachments, None, None)));
    };
    let entries = match &*first {
        MARK => {
            let mark = map.next_value::<Value>()?;
            if mark == Value::Bool(true) {
                return finish(map, attachments, None);
            }
            Entries::new(map, attachments, Some((first, Some(mark))), None)
        }
        NUM => {
            let num = map.next_value::<Value>()?;
            let second = match map.next_key()? {
                Some(Key(key)) if key == MARK => {
                    let mark = map.next_value::<Value>()?;
                    if mark == Value::Bool(true) {
                        return finish(map, attachments, num.as_u64());
                    }
                    Some((key, Some(mark)))
                }
                Some(Key(key)) => Some((key, None)),
                None => None,
            };
            Entries::new(map, attachments, Some((first, Some(num))), second)
        }
        _ => Entries::new(map, attachments, Some((first, None)), None),
    };
    Ok(Found::Map(entries))
}

/// Reads the rest of an object that is marked as a placeholder.
fn finish<'a, 'de, A: MapAccess<'de>>(
    mut map: A,
    attachments: &'a Attachments<'de>,
    mut num: Option<u64>,
) -> Result<Found<'a, 'de, A>, A::Error> {
    while let Some(Key(key)) = map.next_key()? {
        if key == NUM {
            num = map.next_value::<Value>()?.as_u64();
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    attachments.attachment(num).map(Found::Attachment)
}

/// An object's entries, starting with those that were read already.
pub(super) struct Entries<'a, 'de, A> {
    map: A,
    attachments: &'a Attachments<'de>,
    first: Option<Entry<'de>>,
    second: Option<Entry<'de>>,
    value: Option<Value>,
}

/// A key, and its value if it was read too.
type Entry<'de> = (Cow<'de, str>, Option<Value>);

impl<'a, 'de, A> Entries<'a, 'de, A> {
    fn new(
        map: A,
        attachments: &'a Attachments<'de>,
        first: Option<Entry<'de>>,
        second: Option<Entry<'de>>,
    ) -> Self {
        Self {
            map,
            attachments,
            first,
            second,
            value: None,
        }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some((key, value)) = self.first.take().or_else(|| self.second.take()) else {
            return self.map.next_key_seed(seed);
        };
        self.value = value;
        match key {
            Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)),
            Cow::Owned(key) => seed.deserialize(StrDeserializer::new(&key)),
        }
        .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(Buffered::new(value, self.attachments)),
            None => self
                .map
                .next_value_seed(Binary::new(seed, self.attachments)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        let waiting = usize::from(self.first.is_some()) + usize::from(self.second.is_some());
        self.map
            .size_hint()
            .and_then(|left| left.checked_add(waiting))
    }
}

/// A key that borrows from the text if possible.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }

    fn visit_string<E: de::Error>(self, key: String) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key)))
    }
}

/// The key that marks a placeholder if its value is `true`.
pub(super) const MARK: &str = "_placeholder";

/// The key of a placeholder's index into the attachments.
pub(super) const NUM: &str = "num";
