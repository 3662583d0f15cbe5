//! The end of what crashed containers logged.
//! The main function is [`of_crashed`].

use kiln_plugin::aws::ecs::{Task, TaskDefinition};
use kiln_plugin::aws::logs::{GetLogEventsRequest, get_log_events};
use serde_json::Value;

use crate::cluster;
use crate::config::Config;
use crate::revision::short;

/// How many tasks are asked.
const TASKS: usize = 2;
/// How many lines of each are shown.
const LINES: u32 = 10;

/// Where a container of a task logs.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    group: String,
    stream: String,
}

/// The last lines of the containers of `target` that exited with an error, a line each. What cannot be read is said, and
/// fails nothing.
pub(crate) fn of_crashed(config: &Config, target: &str, stopped: &[Task]) -> Vec<String> {
    let crashed = stopped.iter().filter(|task| task.task_definition == target);
    let crashed: Vec<(&Task, &str)> = crashed
        .filter_map(|task| {
            let failed = |code: Option<i32>| code.is_some_and(|code| code != 0);
            let container = task.containers.iter().find(|container| failed(container.exit_code))?;
            Some((task, container.name.as_str()))
        })
        .take(TASKS)
        .collect();
    if crashed.is_empty() {
        return Vec::new();
    }
    let definition = match cluster::task_definition(target) {
        Ok(definition) => definition,
        Err(failure) => return vec![format!("where its containers log cannot be told: {}", failure.message)],
    };
    let mut lines = Vec::new();
    let mut unnamed: Vec<String> = Vec::new();
    for (task, container) in crashed {
        let Some(Stream { group, stream }) = stream(&definition, container, &task.arn) else { continue };
        if config.log_groups.contains(&group) {
            lines.extend(last_lines(&group, &stream));
        } else if !unnamed.contains(&group) {
            lines.push(format!(
                "the container {container} logs to {group}; `log-groups = [{group:?}]` shows the end of it"
            ));
            unnamed.push(group);
        }
    }
    lines
}

/// Where a container logs: the stream of `awslogs` is PREFIX/CONTAINER/TASK-ID.
fn stream(definition: &TaskDefinition, container: &str, task: &str) -> Option<Stream> {
    let document: Value = serde_json::from_str(&definition.document).ok()?;
    let containers = document.get("containerDefinitions")?.as_array()?;
    let described = containers.iter().find(|other| other.get("name").and_then(Value::as_str) == Some(container))?;
    let logging = described.get("logConfiguration")?;
    if logging.get("logDriver").and_then(Value::as_str) != Some("awslogs") {
        return None;
    }
    let option = |name: &str| logging.get("options")?.get(name)?.as_str();
    let (group, prefix) = (option("awslogs-group")?, option("awslogs-stream-prefix")?);
    Some(Stream { group: group.to_owned(), stream: format!("{prefix}/{container}/{}", short(task)) })
}

fn last_lines(group: &str, stream: &str) -> Vec<String> {
    let request = GetLogEventsRequest { log_group: group.to_owned(), log_stream: stream.to_owned(), limit: LINES };
    match get_log_events(&request) {
        Ok(found) if found.events.is_empty() => vec![format!("{group} {stream} is empty")],
        Ok(found) => {
            let line = |text: &str| format!("  {}", text.trim_end());
            let lines = found.events.iter().map(|event| line(&event.message));
            std::iter::once(format!("the end of {group} {stream}:")).chain(lines).collect()
        }
        Err(error) => vec![format!("{group} {stream} cannot be read: {}", error.message)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_logs_where_its_definition_says() {
        let definition = |logging: Value| TaskDefinition {
            arn: String::new(),
            family: "web".to_owned(),
            revision: 1,
            status: "ACTIVE".to_owned(),
            containers: Vec::new(),
            document: serde_json::json!({ "containerDefinitions": [{ "name": "app", "logConfiguration": logging }] })
                .to_string(),
            tags: Vec::new(),
        };
        let options = serde_json::json!({ "awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web" });
        let logs = definition(serde_json::json!({ "logDriver": "awslogs", "options": options }));
        let task = "arn:aws:ecs:us-west-2:111111111111:task/web/0a1b";
        let expected = Stream { group: "/ecs/web".to_owned(), stream: "web/app/0a1b".to_owned() };
        assert_eq!(stream(&logs, "app", task), Some(expected));
        assert_eq!(stream(&logs, "proxy", task), None);
        assert_eq!(stream(&definition(serde_json::json!({ "logDriver": "splunk" })), "app", task), None);
    }
}
