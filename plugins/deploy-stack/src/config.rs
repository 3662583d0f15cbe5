//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln_plugin::{Duration, FilePath, JsonSchema, Known};
use kiln_stack::{Protect, Recover, Recovery, StackName, WhenBusy};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("dependentRequired" = { "template-key": ["template-bucket"], "skip": ["recover"], "retain": ["recover"], "monitoring": ["rollback-alarms"] }))]
pub struct Config {
    /// The stack's name.
    pub stack: StackName,
    /// The template, YAML or JSON: a file in the pipeline's directory, or below it.
    #[schemars(extend("x-kiln-lint" = "cfn-lint"))]
    pub template: FilePath,
    /// A bucket for templates beyond 51,200 bytes, in the stage's account and region: kept there encrypted, each under its own digest.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"))]
    pub template_bucket: Option<String>,
    /// The ARN of the KMS key that templates in the bucket are encrypted by; S3's own key unless told.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"))]
    pub template_key: Option<String>,
    /// The template's parameters. Lists are written as lists, secrets as `${secrets.NAME}`: CloudFormation gets a dynamic reference.
    #[serde(default)]
    pub parameters: BTreeMap<String, Known<ParameterValue>>,
    /// Parameters that keep the value that the stack has, where it has one: those that other stages set.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9]{1,255}$")))]
    pub keep: Vec<String>,
    /// What the template does that has to be acknowledged.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Tags of the stack, which CloudFormation gives to its resources, too. `kiln:pipeline` is added. What changes with each run, such as
    /// `${run.id}`, makes each run change every resource that has tags.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 49))]
    pub tags: BTreeMap<String, Known<String>>,
    /// Outputs of the stack that are outputs of the stage: `${stages.NAME.OUTPUT}`.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9]{1,255}$")))]
    pub outputs: Vec<String>,
    /// Resource types, in which `*` stands for anything, and names of resources that may be neither replaced nor deleted. Unless told:
    /// what holds data (databases, buckets, keys, file systems, queues, repositories and the like).
    #[serde(default)]
    pub protect: Protect,
    /// How many changes a change set may have.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_changes: Option<u32>,
    /// What it means that resources were changed behind the stack's back.
    #[serde(default)]
    pub drift: Drift,
    /// CloudWatch alarms, by name or ARN, that are watched while the stack is changed: one that rings brings it back.
    #[serde(default)]
    #[schemars(length(max = 5), inner(length(min = 1, max = 1_600)))]
    pub rollback_alarms: Vec<String>,
    /// How long they are watched after the last resource: up to three hours.
    pub monitoring: Option<Duration>,
    /// The ARN of the role that CloudFormation acts in. Without one it acts as the stage, which may do no more than this plugin declares.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$"))]
    pub role: Option<String>,
    /// A stack policy, JSON: a file in the pipeline's directory, or below it. The stack gets it before it is changed.
    pub stack_policy: Option<FilePath>,
    /// Whether the stack is protected from deletion; as it is, unless told.
    pub termination_protection: Option<bool>,
    /// What becomes of what was made where something fails.
    #[serde(default)]
    pub on_failure: OnStackFailure,
    /// States in which a stack is stuck whose way out is taken.
    #[serde(default)]
    pub recover: Vec<Recover>,
    /// Resources that are left as they are where a way back goes on that failed.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9.-]{1,255}$")))]
    pub skip: Vec<String>,
    /// Resources that stay where a deletion is tried again that failed.
    #[serde(default)]
    #[schemars(inner(regex(pattern = r"^[A-Za-z0-9]{1,255}$")))]
    pub retain: Vec<String>,
    /// What happens where somebody else's operation on the stack goes on.
    #[serde(default)]
    pub when_busy: WhenBusy,
    /// `express` ends without waiting for resources to be stable.
    #[serde(default)]
    pub mode: Mode,
    /// Whether AWS checks the change set for what would fail only later.
    #[serde(default = "yes")]
    pub early_validation: bool,
    /// Whether nested stacks are looked at before they are changed.
    #[serde(default = "yes")]
    pub nested: bool,
    /// Whether the change set is executed. Otherwise it is made, shown, checked and deleted.
    #[serde(default = "yes")]
    pub execute: bool,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn yes() -> bool {
    true
}

fn default_poll() -> Duration {
    Duration::from_secs(10)
}

impl Config {
    /// The stack's name.
    pub(crate) fn name(&self) -> &str {
        &self.stack.0
    }

    /// What is done where the stack is stuck.
    pub(crate) fn recovery(&self) -> Recovery<'_> {
        Recovery {
            recover: &self.recover,
            skip: &self.skip,
            retain: &self.retain,
            role: self.role.as_deref(),
            when_busy: self.when_busy,
            every: self.poll,
        }
    }

    /// What is acknowledged, in AWS's words.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.capabilities.iter().map(|capability| capability.word().to_owned()).collect()
    }
}

/// The value of a parameter: text, a number, a truth value, or a list of those.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParameterValue(pub Value);

impl JsonSchema for ParameterValue {
    fn schema_name() -> Cow<'static, str> {
        "ParameterValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean", "array"],
            "maxLength": 4096,
            "items": { "type": ["string", "number"] },
        })
    }
}

/// What a template does that has to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// It makes roles and policies.
    Iam,
    /// They have names of their own.
    NamedIam,
    /// It goes through macros.
    AutoExpand,
}

impl Capability {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Iam => "CAPABILITY_IAM",
            Self::NamedIam => "CAPABILITY_NAMED_IAM",
            Self::AutoExpand => "CAPABILITY_AUTO_EXPAND",
        }
    }
}

/// What it means that resources were changed behind the stack's back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Nothing is deployed.
    Refuse,
    /// It is said.
    #[default]
    Warn,
    /// They are brought back to what the template says, by AWS's drift-aware change sets.
    Revert,
    /// Nobody looks.
    Ignore,
}

/// What becomes of what was made where something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStackFailure {
    /// The stack goes back. One that was new stays, empty, and can only be deleted.
    #[default]
    Rollback,
    /// The stack goes back, and one that was new is deleted.
    Delete,
    /// All stays as it is, so that somebody can look.
    Keep,
}

/// How CloudFormation deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It waits until resources are stable.
    #[default]
    Standard,
    /// It ends once they are configured.
    Express,
}

/// The outputs that every stage has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Fixed {
    /// The stack's name.
    pub stack: String,
    /// The stack's id; none where a change set was only looked at and there is no stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_id: Option<String>,
    /// The stack's status.
    pub status: String,
    /// Whether the stack was changed.
    pub changed: bool,
    /// How many changes there were.
    pub changes: u32,
}

/// The outputs of the stage: those that every stage has, and those of the stack that its config names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Outputs(pub Map<String, Value>);

impl Outputs {
    /// Of these.
    pub(crate) fn of(fixed: &Fixed, declared: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = match serde_json::to_value(fixed) {
            Ok(Value::Object(all)) => all,
            _ => Map::new(),
        };
        all.extend(declared.into_iter().map(|(name, value)| (name, Value::from(value))));
        Self(all)
    }

    /// Their schema, where these outputs of the stack are declared: each with what the template says of it.
    pub(crate) fn schema(declared: &[(String, Option<String>)]) -> Value {
        let mut schema = kiln_plugin::schema::of_outputs::<Fixed>();
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        if let Some(properties) = properties {
            for (name, description) in declared {
                let mut property = serde_json::json!({ "type": "string" });
                if let (Some(description), Some(property)) = (description, property.as_object_mut()) {
                    property.insert("description".to_owned(), description.as_str().into());
                }
                properties.insert(name.clone(), property);
            }
        }
        schema
    }

    /// The names that every stage's outputs have.
    pub(crate) fn taken() -> [&'static str; 6] {
        ["stack", "stack-id", "status", "changed", "changes", "outcome"]
    }
}

impl JsonSchema for Outputs {
    fn schema_name() -> Cow<'static, str> {
        "Outputs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Fixed::json_schema(generator);
        // Which outputs of the stack there are besides, a config says.
        schema.insert("additionalProperties".to_owned(), serde_json::json!({ "type": "string" }));
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outputs_have_the_schema_of_the_config_that_declares_them() {
        let open = kiln_plugin::schema::of_outputs::<Outputs>();
        assert_eq!(open.get("additionalProperties"), Some(&json!({ "type": "string" })));
        let closed = Outputs::schema(&[("Url".to_owned(), Some("Where it is".to_owned()))]);
        assert_eq!(closed.get("additionalProperties"), Some(&json!(false)));
        assert_eq!(closed.pointer("/properties/Url"), Some(&json!({ "type": "string", "description": "Where it is" })));
        let names: Vec<&String> =
            closed.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
        assert!(names.iter().all(|name| *name == "Url" || Outputs::taken().contains(&name.as_str())), "{names:?}");
    }

    #[test]
    fn a_config_says_little_and_the_rest_is_safe() {
        let config: Config = serde_json::from_value(json!({ "stack": "web", "template": "web.yaml" })).unwrap();
        assert!(config.execute && config.early_validation && config.nested);
        assert_eq!(
            (config.drift, config.on_failure, config.mode),
            (Drift::Warn, OnStackFailure::Rollback, Mode::Standard)
        );
        assert!(config.protect.0.iter().any(|kind| kind == "AWS::S3::Bucket"));
        assert!(config.recover.is_empty());
    }
}
