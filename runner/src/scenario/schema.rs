//! The JSON Schemas of world and scenario files, as editors get them.
//!
//! The main functions are [`world_schema`] and [`editor_schema`]: in a scenario, what changes a world has the form of a world file.

use serde_json::{Map, Value, json};

use super::expectation::KINDS;
use super::file::json_schema;
use crate::pipeline::{self, write_out};

/// The JSON Schema of world files. Its fields are those that the simulator reads.
pub fn world_schema() -> Value {
    let mut schema = pipeline::schema_of::<kiln_sim::WorldFile>();
    for def in schema.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        // What all of them may say is told here for those that do not.
        for (field, what) in [("account", "The account that has it"), ("region", "The region that it is in")] {
            if let Some(Value::Object(field)) = def.pointer_mut(&format!("/properties/{field}")) {
                field.entry("description").or_insert_with(|| json!(format!("{what}: the world's own unless told.")));
            }
        }
    }
    let defs = schema.get("$defs").cloned().unwrap_or_default();
    let of_item = |list: &Value| {
        let name = list.pointer("/items/$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        defs.get(name)?.get("description").cloned()
    };
    for list in properties(&mut schema).into_iter().flat_map(Map::values_mut) {
        // The lists of services are told by what they hold.
        let description = of_item(list).filter(|_| list.get("description").is_none());
        if let (Some(description), Value::Object(list)) = (description, list) {
            list.insert("description".to_owned(), description);
        }
    }
    schema
}

/// The JSON Schema of scenario files.
pub fn editor_schema() -> Value {
    let mut schema = json_schema();
    write_out(&mut schema);
    let mut world = world_schema();
    let of_world = world.get_mut("$defs").map(Value::take).unwrap_or_default();
    let lists: Vec<String> = properties(&mut world)
        .into_iter()
        .flatten()
        .filter(|(_, field)| field.get("type").is_some_and(|kind| kind == "array"))
        .map(|(name, _)| name.clone())
        .collect();
    let mut fields = world.get("properties").cloned().unwrap_or_default();
    lead_to(&mut fields, "change-");
    if let Some(Value::Object(defs)) = schema.get_mut("$defs") {
        for (name, def) in of_world.as_object().into_iter().flatten() {
            let (mut whole, mut change) = (def.clone(), def.clone());
            lead_to(&mut whole, "world-");
            lead_to(&mut change, "change-");
            without_required(&mut change);
            defs.insert(format!("world-{name}"), whole);
            defs.insert(format!("change-{name}"), change);
        }
    }
    set(&mut schema, "/properties/change", "properties", fields);
    set(&mut schema, "/properties/change", "additionalProperties", json!(false));
    set(&mut schema, "/properties/faults", "items", json!({ "$ref": "#/$defs/world-FaultSeed" }));
    set(&mut schema, "/properties/remove", "propertyNames", json!({ "enum": lists }));
    set(&mut schema, "/$defs/Expect/properties/failures", "additionalProperties", json!({ "enum": KINDS }));
    for (field, of_world) in [
        ("/$defs/Finding/properties/severity", "Severity"),
        ("/$defs/Alarm/properties/state", "AlarmState"),
        ("/$defs/BuildFails/properties/fails-in", "PhaseName"),
        ("/$defs/BuildFails/properties/status", "Status"),
    ] {
        let values = schema.pointer(&format!("/$defs/world-{of_world}/enum")).cloned();
        if let Some(values) = values {
            set(&mut schema, field, "enum", values);
        }
    }
    // They stand only in what was just taken apart.
    if let Some(Value::Object(defs)) = schema.get_mut("$defs") {
        let used = |name: &str| name == "world-FaultSeed" || !name.starts_with("world-") || name == "world-Kind";
        defs.retain(|name, _| used(name));
        defs.sort_keys();
    }
    schema
}

fn properties(schema: &mut Value) -> Option<&mut Map<String, Value>> {
    schema.get_mut("properties").and_then(Value::as_object_mut)
}

fn set(schema: &mut Value, place: &str, key: &str, value: Value) {
    if let Some(Value::Object(map)) = schema.pointer_mut(place) {
        map.insert(key.to_owned(), value);
    }
}

/// Give the definitions that a schema refers to other names.
fn lead_to(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("$ref", Value::String(reference)) => {
                        *reference = reference.replacen("#/$defs/", &format!("#/$defs/{prefix}"), 1);
                    }
                    (_, value) => lead_to(value, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lead_to(item, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A change says only what changes.
fn without_required(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("required").is_some_and(Value::is_array) {
                map.remove("required");
            }
            map.values_mut().for_each(without_required);
        }
        Value::Array(items) => items.iter_mut().for_each(without_required),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
