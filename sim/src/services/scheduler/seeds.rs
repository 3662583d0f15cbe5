//! EventBridge Scheduler's part of a world file.
//!
//! The main type is [`ScheduleSeed`].

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::schedules::arn_of;
use super::state::Schedule;
use crate::world::World;
use crate::worldfile::Problems;

/// A schedule that starts a task, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ScheduleSeed {
    /// Its name.
    name: String,
    /// `rate(…)`, `cron(…)` or `at(…)`.
    #[serde(default = "daily")]
    expression: String,
    /// Whether it is switched on.
    #[serde(default = "yes")]
    enabled: bool,
    /// The name of the cluster in which the task is started.
    cluster: String,
    /// `FAMILY` or `FAMILY:REVISION`.
    task_definition: String,
    /// Whether it calls `RunTask` itself, and is none of the targets that are made for ECS.
    #[serde(default)]
    universal: bool,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn daily() -> String {
    "rate(1 day)".to_owned()
}

fn yes() -> bool {
    true
}

/// Put the schedules of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[ScheduleSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("schedules", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let role = format!("arn:{}:iam::{}:role/{}-start", scope.at.partition(), scope.at.account, seed.name);
        let definition = scope.arn("ecs", &format!("task-definition/{}", seed.task_definition));
        let target = if seed.universal {
            json!({
                "Arn": format!("arn:{}:scheduler:::aws-sdk:ecs:runTask", scope.at.partition()),
                "RoleArn": role,
                "Input": json!({ "Cluster": seed.cluster, "TaskDefinition": seed.task_definition }).to_string(),
            })
        } else {
            json!({
                "Arn": scope.arn("ecs", &format!("cluster/{}", seed.cluster)),
                "RoleArn": role,
                "EcsParameters": { "TaskDefinitionArn": definition, "TaskCount": 1 },
            })
        };
        let schedule = Schedule {
            name: seed.name.clone(),
            arn: arn_of(&scope, &seed.name),
            expression: seed.expression.clone(),
            state: if seed.enabled { "ENABLED" } else { "DISABLED" }.to_owned(),
            window: json!({ "Mode": "OFF" }),
            target,
            created: scope.now(),
        };
        if scope.place().scheduler.schedules.insert(seed.name.clone(), schedule).is_some() {
            problems.add(&format!("schedules: {}", seed.name), "the schedule is there twice");
        }
    }
}
