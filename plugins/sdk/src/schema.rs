//! JSON Schemas (draft 2020-12) of config and outputs.
//! Made by schemars; [`of_config`] closes the root against fields that nobody reads.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of a config type: what may stand in `with`.
pub fn of_config<T: JsonSchema>() -> Value {
    root::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// The schema of an output type.
pub fn of_outputs<T: JsonSchema>() -> Value {
    root::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn root<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let mut schema = settings
        // Inlined, so that who follows a reference finds a property's type where the property is.
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(unwrap_lines))
        .into_generator()
        .into_root_schema_for::<T>();
    // The name and the meaning of a Rust type say nothing to who writes a pipeline.
    schema.remove("title");
    schema.remove("description");
    // A type that says otherwise has more than its fields.
    if schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if schema.get("properties").is_none() {
        schema.insert("properties".to_owned(), Value::Object(serde_json::Map::new()));
    }
    schema.to_value()
}

/// The lines of a doc comment are as long as source lines may be; a paragraph is one line in a schema.
fn unwrap_lines(schema: &mut Schema) {
    let description = schema.get("description").and_then(Value::as_str);
    if let Some(description) = description.filter(|description| description.contains('\n')) {
        let paragraphs: Vec<String> = description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
        schema.insert("description".to_owned(), paragraphs.join("\n\n").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Duration, Known};
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Config {
        /// How often.
        how_often: Duration,
        /// One
        /// paragraph.
        ///
        /// Another.
        later: Known<String>,
        perhaps: Option<u32>,
    }

    #[test]
    fn a_config_is_closed_and_kebab_case() {
        let schema = of_config::<Config>();
        assert_eq!(schema.pointer("/additionalProperties"), Some(&Value::Bool(false)));
        assert_eq!(schema.pointer("/type"), Some(&"object".into()));
        assert_eq!(schema.pointer("/properties/how-often/type"), Some(&"string".into()));
        assert_eq!(schema.pointer("/properties/how-often/description"), Some(&"How often.".into()));
        assert_eq!(schema.pointer("/properties/later/type"), Some(&"string".into()), "as if it were known");
        assert_eq!(schema.pointer("/properties/later/description"), Some(&"One paragraph.\n\nAnother.".into()));
        assert_eq!(schema.pointer("/required"), Some(&serde_json::json!(["how-often", "later"])));
        assert!(schema.pointer("/$schema").is_some_and(|s| s.as_str().is_some_and(|s| s.contains("2020-12"))));
    }
}
