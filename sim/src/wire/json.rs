//! AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, bodies in JSON, instants as seconds, blobs as base64.
//!
//! The main functions are [`read`] and [`write`].

use serde_json::{Map, Number, Value};

use super::value::{Marked, look};
use crate::clock::Timestamp;
use crate::error::AwsError;

/// A request's body.
pub(crate) fn read(body: &[u8]) -> Result<Value, AwsError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|error| AwsError::new("SerializationException", error.to_string()))
}

/// An answer's body.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    plain(value).to_string().into_bytes()
}

/// An error's body.
pub(crate) fn write_error(error: &AwsError) -> Vec<u8> {
    let mut members = Map::new();
    members.insert("__type".to_owned(), Value::from(error.shape.unwrap_or(&error.code)));
    members.insert(error.text.unwrap_or("message").to_owned(), Value::from(error.message.as_str()));
    members.extend(error.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    write(&Value::Object(members))
}

/// The value in plain JSON.
pub(crate) fn plain(value: &Value) -> Value {
    match look(value) {
        Marked::Timestamp(instant) => seconds(instant),
        Marked::Blob(base64) => Value::from(base64),
        Marked::Plain(Value::Array(items)) => Value::Array(items.iter().map(plain).collect()),
        Marked::Plain(Value::Object(members)) => {
            Value::Object(members.iter().map(|(name, member)| (name.clone(), plain(member))).collect())
        }
        Marked::Plain(other) => other.clone(),
    }
}

fn seconds(instant: Timestamp) -> Value {
    Number::from_f64(instant.seconds()).map_or(Value::Null, Value::Number)
}
