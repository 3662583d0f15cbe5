//! The JSON Schema of pipeline files as editors get it: the one that the check uses, with the forms of texts written out, and with the
//! config of each plugin.
//!
//! The main function is [`editor_schema`]. It refuses nothing that a check takes: what holds an expression may be anything.

use schemars::transform::{RecursiveTransform, Transform as _};
use serde_json::{Map, Value, json};

use super::file::{json_schema, without_null};

/// What a text with an expression in it matches.
const EXPRESSION: &str = r"\$\{";

/// Where the schema says which values hold an expression, at whatever depth.
const HOLDS_EXPRESSION: &str = "#/$defs/holds-expression";

/// A plugin that stages can name, as far as an editor cares.
#[derive(Debug, Clone, PartialEq)]
pub struct EditedPlugin {
    /// The name that stages use.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// The schema of its config.
    pub config: Value,
}

/// The JSON Schema of pipeline files whose stages use these plugins, or plugins that the file declares itself.
pub fn editor_schema(plugins: &[EditedPlugin]) -> Value {
    let mut schema = json_schema();
    write_out(&mut schema);
    let names: Vec<&str> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    if let Value::Object(root) = &mut schema {
        // Who declares plugins may give them any name.
        root.insert("if".to_owned(), json!({ "required": ["plugins"] }));
        let known = json!({ "properties": { "plugin": { "enum": names } } });
        root.insert("else".to_owned(), json!({ "properties": { "stages": { "additionalProperties": known } } }));
    }
    if let Some(Value::Object(stage)) = schema.pointer_mut("/$defs/Stage") {
        with_plugins(stage, plugins);
    }
    if let Some(Value::Object(defs)) = schema.get_mut("$defs") {
        defs.insert("holds-expression".to_owned(), holds_expression());
        for plugin in plugins {
            defs.insert(place(&plugin.name), config(plugin));
        }
    }
    schema
}

/// The name of a plugin's config among the definitions.
fn place(plugin: &str) -> String {
    format!("with-{plugin}")
}

fn reference(plugin: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{}", place(plugin)) })
}

/// What `with` may hold follows from `plugin`.
fn with_plugins(stage: &mut Map<String, Value>, plugins: &[EditedPlugin]) {
    // One after the other and not in an `allOf`: editors look for the fields of a table that has one elsewhere.
    let mut chain = Map::new();
    for plugin in plugins.iter().rev() {
        let mut then = json!({ "properties": { "with": reference(&plugin.name) } });
        let needs_some = plugin.config.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
        if let (true, Value::Object(then)) = (needs_some, &mut then) {
            then.insert("required".to_owned(), json!(["with"]));
        }
        let is_it = json!({ "properties": { "plugin": { "const": plugin.name } }, "required": ["plugin"] });
        let otherwise = std::mem::take(&mut chain);
        chain.insert("if".to_owned(), is_it);
        chain.insert("then".to_owned(), then);
        if !otherwise.is_empty() {
            chain.insert("else".to_owned(), Value::Object(otherwise));
        }
    }
    stage.extend(chain);
    let Some(Value::Object(properties)) = stage.get_mut("properties") else { return };
    if let Some(Value::Object(plugin)) = properties.get_mut("plugin") {
        let known = plugins.iter().map(|plugin| json!({ "const": plugin.name, "description": plugin.summary }));
        let mut choices: Vec<Value> = known.collect();
        choices.push(json!({ "type": "string" }));
        plugin.insert("anyOf".to_owned(), Value::Array(choices));
    }
    if let Some(Value::Object(with)) = properties.get_mut("with") {
        // It restricts nothing. Editors that do not follow conditions offer what they find here.
        let mut choices: Vec<Value> = plugins.iter().map(|plugin| reference(&plugin.name)).collect();
        choices.push(json!({ "type": "object" }));
        with.insert("anyOf".to_owned(), Value::Array(choices));
    }
}

/// Write out the forms that texts, keys and items have.
pub(crate) fn write_out(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.remove("x-form") {
                map.extend(form(&name));
            }
            if let Some(Value::String(name)) = map.remove("x-keys") {
                map.insert("propertyNames".to_owned(), Value::Object(form(&name)));
            }
            if let (Some(Value::String(name)), Some(Value::Object(items))) =
                (map.remove("x-items"), map.get_mut("items"))
            {
                items.extend(form(&name));
            }
            map.values_mut().for_each(write_out);
        }
        Value::Array(items) => items.iter_mut().for_each(write_out),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What texts of a form must match. The types that parse them are stricter here and there, and never wider.
fn form(name: &str) -> Map<String, Value> {
    let form = match name {
        "name" => json!({ "pattern": "^[a-z][a-z0-9_-]{0,63}$" }),
        "stage" => json!({ "pattern": "^[a-z][a-z0-9_-]{0,63}$", "not": { "const": crate::types::HOST } }),
        "region" => json!({ "pattern": "^[a-z]+(-[a-z]+)+-[1-9][0-9]?$", "maxLength": 32 }),
        "account" => json!({ "pattern": "^[0-9]{12}$" }),
        "role" => json!({ "pattern": r"^arn:aws(-[a-z]+)*:iam:[a-z0-9-]*:[0-9]{12}:role/[^*?\s]+$" }),
        "secret" => json!({ "pattern": "^[^*]+$" }),
        "digest" => json!({ "pattern": "^sha256:[0-9a-f]{64}$" }),
        "table" => json!({ "pattern": "^[A-Za-z0-9_.-]{3,255}$" }),
        "path" => json!({ "minLength": 1 }),
        "duration" => json!({
            "pattern": format!("^{}$", kiln_span::FORM), "not": { "pattern": "^[0dhms]*$" }, "examples": ["10s", "5m", "1h30m", "30d"],
        }),
        // A world takes none at all, too.
        "any-duration" => json!({ "pattern": format!("^{}$", kiln_span::FORM), "minLength": 2 }),
        "moment" => json!({ "pattern": format!("^({}|.*%)$", kiln_span::FORM), "minLength": 2 }),
        _ => json!({}),
    };
    match form {
        Value::Object(form) => form,
        _ => Map::new(),
    }
}

/// Values in which an expression stands somewhere.
fn holds_expression() -> Value {
    let inner = json!({ "$ref": HOLDS_EXPRESSION });
    json!({
        "description": "What holds an expression, `${…}`, somewhere.",
        "anyOf": [
            { "type": "string", "pattern": EXPRESSION },
            { "type": "array", "contains": inner },
            { "type": "object", "not": { "additionalProperties": { "not": inner } } },
        ],
    })
}

/// The config of a plugin as it may stand in a file.
fn config(plugin: &EditedPlugin) -> Value {
    let mut config = relaxed(&nullless(&plugin.config), true);
    lead_to(&mut config, &format!("#/$defs/{}", place(&plugin.name)));
    if let Value::Object(config) = &mut config {
        config.entry("description").or_insert_with(|| json!(plugin.summary));
    }
    config
}

/// A schema without what it says of null, which TOML does not have: `Option` means that something may be left out.
pub(crate) fn nullless(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Ok(schema) = <&mut schemars::Schema>::try_from(&mut schema) {
        RecursiveTransform(without_null).transform(schema);
    }
    schema
}

/// References within a schema, where it has become a part of another.
fn lead_to(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) if reference != HOLDS_EXPRESSION => {
                        *reference = format!("{root}{}", reference.trim_start_matches('#'));
                    }
                    (_, value) => lead_to(value, root),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lead_to(item, root)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A schema that takes what `schema` takes, and whatever an expression may stand in. `is_whole` where it is of all of `with`, which must be
/// written as a table.
fn relaxed(schema: &Value, is_whole: bool) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut out = Map::new();
    // What is said of text, of one value, and of what lies within: it holds where there is no expression.
    let (mut of_text, mut of_whole) = (Map::new(), Map::new());
    for (key, value) in schema {
        match key.as_str() {
            "$schema" | "$id" | "format" => {}
            "properties" | "patternProperties" | "$defs" | "definitions" => {
                out.insert(key.clone(), each(value));
            }
            "additionalProperties" | "items" | "additionalItems" => {
                out.insert(key.clone(), relaxed(value, false));
            }
            "allOf" | "prefixItems" => {
                out.insert(key.clone(), list(value, is_whole));
            }
            // Of several that fit with an expression only one may fit in the end.
            "anyOf" | "oneOf" if !out.contains_key("anyOf") => {
                out.insert("anyOf".to_owned(), alternatives(value, is_whole));
            }
            "enum" | "const"
                if !out.contains_key("anyOf") && !schema.contains_key("anyOf") && !schema.contains_key("oneOf") =>
            {
                let value = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
                out.insert("anyOf".to_owned(), json!([value, expression()]));
            }
            "pattern" | "minLength" | "maxLength" => {
                of_text.insert(key.clone(), value.clone());
            }
            "if"
            | "then"
            | "else"
            | "not"
            | "anyOf"
            | "oneOf"
            | "enum"
            | "const"
            | "contains"
            | "minContains"
            | "maxContains"
            | "uniqueItems"
            | "dependentSchemas"
            | "dependencies"
            | "unevaluatedProperties"
            | "unevaluatedItems" => {
                of_whole.insert(key.clone(), value.clone());
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    let types = match schema.get("type") {
        Some(Value::String(only)) => vec![only.clone()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if !(is_whole || types.is_empty() || types.iter().any(|kind| kind == "string")) {
        // Text stands there only with an expression in it.
        let types: Vec<Value> = types.into_iter().chain(["string".to_owned()]).map(Value::String).collect();
        out.insert("type".to_owned(), Value::Array(types));
        out.insert("pattern".to_owned(), json!(EXPRESSION));
        of_text.clear();
    }
    if !of_whole.is_empty() {
        of_whole.extend(of_text);
        out.insert("if".to_owned(), json!({ "$ref": HOLDS_EXPRESSION }));
        out.insert("else".to_owned(), Value::Object(of_whole));
    } else if !of_text.is_empty() {
        out.insert("if".to_owned(), expression());
        out.insert("else".to_owned(), Value::Object(of_text));
    }
    Value::Object(out)
}

fn expression() -> Value {
    json!({ "type": "string", "pattern": EXPRESSION })
}

fn each(schemas: &Value) -> Value {
    match schemas {
        Value::Object(schemas) => schemas.iter().map(|(name, schema)| (name.clone(), relaxed(schema, false))).collect(),
        other => other.clone(),
    }
}

fn list(schemas: &Value, is_whole: bool) -> Value {
    match schemas {
        Value::Array(schemas) => schemas.iter().map(|schema| relaxed(schema, is_whole)).collect(),
        other => other.clone(),
    }
}

/// Alternatives. Where each is one value, they stay as they are, and an expression is one more.
fn alternatives(schemas: &Value, is_whole: bool) -> Value {
    let constant = |schema: &Value| schema.get("const").or_else(|| schema.get("enum")).is_some();
    match schemas {
        Value::Array(all) if all.iter().all(constant) => all.iter().cloned().chain([expression()]).collect(),
        other => list(other, is_whole),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pipeline::Span;
    use crate::pipeline::schema::{CHECK, Schema};
    use crate::steps::Steps;
    use crate::types::{AccountId, Arn, Digest, PipelineName, Region, StageName, TableName};

    fn takes(schema: &Value, value: &Value) -> bool {
        let schema = Schema::new(schema.clone()).unwrap();
        schema.check(value, &[], &Steps::of(CHECK)).unwrap().list.is_empty()
    }

    fn is_of(name: &str, text: &str) -> bool {
        takes(&Value::Object(form(name)), &json!(text))
    }

    /// What the parser of a form takes.
    fn parses(name: &str, text: &str) -> bool {
        match name {
            "name" => text.parse::<PipelineName>().is_ok(),
            "stage" => text.parse::<StageName>().is_ok() && text != crate::types::HOST,
            "region" => text.parse::<Region>().is_ok(),
            "account" => text.parse::<AccountId>().is_ok(),
            "digest" => text.parse::<Digest>().is_ok(),
            "table" => text.parse::<TableName>().is_ok(),
            "duration" => text.parse::<Span>().is_ok(),
            "role" => text.parse::<Arn>().is_ok_and(|arn| {
                let named = arn.resource().strip_prefix("role/").is_some_and(|name| !name.is_empty());
                arn.service() == "iam" && named && arn.account().len() == 12 && !text.contains(['*', '?'])
            }),
            other => unreachable!("{other}"),
        }
    }

    const GOOD: [(&str, &str); 14] = [
        ("name", "web"),
        ("name", "a_1-b"),
        ("stage", "kiln"),
        ("stage", "kiln2"),
        ("region", "eu-central-1"),
        ("region", "us-gov-west-12"),
        ("account", "012345678901"),
        ("digest", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("table", "Table_1.x-y"),
        ("duration", "1d2h3m4s5ms"),
        ("duration", "10s"),
        ("role", "arn:aws:iam::111111111111:role/path/deployer"),
        ("role", "arn:aws-cn:iam::111111111111:role/x"),
        ("role", "arn:aws-eusc:iam::111111111111:role/a+=,.@_-b"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn what_is_parsed_is_of_the_form_of_its_field(
            good in prop::sample::select(GOOD.as_slice()),
            odd in prop::sample::select(["", "-", "0", "1", "s", "d", "m", ":", "/", "_", ".", "a", "Z", " ", "\n", "\u{663}", "*"].as_slice()),
            at in any::<prop::sample::Index>(),
            gone in 0_usize..3,
        ) {
            let (name, text) = good;
            let at = at.index(text.len() + 1);
            let text = format!("{}{odd}{}", &text[..at], text.get(at + gone..).unwrap_or_default());
            prop_assert!(!parses(name, &text) || is_of(name, &text), "{name}: {text:?}");
            // And hardly anything else is.
            let exact = ["name", "stage", "region", "account", "digest", "table"].contains(&name);
            prop_assert!(!exact || parses(name, &text) == is_of(name, &text), "{name}: {text:?}");
        }
    }

    #[test]
    fn what_holds_no_expression_must_be_right_and_what_holds_one_may_be_anything() {
        let strict = json!({
            "type": "object", "additionalProperties": false, "required": ["tag"],
            "properties": {
                "tag": { "type": "string", "pattern": "^[a-z]+$", "maxLength": 4 },
                "minutes": { "type": ["integer", "null"], "minimum": 5 },
                "mode": { "oneOf": [{ "const": "a", "description": "A." }, { "const": "b" }] },
                "list": { "type": "array", "minItems": 1, "items": { "type": "string", "if": { "pattern": "^arn:" }, "then": { "pattern": "^arn:x$" } } },
                "table": {
                    "type": "object", "properties": { "type": { "enum": ["s3", "local"] }, "at": { "type": "string" } },
                    "if": { "properties": { "type": { "const": "s3" } } }, "then": { "required": ["at"] }, "else": { "not": { "required": ["at"] } },
                },
            },
        });
        let plugin = EditedPlugin { name: "p".to_owned(), summary: "Does.".to_owned(), config: strict.clone() };
        let loose = config(&plugin);
        let loose =
            json!({ "$defs": { "holds-expression": holds_expression(), "with-p": loose }, "$ref": "#/$defs/with-p" });
        for same in [
            json!({ "tag": "abc" }),
            json!({ "tag": "abcde" }),
            json!({ "tag": "A" }),
            json!({}),
            json!({ "tag": "a", "minutes": 4 }),
            json!({ "tag": "a", "minutes": "5" }),
            json!({ "tag": "a", "mode": "c" }),
            json!({ "tag": "a", "mode": "b" }),
            json!({ "tag": "a", "list": [] }),
            json!({ "tag": "a", "list": ["arn:y"] }),
            json!({ "tag": "a", "list": "x" }),
            json!({ "tag": "a", "table": { "type": "s3" } }),
            json!({ "tag": "a", "table": { "type": "local", "at": "x" } }),
            json!({ "tag": "a", "table": { "type": "s3", "at": "x" } }),
            json!({ "tag": "a", "tga": "${x}" }),
            json!("${x}"),
        ] {
            assert_eq!(takes(&strict, &same), takes(&loose, &same), "{same}");
        }
        for with_one in [
            json!({ "tag": "V-${inputs.commit}" }),
            json!({ "tag": "a", "minutes": "${inputs.m}" }),
            json!({ "tag": "a", "mode": "${inputs.m}" }),
            json!({ "tag": "a", "list": "${inputs.m}" }),
            json!({ "tag": "a", "list": ["arn:${region}"] }),
            json!({ "tag": "a", "table": "${inputs.t}" }),
            json!({ "tag": "a", "table": { "type": "${inputs.t}", "at": "x" } }),
            json!({ "tag": "a", "table": { "type": "${inputs.t}" } }),
        ] {
            assert!(takes(&loose, &with_one), "{with_one}");
        }
    }
}
