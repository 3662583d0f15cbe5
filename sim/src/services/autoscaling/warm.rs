//! The warm pool: instances that have booted once and wait, stopped, until the group needs them.
//!
//! The main functions are [`put_in`] and [`fill`].

use super::activities::{ActivityStatus, begin, note};
use super::launching::launch;
use super::leaving::take;
use super::member::MemberPhase;
use super::refresh::Refresh;
use super::rolling::is_at;
use super::state::group;
use crate::ctx::Scope;
use crate::services::ec2;
use crate::services::elasticloadbalancing::Taken;

/// Let an instance of the warm pool begin to serve, in the place of a new one. Tells whether there was one.
pub(super) fn put_in(scope: &mut Scope<'_>, name: &str, cause: &str) -> bool {
    let Some(fleet) = group(scope, name).cloned() else { return false };
    let source = fleet.launches().clone();
    let mut waiting = fleet.members.values().filter(|member| member.phase == MemberPhase::WarmedStopped);
    let Some(id) = waiting.find(|member| is_at(scope, member, &source)).map(|member| member.id.clone()) else {
        return false;
    };
    let activity = begin(scope, name, format!("Launching a new EC2 instance from warm pool: {id}"), cause.to_owned());
    let stamp = fleet.active().map(Refresh::stamp);
    if let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(&id)) {
        (member.phase, member.in_service, member.activity) = (MemberPhase::Pending, None, activity);
        member.made_by = stamp;
    }
    ec2::start(scope, &id);
    true
}

/// Launch what the warm pool lacks, and end what is launched of something else than the group's own: AWS replaces both with a refresh.
pub(super) fn fill(scope: &mut Scope<'_>, name: &str) {
    // Each look comes here, and most groups have no warm pool.
    let Some(fleet) = group(scope, name).filter(|group| group.warm_pool.is_some()).cloned() else { return };
    let Some(least) = fleet.warm_pool.as_ref().and_then(|pool| pool.get("MinSize")?.as_u64()) else { return };
    let held = fleet.held_until.is_some_and(|until| scope.now() < until);
    if held || fleet.is_suspended("Launch") || fleet.active().is_some() {
        return;
    }
    let (mut there, now) = (0, scope.now());
    for member in fleet.members.values().filter(|member| member.phase.is_warm()) {
        match is_at(scope, member, &fleet.source) {
            true => there += 1,
            false => {
                let cause = format!("At {now} an instance of the warm pool was not of the group's configuration.");
                take(scope, name, &member.id, cause, Taken::Step);
            }
        }
    }
    let cause = format!("At {now} an instance was started in response to the size of the warm pool.");
    for _ in there..least {
        if !launch(scope, name, &cause, MemberPhase::WarmedPending) {
            break;
        }
    }
}

/// An instance of the warm pool has booted: it is stopped until it is needed.
pub(super) fn booted(scope: &mut Scope<'_>, name: &str, id: &str) {
    ec2::stop(scope, id);
    let Some(member) = group(scope, name).and_then(|group| group.members.get_mut(id)) else { return };
    member.phase = MemberPhase::WarmedStopped;
    let activity = member.activity.clone();
    note(scope, name, &activity, ActivityStatus::Successful, None);
}
