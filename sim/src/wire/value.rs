//! What the protocols have in common: JSON with two kinds of value that JSON does not have.
//!
//! Operations answer [`serde_json::Value`]s. In them an instant and a blob are objects with one marked member, which each
//! protocol turns into its own form; the main type here is [`Blob`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// The member that marks an instant: milliseconds since the Unix epoch.
pub(crate) const TIMESTAMP: &str = "$kiln:timestamp";
/// The member that marks bytes: base64.
pub(crate) const BLOB: &str = "$kiln:blob";

/// Bytes, as AWS's `blob`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(BLOB, &STANDARD.encode(&self.0))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Blob).map_err(de::Error::custom)
    }
}

/// A value, seen as the protocols see it.
pub(crate) enum Marked<'a> {
    Plain(&'a Value),
    Timestamp(Timestamp),
    /// Base64.
    Blob(&'a str),
}

/// Whether a value is one of the marked kinds.
pub(crate) fn look(value: &Value) -> Marked<'_> {
    let Value::Object(members) = value else { return Marked::Plain(value) };
    let mut entries = members.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Value::Number(millis))), None) if key == TIMESTAMP => {
            Marked::Timestamp(Timestamp(millis.as_u64().unwrap_or_default()))
        }
        (Some((key, Value::String(base64))), None) if key == BLOB => Marked::Blob(base64),
        _ => Marked::Plain(value),
    }
}

/// The same value without absent members: AWS leaves out what is not there.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        Value::Object(members) => Value::Object(
            members.into_iter().filter(|(_, member)| !member.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// The same value with the members of every object in the order of their names.
pub(crate) fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            Value::Object(sorted.into_iter().map(|(k, v)| (k.clone(), canonical(v))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
