//! Instances that end: chosen, drained, gone; or gone by themselves.
//!
//! The main function is [`take`].

use super::activities::{ActivityStatus, begin, note};
use super::hooks::{Transition, wait};
use super::launching::abandoned;
use super::member::MemberPhase;
use super::rolling::later;
use super::state::group;
use crate::ctx::Scope;
use crate::services::ec2;
use crate::services::elasticloadbalancing::{self, Taken, TargetPhase};

/// Take an instance out of its group: it gets no new requests, and ends when those that it has are over.
pub(super) fn take(scope: &mut Scope<'_>, name: &str, id: &str, cause: String, why: Taken) {
    let member = group(scope, name).and_then(|fleet| fleet.members.get_mut(id));
    let Some(member) = member.filter(|member| !member.phase.is_leaving()) else { return };
    (member.phase, member.hook) = (MemberPhase::Terminating, None);
    let activity = |drains: bool| {
        let waits = if drains { " - Waiting For ELB Connection Draining." } else { "" };
        format!("Terminating EC2 instance: {id}{waits}")
    };
    if detach(scope, name, id, (activity, cause), why) {
        drained(scope, name, id);
    }
}

/// Let an instance get no new requests, which is told as an activity with its cause. Answers whether it has none either.
pub(super) fn detach(
    scope: &mut Scope<'_>,
    name: &str,
    id: &str,
    (activity, cause): (impl FnOnce(bool) -> String, String),
    why: Taken,
) -> bool {
    let targets = group(scope, name).map(|fleet| fleet.target_groups.clone()).unwrap_or_default();
    let drains = targets.iter().filter_map(|target| elasticloadbalancing::deregister(scope, target, id, why)).max();
    let activity = begin(scope, name, activity(drains.is_some()), cause);
    if let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(id)) {
        member.activity = activity;
    }
    drains.is_none()
}

/// Whether the requests that an instance had are over.
pub(super) fn is_drained(scope: &mut Scope<'_>, name: &str, id: &str) -> bool {
    let targets = group(scope, name).map(|fleet| fleet.target_groups.clone()).unwrap_or_default();
    targets.iter().all(|target| elasticloadbalancing::phase_of(scope, target, id).is_none())
}

/// The requests that an instance had are over.
pub(super) fn drained(scope: &mut Scope<'_>, name: &str, id: &str) {
    let phase = group(scope, name).and_then(|fleet| fleet.members.get(id)).map(|member| member.phase);
    if phase == Some(MemberPhase::Terminating)
        && is_drained(scope, name, id)
        && !wait(scope, name, id, Transition::Terminating)
    {
        end(scope, name, id);
    }
}

/// Nothing is waited for: the instance ends.
pub(super) fn end(scope: &mut Scope<'_>, name: &str, id: &str) {
    let Some(member) = group(scope, name).and_then(|group| group.members.remove(id)) else { return };
    ec2::terminate(scope, id);
    note(scope, name, &member.activity, ActivityStatus::Successful, None);
    later(scope, name);
}

/// An instance is ending that nobody of its group ended.
pub(super) fn lost(scope: &mut Scope<'_>, name: &str, id: &str) {
    let now = scope.now();
    let Some(phase) = group(scope, name).and_then(|group| group.members.get(id)).map(|member| member.phase) else {
        return;
    };
    let interrupted = ec2::instance(scope, id).is_some_and(|instance| instance.interruption.is_some());
    if phase.is_coming() {
        return failed_to_launch(scope, name, id);
    }
    elasticloadbalancing::gone(scope, id, if interrupted { Taken::Interrupted } else { Taken::Failed });
    let Some(member) = group(scope, name).and_then(|group| group.members.remove(id)) else { return };
    match phase.is_leaving() {
        true => note(scope, name, &member.activity, ActivityStatus::Successful, None),
        false => {
            let how = match interrupted {
                true => "a Spot Instance interruption notice",
                false => "an EC2 health check indicating it has been terminated or stopped",
            };
            let cause = format!("At {now} an instance was taken out of service in response to {how}.");
            let activity = begin(scope, name, format!("Terminating EC2 instance: {id}"), cause);
            note(scope, name, &activity, ActivityStatus::Successful, None);
        }
    }
    later(scope, name);
}

/// An instance ended before it served.
pub(super) fn failed_to_launch(scope: &mut Scope<'_>, name: &str, id: &str) {
    let reason = ec2::instance(scope, id).and_then(|instance| instance.reason.clone());
    let reason = reason.map_or_else(|| "it was terminated".to_owned(), |(code, message)| format!("{code}: {message}"));
    let message = format!(
        "Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: {reason}"
    );
    abandoned(scope, name, id, message);
}

/// Look at the health of an instance, as the group's checks see it.
pub(super) fn check(scope: &mut Scope<'_>, name: &str, id: &str) {
    let now = scope.now();
    let Some(fleet) = group(scope, name) else { return };
    if fleet.is_suspended("HealthCheck") || fleet.is_suspended("ReplaceUnhealthy") {
        return;
    }
    let (targets, grace, counts) = (fleet.target_groups.clone(), fleet.grace, fleet.elb_checked);
    let Some(member) = fleet.members.get(id).filter(|member| member.phase == MemberPhase::InService) else { return };
    let Some(since) = member.in_service else { return };
    let impaired = ec2::instance(scope, id).is_some_and(|instance| instance.check == ec2::Check::Impaired);
    let ill =
        targets.iter().any(|target| elasticloadbalancing::phase_of(scope, target, id) == Some(TargetPhase::Unhealthy));
    let how = match (impaired, counts && ill) {
        _ if now < since + grace => return,
        (true, _) => "an EC2 instance status checks failure",
        (false, true) => "an ELB system health check failure",
        (false, false) => return,
    };
    if let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(id)) {
        member.healthy = false;
    }
    let cause = format!("At {now} an instance was taken out of service in response to {how}.");
    take(scope, name, id, cause, Taken::Failed);
    later(scope, name);
}
