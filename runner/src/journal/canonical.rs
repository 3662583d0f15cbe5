//! The one spelling of a JSON value, so that equal requests have equal bytes and equal hashes.
//!
//! The main function is [`canonical_json`]: keys sorted by their bytes, no white space. It is part of the journal's
//! format: a change of it would make every recorded request look like another one.

use serde_json::Value;

use crate::types::Digest;

/// `value` as text: object keys in the order of their UTF-8 bytes, no white space, strings and numbers as `serde_json`
/// writes them.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The SHA-256 of a request's canonical JSON: what a replayed call is compared by.
pub fn request_hash(request: &Value) -> Digest {
    Digest::of(canonical_json(request).as_bytes())
}

// Recursion is bounded: `serde_json` refuses to read values nested deeper than 128, and WIT records are flat.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_bytes());
            text.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(key, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
    }
}

fn write_string(string: &str, text: &mut String) {
    // `Value`'s own `Display` writes the escapes; it cannot fail for a string.
    text.push_str(&Value::from(string).to_string());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_nothing_else_is_lost() {
        let one = json!({"b": [1, -2, 0.5, null, true], "a": {"z": "\"\n\u{1}é", "A": {}}});
        let two: Value = serde_json::from_str(r#"{"a":{"A":{},"z":"\"\n\u0001\u00e9"},"b":[1,-2,0.5,null,true]}"#)
            .unwrap_or_default();
        assert_eq!(canonical_json(&one), r#"{"a":{"A":{},"z":"\"\n\u0001é"},"b":[1,-2,0.5,null,true]}"#);
        assert_eq!(request_hash(&one), request_hash(&two));
        assert_ne!(request_hash(&one), request_hash(&json!({"b": [1, -2, 0.5, null, true], "a": {}})));
    }

    #[test]
    fn the_hash_of_a_known_request_never_changes() {
        assert_eq!(
            request_hash(&json!({"services": ["web"], "cluster": "web"})).as_str(),
            Digest::of(br#"{"cluster":"web","services":["web"]}"#).as_str(),
        );
    }
}
