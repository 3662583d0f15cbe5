//! The schema of the pipeline file, as editors get it.

use super::fake::checked;
use crate::pipeline::file::json_schema;

#[test]
fn the_schema_is_the_one_that_was_reviewed() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&json_schema()).unwrap_or_default());
}

#[test]
fn everything_in_the_schema_is_described() {
    fn undescribed(schema: &serde_json::Value, path: &str, out: &mut Vec<String>) {
        let properties = schema.get("properties").and_then(serde_json::Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if property.get("description").is_none() {
                out.push(format!("{path}.{name}"));
            }
        }
        for (name, inner) in schema.get("$defs").and_then(serde_json::Value::as_object).into_iter().flatten() {
            undescribed(inner, name, out);
        }
    }
    let mut out = Vec::new();
    undescribed(&json_schema(), "", &mut out);
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn what_the_schema_takes_the_reader_takes() {
    let text = r#"
        [pipeline]
        name = "web"
        region = "us-west-2"
        description = "d"
        max-parallel = 4
        on-failure = "continue"
        [inputs.a]
        description = "d"
        type = "number"
        default = 1.5
        [secrets.s]
        id = "x"
        key = "k"
        version-stage = "AWSPENDING"
        [environments.e]
        account = "111111111111"
        role = "arn:aws:iam::111111111111:role/deployer"
        region = "eu-central-1"
        external-id = "x"
        [store]
        dynamodb = "kiln-runs"
        region = "eu-central-1"
        [plugins.p]
        path = "p.wasm"
        digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
        [stages.s]
        plugin = "p"
        with = {}
        environment = "e"
        after = ["t"]
        when = "true"
        timeout = "1d"
        retry = { attempts = 2, backoff = "1s", max-backoff = "2s", jitter = "equal" }
        on-failure = "undo"
        reveal = true
        description = "d"
        [stages.t]
        plugin = "p"
    "#;
    assert!(checked(text).is_ok(), "{:?}", checked(text).err());
}
