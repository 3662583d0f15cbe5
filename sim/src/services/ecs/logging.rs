//! What containers write by the driver `awslogs`: what a world file says that they print.
//!
//! The main type is [`Logging`], where a container's definition says that it logs.

use std::time::Duration;

use serde_json::Value;

use super::task::Task;
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::services::logs;

/// Where a container logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logging {
    group: String,
    region: Option<String>,
    prefix: Option<String>,
    /// Whether the group is made where it is missing.
    creates: bool,
}

impl Logging {
    /// Of a container definition, where its driver is `awslogs`.
    pub(super) fn of(container: &Value) -> Option<Self> {
        let log = container.get("logConfiguration")?;
        if log.get("logDriver").and_then(Value::as_str) != Some("awslogs") {
            return None;
        }
        let option = |name: &str| log.get("options")?.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            group: option("awslogs-group")?,
            region: option("awslogs-region"),
            prefix: option("awslogs-stream-prefix"),
            creates: option("awslogs-create-group").as_deref() == Some("true"),
        })
    }

    /// PREFIX/CONTAINER/TASK-ID, or what the runtime calls the container.
    fn stream(&self, container: &str, task: &str, runtime_id: Option<&str>) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{container}/{task}"),
            None => runtime_id.unwrap_or(task).to_owned(),
        }
    }

    /// The place of its group, which may be another region.
    fn there<'w>(&self, scope: &'w mut Scope<'_>) -> Scope<'w> {
        let account = scope.at.account.clone();
        let region = self.region.clone().unwrap_or_else(|| scope.at.region.clone());
        scope.world.scope(Some(&account), Some(&region))
    }

    fn write(&self, scope: &mut Scope<'_>, stream: &str, lines: Vec<(Timestamp, String)>) {
        logs::append(&mut self.there(scope), &self.group, stream, lines);
    }

    fn is_there(&self, scope: &mut Scope<'_>) -> bool {
        self.creates || logs::has_group(&mut self.there(scope), &self.group)
    }
}

/// Why a task cannot start, where the group is missing that one of its containers logs to.
pub(super) fn refusal(scope: &mut Scope<'_>, task: &Task) -> Option<String> {
    let all: Vec<Logging> = task.containers.iter().filter_map(|container| container.log.clone()).collect();
    let missing = all.iter().find(|logging| !logging.is_there(scope))?;
    Some(format!(
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to \
         create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, ResourceNotFoundException: The \
         specified log group does not exist. : exit status 1 ({})",
        missing.group
    ))
}

/// The containers of a task begin to run: their streams appear, and what the world file says stands in them, unless it is
/// what a crash leaves behind.
pub(super) fn open(scope: &mut Scope<'_>, task: &Task) {
    let now = scope.now();
    for container in &task.containers {
        let Some(logging) = &container.log else { continue };
        let says = container.name == task.fate.container && task.fate.crash.is_none();
        let lines = if says { spread(now, Duration::ZERO, &task.fate.log) } else { Vec::new() };
        let stream = logging.stream(&container.name, &task.id, container.runtime_id.as_deref());
        logging.write(scope, &stream, lines);
    }
}

/// A container crashed: what it said since it began to run.
pub(super) fn last_words(scope: &mut Scope<'_>, task: &Task) {
    let now = scope.now();
    let Some(container) = task.containers.iter().find(|container| container.name == task.fate.container) else {
        return;
    };
    let Some(logging) = &container.log else { return };
    let began = task.times.started.unwrap_or(now);
    let stream = logging.stream(&container.name, &task.id, container.runtime_id.as_deref());
    logging.write(scope, &stream, spread(began, now.since(began), &task.fate.log));
}

/// Lines over a span of time, the last one at its end.
fn spread(start: Timestamp, span: Duration, lines: &[String]) -> Vec<(Timestamp, String)> {
    let step = span / u32::try_from(lines.len().max(1)).unwrap_or(u32::MAX);
    (1..).zip(lines).map(|(place, line)| (start + step * place, line.clone())).collect()
}
