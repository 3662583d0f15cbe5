//! Root volumes that a refresh replaces: the instance stays, and serves again once it has booted of the other image.
//!
//! The main functions are [`begin_replacing`] and [`replaced`].

use std::time::Duration;

use super::configuration::LaunchSource;
use super::events::Event;
use super::launching::in_service;
use super::leaving::{detach, is_drained};
use super::member::MemberPhase;
use super::refresh::{Refresh, RefreshPreferences};
use super::state::{group, invalid};
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::ec2;
use crate::services::elasticloadbalancing::Taken;

/// From the end of an instance's requests to its other root volume, before it boots.
const REPLACES: Duration = Duration::from_secs(60);

/// Refuse what AWS refuses: every type must have an image of its own, of one volume, and nothing can be launched ahead.
pub(super) fn check(
    scope: &mut Scope<'_>,
    to: &LaunchSource,
    preferences: &RefreshPreferences,
) -> Result<(), AwsError> {
    let images = to.own_images().ok_or_else(|| {
        invalid("All overrides in the MixedInstancesPolicy must specify an ImageId for the ReplaceRootVolume strategy.")
    })?;
    if preferences.max_healthy_percentage.is_some_and(|most| most > 100) {
        return Err(invalid("MaxHealthyPercentage cannot be above 100 for the ReplaceRootVolume strategy."));
    }
    for id in images {
        let image = ec2::image(scope, &id).ok_or_else(|| invalid(format!("The image id '[{id}]' does not exist")))?;
        if image.devices.len() > 1 {
            return Err(invalid(format!("The AMI {id} must contain only a single root volume.")));
        }
    }
    Ok(())
}

/// Take an instance out of service, so that it gets another root volume.
pub(super) fn begin_replacing(scope: &mut Scope<'_>, name: &str, id: &str, refresh: &Refresh, cause: String) {
    let Some(goal) = refresh.launches().cloned() else { return };
    let Some(member) = group(scope, name).and_then(|fleet| fleet.members.get_mut(id)) else { return };
    (member.phase, member.in_service, member.hook) = (MemberPhase::ReplacingRootVolume, None, None);
    (member.made_by, member.brought) = (Some(refresh.stamp()), Some(goal));
    let activity = |_| format!("Replacing the root volume of EC2 instance: {id}");
    if detach(scope, name, id, (activity, cause), Taken::Step) {
        drained(scope, name, id);
    }
}

/// The requests that an instance had are over.
pub(super) fn drained(scope: &mut Scope<'_>, name: &str, id: &str) {
    let member = group(scope, name).and_then(|fleet| fleet.members.get(id));
    let Some(member) = member.filter(|member| member.phase == MemberPhase::ReplacingRootVolume) else { return };
    let (goal, kind) = (member.brought.clone(), member.instance_type.clone());
    if !is_drained(scope, name, id) {
        return;
    }
    let Some(image) = goal.and_then(|goal| goal.image_for(scope, &kind)) else { return };
    let boots = ec2::replace_root(scope, id, &image);
    if let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(id)) {
        (member.image, member.is_own_image) = (image, true);
    }
    let event = Event::RootReplaced { group: name.to_owned(), instance: id.to_owned() };
    scope.schedule(REPLACES + boots, event);
}

/// An instance has booted with its other root volume: it serves again.
pub(super) fn replaced(scope: &mut Scope<'_>, name: &str, id: &str) {
    let phase = group(scope, name).and_then(|group| group.members.get(id)).map(|member| member.phase);
    if phase == Some(MemberPhase::ReplacingRootVolume) {
        in_service(scope, name, id);
    }
}
