//! What a JSON Schema says of the fields of a table, as people read it: types, limits, defaults, allowed values.
//!
//! The main function is [`fields_of`].

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::harmless::line;
use crate::pipeline::nullless;

/// A table within a table within a table: deeper ones are not told.
const DEEPEST: usize = 8;
/// A longer pattern is cut.
const LONGEST_PATTERN: usize = 60;
/// More fields are not told.
const MOST: usize = 1_000;
/// The column at which the types stand, where the names leave room for it.
const COLUMN: usize = 28;

/// The fields, each with what it is and, beneath, what it is for. What stands in a table has the table's name before it; `[]` stands for
/// each item of a list.
/// `required` is what is said of a field that is always there.
pub(crate) fn fields_of(schema: &Value, required: &str) -> String {
    let schema = nullless(schema);
    let mut fields = Fields { root: &schema, required, out: String::new(), told: 0 };
    fields.table(&schema, "", 0);
    match fields.told {
        0 => "  (none)\n".to_owned(),
        _ => fields.out,
    }
}

struct Fields<'a> {
    root: &'a Value,
    required: &'a str,
    out: String,
    told: usize,
}

impl<'a> Fields<'a> {
    /// The fields of one table.
    fn table(&mut self, schema: &'a Value, before: &str, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, property) in properties {
            if self.told >= MOST {
                return;
            }
            self.told += 1;
            let is_required = required.contains(&name.as_str());
            let name = format!("{before}{name}");
            let target = self.target(property);
            let mut what = self.kind(target, depth);
            what.push_str(&limits(target));
            match property.get("default").or_else(|| target.get("default")) {
                Some(default) if !default.is_null() => push(&mut what, format_args!(" (default {default})")),
                _ if is_required => push(&mut what, format_args!(" ({})", self.required)),
                _ => {}
            }
            push(&mut self.out, format_args!("  {:<COLUMN$} {}\n", line(&name), line(&what)));
            let description = [property, target].into_iter().find_map(|schema| schema.get("description")?.as_str());
            if let Some(description) = description {
                push(&mut self.out, format_args!("      {}\n", line(&description.replace('\n', " "))));
            }
            self.choices(target);
            if depth < DEEPEST {
                self.within(target, &name, depth + 1);
            }
        }
    }

    /// What each of several allowed values means, where that is told.
    fn choices(&mut self, schema: &Value) {
        let choices =
            alternatives(schema).filter_map(|choice| Some((choice.get("const")?, choice.get("description")?)));
        for (value, description) in choices.take(MOST) {
            let description = description.as_str().unwrap_or_default().replace('\n', " ");
            push(&mut self.out, format_args!("        {}  {}\n", line(&value.to_string()), line(&description)));
        }
    }

    /// The fields of a table that stands in a field, or of each of several.
    fn within(&mut self, schema: &'a Value, name: &str, depth: usize) {
        self.table(schema, &format!("{name}."), depth);
        if let Some(items) = schema.get("items") {
            self.within(self.target(items), &format!("{name}[]"), depth);
        }
        if let Some(more) = schema.get("additionalProperties").filter(|more| more.is_object()) {
            self.within(self.target(more), &format!("{name}.NAME"), depth);
        }
        for choice in alternatives(schema).filter(|choice| choice.get("const").is_none()) {
            self.within(self.target(choice), name, depth);
        }
    }

    /// What a reference leads to.
    fn target(&self, schema: &'a Value) -> &'a Value {
        let mut here = schema;
        for _ in 0..32 {
            let pointer = here.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            match pointer.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => here = target,
                None => break,
            }
        }
        here
    }

    /// What may stand there, in a few words.
    fn kind(&self, schema: &'a Value, depth: usize) -> String {
        if let Some(constant) = schema.get("const") {
            return constant.to_string();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return or(values.iter().map(Value::to_string).collect());
        }
        let choices: Vec<String> =
            alternatives(schema).map(|choice| self.kind(self.target(choice), depth + 1)).collect();
        if !choices.is_empty() && depth <= DEEPEST {
            return or(choices);
        }
        let types = match schema.get("type") {
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(only)) => vec![only.as_str()],
            _ => Vec::new(),
        };
        match types.is_empty() {
            true => "anything".to_owned(),
            false => or(types.into_iter().map(|kind| self.named(kind, schema, depth)).collect()),
        }
    }

    fn named(&self, kind: &str, schema: &'a Value, depth: usize) -> String {
        let of = |inner: Option<&'a Value>| {
            let inner = inner.filter(|inner| inner.is_object() && depth < DEEPEST).map(|inner| self.target(inner))?;
            Some(format!(" of {}{}", self.kind(inner, depth + 1), limits(inner)))
        };
        match kind {
            "string" => "text".to_owned(),
            "boolean" => "true or false".to_owned(),
            "array" => format!("list{}", of(schema.get("items")).unwrap_or_default()),
            "object" if schema.get("properties").is_some() => "table".to_owned(),
            "object" => format!("table{}", of(schema.get("additionalProperties")).unwrap_or_default()),
            other => other.to_owned(),
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // INVARIANT: writing to a String does not fail.
    let _ = out.write_fmt(text);
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten()
}

fn or(mut words: Vec<String>) -> String {
    words.dedup();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
        None => String::new(),
    }
}

/// What a value must be beside its type.
fn limits(schema: &Value) -> String {
    let Value::Object(schema) = schema else { return String::new() };
    let mut said = Vec::new();
    said.extend(range(schema, "minimum", "maximum", ""));
    said.extend(range(schema, "minItems", "maxItems", " items"));
    said.extend(range(schema, "minLength", "maxLength", " characters").filter(|_| !schema.contains_key("pattern")));
    match (schema.get("examples").and_then(Value::as_array), schema.get("pattern").and_then(Value::as_str)) {
        (Some(examples), _) if !examples.is_empty() => {
            let examples: Vec<String> = examples.iter().take(3).map(Value::to_string).collect();
            said.push(format!("such as {}", examples.join(", ")));
        }
        (_, Some(pattern)) => {
            let short: String = pattern.chars().take(LONGEST_PATTERN).collect();
            let cut = if short.len() < pattern.len() { "…" } else { "" };
            said.push(format!("of the form {short}{cut}"));
        }
        (_, None) => {}
    }
    said.iter().map(|said| format!(", {said}")).collect()
}

fn range(schema: &Map<String, Value>, least: &str, most: &str, unit: &str) -> Option<String> {
    match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) if least.as_f64() == Some(0.0) => None,
        (Some(least), None) if least.as_f64() == Some(1.0) && !unit.is_empty() => Some("not empty".to_owned()),
        (Some(least), None) => Some(format!("at least {least}{unit}")),
        (None, Some(most)) => Some(format!("at most {most}{unit}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_limits_defaults_and_allowed_values_are_told() {
        let schema = json!({
            "type": "object", "required": ["project", "cache"],
            "properties": {
                "project": { "type": "string", "pattern": "^[a-z]+$", "description": "The project,\nby name." },
                "minutes": { "type": ["integer", "null"], "minimum": 5, "maximum": 2160 },
                "poll": { "type": "string", "pattern": "^([0-9]+s)?$", "examples": ["10s", "5m"], "default": "10s" },
                "mode": {
                    "default": "fail",
                    "oneOf": [{ "const": "fail", "description": "Refuse." }, { "const": "reuse", "description": "Take it." }],
                },
                "cache": { "anyOf": [{ "$ref": "#/$defs/cache" }, { "type": "null" }], "description": "A cache." },
                "alarms": { "type": "array", "minItems": 1, "maxItems": 100, "items": { "type": "string", "minLength": 1 } },
                "accept": { "type": "array", "items": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } } },
                "environment": { "type": "object", "additionalProperties": { "type": "string" } },
                "on": { "type": "boolean", "default": false },
                "any": {},
            },
            "$defs": { "cache": { "type": "object", "required": ["type"], "properties": {
                "type": { "enum": ["s3", "local"] }, "modes": { "type": "array", "items": { "$ref": "#/$defs/mode" } },
            } }, "mode": { "const": "layers" } },
        });
        insta::assert_snapshot!(fields_of(&schema, "required"));
        assert_eq!(fields_of(&json!({ "type": "object" }), "required"), "  (none)\n");
    }

    #[test]
    fn what_a_plugin_writes_into_its_schema_is_harmless() {
        for text in crate::harmless::hostile_tests::HOSTILE {
            let schema = json!({ "properties": { text: { "description": text, "default": text, "pattern": text } } });
            assert_eq!(crate::harmless::hostile_tests::acts(&fields_of(&schema, "required")), None, "{text:?}");
        }
    }
}
