//! Bytes whose definition says that they are binary.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes that travel as binary, and say so in TypeScript definitions and AsyncAPI documents.
///
/// It travels as the [`Bytes`] in it do; those alone have no schema that says "binary". As a field
/// `Bytes` may stay as they are: `#[schemars(with = "Binary")] data: Bytes`. In TypeScript it is
/// `ArrayBuffer | Uint8Array`, in JSON schema a text of the format `binary`.
///
/// # Examples
///
/// ```
/// use actix_socketio::{Binary, Bytes, Typed, event};
///
/// event! { pub Upload("upload", (String, Binary) => usize); }
///
/// async fn upload(Typed((_name, Binary(data))): Typed<Upload>) -> usize {
///     data.len()
/// }
///
/// let picture = Binary::from(Bytes::from_static(&[1, 2, 3]));
/// assert_eq!(picture.0.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Binary(pub Bytes);

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

#[cfg(feature = "contracts")]
impl schemars::JsonSchema for Binary {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Binary".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "binary" })
    }
}
