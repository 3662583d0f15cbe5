//! EventBridge's part of a world file.
//!
//! The main type is [`RuleSeed`].

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::rules::DEFAULT;
use super::state::EventRule;
use crate::world::World;
use crate::worldfile::Problems;

/// A rule that starts a task, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RuleSeed {
    /// Its name.
    name: String,
    /// The event bus: the default one unless told.
    bus: Option<String>,
    /// `rate(…)` or `cron(…)`: once a day unless told, on the default bus. On any other the rule waits for events.
    schedule: Option<String>,
    /// Whether it is switched on.
    #[serde(default = "yes")]
    enabled: bool,
    /// The name of the cluster in which the task is started.
    cluster: String,
    /// `FAMILY` or `FAMILY:REVISION`.
    task_definition: String,
    /// The account that has it: the world's own unless told.
    account: Option<String>,
    /// The region that it is in: the world's own unless told.
    region: Option<String>,
}

fn yes() -> bool {
    true
}

/// Put the rules of a world file into the world.
pub(crate) fn plant(world: &mut World, seeds: &[RuleSeed], problems: &mut Problems) {
    for (index, seed) in seeds.iter().enumerate() {
        problems.reading("rules", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let bus = seed.bus.clone().unwrap_or_else(|| DEFAULT.to_owned());
        let of_default = bus == DEFAULT;
        if seed.schedule.is_some() && !of_default {
            problems.add(&format!("rules: {}", seed.name), "only the default bus has rules with a `schedule`");
        }
        let target = json!({
            "Id": "1",
            "Arn": scope.arn("ecs", &format!("cluster/{}", seed.cluster)),
            "RoleArn": format!("arn:{}:iam::{}:role/{}-start", scope.at.partition(), scope.at.account, seed.name),
            "EcsParameters": {
                "TaskDefinitionArn": scope.arn("ecs", &format!("task-definition/{}", seed.task_definition)),
                "TaskCount": 1,
            },
        });
        let schedule = seed.schedule.clone().unwrap_or_else(|| "rate(1 day)".to_owned());
        let rule = EventRule {
            schedule: of_default.then_some(schedule),
            pattern: (!of_default).then(|| json!({ "source": ["web"] }).to_string()),
            state: if seed.enabled { "ENABLED" } else { "DISABLED" }.to_owned(),
            description: None,
            targets: [("1".to_owned(), target)].into(),
        };
        let events = &mut scope.place().events;
        if !of_default && !events.buses.contains(&bus) {
            events.buses.push(bus.clone());
        }
        if events.rules.entry(bus).or_default().insert(seed.name.clone(), rule).is_some() {
            problems.add(&format!("rules: {}", seed.name), "the rule is there twice");
        }
    }
}
