//! What is otherwise than it should be.
//! The main functions are [`fleet`], [`tasks`] and [`targets`]: each answers problems, one a line, none where all is well.

use kiln_plugin::aws::autoscaling::AutoScalingGroup;
use kiln_plugin::aws::ecs::Task;
use kiln_plugin::aws::elasticloadbalancing::TargetHealth;

/// How many of one kind are named.
const NAMED: usize = 5;

/// Names, and how many more there are.
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The instances of a group. `images` are the AMIs that they run, by their ids.
pub(crate) fn fleet(group: &AutoScalingGroup, ami: &str, images: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    let name = &group.name;
    let in_service: Vec<&str> =
        group.instances.iter().filter(|one| one.state == "InService").map(|one| one.id.as_str()).collect();
    // What the group tells comes first: an instance's root volume may have been replaced since it was launched.
    let now = |id: &str| group.instances.iter().find(|one| one.id == id).and_then(|one| one.image.as_deref());
    let launched = |id: &str| images.iter().find(|(of, _)| of == id).map(|(_, image)| image.as_str());
    let image = |id: &str| now(id).or(launched(id));
    let others: Vec<&str> =
        in_service.iter().copied().filter(|id| image(id).is_some_and(|image| image != ami)).collect();
    if let Some(first) = others.first() {
        let runs = image(first).unwrap_or_default();
        problems.push(format!("{} of {name} serve another AMI than {ami}: {runs} for one", some(&others)));
    }
    let untold: Vec<&str> = in_service.iter().copied().filter(|id| image(id).is_none()).collect();
    if !untold.is_empty() {
        problems.push(format!("EC2 does not tell which AMI {} of {name} run", some(&untold)));
    }
    let ill: Vec<&str> = group
        .instances
        .iter()
        .filter(|one| one.state == "InService" && one.health != "Healthy")
        .map(|one| one.id.as_str())
        .collect();
    if !ill.is_empty() {
        problems.push(format!("{} of {name} are not healthy to their group", some(&ill)));
    }
    let coming = group.instances.iter().filter(|one| one.state != "InService").count();
    let (there, wanted) = (in_service.len(), usize::try_from(group.desired).unwrap_or(usize::MAX));
    match there {
        0 => problems.push(format!("no instance of {name} is in service: nothing serves")),
        _ if there < wanted => {
            problems.push(format!("{there} of {wanted} instances of {name} are in service ({coming} come or go)"))
        }
        _ => {}
    }
    problems
}

/// The running tasks of a service. `digests` are those by which the image may appear; `wanted` is how many there are to be.
pub(crate) fn tasks(
    service: &str,
    running: &[Task],
    wanted: u32,
    digests: &[String],
    is_its: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut there, mut others, mut ill, mut untold) = (0_u32, Vec::new(), Vec::new(), Vec::new());
    for task in running.iter().filter(|task| task.last_status == "RUNNING") {
        let id = task.arn.rsplit('/').next().unwrap_or(&task.arn);
        there += 1;
        let mut found = task.containers.iter().filter(|one| is_its(&one.name, &one.image)).peekable();
        if found.peek().is_none() {
            others.push(id);
        }
        for container in found {
            match &container.image_digest {
                None => untold.push(id),
                Some(digest) if !digests.contains(digest) => others.push(id),
                Some(_) => {}
            }
        }
        if task.health == "UNHEALTHY" {
            ill.push(id);
        }
    }
    if !others.is_empty() {
        problems.push(format!("tasks {} of {service} run another image", some(&others)));
    }
    if !untold.is_empty() {
        problems.push(format!("ECS does not tell which image tasks {} of {service} run", some(&untold)));
    }
    if !ill.is_empty() {
        problems.push(format!("tasks {} of {service} are unhealthy", some(&ill)));
    }
    match there {
        0 => problems.push(format!("no task of {service} runs: nothing serves")),
        _ if there < wanted => problems.push(format!("{there} of {wanted} tasks of {service} run")),
        _ => {}
    }
    problems
}

/// The targets of a target group. `of` are the only ones that may be there, where a group of instances says which.
pub(crate) fn targets(name: &str, targets: &[TargetHealth], of: Option<&[&str]>) -> Vec<String> {
    let mut problems = Vec::new();
    let serving: Vec<&TargetHealth> = targets.iter().filter(|target| target.state != "draining").collect();
    let ill: Vec<&&TargetHealth> = serving.iter().filter(|target| target.state != "healthy").collect();
    if let Some(first) = ill.first() {
        let why = first.description.as_deref().or(first.reason.as_deref()).unwrap_or("no reason is told");
        let ids: Vec<&str> = ill.iter().map(|target| target.id.as_str()).collect();
        problems.push(format!("targets {} of {name} are not healthy: {} ({why})", some(&ids), first.state));
    }
    if serving.is_empty() {
        problems.push(format!("{name} has no target: nothing serves"));
    }
    if let Some(of) = of {
        let strangers = serving.iter().filter(|target| target.state == "healthy" && !of.contains(&target.id.as_str()));
        let strangers: Vec<&str> = strangers.map(|target| target.id.as_str()).collect();
        if !strangers.is_empty() {
            problems.push(format!("targets {} of {name} serve, and are not of the group", some(&strangers)));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_plugin::aws::autoscaling::GroupInstance;
    use kiln_plugin::aws::ecs::TaskContainer;

    const AMI: &str = "ami-0123456789abcdef0";

    fn instance(id: &str, state: &str, health: &str) -> GroupInstance {
        GroupInstance {
            id: id.to_owned(),
            instance_type: None,
            zone: String::new(),
            state: state.to_owned(),
            health: health.to_owned(),
            protected_from_scale_in: false,
            launch_template: None,
            launch_configuration: None,
            image: None,
            weight: None,
        }
    }

    fn group(desired: u32, instances: Vec<GroupInstance>) -> AutoScalingGroup {
        AutoScalingGroup {
            name: "web".to_owned(),
            arn: String::new(),
            status: None,
            min_size: 0,
            max_size: 9,
            desired,
            launch_template: None,
            launch_configuration: None,
            mixed_instances_policy: None,
            instances,
            target_groups: Vec::new(),
            load_balancers: Vec::new(),
            health_check: String::new(),
            grace_seconds: None,
            warmup_seconds: None,
            min_healthy_percentage: None,
            max_healthy_percentage: None,
            capacity_rebalance: false,
            warm_pool_size: None,
            suspended: Vec::new(),
            tags: Vec::new(),
            document: String::new(),
        }
    }

    fn runs(ids: &[&str], image: &str) -> Vec<(String, String)> {
        ids.iter().map(|id| ((*id).to_owned(), image.to_owned())).collect()
    }

    #[test]
    fn an_instance_runs_what_its_root_volume_was_replaced_by() {
        let replaced = GroupInstance { image: Some(AMI.to_owned()), ..instance("i-1", "InService", "Healthy") };
        assert_eq!(fleet(&group(1, vec![replaced]), AMI, &runs(&["i-1"], "ami-old")), Vec::<String>::new());
        let other = GroupInstance { image: Some("ami-9".to_owned()), ..instance("i-1", "InService", "Healthy") };
        let told = fleet(&group(1, vec![other]), AMI, &runs(&["i-1"], AMI));
        assert!(told.iter().any(|line| line.contains("another AMI")), "{told:?}");
    }

    #[test]
    fn a_fleet_is_well_when_all_of_it_runs_the_ami_that_was_deployed() {
        let well = || vec![instance("i-1", "InService", "Healthy"), instance("i-2", "InService", "Healthy")];
        assert_eq!(fleet(&group(2, well()), AMI, &runs(&["i-1", "i-2"], AMI)), Vec::<String>::new());
        let mut images = runs(&["i-1"], AMI);
        images.extend(runs(&["i-2"], "ami-old"));
        let told = fleet(&group(2, well()), AMI, &images);
        assert_eq!(told, [format!("i-2 of web serve another AMI than {AMI}: ami-old for one")]);
        assert_eq!(fleet(&group(2, well()), AMI, &runs(&["i-1"], AMI)).len(), 1, "nobody tells what i-2 runs");
        assert_eq!(fleet(&group(3, well()), AMI, &runs(&["i-1", "i-2"], AMI)).len(), 1, "one is missing");
        let none = fleet(&group(0, vec![]), AMI, &[]);
        assert_eq!(none, ["no instance of web is in service: nothing serves"]);
        let mut ill = well();
        ill.push(instance("i-3", "InService", "Unhealthy"));
        assert_eq!(fleet(&group(2, ill), AMI, &runs(&["i-1", "i-2", "i-3"], AMI)).len(), 1);
    }

    fn target(id: &str, state: &str) -> TargetHealth {
        TargetHealth {
            id: id.to_owned(),
            port: None,
            zone: None,
            state: state.to_owned(),
            reason: Some("Target.Timeout".to_owned()),
            description: None,
        }
    }

    #[test]
    fn every_target_is_healthy_and_no_other_serves() {
        let all = [target("i-1", "healthy"), target("i-0", "draining")];
        assert_eq!(targets("blue", &all, Some(&["i-1"])), Vec::<String>::new());
        for state in ["unhealthy", "initial", "unused", "dozing", ""] {
            let told = targets("blue", &[target("i-1", "healthy"), target("i-2", state)], None);
            assert_eq!(told, [format!("targets i-2 of blue are not healthy: {state} (Target.Timeout)")]);
        }
        assert_eq!(targets("blue", &[target("i-0", "draining")], None), ["blue has no target: nothing serves"]);
        let told = targets("blue", &[target("i-1", "healthy"), target("i-9", "healthy")], Some(&["i-1"]));
        assert_eq!(told, ["targets i-9 of blue serve, and are not of the group"]);
    }

    fn task(id: &str, digest: Option<&str>, health: &str) -> Task {
        let container = |name: &str, image: &str, digest: Option<&str>| TaskContainer {
            name: name.to_owned(),
            image: image.to_owned(),
            image_digest: digest.map(str::to_owned),
            last_status: "RUNNING".to_owned(),
            exit_code: None,
            reason: None,
            health: None,
        };
        Task {
            arn: format!("arn:aws:ecs:us-west-2:111111111111:task/web/{id}"),
            task_definition: String::new(),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            health: health.to_owned(),
            stop_code: None,
            stopped_reason: None,
            started_by: None,
            group: None,
            containers: vec![container("app", "web@x", digest), container("proxy", "nginx", Some("sha256:9"))],
            started: None,
            stopped: None,
        }
    }

    #[test]
    fn every_task_runs_the_digest_that_was_deployed() {
        let digests = ["sha256:1".to_owned()];
        let look = |all: &[Task], wanted| tasks("web/web", all, wanted, &digests, |_, image| image.starts_with("web"));
        let ours = || task("a", Some("sha256:1"), "HEALTHY");
        assert_eq!(look(&[ours(), ours()], 2), Vec::<String>::new());
        let told = look(&[ours(), task("b", Some("sha256:0"), "HEALTHY")], 2);
        assert_eq!(told, ["tasks b of web/web run another image"]);
        assert_eq!(look(&[ours(), task("b", None, "HEALTHY")], 2).len(), 1);
        assert_eq!(look(&[ours(), task("b", Some("sha256:1"), "UNHEALTHY")], 2).len(), 1);
        assert_eq!(look(&[ours()], 2), ["1 of 2 tasks of web/web run"]);
        assert_eq!(look(&[], 0), ["no task of web/web runs: nothing serves"]);
        let named = tasks("web/web", &[ours()], 1, &digests, |name, _| name == "absent");
        assert_eq!(named, ["tasks a of web/web run another image"], "none of its containers is the one");
    }
}
