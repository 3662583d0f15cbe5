//! Deploys an image to an ECS service, by digest, and follows it until the new revision serves.
//! The main type is [`DeployEcs`]; what has to be done is decided in `prepared`, where a deployment stands in `rollout`, what tasks
//! run in `tasks`.

mod alarms;
mod between;
mod by_stack;
mod cluster;
mod config;
mod follow;
mod logs;
mod outline;
mod prepared;
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
use kiln_plugin::{During, Failure, Permission, PinnedImage, Plan, Stage, log, memory};
use kiln_stack::Owner;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::config::{Base, Breaker, Config, Outputs, Strategy, Threshold, ThresholdKind, UnreadyAlarms};
use crate::follow::Goal;
use crate::prepared::{Need, Prepared};
use crate::revision::{Revision, short};
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
        let own = vec![
            Permission::new("ecs:DescribeServices", "to see what serves and to follow the deployment")
                .on("ecs", &service),
            Permission::new("ecs:UpdateService", "to deploy, and to go back").on("ecs", &service),
            Permission::new("ecs:ListServiceDeployments", "to find the deployment that this stage starts")
                .on("ecs", &service),
            // IAM requires both types of resources for these two.
            Permission::new("ecs:DescribeServiceDeployments", "to follow the deployment")
                .on("ecs", &format!("{}/*", of_service("service-deployment")))
                .on("ecs", &service),
            Permission::new("ecs:DescribeServiceRevisions", "to tell this stage's deployment from others")
                .on("ecs", &format!("{}/*", of_service("service-revision")))
                .on("ecs", &service),
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
        ];
        own.into_iter().chain(Owner::permissions("image")).collect()
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        if let Some(owner) = by_stack::owner(&config) {
            return by_stack::plan(&config, owner);
        }
        let service = cluster::service(&config)?;
        prepared::check(&config, &service)?;
        let occupied = prepared::occupied(&config, &service)?;
        let refusal = occupied.refusal(&config, &service).map(|refusal| {
            let help = refusal.help.unwrap_or_default();
            format!("{}: a run that comes here before it has ended is refused. {help}", refusal.message)
        });
        let replaced = occupied.replaced(&config, &service);
        let prepared = Prepared::of(&config, service)?;
        for note in refusal.into_iter().chain(replaced).chain(prepared.notes(&config)) {
            log::warn(note);
        }
        outline::plan(&config, &prepared)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        if let Some(owner) = by_stack::owner(&config) {
            return by_stack::run(&config, owner);
        }
        let image = config.image.get()?.clone();
        let service = cluster::service(&config)?;
        prepared::check(&config, &service)?;
        let earlier: Option<Remembered> = memory::recall(MEMORY)?;
        let earlier = earlier.filter(|earlier| earlier.digest == image.digest);
        if let Some(earlier) = &earlier
            && earlier.was_begun(&config, &service)?
        {
            log::info(format!("following the deployment of {} by an earlier attempt", short(&earlier.target)));
            let digests = cluster::digests(&image)?;
            return finish(&config, image, digests, earlier.clone());
        }
        let occupied = prepared::occupied(&config, &service)?;
        if let Some(refusal) = occupied.refusal(&config, &service) {
            return Err(refusal);
        }
        occupied.replaced(&config, &service).into_iter().for_each(log::warn);
        let prepared = Prepared::of(&config, service)?;
        prepared.notes(&config).into_iter().for_each(log::warn);
        let next = revision::with_image(&prepared.base, &config.named(), &image)?;
        // Before anything is changed: what cannot be read could not be followed.
        let digests = cluster::digests(&image)?;
        let need = prepared.need(&config, &digests, &next)?;
        if need.deploys() {
            prepared.watch(&config)?;
        }
        let target = match (&need, &earlier) {
            (Need::Nothing, _) => {
                log::info(format!("{} runs {} already: nothing to deploy", config.subject(), image.digest));
                return Ok(as_it_was(&prepared, config, image));
            }
            (Need::Settings | Need::Deploy { .. }, _) => prepared.base.arn.clone(),
            // Registered by an earlier attempt.
            (Need::Register(_), Some(earlier)) if earlier.target != earlier.previous => earlier.target.clone(),
            (Need::Register(document), _) => register(document, &prepared.base)?,
        };
        let remembered = remember(&config, &prepared, earlier, target, next, &image)?;
        for (setting, change) in prepared.settings.changes(&prepared.wanted) {
            log::info(format!("{setting}: {change}"));
        }
        update(&config, &remembered.target, prepared.wanted.clone(), need == Need::Deploy { again: true })?;
        if need == Need::Settings {
            log::info(format!("{} runs {} already: only its settings change", config.subject(), image.digest));
            return Ok(as_it_was(&prepared, config, image));
        }
        log::info(format!(
            "{} goes from {} to {}",
            config.subject(),
            short(&remembered.previous),
            short(&remembered.target)
        ));
        finish(&config, image, digests, remembered)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        if let Some(owner) = by_stack::owner(&config) {
            return by_stack::undo(&config, owner);
        }
        match memory::recall::<Remembered>(MEMORY)? {
            Some(remembered) => way_back::go(&config, remembered),
            None => Ok("the service was not changed".to_owned()),
        }
    }
}

impl Remembered {
    /// Whether the deployment that it tells of was begun: the service names its target, or, where it named that before, has a
    /// deployment that it did not have.
    fn was_begun(&self, config: &Config, service: &Service) -> Result<bool, Failure> {
        if self.target != service.task_definition {
            return Ok(false);
        }
        if self.previous != self.target {
            return Ok(true);
        }
        Ok(cluster::deployments(config)?.iter().any(|deployment| !self.deployments.contains(deployment)))
    }
}

/// Remember what an undo and a later attempt must know.
fn remember(
    config: &Config,
    prepared: &Prepared,
    earlier: Option<Remembered>,
    target: String,
    next: Revision,
    image: &PinnedImage,
) -> Result<Remembered, Failure> {
    // What an earlier attempt changed is what an undo has to put back, too.
    let (settings, mut changed) = match earlier {
        Some(earlier) => (earlier.settings, earlier.changed),
        None => (prepared.settings.clone(), Vec::new()),
    };
    changed.extend(prepared.wanted.keys().cloned());
    let remembered = Remembered {
        previous: prepared.service.task_definition.clone(),
        previous_image: next.before.first().cloned().unwrap_or_default(),
        target,
        digest: image.digest.clone(),
        containers: next.containers,
        settings,
        changed,
        deployments: cluster::deployments(config)?,
        last_event: prepared.service.events.first().map(|event| event.timestamp),
    };
    memory::remember(MEMORY, &remembered)?;
    Ok(remembered)
}

/// The outputs where the service runs the image already.
fn as_it_was(prepared: &Prepared, config: Config, image: PinnedImage) -> Outputs {
    let serves = &prepared.service.task_definition;
    Outputs {
        task_definition: serves.clone(),
        previous_task_definition: serves.clone(),
        deployment: None,
        previous_image: Some(image.to_string()),
        image,
        service: config.service,
        idle: prepared.service.desired == 0,
    }
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
fn finish(
    config: &Config,
    image: PinnedImage,
    digests: Vec<String>,
    remembered: Remembered,
) -> Result<Outputs, Failure> {
    let goal = Goal {
        target: remembered.target.clone(),
        containers: remembered.containers,
        digests: Some(digests),
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

kiln_plugin::export!(DeployEcs);
