//! What happens to groups with time, and what others tell them.
//!
//! The main type is [`Event`].

use super::hooks::{HookResult, Transition, answered, wait};
use super::launching::in_service;
use super::leaving::{check, drained, lost};
use super::member::MemberPhase;
use super::rolling::{self, RefreshTurn, look};
use super::scaling::demand;
use super::{refreshes, root_volumes, seeds, warm};
use crate::ctx::Scope;
use crate::services::cloudwatch::AlarmState;
use crate::services::ec2::InstanceTurn;

/// What falls due.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A group looks whether it has as many instances as it is to have.
    Reconcile { group: String },
    /// A group looks at how far it is, and at the health of an instance.
    Look { group: String, instance: Option<String> },
    /// Whoever was told of an instance answers, or nobody has.
    Hook { group: String, instance: String, token: String, result: Option<HookResult> },
    /// Something of a refresh.
    Refresh { group: String, id: String, turn: RefreshTurn },
    /// An instance has its new root volume.
    RootReplaced { group: String, instance: String },
    /// Demand sets the capacity.
    Demand { group: String, desired: usize },
    /// Somebody starts a refresh.
    Starts { group: String, seed: Box<seeds::RefreshSeed> },
}

/// Let it happen.
pub(crate) fn happen(scope: &mut Scope<'_>, event: Event) {
    match event {
        Event::Reconcile { group } => look(scope, &group),
        Event::Look { group, instance } => {
            if let Some(instance) = instance {
                check(scope, &group, &instance);
            }
            look(scope, &group);
        }
        Event::Hook { group, instance, token, result } => answered(scope, &group, &instance, &token, result),
        Event::Refresh { group, id, turn } => rolling::turn(scope, &group, &id, turn),
        Event::RootReplaced { group, instance } => root_volumes::replaced(scope, &group, &instance),
        Event::Demand { group, desired } => demand(scope, &group, desired),
        Event::Starts { group, seed } => refreshes::by_somebody(scope, &group, &seed),
    }
}

/// The group that an instance is a member of.
fn group_of(scope: &mut Scope<'_>, id: &str) -> Option<String> {
    let groups = scope.place().autoscaling.groups.values();
    groups.filter(|group| group.members.contains_key(id)).map(|group| group.name.clone()).next()
}

/// An instance takes a turn.
pub(crate) fn instance_turned(scope: &mut Scope<'_>, id: &str, turn: InstanceTurn) {
    let Some(name) = group_of(scope, id) else { return };
    let phase = super::state::group(scope, &name).and_then(|group| group.members.get(id)).map(|member| member.phase);
    match (turn, phase) {
        (InstanceTurn::Running, Some(MemberPhase::Pending)) => {
            if !wait(scope, &name, id, Transition::Launching) {
                in_service(scope, &name, id);
            }
        }
        (InstanceTurn::Running, Some(MemberPhase::WarmedPending)) => warm::booted(scope, &name, id),
        (InstanceTurn::Impaired, _) => check(scope, &name, id),
        (InstanceTurn::Interrupted, Some(MemberPhase::InService)) => rolling::rebalance(scope, &name, id),
        (InstanceTurn::Ending | InstanceTurn::Ended, Some(_)) => lost(scope, &name, id),
        (InstanceTurn::Running | InstanceTurn::Interrupted | InstanceTurn::Ending | InstanceTurn::Ended, _) => {}
    }
}

/// The health of a target changed, or it is none any more. Heard after what made it so is over.
pub(crate) fn target_turned(scope: &mut Scope<'_>, id: &str) {
    let Some(name) = group_of(scope, id) else { return };
    check(scope, &name, id);
    drained(scope, &name, id);
    root_volumes::drained(scope, &name, id);
    rolling::later(scope, &name);
}

/// An alarm changed its state.
pub(crate) fn alarm_changed(scope: &mut Scope<'_>, alarm: &str, state: AlarmState) {
    if state == AlarmState::Alarm {
        let groups: Vec<String> = scope.place().autoscaling.groups.keys().cloned().collect();
        for name in groups {
            rolling::alarmed(scope, &name, &[alarm.to_owned()]);
        }
    }
}
