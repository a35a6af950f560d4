//! Finds out whether a value is a failure, without writing it.
//!
//! A value enters. The result says whether it serializes as the `Err` of a `Result`. The inside of
//! the value is not read.

use std::fmt;

use serde::ser::{Error, Impossible};
use serde::{Serialize, Serializer};

/// Returns `true` if [`push_args`](super::push_args) would return
/// [`Outcome::Failed`](super::Outcome::Failed) for the value.
pub(crate) fn is_failure<T: Serialize + ?Sized>(value: &T) -> bool {
    let verdict = value.serialize(Outermost);
    matches!(verdict, Ok(Verdict::Failure(_)))
}

/// Returns the meaning of an `Err` by its serde name, not by its text.
pub(crate) fn failure_of<T: Serialize + ?Sized>(value: &T) -> FailureMark {
    match value.serialize(Outermost) {
        Ok(Verdict::Failure(mark)) => mark,
        _ => FailureMark::Plain,
    }
}

/// The meaning of an error's serde name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureMark {
    Plain,
    /// The acknowledgement is dropped.
    AckDropped,
    /// The error's socket is disconnected.
    Gone,
}

/// The serde name of an error that drops the acknowledgement; its text is the member.
pub(crate) const ACK_DROPPED: &str = "$actix_socketio::AckDropped";

/// The serde name of an error about a disconnected socket; its text is the member.
pub(crate) const GONE: &str = "$actix_socketio::Gone";

/// The outermost type.
enum Verdict {
    /// An `Err`.
    Failure(FailureMark),
    /// An error with a mark that is not in a `Result`.
    Marked(FailureMark),
    Anything,
}

/// Reads the outermost type only.
struct Outermost;

/// Ends the serialization of a value that has parts.
#[derive(Debug)]
struct HasParts;

type Never = Impossible<Verdict, HasParts>;

macro_rules! anything {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Verdict, HasParts> {
            Ok(Verdict::Anything)
        })*
    };
}

macro_rules! has_parts {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Never, HasParts> {
            Err(HasParts)
        })*
    };
}

impl Serializer for Outermost {
    type Ok = Verdict;
    type Error = HasParts;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Verdict, HasParts> {
        // A program's own error may wrap one that has a mark.
        Ok(match (value.serialize(self), name, variant) {
            (Ok(Verdict::Marked(mark)), "Result", "Err") => Verdict::Failure(mark),
            (_, "Result", "Err") => Verdict::Failure(FailureMark::Plain),
            (Ok(Verdict::Marked(mark)), ..) => Verdict::Marked(mark),
            _ => Verdict::Anything,
        })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Verdict, HasParts> {
        Ok(match name {
            ACK_DROPPED => Verdict::Marked(FailureMark::AckDropped),
            GONE => Verdict::Marked(FailureMark::Gone),
            _ => match value.serialize(self) {
                Ok(Verdict::Marked(mark)) => Verdict::Marked(mark),
                _ => Verdict::Anything,
            },
        })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Verdict, HasParts> {
        Ok(Verdict::Anything)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<Verdict, HasParts> {
        Ok(Verdict::Anything)
    }

    anything! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    has_parts! {
        serialize_seq(Option<usize>);
        serialize_tuple(usize);
        serialize_tuple_struct(&'static str, usize);
        serialize_tuple_variant(&'static str, u32, &'static str, usize);
        serialize_map(Option<usize>);
        serialize_struct(&'static str, usize);
        serialize_struct_variant(&'static str, u32, &'static str, usize);
    }
}

impl fmt::Display for HasParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that has parts")
    }
}

impl std::error::Error for HasParts {}

impl Error for HasParts {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::socketio::{Outcome, push_args};

    #[test]
    fn only_the_outermost_err_is_a_failure() {
        assert!(is_failure(&Err::<(), _>("no")));
        assert!(is_failure(&Err::<u8, _>((1, 2))));
        assert!(is_failure(&&Err::<u8, _>(())));
        assert!(!is_failure(&Ok::<_, ()>(7)));
        assert!(!is_failure(&Some(Err::<(), _>("no"))));
        assert!(!is_failure(&(1, Err::<(), _>("no"))));
        assert!(!is_failure(&vec![Err::<(), _>("no")]));
        assert!(!is_failure(&BTreeMap::from([("Err", 1)])));
        assert!(!is_failure("Err"));
        assert!(!is_failure(&7_i128));
        assert!(!is_failure(&()));
    }

    #[test]
    fn error_kind_shows_that_the_socket_has_disconnected() {
        use crate::error::{CallError, EmitError, HandlerError, RoomError};

        #[derive(Debug, Serialize)]
        enum Own {
            Emit(EmitError),
            Other(String),
        }

        #[derive(Serialize)]
        struct Wrapped(CallError);

        let mark = |value: &dyn erased::Value| value.mark();
        let text = CallError::Disconnected.to_string();
        for (value, expected) in [
            (
                &Err::<(), _>(EmitError::Disconnected) as &dyn erased::Value,
                FailureMark::Gone,
            ),
            (&Err::<(), _>(CallError::Disconnected), FailureMark::Gone),
            (&Err::<(), _>(RoomError::Disconnected), FailureMark::Gone),
            (
                &Err::<(), _>(Own::Emit(EmitError::Disconnected)),
                FailureMark::Gone,
            ),
            (
                &Err::<(), _>(Wrapped(CallError::Disconnected)),
                FailureMark::Gone,
            ),
            (
                &Err::<(), _>(HandlerError::from(CallError::Disconnected)),
                FailureMark::Gone,
            ),
            (&Err::<(), _>(HandlerError::new(&*text)), FailureMark::Plain),
            (&Err::<(), _>(Own::Other(text.clone())), FailureMark::Plain),
            (
                &Err::<(), _>(Own::Emit(EmitError::OutboxFull)),
                FailureMark::Plain,
            ),
            (&Err::<(), _>(text.clone()), FailureMark::Plain),
            (&Err::<(), _>(RoomError::NoSuchRoom), FailureMark::Plain),
            // The value is not a failure.
            (&Ok::<_, ()>(EmitError::Disconnected), FailureMark::Plain),
        ] {
            assert_eq!(mark(value), expected);
        }
        // Clients receive the text.
        let json = serde_json::to_string(&CallError::Disconnected).unwrap();
        assert_eq!(json, format!("{text:?}"));
    }

    /// Values of several types in one table.
    mod erased {
        use super::*;

        pub(super) trait Value {
            fn mark(&self) -> FailureMark;
        }

        impl<T: Serialize> Value for T {
            fn mark(&self) -> FailureMark {
                failure_of(self)
            }
        }
    }

    #[test]
    fn is_failure_agrees_with_the_written_outcome() {
        fn agrees<T: Serialize>(value: &T) {
            let written = push_args(&mut Vec::new(), false, value, &mut Vec::new());
            assert_eq!(is_failure(value), written.unwrap() == Outcome::Failed);
        }
        agrees(&Err::<(), _>("no"));
        agrees(&Ok::<_, ()>("yes"));
        agrees(&Ok::<_, ()>(Err::<(), _>("inner")));
        agrees(&Some(Err::<(), _>("no")));
        agrees(&(Err::<(), _>("no"),));
    }
}
