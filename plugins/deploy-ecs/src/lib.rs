//! Deploys an image to an ECS service, by digest, and follows it until the new revision serves.
//! The main type is [`DeployEcs`]; where a deployment stands is decided in `rollout`, what tasks run in `tasks`.

mod cluster;
mod config;
mod follow;
mod revision;
mod rollout;
mod tasks;
mod why;

use kiln_plugin::aws::ecs::{
    RegisterTaskDefinitionRequest, RollingConfiguration, Service, UpdateServiceRequest, register_task_definition,
    update_service,
};
use kiln_plugin::{ChangeAction, During, Failure, Known, Permission, PinnedImage, Plan, Stage, log, memory};
use serde::{Deserialize, Serialize};

pub use crate::config::{Config, Outputs, Strategy};
use crate::follow::Goal;
use crate::revision::{Revision, short};

/// The plugin.
pub struct DeployEcs;

/// What an undo and a later attempt must know. Remembered before the service is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    /// The task definition that served before.
    previous: String,
    /// The image of the container before.
    previous_image: String,
    /// The task definition that is to serve.
    target: String,
    /// The digest that it brings.
    digest: String,
    /// The container that gets it.
    container: String,
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
            Permission::new("ecr:BatchGetImage", "to recognise the parts of an image for several platforms")
                .on("ecr", "repository/${image-repository(with.image)}"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let service = cluster::service(&config)?;
        check(&config, &service)?;
        let definition = cluster::task_definition(&service.task_definition)?;
        let subject = config.subject();
        let now = short(&definition.arn);
        let image = match &config.image {
            Known::Now(image) => image,
            Known::After(stage) => {
                return Ok(Plan::new(format!("deploys the image that stage {stage} makes to {subject}"))
                    .change(
                        ChangeAction::Create,
                        format!("task definition {}", definition.family),
                        format!("{now} with the image that is known after {stage}"),
                    )
                    .change(
                        ChangeAction::Update,
                        format!("service {subject}"),
                        format!("from {now} to the new revision, {}", pace(&config)),
                    ));
            }
        };
        let Revision { container, before, document } =
            revision::with_image(&definition, config.container.as_deref(), image)?;
        if document.is_none() {
            return Ok(Plan::new(format!("{subject} names this image already")).change(
                ChangeAction::Keep,
                format!("service {subject}"),
                format!("container {container} of {now} has {}", image.digest),
            ));
        }
        Ok(Plan::new(format!("deploys {} to {subject}", image.short_digest()))
            .change(
                ChangeAction::Create,
                format!("task definition {}", definition.family),
                format!("{now} with the container {container} changed from {before} to {image}"),
            )
            .change(
                ChangeAction::Update,
                format!("service {subject}"),
                format!("from {now} to the new revision, {}", pace(&config)),
            ))
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

        let current = service.current_service_deployment.as_deref().map(cluster::deployment).transpose()?.flatten();
        if rollout::is_busy(&service, current.as_ref()) {
            return Err(Failure::conflict(format!(
                "a deployment of {} to {} is in progress",
                short(&service.task_definition),
                config.subject()
            ))
            .help("Wait until it has ended, or stop it; two deployments at once would undo each other."));
        }

        let definition = cluster::task_definition(&service.task_definition)?;
        let next = revision::with_image(&definition, config.container.as_deref(), &image)?;
        if next.document.is_none() && serves(&config, &service, &next.container, &image)? {
            log::info(format!("{} runs {} already: nothing to deploy", config.subject(), image.digest));
            return Ok(Outputs {
                task_definition: service.task_definition.clone(),
                previous_task_definition: service.task_definition,
                deployment: None,
                previous_image: Some(image.to_string()),
                image,
                service: config.service,
            });
        }
        let target = match (&next.document, &earlier) {
            // It names the digest but does not serve: the deployment that brought it failed.
            (None, _) => service.task_definition.clone(),
            (Some(_), Some(earlier)) => earlier.target.clone(),
            (Some(document), None) => register(document, &definition)?,
        };
        let remembered = Remembered {
            previous: service.task_definition.clone(),
            previous_image: next.before,
            target,
            digest: image.digest.clone(),
            container: next.container,
            deployments: cluster::deployments(&config)?,
            last_event: service.events.first().map(|event| event.timestamp),
        };
        memory::remember(MEMORY, &remembered)?;
        update(&config, &remembered.target, config.rolling(), next.document.is_none())?;
        log::info(format!(
            "{} goes from {} to {}",
            config.subject(),
            short(&remembered.previous),
            short(&remembered.target)
        ));
        finish(&config, image, remembered)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        let Some(remembered) = memory::recall::<Remembered>(MEMORY)? else {
            return Ok("the service was not changed".to_owned());
        };
        let Remembered { previous, target, container, .. } = remembered;
        let subject = config.subject();
        if previous == target {
            return Ok(format!("{subject} was on {} before as well: there is nothing to go back to", short(&previous)));
        }
        follow::until_idle(&config)?;
        let service = cluster::service(&config)?;
        let mut goal = Goal {
            target: previous.clone(),
            before: target.clone(),
            container,
            image: None,
            earlier: None,
            last_event: service.events.first().map(|event| event.timestamp),
        };
        if service.task_definition == previous {
            // AWS went back by itself, or an earlier undo did.
            follow::until_served(&config, &goal)?;
            return Ok(format!("{subject} serves {} again already", short(&previous)));
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
        goal.earlier = Some(cluster::deployments(&config)?);
        update(&config, &previous, config.rolling_back(), false)?;
        follow::until_served(&config, &goal)?;
        Ok(format!("{subject} went back from {} to {}", short(&target), short(&previous)))
    }
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
    Ok(())
}

/// Whether the image serves already, not only by name.
fn serves(config: &Config, service: &Service, container: &str, image: &PinnedImage) -> Result<bool, Failure> {
    if rollout::judge(service, None, &service.task_definition, &service.task_definition) != rollout::Stand::Settled {
        return Ok(false);
    }
    let digests = cluster::digests(image)?;
    let tasks = cluster::running(config)?;
    Ok(tasks::look(&tasks, &service.task_definition, container, Some(&digests)) == tasks::Running::Ours)
}

fn register(document: &str, before: &kiln_plugin::aws::ecs::TaskDefinition) -> Result<String, Failure> {
    let request = RegisterTaskDefinitionRequest { document: document.to_owned(), tags: revision::tags(before) };
    let registered = register_task_definition(&request)
        .during(format!("registering the next revision of {}", before.family))
        .map_err(roles_hint)?
        .task_definition;
    log::info(format!("registered {}", short(&registered.arn)));
    Ok(registered.arn)
}

/// What is most often forgotten: the roles of the task definition.
fn roles_hint(failure: Failure) -> Failure {
    if failure.message.contains("PassRole") {
        return failure.help("List the task definition's task role and execution role under `roles` of this stage.");
    }
    failure
}

fn update(config: &Config, target: &str, rolling: RollingConfiguration, force: bool) -> Result<(), Failure> {
    let request = UpdateServiceRequest {
        cluster: config.cluster.clone(),
        service: config.service.clone(),
        task_definition: target.to_owned(),
        desired_count: None,
        rolling: Some(rolling),
        force_new_deployment: force,
    };
    update_service(&request).during(format!("updating the service {} to {}", config.subject(), short(target)))?;
    Ok(())
}

/// Follow the deployment that was started, and answer what serves.
fn finish(config: &Config, image: PinnedImage, remembered: Remembered) -> Result<Outputs, Failure> {
    let goal = Goal {
        target: remembered.target.clone(),
        container: remembered.container,
        image: Some(image.clone()),
        before: remembered.previous.clone(),
        earlier: Some(remembered.deployments),
        last_event: remembered.last_event,
    };
    let deployment = follow::until_served(config, &goal)?;
    let by_digest = revision::digest(&remembered.previous_image).is_some();
    Ok(Outputs {
        task_definition: remembered.target,
        previous_task_definition: remembered.previous,
        deployment,
        image,
        previous_image: by_digest.then_some(remembered.previous_image),
        service: config.service.clone(),
    })
}

/// How the deployment goes, for the plan.
fn pace(config: &Config) -> String {
    let mut pace = "rolling, circuit breaker on".to_owned();
    if let Some(percent) = config.minimum_healthy_percent {
        pace.push_str(&format!(", at least {percent} % running"));
    }
    if let Some(percent) = config.maximum_percent {
        pace.push_str(&format!(", at most {percent} %"));
    }
    if !config.alarms.is_empty() {
        pace.push_str(&format!(", watched by {}", config.alarms.join(", ")));
    }
    pace
}

kiln_plugin::export!(DeployEcs);
