//! What a plan and a run see before anything is changed, and what follows from it.
//! The main type is [`Prepared`], the same for both: what a run would refuse, the plan says.

use kiln_plugin::aws::autoscaling::AutoScalingGroup;
use kiln_plugin::aws::ec2::LaunchTemplateVersion;
use kiln_plugin::{Failure, Known, count, log};

use crate::config::{Config, Protected, Standby, Strategy};
use crate::follow::{self, Serving};
use crate::guard::{self, Pace};
use crate::source::Source;
use crate::{alarms, fleet, preferences};

/// The group, and what it is launched of.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) group: AutoScalingGroup,
    pub(crate) source: Source,
    /// The version of the launch template that the group names.
    pub(crate) version: LaunchTemplateVersion,
    /// The AMI that the group names now.
    image: String,
    /// How many targets are healthy in each target group, by its name.
    pub(crate) healthy: Vec<(String, u32)>,
}

/// What has to be done, so that the group runs the AMI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// The launch template names it already, and not every instance runs it.
    Refresh,
    /// A version of the launch template has to be made, and brought.
    Version,
}

impl Prepared {
    /// Look at what there is. A failure where nothing could be deployed.
    pub(crate) fn of(config: &Config, group: AutoScalingGroup) -> Result<Self, Failure> {
        preferences::check(config)?;
        check(config, &group)?;
        let source = Source::of(&group)?;
        pinned(config, &source)?;
        if config.strategy == Strategy::ReplaceRootVolume
            && let Some(why) = source.not_in_place()
        {
            return Err(Failure::config(format!("AWS cannot replace the root volumes of {}: {why}", config.group)).help(
                "Leave `strategy` out, so that instances are replaced; or give the group a mixed instances policy that names its types.",
            ));
        }
        let version = fleet::version(&source.template, &source.version)?;
        // What every type has as its own counts, whatever the launch template names.
        let image = source.image.as_ref().or(version.image.as_ref()).filter(|image| !image.starts_with("resolve:"));
        let Some(image) = image.cloned() else {
            let said = version.image.as_deref().unwrap_or("none");
            let failure = Failure::config(format!(
                "version {} of the launch template {} names no AMI by its id: {said}",
                version.number, source.name
            ));
            return Err(failure.help(
                "Give it a version that does, so that there is a way back: AWS cannot roll back to a parameter.",
            ));
        };
        let healthy = fleet::healthy(&fleet::targets(&group)?);
        Ok(Self { group, source, version, image, healthy })
    }

    /// The AMI that the group names now.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// What the group has now, by the number of the version.
    pub(crate) fn now(&self) -> Source {
        self.source.with_version(self.version.number, Some(self.image()))
    }

    /// What has to be done to bring the AMI; a version, where it is not known yet.
    pub(crate) fn need(&self, config: &Config) -> Result<Need, Failure> {
        let Known::Now(image) = &config.image else { return Ok(Need::Version) };
        if self.image() != image.0 {
            return Ok(Need::Version);
        }
        Ok(match follow::serving(&self.group, &self.now()) {
            Serving::All(_) => Need::Nothing,
            Serving::Some { .. } => Need::Refresh,
        })
    }

    /// What must hold before a refresh begins, whatever serves just then: an AMI that can be launched, alarms that can see.
    pub(crate) fn admit(&self, config: &Config) -> Result<(), Failure> {
        if let Known::Now(image) = &config.image {
            fleet::must_be_launchable(&image.0, config.strategy)?;
        }
        alarms::ready(config)?.into_iter().for_each(log::warn);
        Ok(())
    }

    /// The traffic guard, of what serves now.
    pub(crate) fn guard(&self, config: &Config) -> Result<(), Failure> {
        guard::check(config, &self.group, Pace::of(config, &self.group), &self.healthy)
    }

    /// What whoever reads the plan or the run should know besides.
    pub(crate) fn notes(&self, config: &Config) -> Vec<String> {
        let name = &config.group;
        let mut notes = Vec::new();
        let tag = self.group.tags.iter().find(|tag| tag.name == "aws:cloudformation:stack-name");
        if let Some(stack) = tag.filter(|_| config.stack.is_none()) {
            notes.push(format!(
                "the group {name} is of the CloudFormation stack {}: this deployment makes it differ from its template, and the stack's \
                 next update of it may go back to what the template names; `stack` and `parameter` deploy by the stack",
                stack.value
            ));
        }
        let counted = |is: &dyn Fn(&kiln_plugin::aws::autoscaling::GroupInstance) -> bool| {
            self.group.instances.iter().filter(|instance| is(instance)).count()
        };
        let protected = counted(&|instance| instance.protected_from_scale_in && instance.state == "InService");
        if protected > 0 && matches!(config.scale_in_protected, None | Some(Protected::Wait)) {
            notes.push(format!(
                "in {name}, {} protected from scaling in: the refresh waits for that, and fails after an hour \
                 (`scale-in-protected`)",
                instances_are(protected)
            ));
        }
        let standby = counted(&|instance| instance.state == "Standby");
        if standby > 0 && matches!(config.standby, None | Some(Standby::Wait)) {
            notes.push(format!(
                "in {name}, {} in standby: the refresh waits for that, and fails after an hour (`standby`)",
                instances_are(standby)
            ));
        }
        if !self.source.is_pinned() {
            notes.push(format!(
                "{name} names version {} of its launch template: AWS cannot roll the refresh back, and once it has succeeded the group \
                 names a number",
                self.source.version
            ));
        }
        notes
    }
}

/// `1 instance is`, `2 instances are`.
fn instances_are(number: usize) -> String {
    format!("{} {}", count(number, "instance"), if number == 1 { "is" } else { "are" })
}

/// Refuse a group to which nothing can be deployed.
fn check(config: &Config, group: &AutoScalingGroup) -> Result<(), Failure> {
    let name = &config.group;
    if let Some(status) = &group.status {
        return Err(Failure::conflict(format!("the group {name} is being deleted: {status}"))
            .help("Deploy to another group, or make it anew."));
    }
    if group.desired == 0 && !config.allow_zero {
        return Err(Failure::config(format!(
            "the group {name} is to have 0 instances: none would run that could show whether it works"
        ))
        .help("Let it have some, or say `allow-zero = true`."));
    }
    let needed = ["Launch", "Terminate"];
    if let Some(process) = group.suspended.iter().find(|process| needed.contains(&process.as_str())) {
        return Err(Failure::conflict(format!(
            "the process {process} of the group {name} is suspended: no instance could be replaced"
        ))
        .help("Resume it (`aws autoscaling resume-processes`), once whoever suspended it agrees."));
    }
    Ok(())
}

/// Refuse a launch template that is named by whatever version there is, unless the config lets it be.
fn pinned(config: &Config, source: &Source) -> Result<(), Failure> {
    if source.is_pinned() {
        return Ok(());
    }
    if config.auto_rollback == Some(true) {
        let message =
            format!("AWS cannot roll back to version {} of a launch template (`auto-rollback`)", source.version);
        return Err(
            Failure::config(message).help(format!("Let the group {} name a version by its number.", config.group))
        );
    }
    if config.allow_unpinned {
        return Ok(());
    }
    Err(Failure::config(format!(
        "the group {} names version {} of its launch template {}: a new version could be launched by demand before the refresh begins, and \
         AWS could not roll the refresh back",
        config.group, source.version, source.name
    ))
    .help("Let the group name a version by its number, or say `allow-unpinned = true`."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::group;
    use crate::tests::config;
    use kiln_plugin::FailureKind;

    #[test]
    fn a_group_to_which_nothing_can_be_deployed_is_refused() {
        let refused = |group: AutoScalingGroup| check(&config(), &group).map_err(|failure| failure.kind);
        assert_eq!(refused(group()), Ok(()));
        assert_eq!(refused(AutoScalingGroup { desired: 0, ..group() }), Err(FailureKind::Config));
        let deleted = AutoScalingGroup { status: Some("Delete in progress".to_owned()), ..group() };
        assert_eq!(refused(deleted), Err(FailureKind::Conflict));
        let suspended = |process: &str| AutoScalingGroup { suspended: vec![process.to_owned()], ..group() };
        assert_eq!(refused(suspended("Terminate")), Err(FailureKind::Conflict));
        assert_eq!(refused(suspended("AZRebalance")), Ok(()));
        assert!(check(&Config { allow_zero: true, ..config() }, &AutoScalingGroup { desired: 0, ..group() }).is_ok());
    }

    #[test]
    fn a_version_that_is_whatever_there_is_must_be_allowed() {
        let mut latest = group();
        latest.launch_template.iter_mut().for_each(|template| template.version = Some("$Latest".to_owned()));
        let source = Source::of(&latest).unwrap();
        assert!(pinned(&config(), &Source::of(&group()).unwrap()).is_ok());
        assert!(pinned(&config(), &source).is_err());
        assert!(pinned(&Config { allow_unpinned: true, ..config() }, &source).is_ok());
        let both = Config { allow_unpinned: true, auto_rollback: Some(true), ..config() };
        assert!(pinned(&both, &source).unwrap_err().message.contains("cannot roll back"));
    }
}
