//! Clusters, services and the behaviour of tasks in a world file.
//!
//! The main types are [`ClusterSeed`], [`ServiceSeed`] and [`BehaviourSeed`]. A service of a world file is in its steady
//! state: its tasks run, and its deployment has completed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::behaviour::{Crash, Fate, TaskBehaviour};
use super::definition::{TaskDefinition, register};
use super::deployment::DeploymentStatus;
use super::image;
use super::lifecycle::{NewTask, place};
use super::registration;
use super::rollout::{complete, deploy};
use super::service::{Configuration, EcsService, ServiceStatus};
use super::state::{Cluster, ServiceKey};
use super::task::{ContainerStatus, Health, TaskPhase, Timings};
use crate::ctx::Scope;
use crate::services::logs;
use crate::tags::Tags;
use crate::world::{Caller, PlaceKey, World};
use crate::worldfile::{Problems, Span};

/// A cluster in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ClusterSeed {
    /// Its name.
    name: String,
    /// How long the phases of its tasks last.
    #[serde(default)]
    timings: TimingsSeed,
    /// How many tasks there is room for: any number unless told.
    capacity: Option<usize>,
    /// The account and the region that it belongs to: the world's own unless told.
    account: Option<String>,
    region: Option<String>,
}

/// How long the phases of tasks last; what is not told is as usual.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TimingsSeed {
    /// From the call that deploys to the first task that starts.
    schedule: Option<Span>,
    /// Getting a place and a network interface.
    provision: Option<Span>,
    /// Pulling its images.
    pull: Option<Span>,
    /// From the images to running.
    start: Option<Span>,
    /// From running to healthy, where somebody checks.
    health: Option<Span>,
    /// From being told to stop to the last container's end.
    drain: Option<Span>,
    /// Giving back what it had.
    deprovision: Option<Span>,
}

impl TimingsSeed {
    fn over(&self, usual: Timings) -> Timings {
        let or = |given: Option<Span>, usual: Duration| given.map_or(usual, Span::duration);
        Timings {
            schedule: or(self.schedule, usual.schedule),
            provision: or(self.provision, usual.provision),
            pull: or(self.pull, usual.pull),
            start: or(self.start, usual.start),
            health: or(self.health, usual.health),
            drain: or(self.drain, usual.drain),
            deprovision: or(self.deprovision, usual.deprovision),
        }
    }
}

/// A service in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServiceSeed {
    /// The cluster that it is in, by name.
    cluster: String,
    /// Its name.
    name: String,
    /// How many tasks it is to have.
    desired_count: usize,
    /// The family of its task definition: the service's name unless told.
    family: Option<String>,
    /// The containers of its task definition.
    containers: Vec<ContainerSeed>,
    /// The lower limit of running tasks, percent of those desired.
    #[serde(default = "hundred")]
    minimum_healthy_percent: usize,
    /// The upper limit of running tasks, percent of those desired.
    #[serde(default = "two_hundred")]
    maximum_percent: usize,
    /// What the circuit breaker does.
    #[serde(default)]
    circuit_breaker: BreakerSeed,
    /// Tags of the service and of its task definition.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// How long the phases of its tasks last, where that is not as in the cluster.
    #[serde(default)]
    timings: TimingsSeed,
    /// The account and the region of its cluster: the world's own unless told.
    account: Option<String>,
    region: Option<String>,
}

fn hundred() -> usize {
    100
}

fn two_hundred() -> usize {
    200
}

/// What the circuit breaker does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BreakerSeed {
    #[default]
    Off,
    Stop,
    Rollback,
}

/// A container in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ContainerSeed {
    /// Its name.
    name: String,
    /// `REPOSITORY:TAG` of this account, or an image of a registry.
    image: String,
    /// Whether its end is the end of the task.
    #[serde(default = "yes")]
    essential: bool,
    /// The port that it listens on.
    port: Option<u16>,
    /// The shell command of its health check. Without one, the task counts as healthy as soon as it runs.
    health_check: Option<String>,
    /// Plain variables.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// ARNs of secrets and parameters, by the variable that they are put in.
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    /// Where it logs by the driver `awslogs`. The group is there, as whoever made the service has made it.
    log: Option<LogSeed>,
}

/// Where a container logs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LogSeed {
    /// The log group.
    group: String,
    /// The prefix of its log streams.
    prefix: String,
}

fn yes() -> bool {
    true
}

/// A task definition that no service of the file runs, in a world file: of jobs, say.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DefinitionSeed {
    /// Each time that the family is named is another revision.
    family: String,
    /// Its containers.
    containers: Vec<ContainerSeed>,
    /// The account and the region that it belongs to: the world's own unless told.
    account: Option<String>,
    region: Option<String>,
}

/// How tasks behave, in a world file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BehaviourSeed {
    /// Tasks with an image of this name; `*` stands for anything.
    image: Option<String>,
    /// Tasks with the image of this digest.
    digest: Option<String>,
    /// Tasks of this family.
    family: Option<String>,
    /// Of the family: the revisions from this one on.
    from_revision: Option<u64>,
    /// How likely it befalls a task, from 0 to 1.
    #[serde(default = "always")]
    probability: f64,
    /// The container that it befalls.
    container: Option<String>,
    /// After the task began to run.
    crash_after: Option<Span>,
    /// The exit code of a crash.
    exit_code: Option<i64>,
    /// What the container's `reason` says of a crash, or why the task never starts.
    reason: Option<String>,
    /// Whether the health check fails.
    #[serde(default)]
    unhealthy: bool,
    /// Whether the task does not start at all.
    #[serde(default)]
    never_starts: bool,
    /// The account and the region whose tasks behave so: the world's own unless told.
    account: Option<String>,
    region: Option<String>,
    /// What the container prints, where it logs by `awslogs`: before it crashes, or when it begins to run.
    #[serde(default)]
    log: Vec<String>,
}

fn always() -> f64 {
    1.0
}

/// Put the clusters and services of a world file into the world.
pub(crate) fn plant(
    world: &mut World,
    clusters: &[ClusterSeed],
    services: &[ServiceSeed],
    behaviours: &[BehaviourSeed],
    definitions: &[DefinitionSeed],
    problems: &mut Problems,
) {
    for (index, seed) in clusters.iter().enumerate() {
        problems.reading("clusters", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        let cluster = Cluster {
            name: seed.name.clone(),
            arn: scope.arn("ecs", &format!("cluster/{}", seed.name)),
            active: true,
            settings: Map::new(),
            tags: BTreeMap::new(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            timings: seed.timings.over(Timings::default()),
            capacity: seed.capacity,
        };
        if scope.place().ecs.clusters.insert(seed.name.clone(), cluster).is_some() {
            problems.add(&format!("clusters: {}", seed.name), "the cluster is there twice");
        }
    }
    for (index, seed) in services.iter().enumerate() {
        problems.reading("services", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = service(&mut scope, seed) {
            problems.add(&format!("services: {}/{}", seed.cluster, seed.name), problem);
        }
    }
    for (index, seed) in definitions.iter().enumerate() {
        problems.reading("task-definitions", index);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        if let Err(problem) = definition(&mut scope, &seed.family, &seed.containers, BTreeMap::new()) {
            problems.add(&format!("task-definitions: {}", seed.family), problem);
        }
    }
    for (place, seed) in behaviours.iter().enumerate() {
        problems.reading("task-behaviours", place);
        let mut scope = world.scope(seed.account.as_ref(), seed.region.as_ref());
        match seed.behaviour() {
            Ok(behaviour) => scope.place().ecs.behaviours.push(behaviour),
            Err(problem) => problems.add(&format!("task-behaviours: number {}", place + 1), problem),
        }
    }
}

fn service(scope: &mut Scope<'_>, seed: &ServiceSeed) -> Result<(), String> {
    let key = ServiceKey { cluster: seed.cluster.clone(), service: seed.name.clone() };
    let now = scope.now();
    let PlaceKey { account, region } = scope.at.clone();
    let missing = || format!("there is no cluster {:?} in account {account} and region {region}", key.cluster);
    let cluster = scope.place().ecs.clusters.get(&key.cluster).ok_or_else(missing)?;
    if cluster.services.contains_key(&key.service) {
        return Err("the service is there twice".to_owned());
    }
    let (cluster_arn, timings) = (cluster.arn.clone(), seed.timings.over(cluster.timings));
    let configuration = seed.configuration().map_err(|error| error.message)?;
    let family = seed.family.as_ref().unwrap_or(&seed.name);
    let definition = definition(scope, family, &seed.containers, seed.tags.clone())?;
    let settings = json!({
        "launchType": "FARGATE",
        "platformVersion": "LATEST",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED",
            },
        },
    });
    let service = EcsService {
        arn: scope.arn("ecs", &format!("service/{}/{}", key.cluster, key.service)),
        key: key.clone(),
        cluster_arn,
        status: ServiceStatus::Active,
        desired: seed.desired_count,
        task_definition: definition.arn.clone(),
        configuration,
        settings: settings.as_object().cloned().unwrap_or_default(),
        tags: seed.tags.clone(),
        deployments: Vec::new(),
        service_deployments: Vec::new(),
        revisions: Vec::new(),
        events: VecDeque::new(),
        created: now,
        created_by: Caller::stranger(&scope.at.account, scope.at.partition()).arn,
        steady: false,
        completed: None,
        places_at: None,
        timings,
    };
    if let Some(cluster) = scope.place().ecs.clusters.get_mut(&key.cluster) {
        cluster.services.insert(key.service.clone(), service);
    }
    deploy(scope, &key);
    if let Some(current) = scope.place().ecs.service_mut(&key).and_then(|service| service.current_mut()) {
        current.status = DeploymentStatus::InProgress;
        current.started = Some(now);
        current.target.running_task_count = seed.desired_count;
    }
    for _ in 0..seed.desired_count {
        run(scope, &key, &definition, timings)?;
    }
    complete(scope, &key);
    Ok(())
}

/// A task of a service that runs and is healthy.
fn run(scope: &mut Scope<'_>, key: &ServiceKey, definition: &TaskDefinition, timings: Timings) -> Result<(), String> {
    let now = scope.now();
    let primary = scope.place().ecs.service(key).and_then(|service| service.primary());
    let deployment = primary.map(|primary| primary.id.clone());
    let settings = scope.place().ecs.service(key).map(|service| service.settings.clone()).unwrap_or_default();
    let new = NewTask {
        definition: definition.clone(),
        service: Some(key.service.clone()),
        deployment: deployment.clone(),
        group: format!("service:{}", key.service),
        started_by: deployment,
        balanced: false,
        settings,
        capacity_provider: None,
        overrides: Value::Null,
        tags: BTreeMap::new(),
        timings,
    };
    let id = place(scope, &key.cluster, new);
    let containers = definition.containers();
    let digests: Result<Vec<String>, String> =
        containers.iter().map(|container| image::pull(scope, &container.image)).collect();
    let digests = digests?;
    let Some(task) = scope.place().ecs.task_mut(&key.cluster, &id) else { return Ok(()) };
    task.phase = TaskPhase::Running;
    task.ready = true;
    task.times.pull_started = Some(now);
    task.times.pull_stopped = Some(now);
    task.times.started = Some(now);
    for (container, digest) in task.containers.iter_mut().zip(digests) {
        container.digest = Some(digest);
        container.status = ContainerStatus::Running;
        container.runtime_id = Some(format!("{id}-0"));
        if container.checked {
            container.health = Health::Healthy;
        }
    }
    Ok(())
}

impl ServiceSeed {
    fn configuration(&self) -> Result<Configuration, crate::error::AwsError> {
        let on = self.circuit_breaker != BreakerSeed::Off;
        let given = json!({
            "minimumHealthyPercent": self.minimum_healthy_percent,
            "maximumPercent": self.maximum_percent,
            "deploymentCircuitBreaker": { "enable": on, "rollback": self.circuit_breaker == BreakerSeed::Rollback },
        });
        Configuration::default().merged(given.as_object().cloned().unwrap_or_default())
    }
}

/// Register the next revision of a family.
fn definition(
    scope: &mut Scope<'_>,
    family: &str,
    seeds: &[ContainerSeed],
    tags: Tags,
) -> Result<TaskDefinition, String> {
    if !seeds.iter().any(|container| container.essential) {
        return Err("at least one container is essential".to_owned());
    }
    let mut containers = Vec::new();
    for seed in seeds {
        let image = image::planted(scope, &seed.image)?;
        let region = scope.at.region.clone();
        if let Some(log) = &seed.log {
            logs::open_group(scope, &log.group);
        }
        containers.push(seed.definition(image, &region));
    }
    let account = &scope.at.account;
    let role = format!("arn:{}:iam::{account}:role/{family}-execution", scope.at.partition());
    let document = json!({
        "family": family,
        "executionRoleArn": role,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "512",
        "memory": "1024",
        "containerDefinitions": containers,
    });
    let caller = Caller::stranger(account, scope.at.partition()).arn;
    let mut document = document.as_object().cloned().unwrap_or_default();
    registration::check(&document).map_err(|error| error.message)?;
    registration::fill(&mut document);
    Ok(register(scope, family, document, tags, caller))
}

impl ContainerSeed {
    fn definition(&self, image: String, region: &str) -> Value {
        let mut definition = Map::new();
        let mut put = |name: &str, value: Value| {
            definition.insert(name.to_owned(), value);
        };
        put("name", json!(self.name));
        put("image", json!(image));
        put("essential", json!(self.essential));
        if let Some(port) = self.port {
            put("portMappings", json!([{ "containerPort": port, "hostPort": port, "protocol": "tcp" }]));
        }
        let pairs = |pairs: &BTreeMap<String, String>, value: &str| -> Value {
            pairs.iter().map(|(name, text)| json!({ "name": name, value: text })).collect()
        };
        put("environment", pairs(&self.environment, "value"));
        if !self.secrets.is_empty() {
            put("secrets", pairs(&self.secrets, "valueFrom"));
        }
        if let Some(log) = &self.log {
            let options = json!({
                "awslogs-group": log.group, "awslogs-region": region, "awslogs-stream-prefix": log.prefix,
            });
            put("logConfiguration", json!({ "logDriver": "awslogs", "options": options }));
        }
        if let Some(command) = &self.health_check {
            put(
                "healthCheck",
                json!({ "command": ["CMD-SHELL", command], "interval": 10, "timeout": 5, "retries": 3 }),
            );
        }
        Value::Object(definition)
    }
}

impl BehaviourSeed {
    fn behaviour(&self) -> Result<TaskBehaviour, String> {
        if self.image.is_none() && self.digest.is_none() && self.family.is_none() {
            return Err("it needs an `image`, a `digest` or a `family`".to_owned());
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err("`probability` lies between 0 and 1".to_owned());
        }
        if self.crash_after.is_none() && !self.unhealthy && !self.never_starts && self.log.is_empty() {
            return Err("it needs one of `crash-after`, `unhealthy`, `never-starts` and `log`".to_owned());
        }
        let crash = self.crash_after.map(|after| Crash {
            after: after.duration(),
            exit_code: self.exit_code.unwrap_or(1),
            reason: self.reason.clone(),
        });
        let never_starts = self.never_starts.then(|| self.reason.clone().unwrap_or_default());
        Ok(TaskBehaviour {
            image: self.image.clone(),
            digest: self.digest.clone(),
            family: self.family.clone(),
            from_revision: self.from_revision,
            probability: self.probability,
            container: self.container.clone(),
            fate: Fate {
                container: String::new(),
                never_starts,
                crash,
                unhealthy: self.unhealthy,
                log: self.log.clone(),
            },
        })
    }
}
