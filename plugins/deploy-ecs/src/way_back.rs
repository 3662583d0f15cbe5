//! Takes a deployment back: the revision that served before, and each setting as it was.
//! The main function is [`go`].

use kiln_plugin::aws::ecs::{Service, TaskDefinition};
use kiln_plugin::{Failure, log, memory};
use serde::{Deserialize, Serialize};

use crate::cluster;
use crate::config::Config;
use crate::follow::{self, Goal};
use crate::revision::short;
use crate::settings::Settings;
use crate::{Remembered, register, update};

/// The revision that was registered in the place of one that is INACTIVE.
#[derive(Debug, Serialize, Deserialize)]
struct Anew {
    target: String,
}

const ANEW: &str = "way-back";

/// Go back.
pub(crate) fn go(config: &Config, remembered: Remembered) -> Result<String, Failure> {
    let subject = config.subject();
    follow::until_idle(config)?;
    let service = cluster::service(config)?;
    let (previous, target) = (remembered.previous.clone(), remembered.target.clone());
    if previous == target {
        let restored = restore(config, &remembered, &service)?;
        let same = format!("{subject} was on {} before as well: there is nothing to go back to", short(&previous));
        return Ok(format!("{same}{restored}"));
    }
    let anew: Option<Anew> = memory::recall(ANEW)?;
    let mut goal = Goal {
        target: anew.map_or_else(|| previous.clone(), |anew| anew.target),
        before: target.clone(),
        containers: remembered.containers.clone(),
        digests: None,
        earlier: None,
        last_event: service.events.first().map(|event| event.timestamp),
    };
    if service.task_definition == previous || service.task_definition == goal.target {
        // AWS went back by itself, or an earlier undo did.
        follow::until_served(config, &goal)?;
        let restored = restore(config, &remembered, &service)?;
        return Ok(format!("{subject} {} {} again already{restored}", runs(&service), short(&service.task_definition)));
    }
    if service.task_definition != target {
        return Err(Failure::conflict(format!(
            "{subject} now runs {}, which is neither what this stage deployed ({}) nor what served before ({})",
            short(&service.task_definition),
            short(&target),
            short(&previous)
        ))
        .help("Somebody deployed since. Nothing was changed: decide by hand what is to serve."));
    }
    follow::keep_evidence(config, &target);
    goal.target = startable(cluster::task_definition(&goal.target)?)?;
    goal.earlier = Some(cluster::deployments(config)?);
    update(config, &goal.target, Settings::of(&service)?.way_back(), false)?;
    follow::until_served(config, &goal)?;
    let restored = restore(config, &remembered, &cluster::service(config)?)?;
    let anew = match goal.target == previous {
        true => String::new(),
        false => format!(" (as {}: it was INACTIVE, and was registered anew)", short(&goal.target)),
    };
    Ok(format!("{subject} went back from {} to {}{anew}{restored}", short(&target), short(&previous)))
}

/// The revision to go back to: this one, or, where no task of it can be started any more, its document registered anew.
fn startable(previous: TaskDefinition) -> Result<String, Failure> {
    if previous.status == "ACTIVE" {
        return Ok(previous.arn);
    }
    log::info(format!("{} is {}: its document is registered anew", short(&previous.arn), previous.status));
    let target = register(&previous.document, &previous)?;
    memory::remember(ANEW, &Anew { target: target.clone() })?;
    Ok(target)
}

/// Put each setting back that the deployment or the way back changed. It starts no deployment. Answers what to add to the sentence.
fn restore(config: &Config, remembered: &Remembered, service: &Service) -> Result<&'static str, Failure> {
    let now = Settings::of(service)?;
    let off = remembered.settings.way_back();
    let back = remembered.settings.restoring(&now, remembered.changed.iter().chain(off.keys()));
    if back.is_empty() {
        return Ok("");
    }
    for (setting, change) in now.changes(&back) {
        log::info(format!("{setting}: {change}"));
    }
    update(config, &service.task_definition, back, false)?;
    Ok(", with its settings as they were")
}

/// What a service does with its revision.
fn runs(service: &Service) -> &'static str {
    if service.desired == 0 { "names" } else { "serves" }
}
