//! JSON that guests, files and AWS hand in: read only as deep as every record around it can be read again.
//!
//! The main function is [`read`]; [`DEEPEST`] is the one bound.

use serde_json::Value;

/// How deep lists and objects may lie in one another. The reader of a journal goes 128 levels down: what is written is an
/// entry of a record, and a text that holds JSON may be unfolded where it stands.
pub(crate) const DEEPEST: usize = 48;

/// Why a text is no JSON that can be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is nested deeper than [`DEEPEST`].
    #[error("nested more than {DEEPEST} levels deep")]
    TooDeep,
    /// It is something else.
    #[error("not JSON ({0})")]
    Syntax(#[from] serde_json::Error),
}

/// The value of a text.
pub(crate) fn read(text: &[u8]) -> Result<Value, Unreadable> {
    if is_too_deep(text) {
        return Err(Unreadable::TooDeep);
    }
    Ok(serde_json::from_slice(text)?)
}

/// Whether the brackets of a text, outside of strings, go too deep. What is no JSON is judged by whoever reads it.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut within, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b'[' | b'{' if !within => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b']' | b'}' if !within => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a value that was made of others goes too deep.
pub(crate) fn goes_too_deep(value: &Value) -> bool {
    let mut left = vec![(value, 1_usize)];
    while let Some((value, depth)) = left.pop() {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
            Value::Array(_) | Value::Object(_) if depth > DEEPEST => return true,
            Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => left.extend(fields.values().map(|field| (field, depth + 1))),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn the_deepest_is_read_and_nothing_deeper() {
        assert!(read(nested(DEEPEST).as_bytes()).is_ok_and(|value| !goes_too_deep(&value)));
        assert!(matches!(read(nested(DEEPEST + 1).as_bytes()), Err(Unreadable::TooDeep)));
        let object = format!("{}1{}", r#"{"a":"#.repeat(DEEPEST + 1), "}".repeat(DEEPEST + 1));
        assert!(matches!(read(object.as_bytes()), Err(Unreadable::TooDeep)));
        assert!(matches!(read("[".repeat(1_000_000).as_bytes()), Err(Unreadable::TooDeep)), "no stack is needed");
        assert!(matches!(read(b"[1,"), Err(Unreadable::Syntax(_))));
    }

    #[test]
    fn brackets_in_strings_are_no_levels() {
        let text = format!(r#"["{}", "\"[[", "\\", ["\\\"{{"]]"#, "[{".repeat(100));
        assert!(read(text.as_bytes()).is_ok(), "{:?}", read(text.as_bytes()));
        let wide = format!("[{}1]", "[[]],".repeat(1_000));
        assert!(read(wide.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_made_of_others_is_measured_too() {
        let mut value = json!("bottom");
        for _ in 0..DEEPEST {
            value = json!({ "a": value });
        }
        assert!(!goes_too_deep(&value));
        assert!(goes_too_deep(&json!([value])));
        let mut deepest = Value::Null;
        for _ in 0..10_000 {
            deepest = Value::Array(vec![deepest]);
        }
        assert!(goes_too_deep(&deepest));
        // To drop it takes a frame a level.
        std::mem::forget(deepest);
    }

    proptest! {
        #[test]
        fn both_measures_agree(levels in proptest::collection::vec(any::<bool>(), 30..70), tail in "[a\\[\\]{}\"\\\\]{0,8}") {
            let value = levels.iter().fold(json!(tail), |inner, list| if *list { json!([1, inner]) } else { json!({"k]": inner}) });
            prop_assert_eq!(is_too_deep(value.to_string().as_bytes()), levels.len() > DEEPEST);
            prop_assert_eq!(goes_too_deep(&value), levels.len() > DEEPEST);
        }
    }
}
