//! Deploys an image to an ECS service, by digest, and follows it until the new revision serves.
//! The main type is [`DeployEcs`]; where a deployment stands is decided in `rollout`, what tasks run in `tasks`.

mod alarms;
mod between;
mod cluster;
mod config;
mod follow;
mod logs;
mod revision;
mod rollout;
mod settings;
mod tasks;
mod way_back;
mod why;

use kiln_plugin::aws::ecs::{
    RegisterTaskDefinitionRequest, Service, TaskDefinition, UpdateServiceRequest, register_task_definition,
    update_service,
};
use kiln_plugin::{ChangeAction, During, Failure, Known, Permission, PinnedImage, Plan, Stage, log, memory};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::config::{Base, Breaker, Config, Outputs, Strategy, Threshold, ThresholdKind, UnreadyAlarms};
use crate::follow::Goal;
use crate::revision::short;
use crate::settings::{Members, Settings};

/// The plugin.
pub struct DeployEcs;

/// What an undo and a later attempt must know. Remembered before the service is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    /// The task definition that served before.
    previous: String,
    /// The image of the first of the containers before.
    previous_image: String,
    /// The task definition that is to serve.
    target: String,
    /// The digest that it brings.
    digest: String,
    /// The containers that get it.
    containers: Vec<String>,
    /// How deployments went before.
    settings: Settings,
    /// The members of it that this stage changed.
    changed: Vec<String>,
    /// Service deployments from before: ours is none of them.
    deployments: Vec<String>,
    /// The newest event from before.
    last_event: Option<u64>,
}

const MEMORY: &str = "deployment";

impl Stage for DeployEcs {
    const NAME: &'static str = "deploy-ecs";
    const SUMMARY: &'static str =
        "Deploys an image to an ECS service by digest, and follows it until the new revision serves";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let of_service = |kind: &str| format!("{kind}/${{with.cluster}}/${{with.service}}");
        let service = of_service("service");
        vec![
            Permission::new("ecs:DescribeServices", "to see what serves and to follow the deployment")
                .on("ecs", &service),
            Permission::new("ecs:UpdateService", "to deploy, and to go back").on("ecs", &service),
            Permission::new("ecs:ListServiceDeployments", "to find the deployment that this stage starts")
                .on("ecs", &service),
            Permission::new("ecs:DescribeServiceDeployments", "to follow the deployment")
                .on("ecs", &format!("{}/*", of_service("service-deployment"))),
            Permission::new("ecs:DescribeServiceRevisions", "to tell this stage's deployment from others")
                .on("ecs", &format!("{}/*", of_service("service-revision"))),
            Permission::new("ecs:DescribeTaskDefinition", "to read the revision that serves").on_any(),
            Permission::new("ecs:RegisterTaskDefinition", "to register the revision with the new image")
                .on("ecs", "task-definition/*:*"),
            Permission::new("ecs:TagResource", "to tag the revision that it registers")
                .on("ecs", "task-definition/*:*"),
            Permission::new("iam:PassRole", "to give the new revision the roles that the config lists")
                .on_arn("arn:${partition}:iam::${account}:role/${with.roles}"),
            Permission::new("ecs:ListTasks", "to find running and stopped tasks of the service")
                .on("ecs", "container-instance/${with.cluster}/*"),
            Permission::new("ecs:DescribeTasks", "to see which image tasks run and why they stopped")
                .on("ecs", "task/${with.cluster}/*"),
            // Composite alarms are described only to who may describe all, and one that is not shown looks as if it were not there.
            Permission::new("cloudwatch:DescribeAlarms", "to see whether the alarms that watch the deployment can")
                .on_any(),
            Permission::new("ecr:BatchGetImage", "to recognise the parts of an image for several platforms")
                .on("ecr", "repository/${image-repository(with.image)}"),
            Permission::new("logs:GetLogEvents", "to show what a crashed container logged last")
                .on("logs", "log-group:${with.log-groups}:log-stream:*"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let service = cluster::service(&config)?;
        check(&config, &service)?;
        let serving = cluster::task_definition(&service.task_definition)?;
        let base = base(&config, &serving)?;
        check_roles(&config, &base)?;
        let settings = Settings::of(&service)?;
        let wanted = settings.wanted(&config);
        for note in notes(&config, &service, &serving, &settings.with(&wanted))? {
            log::warn(note);
        }
        let subject = config.subject();
        let now = short(&serving.arn);
        let (summary, registered) = match &config.image {
            Known::After(stage) => {
                let summary = format!("deploys the image that stage {stage} makes to {subject}");
                (summary, format!("{} with the image that is known after {stage}", short(&base.arn)))
            }
            Known::Now(image) => {
                let next = revision::with_image(&base, &config.named(), image)?;
                if next.document.is_none() && base.arn == serving.arn && wanted.is_empty() {
                    return Ok(Plan::new(format!("{subject} names this image already")).change(
                        ChangeAction::Keep,
                        format!("service {subject}"),
                        format!("{} of {now} has {}", next.subject(), image.digest),
                    ));
                }
                let detail =
                    format!("{} with {} changed from {} to {image}", short(&base.arn), next.subject(), next.from());
                (format!("deploys {} to {subject}", image.short_digest()), detail)
            }
        };
        for note in alarms::ready(&config, &settings.with(&wanted))? {
            log::warn(note);
        }
        let mut plan = Plan::new(summary)
            .change(ChangeAction::Create, format!("task definition {}", serving.family), registered)
            .change(
                ChangeAction::Update,
                format!("service {subject}"),
                format!("from {now} to the new revision, {}", pace(&settings.with(&wanted), service.desired)),
            );
        for (setting, change) in settings.changes(&wanted) {
            plan = plan.change(ChangeAction::Update, format!("service {subject}, {setting}"), change);
        }
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let image = config.image.get()?.clone();
        let service = cluster::service(&config)?;
        check(&config, &service)?;
        let earlier: Option<Remembered> = memory::recall(MEMORY)?;
        let earlier = earlier.filter(|earlier| earlier.digest == image.digest);
        if let Some(earlier) = &earlier
            && earlier.target == service.task_definition
        {
            log::info(format!("following the deployment of {} by an earlier attempt", short(&earlier.target)));
            return finish(&config, image, earlier.clone());
        }
        refuse_if_busy(&config, &service)?;

        let serving = cluster::task_definition(&service.task_definition)?;
        let base = base(&config, &serving)?;
        check_roles(&config, &base)?;
        let settings = Settings::of(&service)?;
        let wanted = settings.wanted(&config);
        for note in notes(&config, &service, &serving, &settings.with(&wanted))? {
            log::warn(note);
        }
        let next = revision::with_image(&base, &config.named(), &image)?;
        let same = next.document.is_none() && base.arn == serving.arn;
        if same && wanted.is_empty() && serves(&config, &service, &next.containers, &image)? {
            log::info(format!("{} runs {} already: nothing to deploy", config.subject(), image.digest));
            return Ok(Outputs {
                task_definition: service.task_definition.clone(),
                previous_task_definition: service.task_definition,
                deployment: None,
                previous_image: Some(image.to_string()),
                image,
                service: config.service,
                idle: service.desired == 0,
            });
        }
        for note in alarms::ready(&config, &settings.with(&wanted))? {
            log::warn(note);
        }
        let target = match (&next.document, &earlier) {
            // It names the digest but does not serve: the deployment that brought it failed. Or it is the newest one.
            (None, _) => base.arn.clone(),
            (Some(_), Some(earlier)) => earlier.target.clone(),
            (Some(document), None) => register(document, &base)?,
        };
        // What an earlier attempt changed is what an undo has to put back, too.
        let (before, mut changed) = match earlier {
            Some(earlier) => (earlier.settings, earlier.changed),
            None => (settings, Vec::new()),
        };
        changed.extend(wanted.keys().cloned());
        let remembered = Remembered {
            previous: service.task_definition.clone(),
            previous_image: next.before.first().cloned().unwrap_or_default(),
            target,
            digest: image.digest.clone(),
            containers: next.containers,
            settings: before,
            changed,
            deployments: cluster::deployments(&config)?,
            last_event: service.events.first().map(|event| event.timestamp),
        };
        memory::remember(MEMORY, &remembered)?;
        update(&config, &remembered.target, wanted, same)?;
        log::info(format!(
            "{} goes from {} to {}",
            config.subject(),
            short(&remembered.previous),
            short(&remembered.target)
        ));
        finish(&config, image, remembered)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        match memory::recall::<Remembered>(MEMORY)? {
            Some(remembered) => way_back::go(&config, remembered),
            None => Ok("the service was not changed".to_owned()),
        }
    }
}

/// The revision that is copied.
fn base(config: &Config, serving: &TaskDefinition) -> Result<TaskDefinition, Failure> {
    match config.base {
        Base::Serving => Ok(serving.clone()),
        Base::Latest => match cluster::newest(&serving.family)? {
            Some(newest) => Ok(newest),
            None => Err(Failure::not_found(format!("the family {} has no active revision", serving.family))
                .help("Register one, or copy the one that serves: `base = \"serving\"`.")),
        },
    }
}

/// What whoever reads the plan or the run should know besides.
fn notes(
    config: &Config,
    service: &Service,
    serving: &TaskDefinition,
    settings: &Settings,
) -> Result<Vec<String>, Failure> {
    let subject = config.subject();
    let mut notes = Vec::new();
    let stack = service.tags.iter().find(|tag| tag.name == "aws:cloudformation:stack-name");
    if let Some(stack) = stack {
        notes.push(format!(
            "the service {subject} is of the CloudFormation stack {}: this deployment makes it differ from its template, and the \
             stack's next update of it may go back to what the template names",
            stack.value
        ));
    }
    let now = short(&serving.arn);
    if serving.status != "ACTIVE" {
        notes.push(format!(
            "{now}, which serves, is {}: no task of it can be started any more; an undo registers it anew and goes back to that",
            serving.status
        ));
    }
    if let Some(newest) = cluster::newest(&serving.family)?.filter(|newest| newest.revision > serving.revision) {
        let between = between::differences(&serving.document, &newest.document);
        let newest = short(&newest.arn);
        notes.push(match config.base {
            Base::Serving => format!(
                "{newest} is newer than {now}, which serves and is copied: what it changes is left out ({between}); \
                 `base = \"latest\"` takes it"
            ),
            Base::Latest => {
                format!("{newest} is copied, which is newer than {now}, which serves; it changes {between}")
            }
        });
    }
    if service.desired > 0 && !settings.can_move(service.desired) {
        notes.push(format!(
            "the limits of {subject} let no task be replaced: with {} desired, ECS may neither start one more nor stop one \
             first; raise `maximum-percent` or lower `minimum-healthy-percent`",
            service.desired
        ));
    }
    if !settings.is_guarded() && settings.alarms().is_empty() {
        notes.push(format!(
            "nothing ends a deployment to {subject} whose tasks crash before the stage's `timeout`: \
             `circuit-breaker = {{}}` lets ECS end it and go back"
        ));
    }
    Ok(notes)
}

/// Two deployments at once would undo each other; but one that can never settle is no reason to wait.
fn refuse_if_busy(config: &Config, service: &Service) -> Result<(), Failure> {
    let current = service.current_service_deployment.as_deref().map(cluster::deployment).transpose()?.flatten();
    if !rollout::is_busy(service, current.as_ref()) {
        return Ok(());
    }
    let (subject, now) = (config.subject(), short(&service.task_definition));
    if rollout::is_hopeless(service, config.replace_failed) {
        log::warn(format!(
            "the deployment of {now} to {subject} that is in progress has only failed tasks: it is replaced"
        ));
        return Ok(());
    }
    Err(Failure::conflict(format!("a deployment of {now} to {subject} is in progress")).help(
        "Wait until it has ended, or stop it; two deployments at once would undo each other. If its tasks fail and it \
         never ends, `replace-failed = true` replaces it.",
    ))
}

/// Whoever registers a revision must be allowed to pass its roles, and this stage asks only for those that its config lists.
fn check_roles(config: &Config, definition: &TaskDefinition) -> Result<(), Failure> {
    let missing = revision::unlisted_roles(definition, &config.roles);
    if missing.is_empty() {
        return Ok(());
    }
    let mut roles = config.roles.clone();
    roles.extend(missing.clone());
    let roles: Vec<String> = roles.iter().map(|role| format!("{role:?}")).collect();
    Err(Failure::config(format!(
        "{} names the {} {}, which the stage's `roles` does not list",
        short(&definition.arn),
        if missing.len() == 1 { "role" } else { "roles" },
        missing.join(" and ")
    ))
    .help(format!(
        "Say `roles = [{}]`: they are the only ones that the stage may pass on, and without them the revision cannot be \
         registered.",
        roles.join(", ")
    )))
}

/// The service must be one that this stage can deploy to.
fn check(config: &Config, service: &Service) -> Result<(), Failure> {
    let subject = config.subject();
    if service.status != "ACTIVE" {
        return Err(Failure::conflict(format!("the service {subject} is {}", service.status))
            .help("Only an ACTIVE service can be deployed to."));
    }
    if service.deployment_controller != "ECS" {
        return Err(Failure::config(format!("the service {subject} is deployed by {}", service.deployment_controller))
            .help(
                "This plugin deploys by ECS itself. Change the service's deployment controller, or use another plugin.",
            ));
    }
    if service.strategy != "ROLLING" {
        return Err(Failure::config(format!("the service {subject} deploys by {}", service.strategy)).help(
            "This plugin would turn it to rolling deployments. Change the service's strategy first, if you want that.",
        ));
    }
    if service.desired == 0 && !config.allow_zero {
        return Err(Failure::config(format!(
            "the service {subject} is to have 0 tasks: nothing would run that is deployed"
        ))
        .help("Give it tasks first, or say `allow-zero = true`: then a revision is deployed that nothing has tried."));
    }
    Ok(())
}

/// Whether the image serves already, not only by name.
fn serves(config: &Config, service: &Service, containers: &[String], image: &PinnedImage) -> Result<bool, Failure> {
    if rollout::judge(service, None, &service.task_definition, &service.task_definition) != rollout::Stand::Settled {
        return Ok(false);
    }
    let digests = cluster::digests(image)?;
    let tasks = cluster::running(config)?;
    Ok(tasks::look(&tasks, &service.task_definition, containers, Some(&digests)) == tasks::Running::Ours)
}

fn register(document: &str, before: &TaskDefinition) -> Result<String, Failure> {
    let request = RegisterTaskDefinitionRequest { document: document.to_owned(), tags: revision::tags(before) };
    let registered = register_task_definition(&request)
        .during(format!("registering the next revision of {}", before.family))?
        .task_definition;
    log::info(format!("registered {}", short(&registered.arn)));
    Ok(registered.arn)
}

/// Change the service. Settings that are not among `members` stay as they are.
fn update(config: &Config, target: &str, members: Members, force: bool) -> Result<(), Failure> {
    let request = UpdateServiceRequest {
        cluster: config.cluster.clone(),
        service: config.service.clone(),
        task_definition: target.to_owned(),
        desired_count: None,
        deployment_configuration: (!members.is_empty()).then(|| Value::Object(members).to_string()),
        force_new_deployment: force,
    };
    update_service(&request).during(format!("updating the service {} to {}", config.subject(), short(target)))?;
    Ok(())
}

/// Follow the deployment that was started, and answer what serves.
fn finish(config: &Config, image: PinnedImage, remembered: Remembered) -> Result<Outputs, Failure> {
    let goal = Goal {
        target: remembered.target.clone(),
        containers: remembered.containers,
        image: Some(image.clone()),
        before: remembered.previous.clone(),
        earlier: Some(remembered.deployments),
        last_event: remembered.last_event,
    };
    let deployment = follow::until_served(config, &goal)?;
    let idle = config.allow_zero && cluster::service(config)?.desired == 0;
    if idle {
        log::warn(format!("{} names {}, and no task of it runs", config.subject(), short(&goal.target)));
    }
    let by_digest = revision::digest(&remembered.previous_image).is_some();
    Ok(Outputs {
        task_definition: remembered.target,
        previous_task_definition: remembered.previous,
        deployment,
        image,
        previous_image: by_digest.then_some(remembered.previous_image),
        service: config.service.clone(),
        idle,
    })
}

/// How the deployment goes, for the plan.
fn pace(settings: &Settings, desired: u32) -> String {
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

kiln_plugin::export!(DeployEcs);
