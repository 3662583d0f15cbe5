//! The pipeline file as it is written: plain structs, from which its JSON Schema is made as well.
//!
//! The main type is [`RootTable`]. Every field is optional to the deserialiser, so that a file with errors is still read as far
//! as possible; the schema says what is required, and the check against the schema reports it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A kiln pipeline: stages that build, check and deploy immutable infrastructure on AWS.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "kiln pipeline")]
pub(crate) struct RootTable {
    /// The pipeline as a whole.
    #[schemars(required)]
    pub(crate) pipeline: Option<PipelineTable>,
    /// Values that are given when the pipeline is run: `${inputs.NAME}`.
    #[serde(default)]
    #[schemars(extend("x-keys" = "name"))]
    pub(crate) inputs: BTreeMap<String, InputTable>,
    /// Secrets in AWS Secrets Manager, by reference: `${secrets.NAME}`.
    #[serde(default)]
    #[schemars(extend("x-keys" = "name"))]
    pub(crate) secrets: BTreeMap<String, SecretTable>,
    /// The accounts that stages deploy to.
    #[serde(default)]
    #[schemars(extend("x-keys" = "name"))]
    pub(crate) environments: BTreeMap<String, EnvironmentTable>,
    /// Where runs and the leases of environments are shared, for pipelines that several machines run. The state directory where
    /// it is absent.
    pub(crate) store: Option<StoreTable>,
    /// Stage plugins beside those that kiln carries.
    #[serde(default)]
    #[schemars(extend("x-keys" = "name"))]
    pub(crate) plugins: BTreeMap<String, PluginTable>,
    /// The stages, by name. A stage runs as soon as all that it refers to has run.
    #[schemars(required)]
    #[schemars(extend("x-keys" = "stage"))]
    pub(crate) stages: Option<BTreeMap<String, StageTable>>,
}

/// The pipeline as a whole.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Pipeline")]
pub(crate) struct PipelineTable {
    /// The pipeline's name: lower-case letters, digits, `-` and `_`, a letter first.
    #[schemars(required)]
    #[schemars(extend("x-form" = "name"))]
    pub(crate) name: Option<String>,
    /// The AWS region that the stages act in, such as `eu-central-1`.
    #[schemars(required)]
    #[schemars(extend("x-form" = "region"))]
    pub(crate) region: Option<String>,
    /// What the pipeline is for, in a sentence.
    pub(crate) description: Option<String>,
    /// How many stages may run at the same time. All that can, where it is absent.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_parallel: Option<usize>,
    /// What happens when a stage fails, where the stage does not say it. `stop` where it is absent.
    pub(crate) on_failure: Option<OnFailure>,
}

/// A value that is given when the pipeline is run. Without a default it must be given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Input")]
pub(crate) struct InputTable {
    /// What the input is for, in a sentence.
    pub(crate) description: Option<String>,
    /// The type of its value: `string` where it is absent.
    #[serde(rename = "type")]
    pub(crate) kind: Option<InputType>,
    /// Its value where none is given. A text may use `${env.NAME}`.
    #[serde(default)]
    #[schemars(schema_with = "scalar")]
    pub(crate) default: Option<Value>,
    /// A regular expression that the whole of the text must match.
    pub(crate) pattern: Option<String>,
}

/// A secret in AWS Secrets Manager.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Secret")]
pub(crate) struct SecretTable {
    /// The secret's name or ARN.
    #[schemars(required)]
    #[schemars(extend("x-form" = "secret"))]
    pub(crate) id: Option<String>,
    /// The key in the secret, where it is a JSON object.
    pub(crate) key: Option<String>,
    /// The version by its staging label. `AWSCURRENT` where it is absent.
    pub(crate) version_stage: Option<String>,
    /// The version by its id.
    pub(crate) version_id: Option<String>,
}

/// An account that stages deploy to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Environment")]
pub(crate) struct EnvironmentTable {
    /// The AWS account: 12 digits, in quotes.
    #[schemars(required)]
    #[schemars(extend("x-form" = "account"))]
    pub(crate) account: Option<String>,
    /// The ARN of the role that stages assume there. The runner's own credentials where it is absent.
    #[schemars(extend("x-form" = "role"))]
    pub(crate) role: Option<String>,
    /// The region, where it is not the pipeline's.
    #[schemars(extend("x-form" = "region"))]
    pub(crate) region: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub(crate) external_id: Option<String>,
}

/// Where runs and the leases of environments are shared.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Store")]
pub(crate) struct StoreTable {
    /// The name of a DynamoDB table with the string keys `pk` (partition) and `sk` (sort).
    #[schemars(required)]
    #[schemars(extend("x-form" = "table"))]
    pub(crate) dynamodb: Option<String>,
    /// The table's region, where it is not the pipeline's.
    #[schemars(extend("x-form" = "region"))]
    pub(crate) region: Option<String>,
}

/// A stage plugin: a WebAssembly component.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Plugin")]
pub(crate) struct PluginTable {
    /// The component's file, relative to the pipeline file.
    #[schemars(required)]
    #[schemars(extend("x-form" = "path"))]
    pub(crate) path: Option<String>,
    /// The digest that the file must have: `sha256:` and 64 hexadecimal digits.
    #[schemars(extend("x-form" = "digest"))]
    pub(crate) digest: Option<String>,
}

/// A stage: one piece of work, done by a plugin.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Stage")]
pub(crate) struct StageTable {
    /// The plugin that does it: one that kiln carries, or one of `[plugins]`.
    #[schemars(required)]
    #[schemars(extend("x-form" = "name"))]
    pub(crate) plugin: Option<String>,
    /// The plugin's config. A text may hold expressions: `${stages.build.image}`.
    pub(crate) with: Option<Map<String, Value>>,
    /// The environment that the stage acts in. The runner's own account where it is absent.
    #[schemars(extend("x-form" = "name"))]
    pub(crate) environment: Option<String>,
    /// Stages that must have run before, beside those that the config refers to.
    #[schemars(extend("x-items" = "stage"))]
    pub(crate) after: Option<Vec<String>>,
    /// An expression; the stage is skipped where it is false. `stages.NAME.outcome` asks how another stage ended.
    pub(crate) when: Option<String>,
    /// How long an attempt may take, such as `"45m"`. An hour where it is absent.
    #[schemars(extend("x-form" = "duration"))]
    pub(crate) timeout: Option<String>,
    /// Whether and when the stage is tried again.
    pub(crate) retry: Option<RetryTable>,
    /// What happens when the stage fails for good.
    pub(crate) on_failure: Option<OnFailure>,
    /// Whether the plugin may read the values of the secrets that its config names.
    pub(crate) reveal: Option<bool>,
    /// What the stage is for, in a sentence.
    pub(crate) description: Option<String>,
}

/// Whether and when a stage is tried again.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub(crate) struct RetryTable {
    /// Attempts in all, the first one counted.
    #[schemars(required, range(min = 1, max = 100))]
    pub(crate) attempts: Option<u32>,
    /// The rest after the first attempt; it doubles after each further one. 5 seconds where it is absent.
    #[schemars(extend("x-form" = "duration"))]
    pub(crate) backoff: Option<String>,
    /// The longest rest. 5 minutes where it is absent.
    #[schemars(extend("x-form" = "duration"))]
    pub(crate) max_backoff: Option<String>,
    /// How much of a rest is left to chance: `full` where it is absent.
    pub(crate) jitter: Option<Jitter>,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum InputType {
    /// Text.
    #[default]
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// What happens when a stage fails for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OnFailure {
    /// No further stage begins.
    #[default]
    Stop,
    /// Stages that do not depend on it go on.
    Continue,
    /// What the run has changed is undone, the latest first.
    Undo,
}

/// How much of a rest between attempts is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Jitter {
    /// Between nothing and the whole rest.
    #[default]
    Full,
    /// Between half the rest and the whole.
    Equal,
    /// Nothing: always the whole rest.
    None,
}

fn scalar(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "number", "boolean"] })
}

/// The JSON Schema of the pipeline file that its check uses. Its `x-form`, `x-keys` and `x-items` name what texts, keys and items are to
/// be; the check parses these, and for editors they are written out (`editor`).
pub(crate) fn json_schema() -> Value {
    schema_of::<RootTable>()
}

/// The JSON Schema of a TOML file.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        // `Option` means "may be left out": TOML has no null.
        settings.transforms.push(Box::new(schemars::transform::RecursiveTransform(without_null)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(defs) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        defs.sort_keys();
    }
    schema
}

pub(super) fn without_null(schema: &mut schemars::Schema) {
    // The width of an integer of Rust says nothing to a reader; the limits that matter are there.
    schema.remove("format");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let alternatives = match schema.get("anyOf") {
        Some(Value::Array(alternatives)) => alternatives.clone(),
        _ => return,
    };
    let is_null = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "null");
    let kept: Vec<Value> = alternatives.into_iter().filter(|alternative| !is_null(alternative)).collect();
    if let [Value::Object(only)] = kept.as_slice() {
        schema.remove("anyOf");
        for (key, value) in only {
            // What the field says of itself goes before what its type says.
            if schema.get(key).is_none() {
                schema.insert(key.clone(), value.clone());
            }
        }
    }
}
