//! Smithy RPC v2 over CBOR, which today's SDKs speak to CloudWatch: instants are tagged seconds, blobs byte strings.
//!
//! The main functions are [`read`] and [`write`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minicbor::data::{IanaTag, Type};
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Number, Value};

use super::value::{Marked, look};
use crate::error::AwsError;

const DEEPEST: u32 = 64;

/// A request's body. Instants become seconds, byte strings base64.
pub(crate) fn read(body: &[u8]) -> Result<Value, AwsError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    decode(&mut Decoder::new(body), 0)
        .map_err(|error| AwsError::new("SerializationException", format!("the body is not CBOR: {error}")))
}

/// An answer's body.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // INVARIANT: writing to a Vec does not fail.
    let _ = put(&mut encoder, value);
    encoder.into_writer()
}

/// An error's body.
pub(crate) fn write_error(error: &AwsError) -> Vec<u8> {
    let mut members = Map::new();
    members.insert("__type".to_owned(), Value::from(error.shape.unwrap_or(&error.code)));
    members.insert(error.text.unwrap_or("message").to_owned(), Value::from(error.message.as_str()));
    write(&Value::Object(members))
}

fn put(encoder: &mut Encoder<Vec<u8>>, value: &Value) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    match look(value) {
        Marked::Timestamp(instant) => encoder.tag(IanaTag::Timestamp)?.f64(instant.seconds())?.ok(),
        Marked::Blob(base64) => encoder.bytes(&STANDARD.decode(base64).unwrap_or_default())?.ok(),
        Marked::Plain(Value::Null) => encoder.null()?.ok(),
        Marked::Plain(Value::Bool(flag)) => encoder.bool(*flag)?.ok(),
        Marked::Plain(Value::Number(number)) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(unsigned), _, _) => encoder.u64(unsigned)?.ok(),
            (None, Some(signed), _) => encoder.i64(signed)?.ok(),
            (None, None, float) => encoder.f64(float.unwrap_or(f64::NAN))?.ok(),
        },
        Marked::Plain(Value::String(text)) => encoder.str(text)?.ok(),
        Marked::Plain(Value::Array(items)) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| put(encoder, item))
        }
        Marked::Plain(Value::Object(members)) => {
            encoder.map(members.len() as u64)?;
            members.iter().try_for_each(|(name, member)| {
                encoder.str(name)?;
                put(encoder, member)
            })
        }
    }
}

fn decode(decoder: &mut Decoder<'_>, depth: u32) -> Result<Value, minicbor::decode::Error> {
    if depth > DEEPEST {
        return Err(minicbor::decode::Error::message("it is nested too deeply"));
    }
    let float = |number: f64| {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| minicbor::decode::Error::message("NaN and infinity are not accepted"))
    };
    match decoder.datatype()? {
        Type::Bool => Ok(Value::Bool(decoder.bool()?)),
        Type::Null => decoder.null().map(|()| Value::Null),
        Type::Undefined => decoder.undefined().map(|()| Value::Null),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => Ok(Value::from(decoder.u64()?)),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => Ok(Value::from(decoder.i64()?)),
        Type::F16 => float(f64::from(decoder.f16()?)),
        Type::F32 => float(f64::from(decoder.f32()?)),
        Type::F64 => float(decoder.f64()?),
        Type::Bytes | Type::BytesIndef => {
            let mut bytes = Vec::new();
            for part in decoder.bytes_iter()? {
                bytes.extend_from_slice(part?);
            }
            Ok(Value::from(STANDARD.encode(bytes)))
        }
        Type::String | Type::StringIndef => Ok(Value::from(text(decoder)?)),
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array()?;
            let mut items = Vec::new();
            while more(decoder, length, items.len())? {
                items.push(decode(decoder, depth + 1)?);
            }
            Ok(Value::Array(items))
        }
        Type::Map | Type::MapIndef => {
            let length = decoder.map()?;
            let mut members = Map::new();
            let mut seen = 0;
            while more(decoder, length, seen)? {
                let name = text(decoder)?;
                members.insert(name, decode(decoder, depth + 1)?);
                seen += 1;
            }
            Ok(Value::Object(members))
        }
        Type::Tag => {
            decoder.tag()?;
            decode(decoder, depth + 1)
        }
        odd @ (Type::Simple | Type::Break | Type::Unknown(_)) => Err(minicbor::decode::Error::type_mismatch(odd)),
    }
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, minicbor::decode::Error> {
    decoder.str_iter()?.collect()
}

/// Whether another item of an array or a map follows; the break of one without a length is eaten.
fn more(decoder: &mut Decoder<'_>, length: Option<u64>, seen: usize) -> Result<bool, minicbor::decode::Error> {
    match length {
        Some(length) => Ok((seen as u64) < length),
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| false),
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "text": "ü", "list": [1, -2, 2.5, true, null], "empty": {}, "map": { "a": { "b": "c" } },
        });
        assert_eq!(read(&write(&value)), Ok(value));
    }

    #[test]
    fn instants_are_tagged_seconds_and_indefinite_lengths_are_read() {
        let written = write(&json!({ "at": Timestamp(1_500) }));
        assert_eq!(read(&written), Ok(json!({ "at": 1.5 })));
        let indefinite = [0xbf, 0x61, b'a', 0x9f, 0x01, 0xff, 0x61, b'b', 0x42, 1, 2, 0xff];
        assert_eq!(read(&indefinite), Ok(json!({ "a": [1], "b": "AQI=" })));
        assert!(read(&[0x9f; 100]).is_err(), "bottomless nesting is refused");
    }
}
