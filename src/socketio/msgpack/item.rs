//! MessagePack, one item after another.
//!
//! Bytes enter; scalars leave with their values, arrays and maps with the number of what follows.
//! Nothing is allocated, so that a length without its data costs nothing.
//!
//! The extensions are those of `notepack.io`, which the parsers of the JavaScript servers and
//! clients use: times, `undefined`, and an `ArrayBuffer`.

use rmp::Marker;

/// The bytes of a message, and the position up to which they are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value, or the head of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Nil,
    Undefined,
    Bool(bool),
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    Float(f64),
    /// A text; the bytes may not be UTF-8.
    Text(&'a [u8]),
    Binary(&'a [u8]),
    /// The head of an array of this many values.
    Array(usize),
    /// The head of a map of this many keys, each with its value.
    Map(usize),
    /// A time in milliseconds since 1970; `None` if it is too far away for 64 bits.
    Time(Option<i64>),
    /// An extension that the JavaScript decoder reads as an array of its type and its data.
    Unknown(i8, &'a [u8]),
}

/// The reason for which bytes are not MessagePack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The bytes end within a value.
    Truncated,
    /// A key that has no form as a string.
    Key,
    /// Bytes follow the value.
    Trailing,
    /// More values are nested than the limit.
    TooDeep,
    /// There are more values than the limit.
    TooMany,
}

impl Flaw {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Truncated => "the value is truncated",
            Self::Key => "a key that is neither a string, a number, a boolean nor nil",
            Self::Trailing => "bytes after the value",
            Self::TooDeep => "values nested too deeply",
            Self::TooMany => "too many values",
        }
    }
}

/// The limits of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemLimits {
    /// The number of arrays and maps that may be open at once.
    pub(crate) depth: usize,
    /// The number of values, keys included.
    pub(crate) values: usize,
}

/// The limits of bytes that were checked, or that this server has written.
pub(super) const UNLIMITED: ItemLimits = ItemLimits {
    depth: usize::MAX,
    values: usize::MAX,
};

impl<'a> Items<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the position in the bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Returns the bytes that are not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Returns the next item without reading it.
    pub(crate) fn peek(&self) -> Result<Item<'a>, Flaw> {
        { *self }.next()
    }

    /// Reads the next item.
    pub(crate) fn next(&mut self) -> Result<Item<'a>, Flaw> {
        Ok(match Marker::from_u8(self.byte()?) {
            Marker::Null | Marker::Reserved => Item::Nil,
            Marker::True => Item::Bool(true),
            Marker::False => Item::Bool(false),
            Marker::FixPos(value) => Item::Unsigned(value.into()),
            Marker::FixNeg(value) => signed(value.into()),
            Marker::U8 => Item::Unsigned(self.byte()?.into()),
            Marker::U16 => Item::Unsigned(u16::from_be_bytes(self.big()?).into()),
            Marker::U32 => Item::Unsigned(u32::from_be_bytes(self.big()?).into()),
            Marker::U64 => Item::Unsigned(u64::from_be_bytes(self.big()?)),
            Marker::I8 => signed(i8::from_be_bytes(self.big()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.big()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.big()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.big()?)),
            Marker::F32 => Item::Float(f32::from_be_bytes(self.big()?).into()),
            Marker::F64 => Item::Float(f64::from_be_bytes(self.big()?)),
            Marker::FixStr(length) => Item::Text(self.take(length.into())?),
            Marker::Str8 => Item::Text(self.sized::<1>()?),
            Marker::Str16 => Item::Text(self.sized::<2>()?),
            Marker::Str32 => Item::Text(self.sized::<4>()?),
            Marker::Bin8 => Item::Binary(self.sized::<1>()?),
            Marker::Bin16 => Item::Binary(self.sized::<2>()?),
            Marker::Bin32 => Item::Binary(self.sized::<4>()?),
            Marker::FixArray(count) => Item::Array(count.into()),
            Marker::Array16 => Item::Array(self.length::<2>()?),
            Marker::Array32 => Item::Array(self.length::<4>()?),
            Marker::FixMap(count) => Item::Map(count.into()),
            Marker::Map16 => Item::Map(self.length::<2>()?),
            Marker::Map32 => Item::Map(self.length::<4>()?),
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => self.sized_extension::<1>()?,
            Marker::Ext16 => self.sized_extension::<2>()?,
            Marker::Ext32 => self.sized_extension::<4>()?,
        })
    }

    /// Reads the next value with all that it holds, and checks it. The limit of values is reduced by
    /// their number.
    pub(crate) fn skip(&mut self, limits: &mut ItemLimits) -> Result<&'a [u8], Flaw> {
        let start = self.at;
        self.skip_nested(limits, 0)?;
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    fn skip_nested(&mut self, limits: &mut ItemLimits, depth: usize) -> Result<(), Flaw> {
        limits.values = limits.values.checked_sub(1).ok_or(Flaw::TooMany)?;
        let (count, is_map) = match self.next()? {
            Item::Array(count) => (count, false),
            Item::Map(count) => (count, true),
            _ => return Ok(()),
        };
        if depth == limits.depth {
            return Err(Flaw::TooDeep);
        }
        for _ in 0..count {
            if is_map {
                if !self.peek()?.is_key() {
                    return Err(Flaw::Key);
                }
                self.skip_nested(limits, depth + 1)?;
            }
            self.skip_nested(limits, depth + 1)?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        self.big::<1>().map(|[byte]| byte)
    }

    /// Reads the bytes of a number in network byte order.
    fn big<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| Flaw::Truncated)
    }

    fn length<const N: usize>(&mut self) -> Result<usize, Flaw> {
        let bytes: [u8; N] = self.big()?;
        let sum = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Ok(bytes.iter().fold(0, sum))
    }

    fn sized<const N: usize>(&mut self) -> Result<&'a [u8], Flaw> {
        let length = self.length::<N>()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Flaw> {
        let end = self.at.checked_add(length).ok_or(Flaw::Truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Flaw::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// An extension with an explicit length: an `ArrayBuffer` has type 0 here, and other meanings
    /// of this type below.
    fn sized_extension<const N: usize>(&mut self) -> Result<Item<'a>, Flaw> {
        let length = self.length::<N>()?;
        let kind = self.byte()? as i8;
        let data = self.take(length)?;
        Ok(match kind {
            0 => Item::Binary(data),
            kind => extension(kind, data),
        })
    }

    fn extension(&mut self, length: usize) -> Result<Item<'a>, Flaw> {
        let kind = self.byte()? as i8;
        Ok(extension(kind, self.take(length)?))
    }
}

impl Item<'_> {
    /// Returns `true` if the item may be a key: its text needs no escapes, and it holds nothing.
    pub(crate) fn is_key(&self) -> bool {
        matches!(
            self,
            Self::Nil
                | Self::Bool(_)
                | Self::Unsigned(_)
                | Self::Signed(_)
                | Self::Float(_)
                | Self::Text(_)
        )
    }
}

fn signed<'a>(value: i64) -> Item<'a> {
    match u64::try_from(value) {
        Ok(value) => Item::Unsigned(value),
        Err(_) => Item::Signed(value),
    }
}

/// The times of MessagePack and those of `notepack.io`, and `undefined`.
fn extension(kind: i8, data: &[u8]) -> Item<'_> {
    let sum = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    let number = |bytes: &[u8]| bytes.iter().fold(0, sum);
    match (kind, data.len()) {
        (0, 1) => Item::Undefined,
        (0, 8) => Item::Time(Some(number(data) as i64)),
        (-1, 4) => Item::Time(i64::try_from(number(data) * 1000).ok()),
        (-1, 8) => {
            let (nanoseconds, seconds) = (number(data) >> 34, number(data) & ((1 << 34) - 1));
            Item::Time(i64::try_from(seconds * 1000 + nanoseconds / 1_000_000).ok())
        }
        (-1, 12) => {
            let (nanoseconds, seconds) = data.split_at(4);
            let milliseconds = (number(seconds) as i64).checked_mul(1000);
            let rest = (number(nanoseconds) / 1_000_000) as i64;
            Item::Time(milliseconds.and_then(|it| it.checked_add(rest)))
        }
        _ => Item::Unknown(kind, data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ItemLimits = ItemLimits {
        depth: 3,
        values: 10,
    };

    fn skipped(bytes: &[u8]) -> Result<usize, Flaw> {
        let mut items = Items::new(bytes);
        items.skip(&mut LIMITS.clone()).map(<[u8]>::len)
    }

    #[test]
    fn values_are_nested_up_to_the_limit() {
        assert_eq!(skipped(b"\x91\x91\x91\x01"), Ok(4));
        assert_eq!(skipped(b"\x91\x91\x91\x90"), Err(Flaw::TooDeep));
        assert_eq!(skipped(b"\x81\xa1a\x91\x81\xa1a\x01"), Ok(8));
        assert_eq!(skipped(b"\x81\xa1a\x91\x81\xa1a\x80"), Err(Flaw::TooDeep));
    }

    #[test]
    fn values_are_counted_with_their_keys() {
        assert_eq!(skipped(b"\x99\0\0\0\0\0\0\0\0\0"), Ok(10));
        assert_eq!(skipped(b"\x9a\0\0\0\0\0\0\0\0\0\0"), Err(Flaw::TooMany));
        assert_eq!(skipped(b"\x84\0\0\0\0\0\0\0\0"), Ok(9));
        assert_eq!(skipped(b"\x85\0\0\0\0\0\0\0\0\0\0"), Err(Flaw::TooMany));
    }

    #[test]
    fn a_length_without_its_data_is_refused() {
        for head in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x05",
            b"\xcf\0",
            b"\xd8\0",
            b"",
        ] {
            assert_eq!(skipped(head), Err(Flaw::Truncated), "{head:?}");
        }
    }

    #[test]
    fn an_unknown_extension_has_its_type_and_data() {
        let next = |bytes| Items::new(bytes).next();
        assert_eq!(next(b"\xd5\x05ab"), Ok(Item::Unknown(5, b"ab")));
        assert_eq!(next(b"\xc7\x01\xfbx"), Ok(Item::Unknown(-5, b"x")));
        assert_eq!(next(b"\xd4\0\0"), Ok(Item::Undefined));
        assert_eq!(next(b"\xc7\x01\0x"), Ok(Item::Binary(b"x")));
    }
}
