//! JSON Schemas (draft 2020-12) of config and outputs.
//! Made by schemars; [`of_config`] closes the root against fields that nobody reads.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
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
    // Inlined, so that who follows a reference finds a property's type where the property is.
    let mut schema =
        settings.with(|settings| settings.inline_subschemas = true).into_generator().into_root_schema_for::<T>();
    // The name of a Rust type says nothing to who writes a pipeline.
    schema.remove("title");
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    if schema.get("properties").is_none() {
        schema.insert("properties".to_owned(), Value::Object(serde_json::Map::new()));
    }
    schema.to_value()
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
        assert_eq!(schema.pointer("/required"), Some(&serde_json::json!(["how-often", "later"])));
        assert!(schema.pointer("/$schema").is_some_and(|s| s.as_str().is_some_and(|s| s.contains("2020-12"))));
    }
}
