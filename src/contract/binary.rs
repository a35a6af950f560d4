//! Bytes that are defined as binary in schemas.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes that are sent as binary, and that TypeScript definitions and AsyncAPI documents describe
/// as binary.
///
/// They are sent in the same way as [`Bytes`], which has no schema for binary. A field may keep the
/// type `Bytes`: `#[schemars(with = "Binary")] data: Bytes`. The type in TypeScript is
/// `ArrayBuffer | Uint8Array`. In JSON schema it is a text of the format `binary`.
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
