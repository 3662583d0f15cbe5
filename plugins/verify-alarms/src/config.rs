//! What a pipeline says to the stage, and what the stage answers.
//! The main types are [`Config`] and [`Outputs`].

use kiln_plugin::{Duration, JsonSchema};
use serde::{Deserialize, Serialize};

/// What an alarm without data means, or one that CloudWatch evaluates on a part of its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// It closes the gate: nothing says that all is well.
    #[default]
    Fail,
    /// Its state counts as ever, and no data counts as OK: for alarms whose metric is silent while all is well.
    Ok,
    /// It is waited for: the bake time begins when the alarm is OK.
    Wait,
}

/// What an alarm means that CloudWatch does not evaluate. It never counts as OK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Blindness {
    /// It closes the gate.
    Fail,
    /// It is waited for: the bake time begins when the alarm is evaluated again and OK.
    Wait,
}

/// What an alarm means while a rule mutes it: CloudWatch goes on evaluating it, and tells nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Muting {
    /// Its state counts as ever.
    #[default]
    Judge,
    /// It is waited for, whatever its state: the bake time begins when no rule mutes it any more.
    Wait,
    /// It closes the gate: somebody expects it to ring for other reasons.
    Fail,
}

/// `with` of the stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Names of the alarms: metric, composite and log alarms. All of them must exist.
    // What begins as an ARN is one, of an alarm.
    #[schemars(length(min = 1, max = 100), extend("items" = {
        "type": "string",
        "minLength": 1,
        "if": { "pattern": "^arn:" },
        "then": { "pattern": "^arn:[a-z0-9-]+:cloudwatch:[a-z0-9-]+:[0-9]{12}:alarm:.", "maxLength": 1600 },
        "else": { "maxLength": 255 },
    }))]
    pub alarms: Vec<String>,
    /// How long all of them must be OK without a break.
    pub bake: Duration,
    /// What INSUFFICIENT_DATA means.
    #[serde(default)]
    pub insufficient_data: Silence,
    /// What an alarm means that CloudWatch evaluates on a part of its data (PARTIAL_DATA).
    #[serde(default)]
    pub partial_data: Silence,
    /// What a new alarm means that CloudWatch does not evaluate yet, or one in its warm-up period.
    #[serde(default = "wait")]
    pub warm_up: Blindness,
    /// What an alarm means that CloudWatch cannot evaluate as it is configured (EVALUATION_ERROR).
    #[serde(default = "fail")]
    pub evaluation_error: Blindness,
    /// What an alarm means that CloudWatch cannot evaluate for a trouble of its own (EVALUATION_FAILURE).
    #[serde(default = "wait")]
    pub evaluation_failure: Blindness,
    /// What an alarm means while a rule mutes it.
    #[serde(default)]
    pub muted: Muting,
    /// How often to look.
    #[serde(default = "default_poll")]
    pub poll: Duration,
}

fn default_poll() -> Duration {
    Duration::from_secs(15)
}

fn wait() -> Blindness {
    Blindness::Wait
}

fn fail() -> Blindness {
    Blindness::Fail
}

/// The outputs of the stage.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outputs {
    /// The alarms that stayed OK.
    pub alarms: Vec<String>,
    /// How long they did, in seconds.
    pub baked_seconds: u64,
}
