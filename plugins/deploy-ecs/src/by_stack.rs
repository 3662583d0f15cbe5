//! Deploys to a service that belongs to a CloudFormation stack: the image goes in as that stack's parameter, so that the stack and its
//! template stay one. What serves is then followed by digest as ever.
//! The main functions are [`run`] and [`undo`].

use kiln_plugin::aws::cloudformation::Stack;
use kiln_plugin::aws::ecs::Service;
use kiln_plugin::{ChangeAction, Failure, PinnedImage, Plan, log, memory};
use kiln_stack::owner::{Changed, Given, Step};
use kiln_stack::{Owner, WhenBusy, cause, look, show};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Outputs};
use crate::follow::{self, Goal};
use crate::revision::{self, short};
use crate::{cluster, prepared, why};

/// The stack and its parameter, where the config names them.
pub(crate) fn owner(config: &Config) -> Option<Owner<'_>> {
    Some(Owner { stack: &config.stack.as_ref()?.0, parameter: config.parameter.as_deref()?, every: config.poll })
}

/// What an undo must know. Remembered before the stack is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    /// What the stack was given.
    given: Given,
    /// The task definition that served.
    task_definition: String,
}

const MEMORY: &str = "stack";

/// What the parameter is given: the digest alone where that is what it has, or what its name says; otherwise the whole image.
fn given(parameter: &str, has: &str, image: &PinnedImage) -> String {
    let by_value = has.starts_with("sha256:");
    let by_name = parameter.to_ascii_lowercase().contains("digest") && !has.contains('@');
    if by_value || by_name { image.digest.clone() } else { image.to_string() }
}

/// The service must be a resource of the stack.
fn check_belongs(owner: Owner<'_>, stack: &Stack, service: &Service) -> Result<(), Failure> {
    let is_it = |physical: &str| physical == service.arn || physical.ends_with(&format!("/{}", service.name));
    owner.resource(stack, "AWS::ECS::Service", &format!("service {}", service.name), is_it).map(|_| ())
}

/// What a run would do.
pub(crate) fn plan(config: &Config, by: Owner<'_>) -> Result<Plan, Failure> {
    let service = cluster::service(config)?;
    prepared::check(config, &service)?;
    let stack = look::existing(by.stack)?;
    let has = by.has(&stack)?.value.clone();
    check_belongs(by, &stack, &service)?;
    let subject = format!("stack {}", by.stack);
    let kiln_plugin::Known::Now(image) = &config.image else {
        let plan = Plan::new(format!(
            "{} would be deployed by the stack {}, once the image is known",
            config.subject(),
            by.stack
        ));
        return Ok(plan.change(ChangeAction::Update, subject, format!("{} gets the new image", by.parameter)));
    };
    let wanted = given(by.parameter, &has, image);
    if wanted == has {
        return Ok(Plan::new(format!("{} has {} already: nothing would be deployed", by.stack, image.brief())));
    }
    by.note(&stack).into_iter().for_each(log::warn);
    let plan =
        Plan::new(format!("{} would be deployed to {} by the stack {}", image.brief(), config.subject(), by.stack));
    Ok(plan
        .change(
            ChangeAction::Update,
            subject,
            format!("{} from {} to {}", by.parameter, show::shown(&has), show::shown(&wanted)),
        )
        .change(ChangeAction::Start, format!("service {}", config.subject()), "a deployment by the stack"))
}

/// Deploy.
pub(crate) fn run(config: &Config, by: Owner<'_>) -> Result<Outputs, Failure> {
    let image = config.image.get()?.clone();
    let service = cluster::service(config)?;
    prepared::check(config, &service)?;
    let stack = by.ready(WhenBusy::Refuse)?;
    let has = by.has(&stack)?.value.clone();
    check_belongs(by, &stack, &service)?;
    // Before anything is changed: what cannot be read could not be followed.
    let digests = cluster::digests(&image)?;
    let wanted = given(by.parameter, &has, &image);
    let earlier: Option<Before> = memory::recall(MEMORY)?;
    let (earlier, serving) = earlier.map(|earlier| (earlier.given, earlier.task_definition)).unzip();
    let given = Given::of(&stack, &has, &wanted, earlier);
    // What served before an earlier attempt's change is what an undo goes back to.
    let task_definition = serving.filter(|_| given.executed).unwrap_or_else(|| service.task_definition.clone());
    let mut before = Before { given, task_definition };
    let previous = cluster::task_definition(&before.task_definition)?;
    let previous_image = revision::with_image(&previous, &config.named(), &image)?.before.first().cloned();
    let mut keep = |step: Step<'_>| {
        before.given.take(step);
        memory::remember(MEMORY, &before)
    };
    let changed = by.change(&stack, &wanted, &mut keep, &mut || Ok(()))?;
    if let Changed::Nothing = changed {
        log::info(format!("{} has {wanted} already: nothing to deploy", by.stack));
    }
    must_be_done(config, by, changed)?;
    let now = cluster::service(config)?;
    let serving = cluster::task_definition(&now.task_definition)?;
    let revision = revision::with_image(&serving, &config.named(), &image)?;
    if revision.document.is_some() {
        return Err(Failure::config(format!(
            "the stack {} took {}, and {} does not name the image {}",
            by.stack,
            by.parameter,
            short(&serving.arn),
            image.brief()
        ))
        .help("Let the template make the container's image of that parameter, or name the parameter that does."));
    }
    let goal = Goal {
        target: now.task_definition.clone(),
        containers: revision.containers,
        digests: Some(digests),
        before: before.task_definition.clone(),
        earlier: None,
        last_event: service.events.first().map(|event| event.timestamp),
    };
    follow::until_served(config, &goal)?;
    let previous_image = previous_image.filter(|image| revision::digest(image).is_some());
    Ok(Outputs {
        task_definition: now.task_definition,
        previous_task_definition: before.task_definition,
        deployment: now.current_service_deployment,
        image,
        previous_image,
        service: config.service.clone(),
        idle: now.desired == 0,
    })
}

/// Why a stack was not changed.
fn must_be_done(config: &Config, by: Owner<'_>, changed: Changed) -> Result<(), Failure> {
    let Changed::Failed { stack: now, cause } = changed else { return Ok(()) };
    let reason = now.as_ref().and_then(|now| now.reason.clone());
    let left = now.map_or_else(|| "gone".to_owned(), |now| now.status.clone());
    let subject = format!("{} was not deployed by the stack {}, which is {left}", config.subject(), by.stack);
    let failure = cause::failure(&subject, cause.as_ref(), reason.as_deref()).details(evidence(config));
    Err(failure.help("Mend the cause and run again."))
}

/// Why tasks of the newest revision stopped, as far as it can be told. Evidence that cannot be had must not hide the failure.
fn evidence(config: &Config) -> Vec<String> {
    let newest = || -> Result<Option<String>, Failure> {
        let service = cluster::service(config)?;
        let serving = cluster::task_definition(&service.task_definition)?;
        Ok(cluster::newest(&serving.family)?.map(|newest| newest.arn))
    };
    match (newest(), cluster::stopped(config)) {
        (Ok(Some(newest)), Ok(stopped)) => why::reasons_of(&stopped, &newest),
        _ => Vec::new(),
    }
}

/// Go back to the parameter's value of before.
pub(crate) fn undo(config: &Config, by: Owner<'_>) -> Result<String, Failure> {
    let Some(mut before): Option<Before> = memory::recall(MEMORY)? else {
        return Ok(format!("the stack {} was not changed", by.stack));
    };
    let given = before.given.clone();
    let mut keep = |step: Step<'_>| {
        before.given.take(step);
        memory::remember(MEMORY, &before)
    };
    must_be_done(config, by, by.back(&given, &mut keep, &mut || Ok(()))?)?;
    let service = cluster::service(config)?;
    let serving = cluster::task_definition(&service.task_definition)?;
    let goal = Goal {
        target: service.task_definition.clone(),
        containers: revision::with_image(&serving, &config.named(), config.image.get()?)?.containers,
        digests: None,
        before: service.task_definition.clone(),
        earlier: None,
        last_event: service.events.first().map(|event| event.timestamp),
    };
    follow::until_served(config, &goal)?;
    Ok(format!(
        "the stack {} has {} for {} again, and {} serves",
        by.stack,
        show::shown(&before.given.before),
        by.parameter,
        short(&goal.target)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "111111111111.dkr.ecr.us-west-2.amazonaws.com/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn a_parameter_gets_a_digest_where_it_has_one_or_is_named_so() {
        let image: PinnedImage = IMAGE.parse().unwrap();
        assert_eq!(given("Tag", "sha256:0", &image), image.digest);
        assert_eq!(given("ImageDigest", "", &image), image.digest);
        assert_eq!(given("Image", "", &image), IMAGE);
        assert_eq!(given("ImageWithDigest", "x/web@sha256:0", &image), IMAGE);
    }
}
