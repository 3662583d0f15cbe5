//! Targets through time: registered, checked, taken out.
//!
//! The main functions are [`register`] and [`deregister`]. When checks will say something is known when a target is registered, so that
//! only these checks are made: nothing runs where nothing changes.

use std::time::Duration;

use super::events::Event;
use super::record::Taken;
use super::state::{LbTarget, TargetGroup, TargetPhase, TrafficBehaviour};
use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::services::{autoscaling, ec2};

fn group<'s>(scope: &'s mut Scope<'_>, arn: &str) -> Option<&'s mut TargetGroup> {
    scope.place().elasticloadbalancing.target_groups.get_mut(arn)
}

/// How a target of a group is; none where it is not one.
pub(crate) fn phase_of(scope: &mut Scope<'_>, arn: &str, id: &str) -> Option<TargetPhase> {
    group(scope, arn)?.targets.get(id).map(|target| target.phase)
}

/// Put an instance into a target group. One of the world's beginning is healthy at once.
pub(crate) fn register(scope: &mut Scope<'_>, arn: &str, id: &str, port: Option<u16>, at_once: bool) {
    let now = scope.now();
    let (behaviour, running) = behaviour(scope, id);
    let registration = scope.world.ids.share(&format!("elb/registration/{arn}/{id}")).to_bits();
    let Some(group) = group(scope, arn) else { return };
    let phase = if at_once { TargetPhase::Healthy } else { TargetPhase::Initial };
    let target = LbTarget { id: id.to_owned(), port: port.unwrap_or(group.port), phase, registration };
    let interval = group.interval;
    let times = |threshold: u32| interval * threshold;
    let (good, bad) = (times(group.healthy_threshold), times(group.unhealthy_threshold));
    group.targets.insert(id.to_owned(), target);
    let mut turns: Vec<(Timestamp, TargetPhase)> = Vec::new();
    if !at_once {
        let answers = behaviour.healthy_after.map(|after| now.max(running + after));
        match answers {
            // One good check is enough for one that is new.
            Some(at) if at + interval <= now + bad => turns.push((at + interval, TargetPhase::Healthy)),
            Some(at) => turns.extend([(now + bad, TargetPhase::Unhealthy), (at + good, TargetPhase::Healthy)]),
            None => turns.push((now + bad, TargetPhase::Unhealthy)),
        }
    }
    if let Some(after) = behaviour.unhealthy_after {
        turns.push((now + after + bad, TargetPhase::Unhealthy));
    }
    for (at, found) in turns {
        let (group, target) = (arn.to_owned(), id.to_owned());
        scope.schedule(at.since(now), Event::Checked { group, target, registration, found });
    }
}

/// How what runs on an instance answers, and since when the instance runs.
fn behaviour(scope: &mut Scope<'_>, id: &str) -> (TrafficBehaviour, Timestamp) {
    let now = scope.now();
    let Some(instance) = ec2::instance(scope, id).cloned() else { return (TrafficBehaviour::default(), now) };
    let ran = |(at, turn): &(Timestamp, ec2::InstanceTurn)| (*turn == ec2::InstanceTurn::Running).then_some(*at);
    let running = instance.turns.iter().rev().find_map(ran).unwrap_or(instance.launched);
    let name = ec2::image(scope, instance.runs()).map(|image| image.name.clone());
    let is = |wanted: &str| wanted == instance.runs() || name.as_deref() == Some(wanted);
    let behaviours = scope.place().elasticloadbalancing.behaviours.iter();
    let of_it = behaviours.filter(|each| each.image.as_deref().is_none_or(is));
    (of_it.max_by_key(|each| each.image.is_some()).cloned().unwrap_or_default(), running)
}

/// As many checks as it takes found a target so.
pub(super) fn checked(scope: &mut Scope<'_>, arn: &str, id: &str, registration: u64, found: TargetPhase) {
    let Some(group) = group(scope, arn) else { return };
    let Some(target) = group.targets.get_mut(id).filter(|target| target.registration == registration) else { return };
    if target.phase == TargetPhase::Draining || target.phase == found {
        return;
    }
    target.phase = found;
    if found == TargetPhase::Healthy {
        group.record.came();
    }
    autoscaling::target_turned(scope, id);
}

/// Take a target out of a group: it gets no new requests, and goes when those that it has are over. Tells how long that takes; none where
/// it was no target.
pub(crate) fn deregister(scope: &mut Scope<'_>, arn: &str, id: &str, why: Taken) -> Option<Duration> {
    let now = scope.now();
    let group = group(scope, arn)?;
    let target = group.targets.get_mut(id).filter(|target| target.phase != TargetPhase::Draining)?;
    let was = std::mem::replace(&mut target.phase, TargetPhase::Draining);
    let (registration, takes) = (target.registration, group.deregistration);
    took(group, now, was, why);
    let (group, target) = (arn.to_owned(), id.to_owned());
    scope.schedule(takes, Event::Drained { group, target, registration });
    Some(takes)
}

fn took(group: &mut TargetGroup, now: Timestamp, was: TargetPhase, why: Taken) {
    if was == TargetPhase::Healthy {
        let healthy = group.targets.values().filter(|target| target.phase == TargetPhase::Healthy).count();
        group.record.took(now, why, healthy);
    }
}

/// The instance is no more: it is a target of nothing.
pub(crate) fn gone(scope: &mut Scope<'_>, id: &str, why: Taken) {
    let now = scope.now();
    for group in scope.place().elasticloadbalancing.target_groups.values_mut() {
        if let Some(target) = group.targets.remove(id) {
            took(group, now, target.phase, why);
        }
    }
}

/// The requests that a target had are over.
pub(super) fn drained(scope: &mut Scope<'_>, arn: &str, id: &str, registration: u64) {
    let Some(group) = group(scope, arn) else { return };
    if group.targets.get(id).is_some_and(|target| target.registration == registration) {
        group.targets.remove(id);
        autoscaling::target_turned(scope, id);
    }
}
