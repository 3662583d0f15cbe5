//! What a deployment would change, line by line, for the plan.
//! The main function is [`plan`].

use kiln_plugin::{ChangeAction, Failure, Known, PinnedImage, Plan};

use crate::cluster;
use crate::config::Config;
use crate::prepared::{Need, Prepared};
use crate::revision::{self, Revision, short};
use crate::settings::Settings;

/// The plan of what `prepared` makes necessary.
pub(crate) fn plan(config: &Config, prepared: &Prepared) -> Result<Plan, Failure> {
    let subject = config.subject();
    match &config.image {
        Known::After(stage) => {
            prepared.watch(config)?;
            let summary = format!("deploys the image that stage {stage} makes to {subject}");
            let registered = format!("{} with the image that is known after {stage}", short(&prepared.base.arn));
            Ok(settings(registers(Plan::new(summary), config, prepared, registered), config, prepared))
        }
        Known::Now(image) => {
            let next = revision::with_image(&prepared.base, &config.named(), image)?;
            let need = prepared.need(config, &cluster::digests(image)?, &next)?;
            if need.deploys() {
                prepared.watch(config)?;
            }
            Ok(needed(config, prepared, image, &next, &need))
        }
    }
}

/// The plan where the image is known.
fn needed(config: &Config, prepared: &Prepared, image: &PinnedImage, next: &Revision, need: &Need) -> Plan {
    let subject = config.subject();
    let now = short(&prepared.serving.arn);
    let keep = |plan: Plan| {
        let detail = format!("{} of {now} has {}", next.subject(), image.digest);
        plan.change(ChangeAction::Keep, format!("service {subject}"), detail)
    };
    let deploys = Plan::new(format!("deploys {} to {subject}", image.short_digest()));
    let plan = match need {
        Need::Nothing => return keep(Plan::new(format!("{subject} names this image already"))),
        Need::Settings => keep(Plan::new(format!("{subject} names this image already: only its settings change"))),
        Need::Deploy { again } => {
            let base = short(&prepared.base.arn);
            let what = match again {
                true => format!("{base} again, whose tasks do not all run the image that it names"),
                false => format!("from {now} to {base}, which has the image already"),
            };
            deploys.change(ChangeAction::Update, format!("service {subject}"), format!("{what}, {}", pace(prepared)))
        }
        Need::Register(_) => {
            let base = short(&prepared.base.arn);
            let registered = match &next.document {
                Some(_) => format!("{base} with {} changed from {} to {image}", next.subject(), next.from()),
                None => format!("{base} anew, which is {}", prepared.base.status),
            };
            registers(deploys, config, prepared, registered)
        }
    };
    settings(plan, config, prepared)
}

/// A revision is registered, and deployed.
fn registers(plan: Plan, config: &Config, prepared: &Prepared, registered: String) -> Plan {
    let now = short(&prepared.serving.arn);
    plan.change(ChangeAction::Create, format!("task definition {}", prepared.serving.family), registered).change(
        ChangeAction::Update,
        format!("service {}", config.subject()),
        format!("from {now} to the new revision, {}", pace(prepared)),
    )
}

/// Each setting that changes.
fn settings(plan: Plan, config: &Config, prepared: &Prepared) -> Plan {
    let subject = config.subject();
    prepared.settings.changes(&prepared.wanted).into_iter().fold(plan, |plan, (setting, change)| {
        plan.change(ChangeAction::Update, format!("service {subject}, {setting}"), change)
    })
}

/// How the deployment goes.
fn pace(prepared: &Prepared) -> String {
    let (settings, desired): (Settings, u32) = (prepared.settings_after(), prepared.service.desired);
    let mut pace = format!("rolling {desired} {}", if desired == 1 { "task" } else { "tasks" });
    match settings.failures(desired) {
        Some(failures) => pace.push_str(&format!(", ended by the circuit breaker after {failures} failed tasks")),
        None => pace.push_str(", circuit breaker off"),
    }
    let alarms = settings.alarms();
    if !alarms.is_empty() {
        pace.push_str(&format!(", watched by {}", alarms.join(", ")));
    }
    pace
}
