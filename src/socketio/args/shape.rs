//! The number of arguments of a type.
//!
//! A type enters, its shape leaves. serde calls an array `[T; N]` a tuple and writes `Value::Null`
//! like `()`, so a serializer cannot distinguish them. The type's name can. Only its brackets are
//! read, which are Rust's own syntax. References and the pointers that serde skips (`Box`, `Rc`,
//! `Arc`, `Cow`) count as the type that they point to.

use std::any::type_name;

/// The part of a type that decides how many arguments its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    name: &'static str,
}

impl Shape {
    /// As many arguments as members, whatever the type's name.
    pub(super) const TUPLE: Self = Self { name: "(..)" };

    pub(crate) fn of<T: ?Sized>() -> Self {
        Self {
            name: type_name::<T>(),
        }
    }

    /// Returns `true` if the type is `()`, which is no argument.
    pub(crate) fn is_unit(self) -> bool {
        self.pointed_to() == "()"
    }

    /// Returns `true` if each member is an argument; `()` has no members.
    pub(crate) fn is_tuple(self) -> bool {
        self.pointed_to().starts_with('(')
    }

    /// Returns the shape of the `Ok` type, or of the `Err` type, of this `Result`.
    pub(super) fn in_result(self, variant: &str) -> Self {
        let held = self.pointed_to().strip_prefix(RESULT).and_then(|types| {
            let types = types.strip_suffix('>')?;
            let (ok, rest) = first_type(types);
            Some(if variant == "Ok" { ok } else { rest })
        });
        Self {
            name: held.unwrap_or_default(),
        }
    }

    /// Returns the type's name, behind references and pointers. It is computed only if serde
    /// reports a unit, a tuple or a `Result`: most values need none of it.
    fn pointed_to(self) -> &'static str {
        let mut name = self.name;
        loop {
            let inner = name
                .strip_prefix('&')
                .map(|inner| inner.strip_prefix("mut ").unwrap_or(inner))
                .or_else(|| pointee(name));
            match inner {
                Some(inner) => name = inner,
                None => return name,
            }
        }
    }
}

/// Returns the type that a pointer points to.
fn pointee(name: &'static str) -> Option<&'static str> {
    let types = POINTERS.iter().find_map(|it| name.strip_prefix(it))?;
    let types = types.strip_suffix('>')?;
    // A lifetime or an allocator may be a parameter as well.
    let types = types.strip_prefix("'_, ").unwrap_or(types);
    Some(first_type(types).0)
}

/// Splits a list of types after the first.
fn first_type(types: &'static str) -> (&'static str, &'static str) {
    let mut depth = 0_usize;
    let mut before = 0;
    for (at, byte) in types.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            // The arrow of a function is not a closing bracket.
            b'>' if before == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                // The comma is ASCII, so both slices end between characters.
                let first = types.get(..at).unwrap_or(types);
                let rest = types.get(at + 1..).unwrap_or_default();
                return (first, rest.trim_start());
            }
            _ => {}
        }
        before = byte;
    }
    (types, "")
}

const RESULT: &str = "core::result::Result<";

const POINTERS: [&str; 4] = [
    "alloc::boxed::Box<",
    "alloc::rc::Rc<",
    "alloc::sync::Arc<",
    "alloc::borrow::Cow<",
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::rc::Rc;
    use std::sync::Arc;

    use serde_json::Value;

    use super::Shape;

    struct Two(#[allow(dead_code, reason = "only its type is looked at")] (i32, i32));
    type Callback = fn(&str, (u8, u8)) -> Option<u8>;

    /// The number of arguments of a type: `n` is as many as a tuple has.
    fn arguments(shape: Shape) -> &'static str {
        match (shape.is_unit(), shape.is_tuple()) {
            (true, _) => "0",
            (false, true) => "n",
            (false, false) => "1",
        }
    }

    #[test]
    fn only_a_tuple_is_several_arguments() {
        let table = [
            (Shape::of::<()>(), "0"),
            (Shape::of::<&()>(), "0"),
            (Shape::of::<Box<()>>(), "0"),
            (Shape::of::<(i32,)>(), "n"),
            (Shape::of::<(i32, String)>(), "n"),
            (Shape::of::<&&mut (i32, String)>(), "n"),
            (Shape::of::<Box<(i32, i32)>>(), "n"),
            (Shape::of::<Rc<Arc<(i32, i32)>>>(), "n"),
            (Shape::of::<Cow<'_, (i32, i32)>>(), "n"),
            (Shape::of::<[i32; 2]>(), "1"),
            (Shape::of::<&[u8; 2]>(), "1"),
            (Shape::of::<[(i32, i32)]>(), "1"),
            (Shape::of::<[i32; 0]>(), "1"),
            (Shape::of::<Vec<(i32, i32)>>(), "1"),
            (Shape::of::<Option<(i32, i32)>>(), "1"),
            (Shape::of::<Option<()>>(), "1"),
            (Shape::of::<Value>(), "1"),
            (Shape::of::<&str>(), "1"),
            (Shape::of::<Cow<'_, str>>(), "1"),
            (Shape::of::<Two>(), "1"),
        ];
        for (shape, expected) in table {
            assert_eq!(arguments(shape), expected, "{shape:?}");
        }
        assert_eq!(arguments(Shape::TUPLE), "n");
    }

    #[test]
    fn result_has_the_argument_count_of_its_value() {
        let table = [
            (Shape::of::<Result<(), String>>(), "0", "1"),
            (Shape::of::<Result<(i32, i32), ()>>(), "n", "0"),
            (Shape::of::<Result<Value, (u8, u8)>>(), "1", "n"),
            (Shape::of::<&Result<[(u8, u8); 2], [u8; 3]>>(), "1", "1"),
            (Shape::of::<Result<(Callback, u8), Callback>>(), "n", "1"),
            (
                Shape::of::<Result<Result<(), (u8,)>, Box<(u8, u8)>>>(),
                "1",
                "n",
            ),
            (Shape::of::<Two>(), "1", "1"),
        ];
        for (shape, ok, err) in table {
            assert_eq!(arguments(shape.in_result("Ok")), ok, "{shape:?}");
            assert_eq!(arguments(shape.in_result("Err")), err, "{shape:?}");
        }
    }
}
