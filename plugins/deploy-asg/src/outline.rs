//! What a deployment would change and what it keeps, line by line, for the plan.
//! The main function is [`plan`].

use kiln_plugin::aws::autoscaling::AutoScalingGroup;
use kiln_plugin::{ChangeAction, Failure, Known, Plan, count, log};

use crate::config::{Config, Strategy};
use crate::guard::{self, Pace};
use crate::prepared::{Need, Prepared};
use crate::{fleet, follow};

/// The plan of what `prepared` makes necessary.
pub(crate) fn plan(config: &Config, prepared: &Prepared) -> Result<Plan, Failure> {
    let Prepared { group, source, version, .. } = prepared;
    let subject = format!("group {}", config.group);
    let plan = match (&config.image, prepared.need(config)?) {
        (Known::Now(image), Need::Nothing) => {
            let detail =
                format!("{} version {} has {}, and every instance runs it", source.name, version.number, image.0);
            return Ok(Plan::new(format!("{} runs {} already", config.group, image.0)).change(
                ChangeAction::Keep,
                subject,
                detail,
            ));
        }
        (Known::Now(image), Need::Refresh) => Plan::new(format!("brings all of {} to {}", config.group, image.0)),
        (Known::Now(image), Need::Version) => {
            let plan = Plan::new(format!("deploys {} to {}", image.0, config.group));
            creates(plan, prepared, &format!("from {} to {}", prepared.image(), image.0))
        }
        (Known::After(stage), _) => {
            let plan = Plan::new(format!("deploys the AMI that stage {stage} makes to {}", config.group));
            creates(plan, prepared, &format!("from {} to the one that is known after {stage}", prepared.image()))
        }
    };
    let plan = plan.change(ChangeAction::Start, format!("refresh of {}", config.group), pace(config, group));
    kept(plan, config, prepared)
}

/// Say where somebody else's refresh is in progress, and what a run does then. Answers whether there is one.
pub(crate) fn busy(config: &Config) -> Result<bool, Failure> {
    let busy = follow::busy_with(config, None)?;
    if let Some(busy) = &busy {
        log::warn(match follow::refusal(config, busy) {
            Some(refusal) => format!("{}: a run that comes here before its end is refused", refusal.message),
            None => format!("the refresh {} of {} is in progress: a run waits for its end", busy.id, config.group),
        });
    }
    Ok(busy.is_some())
}

fn creates(plan: Plan, prepared: &Prepared, change: &str) -> Plan {
    let Prepared { source, version, .. } = prepared;
    let detail = format!("a copy of version {} with the AMI {change}", version.number);
    plan.change(ChangeAction::Create, format!("version of the launch template {}", source.name), detail)
}

/// How the refresh goes.
pub(crate) fn pace(config: &Config, group: &AutoScalingGroup) -> String {
    let pace = Pace::of(config, group);
    let (least, most) = (pace.least(group.desired), pace.most(group.desired));
    let instances = count(group.desired, "instance");
    let mut said = match config.strategy {
        Strategy::Rolling => format!("replaces {instances}, {least} to {most} at a time in service"),
        Strategy::ReplaceRootVolume => {
            format!("replaces the root volume of {instances}, which stay; at least {least} at a time in service")
        }
    };
    if !config.checkpoints.is_empty() {
        let points: Vec<String> = config.checkpoints.iter().map(|point| format!("{point} %")).collect();
        let delay = config.checkpoint_delay.map_or("1h".to_owned(), |delay| delay.to_string());
        said.push_str(&format!(", rests {delay} at {}", points.join(", ")));
    }
    if let Some(bake) = config.bake {
        said.push_str(&format!(", is watched for {bake} at the end"));
    }
    if let Some(alarms) = config.alarms.as_ref().filter(|alarms| !alarms.is_empty()) {
        said.push_str(&format!(", failed by {}", alarms.join(", ")));
    }
    if config.auto_rollback == Some(true) {
        said.push_str(", goes back by itself");
    }
    said
}

/// What stays as it is, and the reader may wonder.
pub(crate) fn kept(plan: Plan, config: &Config, prepared: &Prepared) -> Result<Plan, Failure> {
    let Prepared { group, source, .. } = prepared;
    let subject = |what: &str| format!("{what} of {}", config.group);
    let (desired, min, max) = (group.desired, group.min_size, group.max_size);
    let capacity = format!("{}, of {min} to {max}: what demand sets meanwhile holds", count(desired, "instance"));
    let mut plan = plan.change(ChangeAction::Keep, subject("capacity"), capacity);
    if let Some(mix) = source.mix() {
        plan = plan.change(ChangeAction::Keep, subject("mixed instances"), mix);
    }
    let others = source.others();
    if !others.is_empty() {
        let detail =
            format!("{}: with the AMI that it has; this stage changes {} alone", others.join(", "), source.name);
        plan = plan.change(ChangeAction::Keep, subject("other launch templates"), detail);
    }
    let named = |names: Vec<String>| names.join(", ");
    let policies = fleet::policies(config)?;
    if !policies.is_empty() {
        let names = policies.into_iter().map(|policy| format!("{} ({})", policy.name, policy.kind)).collect();
        plan = plan.change(ChangeAction::Keep, subject("scaling policies"), named(names));
    }
    let hooks = fleet::hooks(config)?;
    if !hooks.is_empty() {
        let said = |hook: kiln_plugin::aws::autoscaling::LifecycleHook| {
            let when = if hook.transition.ends_with("LAUNCHING") { "begins" } else { "ends" };
            let seconds = hook.heartbeat_seconds;
            format!("{} when one {when}, for {seconds} s and then {}", hook.name, hook.default_result)
        };
        plan =
            plan.change(ChangeAction::Keep, subject("lifecycle hooks"), named(hooks.into_iter().map(said).collect()));
    }
    let warm = fleet::warm_pool(config)?;
    if warm.configuration.is_some() {
        let detail = format!("{}, which AWS replaces, too", count(count_of(warm.instances.len()), "instance"));
        plan = plan.change(ChangeAction::Keep, subject("warm pool"), detail);
    }
    let guarded = prepared.healthy.iter().map(|(name, healthy)| {
        let floor = guard::floor(*healthy, config.keep_healthy);
        format!("at least {floor} of {healthy} healthy targets in {name}")
    });
    let guarded: Vec<String> = guarded.collect();
    if !guarded.is_empty() {
        plan = plan.change(ChangeAction::Keep, subject("traffic"), guarded.join(", "));
    }
    Ok(plan)
}

fn count_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
