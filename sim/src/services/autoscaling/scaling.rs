//! How many instances a group has: as many as it is to have.
//!
//! The main function is [`reconcile`].

use super::launching::launch;
use super::leaving::take;
use super::member::{Member, MemberPhase};
use super::rolling::{is_at, look};
use super::state::group;
use super::warm;
use crate::ctx::Scope;
use crate::services::elasticloadbalancing::Taken;

/// Launch what is missing, and end what is too much. Tells nothing: what it did stands in the activities.
pub(super) fn reconcile(scope: &mut Scope<'_>, name: &str) {
    let now = scope.now();
    let Some(fleet) = group(scope, name) else { return };
    let (standing, wanted) = (fleet.standing().count(), fleet.wanted());
    let held = fleet.held_until.is_some_and(|until| now < until) || fleet.is_suspended("Launch");
    let ends = !fleet.is_suspended("Terminate") && fleet.active().is_none();
    if standing < wanted && !held {
        let cause = format!(
            "At {now} an instance was started in response to a difference between desired and actual capacity, \
             increasing the capacity from {standing} to {wanted}."
        );
        for _ in standing..wanted {
            if !warm::put_in(scope, name, &cause) && !launch(scope, name, &cause, MemberPhase::Pending) {
                break;
            }
        }
    } else if standing > wanted && ends {
        let cause = format!(
            "At {now} an instance was taken out of service in response to a difference between desired and actual \
             capacity, shrinking the capacity from {standing} to {wanted}."
        );
        for id in surplus(scope, name, standing - wanted) {
            take(scope, name, &id, cause.clone(), Taken::Step);
        }
    }
}

/// Which instances scaling in ends: what is not launched of what the group has, then the oldest, unless the group's own policy says the
/// newest or the oldest; never one that is protected.
fn surplus(scope: &mut Scope<'_>, name: &str, count: usize) -> Vec<String> {
    let Some(fleet) = group(scope, name).cloned() else { return Vec::new() };
    let mut free: Vec<&Member> = fleet.standing().filter(|member| !member.protected).collect();
    let source = fleet.source.clone();
    let policy = fleet.termination_policies.first().map(String::as_str);
    let aws_way = !matches!(policy, Some("NewestInstance" | "OldestInstance"));
    free.sort_by_cached_key(|member| {
        let is_at = aws_way && is_at(scope, member, &source);
        (aws_way && member.phase == MemberPhase::InService, is_at, member.launched, member.id.clone())
    });
    if policy == Some("NewestInstance") {
        free.reverse();
    }
    free.into_iter().take(count).map(|member| member.id.clone()).collect()
}

/// Demand sets another capacity, within the group's bounds.
pub(super) fn demand(scope: &mut Scope<'_>, name: &str, desired: usize) {
    let Some(fleet) = group(scope, name) else { return };
    fleet.desired = desired.clamp(fleet.min, fleet.max);
    look(scope, name);
}
