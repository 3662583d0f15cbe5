//! Deploys to a service that belongs to a CloudFormation stack: the image goes in as that stack's parameter, so that the stack and its
//! template stay one. What serves is then followed by digest as ever.
//! The main functions are [`run`] and [`undo`].

use kiln_plugin::aws::cloudformation::{CreateChangeSetRequest, ExecuteChangeSetRequest, Parameter, Stack};
use kiln_plugin::aws::ecs::Service;
use kiln_plugin::{ChangeAction, Failure, PinnedImage, Plan, context, log, memory};
use kiln_stack::follow::{self as course, Ending};
use kiln_stack::{Made, Protect, Recovery, State, WhenBusy, cause, change_set, guard, look, recover, show};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Outputs};
use crate::follow::{self, Goal};
use crate::revision::{self, short};
use crate::{cluster, prepared, why};

/// The stack and its parameter, where the config names them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    stack: &'a str,
    parameter: &'a str,
}

impl<'a> Owner<'a> {
    /// Of a config.
    pub(crate) fn of(config: &'a Config) -> Option<Self> {
        Some(Self { stack: &config.stack.as_ref()?.0, parameter: config.parameter.as_deref()? })
    }
}

/// What an undo must know. Remembered before the stack is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Before {
    stack_id: String,
    /// The parameter's value of before.
    value: String,
    /// What it was given.
    given: String,
    /// The task definition that served.
    task_definition: String,
    /// The tokens of the operations that this stage began.
    operations: Vec<String>,
}

const MEMORY: &str = "stack";

/// A stack that can be changed, with the value that its parameter has.
fn owner(config: &Config, owner: Owner<'_>) -> Result<(Stack, String), Failure> {
    let recovery =
        Recovery { recover: &[], skip: &[], retain: &[], role: None, when_busy: WhenBusy::Refuse, every: config.poll };
    let stack = recover::until_changeable(owner.stack, &recovery)?;
    let Some(stack) = stack.filter(|stack| State::of(&stack.status) == State::Ready) else {
        return Err(Failure::not_found(format!("CloudFormation has no stack {} yet", owner.stack))
            .help("Deploy the stack first, by a stage of `deploy-stack`."));
    };
    value(owner, &stack).map(|value| (stack, value))
}

fn value(owner: Owner<'_>, stack: &Stack) -> Result<String, Failure> {
    let has = stack.parameters.iter().find(|has| has.name == owner.parameter);
    has.map(|has| has.value.clone()).ok_or_else(|| {
        let there: Vec<&str> = stack.parameters.iter().map(|has| has.name.as_str()).collect();
        Failure::config(format!("the stack {} has no parameter {}", owner.stack, owner.parameter)).help(
            match there.is_empty() {
                true => "Its template has none: let it take the image as a parameter.".to_owned(),
                false => format!("It has {}.", there.join(", ")),
            },
        )
    })
}

/// What the parameter is given: the digest alone where that is what it has, or what its name says; otherwise the whole image.
fn given(parameter: &str, has: &str, image: &PinnedImage) -> String {
    let by_value = has.starts_with("sha256:");
    let by_name = parameter.to_ascii_lowercase().contains("digest") && !has.contains('@');
    if by_value || by_name { image.digest.clone() } else { image.to_string() }
}

/// The service must be a resource of the stack: another one would serve what it did before.
fn check_belongs(owner: Owner<'_>, stack: &Stack, service: &Service) -> Result<(), Failure> {
    let resources = look::resources(&stack.id)?;
    let is_it = |physical: &str| physical == service.arn || physical.ends_with(&format!("/{}", service.name));
    let is_there = resources
        .iter()
        .any(|resource| resource.type_ == "AWS::ECS::Service" && resource.physical.as_deref().is_some_and(is_it));
    match is_there {
        true => Ok(()),
        false => Err(Failure::config(format!(
            "the service {} is no resource of the stack {}",
            service.name, owner.stack
        ))
        .help("Correct `stack`, or leave `stack` and `parameter` out: then the stage deploys to the service itself.")),
    }
}

/// The change of one parameter; all else stays as the stack has it.
fn request(owner: Owner<'_>, stack: &Stack, value: &str) -> CreateChangeSetRequest {
    let info = context::get();
    let parameter =
        |name: &String| Parameter { name: name.clone(), value: (name == owner.parameter).then(|| value.to_owned()) };
    CreateChangeSetRequest {
        stack: owner.stack.to_owned(),
        type_: "UPDATE".to_owned(),
        template: None,
        parameters: stack.parameters.iter().map(|has| parameter(&has.name)).collect(),
        capabilities: stack.capabilities.clone(),
        tags: None,
        role: None,
        triggers: None,
        notifications: None,
        description: Some(format!("kiln {} {}", info.pipeline, info.run_id).chars().take(1024).collect()),
        nested: true,
        on_stack_failure: None,
        revert_drift: false,
        mode: None,
        skip_validation: false,
    }
}

/// What a run would do.
pub(crate) fn plan(config: &Config, by: Owner<'_>) -> Result<Plan, Failure> {
    let service = cluster::service(config)?;
    prepared::check(config, &service)?;
    let stack = look::existing(by.stack)?;
    let has = value(by, &stack)?;
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
    let (stack, has) = owner(config, by)?;
    check_belongs(by, &stack, &service)?;
    // Before anything is changed: what cannot be read could not be followed.
    let digests = cluster::digests(&image)?;
    let wanted = given(by.parameter, &has, &image);
    let earlier: Option<Before> = memory::recall(MEMORY)?;
    let earlier = earlier.filter(|earlier| earlier.stack_id == stack.id && earlier.given == wanted);
    let mut before = earlier.unwrap_or_else(|| Before {
        stack_id: stack.id.clone(),
        value: has.clone(),
        given: wanted.clone(),
        task_definition: service.task_definition.clone(),
        operations: Vec::new(),
    });
    let previous = cluster::task_definition(&before.task_definition)?;
    let previous_image = revision::with_image(&previous, &config.named(), &image)?.before.first().cloned();
    match change(config, by, &stack, &wanted, &mut before)? {
        Changed::Nothing => log::info(format!("{} has {wanted} already: nothing to deploy", by.stack)),
        Changed::Done => {}
    }
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

/// What became of the change of a parameter.
enum Changed {
    Nothing,
    Done,
}

/// Give the parameter a value, and follow the stack to its end.
fn change(config: &Config, by: Owner<'_>, stack: &Stack, value: &str, before: &mut Before) -> Result<Changed, Failure> {
    let set = match change_set::make(&request(by, stack, value), config.poll)? {
        Made::Nothing { .. } => return Ok(Changed::Nothing),
        Made::Changes(set) => set,
    };
    let all = set.all();
    all.iter().map(show::line).for_each(log::info);
    if let Some(refusal) = guard::refusal(by.stack, guard::breaches(&all, &Protect::default(), None)) {
        change_set::discard(by.stack, &set.name, true, config.poll)?;
        return Err(refusal.help(
            "A new image must not do that: deploy the stack by a stage of `deploy-stack`, which can be told to.",
        ));
    }
    memory::remember(MEMORY, before)?;
    let execute = ExecuteChangeSetRequest {
        stack: by.stack.to_owned(),
        name: set.name.clone(),
        disable_rollback: Some(false),
        retain_except_on_create: true,
    };
    let (token, ending) = course::change(&execute, &set.stack_id, set.changes.len(), config.poll)?;
    before.operations.push(token);
    memory::remember(MEMORY, before)?;
    match ending {
        Ending::Done(_) => Ok(Changed::Done),
        Ending::Failed { stack: now, cause } => {
            let reason = now.as_ref().and_then(|now| now.reason.clone());
            let left = now.map_or_else(|| "gone".to_owned(), |now| now.status.clone());
            let subject = format!("{} was not deployed by the stack {}, which is {left}", config.subject(), by.stack);
            let failure = cause::failure(&subject, cause.as_ref(), reason.as_deref()).details(evidence(config));
            Err(failure.help("Mend the cause and run again."))
        }
    }
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
    let busy =
        Recovery { recover: &[], skip: &[], retain: &[], role: None, when_busy: WhenBusy::Wait, every: config.poll };
    let Some(stack) = recover::until_changeable(&before.stack_id, &busy)? else {
        return Err(Failure::conflict(format!("the stack {} is not there any more", by.stack)));
    };
    let has = value(by, &stack)?;
    if has != before.given && has != before.value {
        return Err(Failure::conflict(format!(
            "the stack {} now has {} for {}, which is neither what this stage gave it nor what it had before",
            by.stack,
            show::shown(&has),
            by.parameter
        ))
        .help("Somebody deployed since. Nothing was changed: decide by hand what is to serve."));
    }
    let wanted = before.value.clone();
    change(config, by, &stack, &wanted, &mut before)?;
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
        show::shown(&wanted),
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
