//! Deploys an AMI to an Auto Scaling group: a new version of its launch template, and an instance refresh that is followed until all of
//! the group serves it.
//! The main type is [`DeployAsg`]; what has to be done is decided in `prepared`, where a refresh stands in `course`, what it may take of the
//! traffic in `guard`, what is done by a stack that owns the group in `by_stack`.

mod alarms;
mod by_stack;
mod config;
mod course;
mod fleet;
mod follow;
mod guard;
mod outline;
mod owned;
mod preferences;
mod prepared;
mod replacing;
mod source;
mod warming;
mod way_back;
mod why;

use kiln_plugin::aws::autoscaling::{InstanceRefresh, StartInstanceRefreshRequest, start_instance_refresh};
use kiln_plugin::aws::ec2::{CreateLaunchTemplateVersionRequest, create_launch_template_version};
use kiln_plugin::{During, Failure, Permission, Plan, Stage, context, log, memory};
use kiln_stack::Owner;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use crate::config::{Ami, Config, Outputs, Protected, RefreshBy, Standby, Strategy, UnreadyAlarms, WhenBusy};
use crate::course::Stand;
use crate::follow::Goal;
use crate::guard::Pace;
use crate::prepared::{Need, Prepared};
use crate::source::Source;

/// The plugin.
pub struct DeployAsg;

/// What an undo and a later attempt must know. Remembered before anything is changed, and again with each step.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Remembered {
    /// What the group named before, as it named it.
    named: Source,
    /// The same by the number of its version.
    previous: Source,
    previous_version: u64,
    previous_image: Option<String>,
    /// The AMI that it brings.
    image: String,
    /// What is to serve; none before the version is there.
    target: Option<Source>,
    version: Option<u64>,
    /// The refresh; none before it was begun.
    refresh: Option<String>,
    /// Refreshes from before: ours is none of them.
    known: Vec<String>,
    /// How many healthy targets each target group must keep.
    floors: Vec<(String, u32)>,
}

const MEMORY: &str = "refresh";

impl Remembered {
    /// What served before, for people.
    fn before_name(&self) -> String {
        named(&self.previous, self.previous_version, self.previous_image.as_deref())
    }

    /// This stage's own refresh, if it was begun.
    fn find(&self, config: &Config) -> Result<Option<InstanceRefresh>, Failure> {
        if let Some(id) = &self.refresh {
            return fleet::refresh(config, id);
        }
        let Some(target) = &self.target else { return Ok(None) };
        let version = format!("\"Version\":\"{}\"", target.version);
        let goes_there = |refresh: &InstanceRefresh| {
            let desired = refresh.desired_configuration.as_deref().unwrap_or_default();
            desired.contains(&target.template) && desired.contains(&version)
        };
        let mut new = fleet::refreshes(config)?;
        new.retain(|refresh| !self.known.contains(&refresh.id) && goes_there(refresh));
        Ok(new.into_iter().next())
    }

    /// The same with the refresh that an earlier attempt began, where that goes on or has succeeded.
    fn going_on(&self, config: &Config) -> Result<Option<Self>, Failure> {
        let Some(refresh) = self.find(config)? else { return Ok(None) };
        let stand = Stand::of(&refresh);
        if !stand.is_under_way() && stand != Stand::Succeeded {
            return Ok(None);
        }
        log::info(format!("following the refresh {} of {}, which an earlier attempt began", refresh.id, config.group));
        Ok(Some(Self { refresh: Some(refresh.id), ..self.clone() }))
    }
}

/// A version of a launch template, for people.
fn named(source: &Source, version: u64, image: Option<&str>) -> String {
    format!("{} version {version} ({})", source.name, image.unwrap_or("an unknown AMI"))
}

impl Stage for DeployAsg {
    const NAME: &'static str = "deploy-asg";
    const SUMMARY: &'static str = "Deploys an AMI to an Auto Scaling group by an instance refresh, and follows it until the whole group serves it";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let group = "autoScalingGroup:*:autoScalingGroupName/${with.group}";
        let launched = ["instance", "network-interface", "security-group", "subnet", "volume", "launch-template"];
        let launch = Permission::new(
            "ec2:RunInstances",
            "AWS asks whoever starts a refresh whether they may launch what it launches",
        )
        .on_arn("arn:${partition}:ec2:${region}::image/*");
        let own = vec![
            Permission::new("autoscaling:DescribeAutoScalingGroups", "to see what the group runs and is launched of")
                .on_any(),
            Permission::new(
                "autoscaling:DescribeInstanceRefreshes",
                "to follow the refresh, and to see those of others",
            )
            .on_any(),
            Permission::new("autoscaling:DescribeScalingActivities", "to say why instances were not replaced").on_any(),
            Permission::new("autoscaling:DescribePolicies", "to show in the plan what is kept").on_any(),
            Permission::new(
                "autoscaling:DescribeLifecycleHooks",
                "to show in the plan what is kept, and to name the hook that gave up",
            )
            .on_any(),
            Permission::new("autoscaling:DescribeWarmPool", "to show in the plan what is kept").on_any(),
            Permission::new("autoscaling:StartInstanceRefresh", "to replace the group's instances, and to go back")
                .on("autoscaling", group),
            Permission::new("autoscaling:RollbackInstanceRefresh", "to go back while the refresh runs")
                .on("autoscaling", group),
            Permission::new("autoscaling:CancelInstanceRefresh", "to end a refresh that AWS cannot roll back")
                .on("autoscaling", group),
            launched.iter().fold(launch, |permission, kind| permission.on("ec2", &format!("{kind}/*"))),
            Permission::new("iam:PassRole", "to give new instances the roles that the config lists")
                .on_arn("arn:${partition}:iam::${account}:role/${with.roles}"),
            Permission::new("ec2:DescribeLaunchTemplateVersions", "to read the version that the group names").on_any(),
            Permission::new("ec2:CreateLaunchTemplateVersion", "to make the version with the new AMI")
                .on("ec2", "launch-template/*"),
            Permission::new("ec2:DescribeImages", "to see whether the AMI can be launched").on_any(),
            Permission::new("elasticloadbalancing:DescribeTargetHealth", "to keep enough healthy targets").on_any(),
            // Composite alarms are described only to who may describe all, and one that is not shown looks as if it were not there.
            Permission::new("cloudwatch:DescribeAlarms", "to see whether the alarms that watch the refresh can")
                .on_any(),
            Permission::new("cloudformation:GetTemplate", "to tell how the stack replaces instances, and to forecast")
                .on("cloudformation", "stack/${with.stack}/*"),
        ];
        own.into_iter().chain(Owner::permissions("AMI")).collect()
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        if let Some(owner) = config.owner() {
            return owned::plan(&config, owner);
        }
        let prepared = Prepared::of(&config, fleet::group(&config)?)?;
        let busy = outline::busy(&config)?;
        if prepared.need(&config)? != Need::Nothing {
            prepared.admit(&config)?;
            // While somebody else replaces instances, fewer are healthy than when that is over.
            match (prepared.guard(&config), busy) {
                (Err(failure), true) => log::warn(format!("{}, as it is now; a run looks again", failure.message)),
                (guarded, _) => guarded?,
            }
            prepared.notes(&config).into_iter().for_each(log::warn);
        }
        outline::plan(&config, &prepared)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        if let Some(owner) = config.owner() {
            return by_stack::run(&config, owner);
        }
        let image = config.image.get()?.0.clone();
        let earlier: Option<Remembered> = memory::recall(MEMORY)?;
        let earlier = earlier.filter(|earlier| earlier.image == image);
        if let Some(going) = earlier.as_ref().map(|earlier| earlier.going_on(&config)).transpose()?.flatten() {
            return finish(&config, going);
        }
        // First, so that a group that is not there is told as that.
        fleet::group(&config)?;
        follow::until_free(&config, None)?;
        let prepared = Prepared::of(&config, fleet::group(&config)?)?;
        let need = prepared.need(&config)?;
        if need == Need::Nothing {
            log::info(format!("{} runs {image} already: nothing to deploy", config.group));
            return Ok(as_it_was(&prepared, &config, image));
        }
        prepared.admit(&config)?;
        prepared.guard(&config)?;
        prepared.notes(&config).into_iter().for_each(log::warn);
        let remembered = remember(&config, &prepared, earlier, &image)?;
        let remembered = with_version(&config, &prepared, need, remembered)?;
        let target = remembered.target.clone().unwrap_or_else(|| prepared.source.clone());
        let preferences = preferences::of(&config, Pace::of(&config, &prepared.group));
        let id = start(&config, &target, preferences)?;
        let remembered = Remembered { refresh: Some(id), ..remembered };
        memory::remember(MEMORY, &remembered)?;
        finish(&config, remembered)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        if let Some(owner) = config.owner() {
            return by_stack::undo(&config, owner);
        }
        match memory::recall(MEMORY)? {
            Some(remembered) => way_back::go(&config, &remembered),
            None => Ok(format!("{} was not changed", config.group)),
        }
    }
}

/// Remember what an undo and a later attempt must know, before anything is changed.
fn remember(
    config: &Config,
    prepared: &Prepared,
    earlier: Option<Remembered>,
    image: &str,
) -> Result<Remembered, Failure> {
    let known = fleet::refreshes(config)?.into_iter().map(|refresh| refresh.id).collect();
    let now = Remembered {
        named: prepared.source.clone(),
        previous: prepared.now(),
        previous_version: prepared.version.number,
        previous_image: Some(prepared.image().to_owned()),
        image: image.to_owned(),
        target: None,
        version: None,
        refresh: None,
        known,
        floors: follow::floors(config, &prepared.healthy),
    };
    // What an earlier attempt made is used again, and what served before it is what an undo goes back to.
    let remembered = match earlier {
        Some(earlier) => Remembered { refresh: None, known: now.known, floors: now.floors, ..earlier },
        None => now,
    };
    memory::remember(MEMORY, &remembered)?;
    Ok(remembered)
}

/// Make the version of the launch template that names the AMI, where there is none.
fn with_version(
    config: &Config,
    prepared: &Prepared,
    need: Need,
    remembered: Remembered,
) -> Result<Remembered, Failure> {
    if remembered.version.is_some() {
        return Ok(remembered);
    }
    let number = match need {
        Need::Nothing | Need::Refresh => prepared.version.number,
        Need::Version => {
            let info = context::get();
            let request = CreateLaunchTemplateVersionRequest {
                template: prepared.source.template.clone(),
                source_version: Some(prepared.version.number),
                description: Some(format!("kiln {} {}", info.pipeline, info.run_id).chars().take(255).collect()),
                data: json!({ "ImageId": remembered.image }).to_string(),
            };
            let what = format!("making a version of the launch template {}", prepared.source.name);
            let made = create_launch_template_version(&request).during(what)?;
            made.warnings.into_iter().for_each(log::warn);
            let number = made.version.number;
            log::info(format!("made version {number} of {} with {}", prepared.source.name, remembered.image));
            number
        }
    };
    let mut target = prepared.source.with_version(number, Some(&remembered.image));
    if config.strategy == Strategy::ReplaceRootVolume {
        target = target.in_place(&remembered.image);
    }
    let target = Some(target);
    let remembered = Remembered { version: Some(number), target, ..remembered };
    memory::remember(MEMORY, &remembered)?;
    log::debug(format!("{} is to run {} version {number}", config.group, prepared.source.name));
    Ok(remembered)
}

/// Start a refresh to this, once enough of what it replaces is warm. The group itself is never changed before: then there would be nothing
/// to go back to.
fn start(config: &Config, to: &Source, preferences: Option<String>) -> Result<String, Failure> {
    warming::until_warm(config)?;
    let request = StartInstanceRefreshRequest {
        group: config.group.clone(),
        // A way back to types without an AMI of their own needs other instances.
        strategy: (config.strategy == Strategy::ReplaceRootVolume && to.is_own).then(|| "ReplaceRootVolume".to_owned()),
        desired_configuration: Some(to.desired()),
        preferences,
        roles: config.roles.clone(),
    };
    let what = format!("starting the refresh of {} to {} version {}", config.group, to.name, to.version);
    Ok(start_instance_refresh(&request).during(what)?.id)
}

/// The outputs where the group runs the AMI already.
fn as_it_was(prepared: &Prepared, config: &Config, image: String) -> Outputs {
    let number = prepared.version.number;
    let in_service = prepared.group.instances.iter().filter(|instance| instance.state == "InService").count();
    Outputs {
        group: config.group.clone(),
        previous_image: Some(image.clone()),
        image,
        launch_template: prepared.source.template.clone(),
        version: number,
        previous_version: number,
        refresh: None,
        instances: u32::try_from(in_service).unwrap_or(u32::MAX),
    }
}

/// Follow the refresh that was begun, and answer what serves.
fn finish(config: &Config, remembered: Remembered) -> Result<Outputs, Failure> {
    let missing = || Failure::internal("what was remembered of the refresh is incomplete");
    let id = remembered.refresh.clone().ok_or_else(missing)?;
    let (target, version) = (remembered.target.clone().ok_or_else(missing)?, remembered.version.ok_or_else(missing)?);
    let goal = Goal {
        name: named(&target, version, Some(&remembered.image)),
        source: target.clone(),
        before: remembered.previous.clone(),
        alike: Vec::new(),
        floors: remembered.floors.clone(),
    };
    let instances = follow::until_served(config, &id, &goal)?;
    log::info(format!("{} serves {}: {}", config.group, goal.name, kiln_plugin::count(instances, "instance")));
    Ok(Outputs {
        group: config.group.clone(),
        image: remembered.image,
        previous_image: remembered.previous_image,
        launch_template: target.template,
        version,
        previous_version: remembered.previous_version,
        refresh: Some(id),
        instances,
    })
}

kiln_plugin::export!(DeployAsg);

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_plugin::{Duration, Known};

    /// A config that names no more than it must.
    pub(crate) fn config() -> Config {
        Config {
            group: "web".to_owned(),
            image: Known::Now(Ami("ami-0123456789abcdef0".to_owned())),
            stack: None,
            parameter: None,
            refresh: None,
            strategy: Strategy::Rolling,
            min_healthy_percentage: None,
            max_healthy_percentage: None,
            warmup: None,
            checkpoints: Vec::new(),
            checkpoint_delay: None,
            bake: None,
            alarms: None,
            unready_alarms: UnreadyAlarms::Fail,
            skip_matching: None,
            auto_rollback: None,
            scale_in_protected: None,
            standby: None,
            keep_healthy: 75,
            when_busy: WhenBusy::Refuse,
            allow_unpinned: false,
            allow_zero: false,
            roles: Vec::new(),
            poll: Duration::from_secs(15),
        }
    }
}
