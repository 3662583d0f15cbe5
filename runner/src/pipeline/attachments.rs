//! Files beside the pipeline that configs name: the strings that a plugin's schema marks by `"x-kiln-file": true`.
//!
//! The main function is [`named`]. They are read when the pipeline is checked, so that a run knows them before it begins.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::join;

/// The keyword by which a schema marks a string that names a file.
const KEYWORD: &str = "x-kiln-file";

/// The keyword by which a schema names the linter of such a file.
const LINTER: &str = "x-kiln-lint";

/// A file has at most so many bytes: a template of CloudFormation has.
pub(crate) const LARGEST: u64 = 1 << 20;

/// All files of a pipeline together have at most so many.
pub(crate) const ALL: usize = 16 << 20;

/// How many schemas one within the other are followed.
const DEEPEST: usize = 32;

/// The strings of a config that name files: a JSON pointer and the path each, in the order of the config.
pub(crate) fn named(schema: &Value, config: &Value) -> Vec<(String, String)> {
    let mut walk = FileWalk::of(schema);
    walk.value(schema, config, "", 0);
    walk.found
}

/// The files of a config for which its schema names a linter: the linter and the path each.
pub(crate) fn linted(schema: &Value, config: &Value) -> Vec<(String, String)> {
    let mut walk = FileWalk::of(schema);
    walk.value(schema, config, "", 0);
    walk.linted
}

struct FileWalk<'a> {
    root: &'a Value,
    found: Vec<(String, String)>,
    linted: Vec<(String, String)>,
    seen: BTreeSet<String>,
}

impl<'a> FileWalk<'a> {
    fn of(root: &'a Value) -> Self {
        Self { root, found: Vec::new(), linted: Vec::new(), seen: BTreeSet::new() }
    }

    fn value(&mut self, schema: &'a Value, value: &Value, pointer: &str, depth: usize) {
        let Some(keywords) = schema.as_object().filter(|_| depth < DEEPEST) else { return };
        if let (Some(Value::Bool(true)), Value::String(path)) = (keywords.get(KEYWORD), value)
            && self.seen.insert(pointer.to_owned())
        {
            self.found.push((pointer.to_owned(), path.clone()));
            let linter = keywords.get(LINTER).and_then(Value::as_str);
            self.linted.extend(linter.map(|linter| (linter.to_owned(), path.clone())));
        }
        for other in self.beside(keywords) {
            self.value(other, value, pointer, depth + 1);
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let own = keywords.get("properties").and_then(|properties| properties.get(name));
                    if let Some(schema) = own.or_else(|| keywords.get("additionalProperties")) {
                        self.value(schema, member, &join(pointer, name), depth + 1);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = keywords.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.value(schema, item, &join(pointer, &index.to_string()), depth + 1);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The schemas that say more of the same value.
    fn beside(&self, keywords: &'a Map<String, Value>) -> Vec<&'a Value> {
        let reference = keywords.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        let mut others: Vec<&Value> = reference.and_then(|pointer| self.root.pointer(pointer)).into_iter().collect();
        for combined in ["allOf", "anyOf", "oneOf"] {
            others.extend(keywords.get(combined).and_then(Value::as_array).into_iter().flatten());
        }
        others
    }
}

/// A config as far as its file says it without an expression; in the place of one stands a text, and its pointer is told.
pub(crate) fn literal(with: Option<&Map<String, Value>>) -> (Value, Vec<String>) {
    let mut unknown = Vec::new();
    let config = Value::Object(with.cloned().unwrap_or_default());
    (plain(config, "", &mut unknown), unknown)
}

fn plain(value: Value, pointer: &str, unknown: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) if text.contains("${") => {
            unknown.push(pointer.to_owned());
            Value::from("(known when the run starts)")
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| plain(item, &join(pointer, &index.to_string()), unknown)).collect()
        }
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(
                members.map(|(name, value)| (name.clone(), plain(value, &join(pointer, &name), unknown))).collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_that_name_files_are_found_wherever_a_schema_marks_them() {
        let schema = json!({
            "$defs": { "file": { "type": "string", "x-kiln-file": true }, "loop": { "$ref": "#/$defs/loop" } },
            "properties": {
                "template": { "type": "string", "x-kiln-file": true, "x-kiln-lint": "cfn-lint" },
                "policy": { "anyOf": [{ "$ref": "#/$defs/file" }, { "type": "null" }] },
                "more": { "items": { "properties": { "path": { "$ref": "#/$defs/file" } } } },
                "by-name": { "additionalProperties": { "$ref": "#/$defs/file" } },
                "circle": { "$ref": "#/$defs/loop" }, "plain": { "type": "string" },
            },
        });
        let config = json!({
            "template": "a.yaml", "policy": null, "more": [{ "path": "b" }, { "other": "x" }], "by-name": { "c/d": "e" },
            "circle": "x", "plain": "y",
        });
        let found = named(&schema, &config);
        let expected = [("/template", "a.yaml"), ("/more/0/path", "b"), ("/by-name/c~1d", "e")];
        assert_eq!(found, expected.map(|(pointer, path)| (pointer.to_owned(), path.to_owned())));
        assert_eq!(linted(&schema, &config), [("cfn-lint".to_owned(), "a.yaml".to_owned())]);
    }

    #[test]
    fn what_an_expression_says_is_not_known() {
        let with = json!({ "a": "x", "b": ["${inputs.y}", 1], "c": { "d": "x${run.id}" } });
        let (config, unknown) = literal(with.as_object());
        assert_eq!(unknown, ["/b/0", "/c/d"]);
        assert_eq!(config.pointer("/a"), Some(&json!("x")));
    }
}
