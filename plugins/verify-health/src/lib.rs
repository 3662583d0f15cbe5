//! Holds for a time while what was deployed is healthy and nothing else serves: targets, instances by their AMI, tasks by their digest.
//! The main type is [`VerifyHealth`]; what is otherwise than it should be is decided in `judge`, what that means in `hold`.

mod config;
mod hold;
mod judge;

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::autoscaling::{AutoScalingGroup, DescribeAutoScalingGroupsRequest, describe_auto_scaling_groups};
use kiln_plugin::aws::ec2::{DescribeInstancesRequest, describe_instances};
use kiln_plugin::aws::ecr::{BatchGetImageRequest, ImageId, batch_get_image};
use kiln_plugin::aws::ecs::{
    DescribeServicesRequest, DescribeTasksRequest, ListTasksRequest, Service, Task, describe_services, describe_tasks,
    list_tasks,
};
use kiln_plugin::aws::elasticloadbalancing::{
    DescribeTargetGroupsRequest, DescribeTargetHealthRequest, describe_target_groups, describe_target_health,
};
use kiln_plugin::{
    ChangeAction, Duration, During, Failure, ImageReference, Known, Look, Permission, PinnedImage, Plan, Stage, log,
    poll, timer,
};

pub use crate::config::{Ami, Config, Outputs};
use crate::hold::{Hold, Observed};

/// The plugin.
pub struct VerifyHealth;

/// How many instances or tasks may be described at once.
const AT_ONCE: usize = 100;

impl Stage for VerifyHealth {
    const NAME: &'static str = "verify-health";
    const SUMMARY: &'static str =
        "Holds while targets, instances and tasks are healthy, run what was deployed, and nothing else serves";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        vec![
            Permission::new(
                "autoscaling:DescribeAutoScalingGroups",
                "to see which instances of the group are in service",
            )
            .on_any(),
            Permission::new("ec2:DescribeInstances", "to see which AMI they run").on_any(),
            Permission::new("elasticloadbalancing:DescribeTargetGroups", "to find the target groups by their names")
                .on_any(),
            Permission::new("elasticloadbalancing:DescribeTargetHealth", "to see how healthy targets are").on_any(),
            Permission::new("ecs:DescribeServices", "to see how many tasks the service is to have")
                .on("ecs", "service/${with.cluster}/${with.service}"),
            Permission::new("ecs:ListTasks", "to find the tasks of the service")
                .on("ecs", "container-instance/${with.cluster}/*"),
            Permission::new("ecs:DescribeTasks", "to see which image they run").on("ecs", "task/${with.cluster}/*"),
            Permission::new("ecr:BatchGetImage", "to recognise the parts of an image for several platforms")
                .on("ecr", "repository/${image-repository(with.image)}"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        check(&config)?;
        let mut plan = Plan::new(format!("waits until all is healthy for {} without a break", config.hold));
        let mut read = |subject: String, detail: String| {
            plan = std::mem::replace(&mut plan, Plan::new("")).change(ChangeAction::Read, subject, detail);
        };
        if let Some(name) = &config.group {
            let group = group(name)?;
            let what = known(&config.ami, |ami| ami.0.clone());
            read(
                format!("group {name}"),
                format!("every instance in service runs {what}; {} are wanted", group.desired),
            );
            let of = group.target_groups.len();
            if of > 0 {
                read(
                    format!("targets of {name}"),
                    format!("every target in {} is healthy", kiln_plugin::count(to_count(of), "target group")),
                );
            }
        }
        if let (Some(cluster), Some(name)) = (&config.cluster, &config.service) {
            let service = service(cluster, name)?;
            let what = known(&config.image, ToString::to_string);
            read(
                format!("service {cluster}/{name}"),
                format!("every running task runs {what}; {} are wanted", service.desired),
            );
        }
        for (name, _) in target_groups(&config)? {
            read(format!("target group {name}"), "every target is healthy".to_owned());
        }
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        check(&config)?;
        let start = timer::now();
        let named = target_groups(&config)?;
        let digests = config.image.as_ref().map(|image| digests(image.get()?)).transpose()?.unwrap_or_default();
        let mut hold = Hold::new(start, config.patience);
        let (mut instances, mut tasks) = (None, None);
        let (hold_for, mut said) = (config.hold.as_millis(), Vec::new());
        let subject = format!("health without a break for {}", config.hold);
        let held = poll(config.poll, &subject, || {
            let mut problems = Vec::new();
            if let (Some(name), Some(ami)) = (&config.group, &config.ami) {
                let group = group(name)?;
                problems.extend(of_group(&group, &ami.get()?.0)?);
                instances = Some(to_count(group.instances.iter().filter(|one| one.state == "InService").count()));
            }
            if let (Some(cluster), Some(name), Some(image)) = (&config.cluster, &config.service, &config.image) {
                let (found, running) = of_service(&config, cluster, name, image.get()?, &digests)?;
                problems.extend(found);
                tasks = Some(running);
            }
            for (name, arn) in &named {
                problems.extend(of_targets(name, arn, None)?);
            }
            for line in problems.iter().filter(|line| !said.contains(*line)) {
                log::info(line);
            }
            said = problems.clone();
            let total = u32::try_from(hold_for / 1000).unwrap_or(u32::MAX);
            Ok(match hold.observe(timer::now(), &problems)? {
                Observed::Well(held) if held >= hold_for => Look::Done(held),
                Observed::Well(held) => {
                    let done = u32::try_from(held / 1000).unwrap_or(u32::MAX);
                    Look::counted(
                        format!("all is healthy for {} of {}", Duration::from_secs(held / 1000), config.hold),
                        done,
                        total,
                    )
                }
                Observed::Ill(why) => Look::waiting(why),
            })
        })?;
        Ok(Outputs { held_seconds: held / 1000, breaks: hold.breaks, instances, tasks })
    }
}

fn to_count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A value of the config, or the stage that makes it.
fn known<T>(value: &Option<Known<T>>, shown: impl Fn(&T) -> String) -> String {
    match value {
        Some(Known::Now(value)) => shown(value),
        Some(Known::After(stage)) => format!("what stage {stage} makes"),
        None => "what it runs".to_owned(),
    }
}

/// Refuse a config that looks at nothing, or at less than it says.
fn check(config: &Config) -> Result<(), Failure> {
    let refuse = |message: &str, help: &str| Err(Failure::config(message).help(help));
    match (&config.group, &config.ami, &config.service, &config.cluster, &config.image) {
        (Some(_), None, ..) => {
            return refuse("`group` without `ami` says nothing of what is to serve", "Give the AMI that was deployed.");
        }
        (None, Some(_), ..) => return refuse("`ami` without `group` is looked for nowhere", "Give the group."),
        (_, _, Some(_), None, _) | (_, _, None, Some(_), _) => {
            return refuse("`service` and `cluster` belong together", "Give both or none.");
        }
        (_, _, Some(_), _, None) => {
            return refuse(
                "`service` without `image` says nothing of what is to serve",
                "Give the image that was deployed.",
            );
        }
        (_, _, None, _, Some(_)) => {
            return refuse("`image` without `service` is looked for nowhere", "Give the service.");
        }
        (None, _, None, ..) if config.target_groups.is_empty() => {
            return refuse("nothing is looked at", "Name a `group`, a `service` or `target-groups`.");
        }
        _ => {}
    }
    let left = timer::deadline().saturating_sub(timer::now());
    if left > config.hold.as_millis() {
        return Ok(());
    }
    Err(Failure::config(format!("a hold of {} does not fit into the stage's timeout", config.hold))
        .help("Give the stage a `timeout` that is longer than `hold`."))
}

/// The group.
fn group(name: &str) -> Result<AutoScalingGroup, Failure> {
    let request = DescribeAutoScalingGroupsRequest { names: vec![name.to_owned()] };
    let found = describe_auto_scaling_groups(&request).during(format!("reading the group {name}"))?.groups;
    let found = found.into_iter().find(|group| group.name == name);
    found.ok_or_else(|| Failure::not_found(format!("there is no Auto Scaling group {name}")).help("Correct `group`."))
}

/// What is wrong with a group: its instances, and the targets in each of its target groups.
fn of_group(group: &AutoScalingGroup, ami: &str) -> Result<Vec<String>, Failure> {
    let in_service = group.instances.iter().filter(|one| one.state == "InService");
    let ids: Vec<String> = in_service.map(|one| one.id.clone()).collect();
    let mut images = Vec::new();
    for ids in ids.chunks(AT_ONCE) {
        let request = DescribeInstancesRequest { ids: ids.to_vec(), filters: Vec::new() };
        match describe_instances(&request) {
            Ok(found) => images.extend(found.instances.into_iter().map(|instance| (instance.id, instance.image))),
            // One of them is gone already: what is left of them is looked at the next time.
            Err(error) if error.kind == ErrorKind::NotFound => log::debug(error.message),
            Err(error) => return Err(error).during(format!("reading the instances of {}", group.name)),
        }
    }
    let mut problems = judge::fleet(group, ami, &images);
    let members: Vec<&str> = group.instances.iter().map(|one| one.id.as_str()).collect();
    for arn in &group.target_groups {
        let name = arn.split('/').nth(1).unwrap_or(arn);
        problems.extend(of_targets(name, arn, Some(&members))?);
    }
    Ok(problems)
}

fn of_targets(name: &str, arn: &str, of: Option<&[&str]>) -> Result<Vec<String>, Failure> {
    let request = DescribeTargetHealthRequest { target_group: arn.to_owned() };
    let found = describe_target_health(&request).during(format!("looking at the targets in {name}"))?.targets;
    Ok(judge::targets(name, &found, of))
}

/// The target groups that the config names: name and ARN.
fn target_groups(config: &Config) -> Result<Vec<(String, String)>, Failure> {
    if config.target_groups.is_empty() {
        return Ok(Vec::new());
    }
    let request =
        DescribeTargetGroupsRequest { arns: Vec::new(), names: config.target_groups.clone(), load_balancer: None };
    let found = describe_target_groups(&request).during("looking for the target groups")?.target_groups;
    Ok(found.into_iter().map(|group| (group.name, group.arn)).collect())
}

/// The service.
fn service(cluster: &str, name: &str) -> Result<Service, Failure> {
    let request = DescribeServicesRequest { cluster: cluster.to_owned(), services: vec![name.to_owned()] };
    let found = describe_services(&request).during(format!("reading the service {cluster}/{name}"))?.services;
    let found = found.into_iter().next();
    found.ok_or_else(|| {
        Failure::not_found(format!("ECS has no service {cluster}/{name}")).help("Correct `cluster` and `service`.")
    })
}

/// What is wrong with the tasks of a service, and how many run.
fn of_service(
    config: &Config,
    cluster: &str,
    name: &str,
    image: &PinnedImage,
    digests: &[String],
) -> Result<(Vec<String>, u32), Failure> {
    let subject = format!("{cluster}/{name}");
    let service = service(cluster, name)?;
    let request = ListTasksRequest {
        cluster: cluster.to_owned(),
        service: Some(name.to_owned()),
        family: None,
        desired_status: Some("RUNNING".to_owned()),
        started_by: None,
    };
    let arns = list_tasks(&request).during(format!("listing the tasks of {subject}"))?.arns;
    let mut tasks: Vec<Task> = Vec::new();
    for arns in arns.chunks(AT_ONCE) {
        let request = DescribeTasksRequest { cluster: cluster.to_owned(), tasks: arns.to_vec() };
        tasks.extend(describe_tasks(&request).during(format!("reading the tasks of {subject}"))?.tasks);
    }
    let is_its = |container: &str, of: &str| match &config.container {
        Some(wanted) => container == wanted,
        None => of.parse::<ImageReference>().is_ok_and(|reference| reference.name == image.name),
    };
    let problems = judge::tasks(&subject, &tasks, service.desired, digests, is_its);
    let running = tasks.iter().filter(|task| task.last_status == "RUNNING").count();
    Ok((problems, to_count(running)))
}

/// The digests by which an image may appear in a task: its own, and, where it is a list of images for several platforms, those of its parts.
fn digests(image: &PinnedImage) -> Result<Vec<String>, Failure> {
    let id = ImageId { digest: Some(image.digest.clone()), tag: None };
    let request = BatchGetImageRequest { repository: image.repository.name.clone(), images: vec![id] };
    let found = batch_get_image(&request).during(format!("reading the manifest of {image}"))?;
    let mut all = vec![image.digest.clone()];
    all.extend(found.images.iter().flat_map(|found| parts(&found.manifest)));
    Ok(all)
}

/// The digests of the parts of a list of images; none of another manifest.
fn parts(manifest: &str) -> Vec<String> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
    let parts = manifest.get("manifests").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    let digest = |part: &serde_json::Value| part.get("digest").and_then(serde_json::Value::as_str).map(str::to_owned);
    parts.iter().filter_map(digest).collect()
}

kiln_plugin::export!(VerifyHealth);
