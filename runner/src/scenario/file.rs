//! The scenario file as it is written: plain structs, from which its JSON Schema is made as well.
//!
//! The main type is [`File`]. As in a pipeline file, every field is optional to the deserialiser, and the schema says what
//! is required.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::event::{RunOutcome, StageOutcome};
use crate::pipeline;

/// A kiln scenario: what happens to a pipeline in a simulated account, and what is expected of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "kiln scenario")]
pub(crate) struct File {
    /// What the scenario shows, in a sentence.
    #[schemars(required)]
    pub(crate) description: Option<String>,
    /// What chance begins from: ids, probabilities, jitter. The world file's seed where it is absent.
    pub(crate) seed: Option<u64>,
    /// The instant at which the run starts, such as `"2026-11-23T09:00:00Z"`.
    pub(crate) start: Option<String>,
    /// The pipeline's inputs, by name; each a text, as on the command line.
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, String>,
    /// The environment variables of the run. There are no others.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The world file that the scenario starts from, relative to the scenario. `PIPELINE.world.toml` beside the pipeline
    /// where it is absent.
    pub(crate) world: Option<String>,
    /// A piece of a world file, which is merged into the world: named things by their name, other things are added.
    #[serde(default)]
    pub(crate) change: Map<String, Value>,
    /// Names of things that are not there after all, by their list: `secrets = ["prod/registry"]`.
    #[serde(default)]
    pub(crate) remove: BTreeMap<String, Vec<String>>,
    /// Answers that AWS gives on a bad day; each as in a world file.
    #[serde(default)]
    pub(crate) faults: Vec<Map<String, Value>>,
    /// How what the pipeline starts comes out.
    #[serde(default)]
    pub(crate) outcomes: Outcomes,
    /// What must come of it.
    #[schemars(required)]
    pub(crate) expect: Option<Expect>,
}

/// How what the pipeline starts comes out. All goes well where nothing is said.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Outcomes {
    /// The build fails.
    pub(crate) build: Option<BuildFails>,
    /// The tasks of images that the run builds do not do well.
    pub(crate) tasks: Option<Tasks>,
    /// There is not room for all tasks.
    pub(crate) capacity: Option<Capacity>,
    /// What scans find in images that the run builds.
    #[serde(default)]
    pub(crate) findings: Vec<FindingTable>,
    /// Alarms that change their state.
    #[serde(default)]
    pub(crate) alarms: Vec<AlarmTable>,
}

/// A build that fails.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct BuildFails {
    /// The phase at whose end it fails, such as `"BUILD"`.
    #[schemars(required)]
    pub(crate) fails_in: Option<String>,
    /// `FAILED`, `FAULT` or `TIMED_OUT`. `FAILED` where it is absent.
    pub(crate) status: Option<String>,
    /// The status code of the phase.
    pub(crate) code: Option<String>,
    /// What CodeBuild says of it.
    pub(crate) message: Option<String>,
    /// The last lines of the build's log.
    pub(crate) log: Option<Vec<String>>,
    /// How many builds of the project fail. All where it is absent.
    #[schemars(range(min = 1))]
    pub(crate) times: Option<u64>,
    /// The project. May be left out where the world has only one.
    pub(crate) project: Option<String>,
}

/// Tasks that do not do well.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Tasks {
    /// They end by themselves, so long after they began to run.
    #[schemars(extend("x-form" = "any-duration"))]
    pub(crate) crash_after: Option<String>,
    /// The exit code of a crash. 1 where it is absent.
    pub(crate) exit_code: Option<i64>,
    /// What the container's `reason` says of a crash, or why a task does not start.
    pub(crate) reason: Option<String>,
    /// They fail their health check.
    pub(crate) unhealthy: Option<bool>,
    /// They do not start: for `reason`, or because their image cannot be pulled.
    pub(crate) never_start: Option<bool>,
    /// How many of the tasks it befalls, between 0 and 1. All where it is absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) share: Option<f64>,
    /// The container. The one whose image the run built where it is absent.
    pub(crate) container: Option<String>,
    /// The account of the tasks, where it is not the world's own.
    pub(crate) account: Option<String>,
    /// Its region, where it is not the world's own.
    pub(crate) region: Option<String>,
    /// What the container prints before it crashes, or when it begins to run, where it logs by `awslogs`.
    pub(crate) log: Option<Vec<String>>,
}

/// How much room there is for tasks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Capacity {
    /// How many tasks have room, those that run at the start included.
    #[schemars(required)]
    pub(crate) tasks: Option<u64>,
    /// The cluster. May be left out where the world has only one.
    pub(crate) cluster: Option<String>,
    /// The account of the cluster, where it is not the world's own.
    pub(crate) account: Option<String>,
    /// Its region, where it is not the world's own.
    pub(crate) region: Option<String>,
}

/// Something that scans find.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Finding")]
pub(crate) struct FindingTable {
    /// `CRITICAL`, `HIGH`, `MEDIUM`, `LOW`, `INFORMATIONAL` or `UNDEFINED`.
    #[schemars(required)]
    pub(crate) severity: Option<String>,
    /// Such as `CVE-2026-0001`.
    #[schemars(required)]
    pub(crate) id: Option<String>,
    /// The package.
    pub(crate) package: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// The version that mends it.
    pub(crate) fixed_in: Option<String>,
    /// A sentence about it.
    pub(crate) title: Option<String>,
    /// The repository. All where it is absent.
    pub(crate) repository: Option<String>,
}

/// An alarm that changes its state.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Alarm")]
pub(crate) struct AlarmTable {
    /// The alarm.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`. `ALARM` where neither this nor `evaluation` is there.
    pub(crate) state: Option<String>,
    /// How CloudWatch evaluates it from then on: `PARTIAL_DATA`, `IN_WARM_UP`, `EVALUATION_ERROR`, `EVALUATION_FAILURE`, or
    /// `NONE` for as it should be.
    pub(crate) evaluation: Option<String>,
    /// When: a duration such as `"3m"`, or a share of the rollout such as `"40%"`.
    #[schemars(required)]
    #[schemars(extend("x-form" = "moment"))]
    pub(crate) at: Option<String>,
    /// The service whose rollout is meant, as `CLUSTER/SERVICE`. Without it, `at` counts from the start of the run.
    pub(crate) of: Option<String>,
    /// Which deployment of the service, from 1. The first where it is absent.
    #[schemars(range(min = 1))]
    pub(crate) nth: Option<u64>,
    /// What CloudWatch says of it.
    pub(crate) reason: Option<String>,
    /// The account of the alarm, and of the service, where it is not the world's own.
    pub(crate) account: Option<String>,
    /// Its region, where it is not the world's own.
    pub(crate) region: Option<String>,
}

/// What must come of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Expect {
    /// How the run ends.
    #[schemars(required)]
    pub(crate) outcome: Option<Ending>,
    /// How stages end, by their names.
    #[serde(default)]
    pub(crate) stages: BTreeMap<String, StageEnding>,
    /// Exactly these stages are undone, in any order.
    pub(crate) undone: Option<Vec<String>>,
    /// Of what kind stages' failures are, by their names: `rejected`, `failed`, `timed-out`, …
    #[serde(default)]
    pub(crate) failures: BTreeMap<String, String>,
    /// How often actions have an effect, by their IAM names: a number, or `{ at-least = …, at-most = … }`.
    #[serde(default)]
    #[schemars(schema_with = "counts")]
    pub(crate) effects: BTreeMap<String, Value>,
    /// Texts that are said.
    #[serde(default)]
    pub(crate) messages: Vec<MessageTable>,
    /// What stages answer.
    #[serde(default)]
    pub(crate) outputs: Vec<OutputTable>,
    /// What the account holds afterwards.
    #[serde(default)]
    pub(crate) account: Vec<AccountTable>,
    /// How long the run takes, in simulated time.
    pub(crate) duration: Option<DurationTable>,
}

/// A text that is said.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Message")]
pub(crate) struct MessageTable {
    /// The stage that it is said of. Any, or the run itself, where it is absent.
    pub(crate) stage: Option<String>,
    /// A part of the text: of a failure, its help and details, a log line, a status, an undo, a retry or a warning.
    #[schemars(required)]
    pub(crate) contains: Option<String>,
}

/// Something that a stage answers: `${stages.STAGE.OUTPUT}`. One of `is`, `contains`, `count` and `absent`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Output")]
pub(crate) struct OutputTable {
    /// The stage.
    #[schemars(required)]
    pub(crate) stage: Option<String>,
    /// The output, and where it is a table or a list what within it is meant, such as `findings/0/id`.
    #[schemars(required)]
    pub(crate) at: Option<String>,
    /// The value.
    #[serde(default)]
    pub(crate) is: Option<Value>,
    /// A part of the value: of its text, or of its JSON.
    pub(crate) contains: Option<String>,
    /// How many things the list or table holds.
    pub(crate) count: Option<u64>,
    /// There is no such output, where it is true; there is one, where it is false.
    pub(crate) absent: Option<bool>,
}

/// Something that the account holds afterwards. One of `is`, `contains`, `count`, `absent` and `unchanged`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Account")]
pub(crate) struct AccountTable {
    /// A JSON pointer into the simulator's state: from its root where it begins with `/`, otherwise from the services of the
    /// world's own account and region, such as `ecs/clusters/web`.
    #[schemars(required)]
    pub(crate) at: Option<String>,
    /// The value.
    #[serde(default)]
    pub(crate) is: Option<Value>,
    /// A part of the value: of its text, or of its JSON.
    pub(crate) contains: Option<String>,
    /// How many things the list or table holds.
    pub(crate) count: Option<u64>,
    /// There is nothing, where it is true.
    pub(crate) absent: Option<bool>,
    /// It is as it was at the start, where it is true; different, where it is false.
    pub(crate) unchanged: Option<bool>,
}

/// A length of simulated time.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Duration")]
pub(crate) struct DurationTable {
    /// Not shorter than this.
    #[schemars(extend("x-form" = "duration"))]
    pub(crate) at_least: Option<String>,
    /// Not longer than this.
    #[schemars(extend("x-form" = "duration"))]
    pub(crate) at_most: Option<String>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum Ending {
    /// All stages are done or skipped.
    Done,
    /// A stage failed.
    Failed,
    /// The run was told to end.
    Interrupted,
    /// What became of an AWS call cannot be found out.
    Stuck,
    /// The run could not begin, so that there are no stages: a secret is missing, a role cannot be assumed.
    NotStarted,
}

impl Ending {
    /// How the run ended; none where there was none.
    pub(crate) fn outcome(self) -> Option<RunOutcome> {
        match self {
            Ending::Done => Some(RunOutcome::Done),
            Ending::Failed => Some(RunOutcome::Failed),
            Ending::Interrupted => Some(RunOutcome::Interrupted),
            Ending::Stuck => Some(RunOutcome::Stuck),
            Ending::NotStarted => None,
        }
    }
}

/// How a stage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(crate) enum StageEnding {
    /// It did its work.
    Done,
    /// It failed.
    Failed,
    /// Its `when` was false.
    Skipped,
    /// A stage that it needs did not end as it should.
    NotRun,
    /// The run was interrupted while it worked.
    Interrupted,
    /// What became of one of its AWS calls cannot be found out.
    Stuck,
}

impl From<StageEnding> for StageOutcome {
    fn from(ending: StageEnding) -> Self {
        match ending {
            StageEnding::Done => Self::Done,
            StageEnding::Failed => Self::Failed,
            StageEnding::Skipped => Self::Skipped,
            StageEnding::NotRun => Self::NotRun,
            StageEnding::Interrupted => Self::Interrupted,
            StageEnding::Stuck => Self::Stuck,
        }
    }
}

fn counts(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let number = schemars::json_schema!({ "type": "integer", "minimum": 0 });
    schemars::json_schema!({
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                number,
                {
                    "type": "object",
                    "properties": { "at-least": number, "at-most": number },
                    "additionalProperties": false,
                    "minProperties": 1,
                },
            ],
        },
    })
}

/// The JSON Schema of the scenario file that its check uses; `x-form` as in a pipeline file.
pub(crate) fn json_schema() -> Value {
    pipeline::schema_of::<File>()
}
