//! What starts tasks by itself: rules of EventBridge, and schedules of EventBridge Scheduler.
//! The main functions are [`of_rules`] and [`of_schedules`]. What is disabled counts, too: somebody may enable it.

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::events::{
    ListEventBusesRequest, ListRulesRequest, ListTargetsByRuleRequest, list_event_buses, list_rules,
    list_targets_by_rule,
};
use kiln_plugin::aws::scheduler::{GetScheduleRequest, ListSchedulesRequest, get_schedule, list_schedules};
use kiln_plugin::{During, Failure, count};

use crate::definitions::Definitions;
use crate::in_use::Found;

/// The images of the tasks that rules start.
pub(crate) fn of_rules(definitions: &mut Definitions) -> Result<Found, Failure> {
    let request = ListEventBusesRequest { name_prefix: None };
    let buses = list_event_buses(&request).during("listing the event buses")?.buses;
    let (mut rules, mut starting, mut used) = (0, 0, Vec::new());
    for bus in &buses {
        let request = ListRulesRequest { event_bus: bus.name.clone() };
        let of_bus = match list_rules(&request) {
            Ok(listed) => listed.rules,
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).during(format!("listing the rules of the event bus {}", bus.name)),
        };
        rules += of_bus.len();
        for rule in of_bus {
            let request = ListTargetsByRuleRequest { event_bus: bus.name.clone(), rule: rule.name.clone() };
            let targets = match list_targets_by_rule(&request) {
                Ok(listed) => listed.targets,
                // It was deleted a moment ago.
                Err(error) if error.kind == ErrorKind::NotFound => continue,
                Err(error) => return Err(error).during(format!("reading the targets of the rule {}", rule.name)),
            };
            for started in targets.into_iter().filter_map(|target| target.task_definition) {
                starting += 1;
                starts(definitions, &format!("rule {}", rule.name), &started, &mut used)?;
            }
        }
    }
    Ok((
        format!(
            "{} on {}, by which {} started",
            count(rules, "rule"),
            if buses.len() == 1 { "the default event bus".to_owned() } else { format!("{} event buses", buses.len()) },
            if starting == 1 { "1 task is".to_owned() } else { format!("{} are", count(starting, "task")) }
        ),
        used,
    ))
}

/// The images of the tasks that schedules start.
pub(crate) fn of_schedules(definitions: &mut Definitions) -> Result<Found, Failure> {
    let schedules = list_schedules(&ListSchedulesRequest { group: None }).during("listing the schedules")?.schedules;
    let (all, mut starting, mut used) = (schedules.len(), 0, Vec::new());
    for schedule in schedules.into_iter().filter(|schedule| may_start_tasks(&schedule.target)) {
        let request = GetScheduleRequest { name: schedule.name.clone(), group: schedule.group };
        let read = match get_schedule(&request) {
            Ok(read) => read,
            Err(error) if error.kind == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).during(format!("reading the schedule {}", schedule.name)),
        };
        if let Some(started) = read.task_definition {
            starting += 1;
            starts(definitions, &format!("schedule {}", schedule.name), &started, &mut used)?;
        }
    }
    Ok((
        format!("{}, of which {starting} start{} tasks", count(all, "schedule"), if starting == 1 { "s" } else { "" }),
        used,
    ))
}

/// Whether what has this ARN may start tasks: a cluster, or a call of ECS.
fn may_start_tasks(target: &str) -> bool {
    target.split(':').nth(2) == Some("ecs") || target.contains(":aws-sdk:ecs:")
}

fn starts(
    definitions: &mut Definitions,
    who: &str,
    started: &str,
    used: &mut Vec<(String, String)>,
) -> Result<(), Failure> {
    if let Some(definition) = definitions.read(started)? {
        let reason = format!("{who} starts task definition {}, which names it", definition.name);
        used.extend(definition.images.into_iter().map(|image| (image, reason.clone())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_of_other_things_are_not_read() {
        assert!(may_start_tasks("arn:aws:ecs:us-west-2:111111111111:cluster/web"));
        assert!(may_start_tasks("arn:aws:scheduler:::aws-sdk:ecs:runTask"));
        assert!(!may_start_tasks("arn:aws:lambda:us-west-2:111111111111:function:ecs"));
        assert!(!may_start_tasks("arn:aws:scheduler:::aws-sdk:sqs:sendMessage"));
        assert!(!may_start_tasks(""));
    }
}
