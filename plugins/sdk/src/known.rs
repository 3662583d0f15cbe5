//! Config values that are not known while planning, because they depend on stages that have not run.
//! The main type is [`Known`].

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::{Failure, Plan};

/// A config value that may be unknown while planning. Its schema is that of `T`.
///
/// A config whose unknown values all fall on fields of this type is planned by the plugin; where one falls on another field,
/// the SDK answers a plan that says which stage has to run first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// The value. Always so in `run` and `undo`.
    Now(T),
    /// It is known once this stage has run.
    After(String),
}

impl<T> Known<T> {
    /// The value; a failure where it is not known, which does not happen in `run` and `undo`.
    pub fn get(&self) -> Result<&T, Failure> {
        match self {
            Self::Now(value) => Ok(value),
            Self::After(stage) => {
                Err(Failure::internal(format!("a value is used that is known only after stage {stage}")))
            }
        }
    }
}

/// What stands in the place of an unknown value while a config is read: nothing but [`Known`] accepts it.
const MARKER: &str = "kiln:known-after";

impl<'de, T: DeserializeOwned> Deserialize<'de> for Known<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.get(MARKER).and_then(Value::as_str) {
            Some(stage) => Ok(Self::After(stage.to_owned())),
            None => T::deserialize(value).map(Self::Now).map_err(D::Error::custom),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Known<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Put markers in the place of the unknown values. Answers the stages that they wait for.
pub(crate) fn mark(config: &mut Value, unknown: &[String]) -> BTreeSet<String> {
    let mut stages = BTreeSet::new();
    for pointer in unknown {
        let Some(value) = config.pointer_mut(pointer) else { continue };
        let text = value.as_str().unwrap_or_default();
        let stage = text.strip_prefix("(known after ").and_then(|rest| rest.strip_suffix(')'));
        let stage = stage.unwrap_or("an earlier stage").to_owned();
        *value = json!({ MARKER: stage });
        stages.insert(stage);
    }
    stages
}

/// The plan of a stage whose config cannot be read yet.
pub(crate) fn plan_later(plugin: &str, stages: &BTreeSet<String>, unknown: &[String]) -> Plan {
    let stages = stages.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let fields = unknown.iter().map(|pointer| pointer.trim_start_matches('/')).collect::<Vec<_>>().join(", ");
    Plan::new(format!("{plugin} can be planned in detail only once {stages} has run: {fields} is not known before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Config {
        image: Known<String>,
        name: String,
    }

    fn config() -> Value {
        json!({ "image": "(known after build)", "name": "web" })
    }

    #[test]
    fn an_unknown_value_falls_on_a_field_that_awaits_it() {
        let mut value = config();
        let stages = mark(&mut value, &["/image".to_owned()]);
        assert_eq!(stages.into_iter().collect::<Vec<_>>(), ["build"]);
        let read = Config::deserialize(value).ok();
        assert_eq!(read, Some(Config { image: Known::After("build".to_owned()), name: "web".to_owned() }));
    }

    #[test]
    fn an_unknown_value_on_another_field_is_not_taken_for_a_value() {
        let mut value = json!({ "image": "x", "name": "(known after build)" });
        mark(&mut value, &["/name".to_owned()]);
        assert!(Config::deserialize(value).is_err());
    }

    #[test]
    fn what_is_known_is_read_as_it_is() {
        let read = Config::deserialize(config()).ok();
        assert_eq!(read.map(|config| config.image), Some(Known::Now("(known after build)".to_owned())));
    }

    #[test]
    fn a_plan_for_later_names_stage_and_field() {
        let plan = plan_later("scan-image", &BTreeSet::from(["build".to_owned()]), &["/image".to_owned()]);
        assert_eq!(
            plan.summary,
            "scan-image can be planned in detail only once build has run: image is not known before"
        );
    }
}
