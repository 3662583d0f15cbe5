//! Values of attributes: how they compare.
//!
//! The main function is [`compare`].

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// How two values are ordered; none where they are of different types, or of one that has no order.
pub(super) fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    let (of_one, one) = parts(one)?;
    let (of_other, other) = parts(other)?;
    match (of_one, of_other) {
        ("S", "S") => Some(one.as_str()?.as_bytes().cmp(other.as_str()?.as_bytes())),
        ("N", "N") => number(one)?.partial_cmp(&number(other)?),
        ("B", "B") => Some(STANDARD.decode(one.as_str()?).ok()?.cmp(&STANDARD.decode(other.as_str()?).ok()?)),
        _ => None,
    }
}

/// Whether two values are the same.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match compare(one, other) {
        Some(order) => order == Ordering::Equal,
        None => one == other,
    }
}

/// Whether a text or bytes begin with others.
pub(super) fn begins_with(value: &Value, prefix: &Value) -> bool {
    let begins = || {
        let ((of_value, value), (of_prefix, prefix)) = (parts(value)?, parts(prefix)?);
        match (of_value, of_prefix) {
            ("S", "S") => Some(value.as_str()?.starts_with(prefix.as_str()?)),
            ("B", "B") => {
                Some(STANDARD.decode(value.as_str()?).ok()?.starts_with(&STANDARD.decode(prefix.as_str()?).ok()?))
            }
            _ => None,
        }
    };
    begins() == Some(true)
}

/// The type and the content.
fn parts(value: &Value) -> Option<(&str, &Value)> {
    let mut fields = value.as_object()?.iter();
    match (fields.next(), fields.next()) {
        (Some((name, content)), None) => Some((name, content)),
        _ => None,
    }
}

/// Numbers travel as text. They are exact up to 2^53, which is more than is counted here.
fn number(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_compare_by_what_they_are() {
        assert_eq!(compare(&json!({"N": "9"}), &json!({"N": "10"})), Some(Ordering::Less));
        assert_eq!(compare(&json!({"S": "9"}), &json!({"S": "10"})), Some(Ordering::Greater));
        assert_eq!(compare(&json!({"S": "9"}), &json!({"N": "9"})), None);
        assert!(equal(&json!({"N": "1.0"}), &json!({"N": "1"})));
        assert!(equal(&json!({"BOOL": true}), &json!({"BOOL": true})));
        assert!(begins_with(&json!({"B": "YWJj"}), &json!({"B": "YWI="})));
    }
}
