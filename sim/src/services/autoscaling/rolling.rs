//! Refreshes through time: begin, replace, wait, bake, succeed, fail, go back.
//!
//! The main functions are [`look`], which lets a refresh and its group do what can be done now, and [`turn`].

use std::time::Duration;

use super::activities::ActivityStatus;
use super::configuration::LaunchSource;
use super::events::Event;
use super::group::FleetGroup;
use super::leaving::take;
use super::member::{Member, MemberPhase};
use super::refresh::{ProtectedOnes, Refresh, RefreshRollback, RefreshStatus, RefreshStrategy, StandbyOnes};
use super::root_volumes;
use super::scaling::reconcile;
use super::state::group;
use super::warm;
use crate::ctx::Scope;
use crate::services::cloudwatch::{self, AlarmState};
use crate::services::elasticloadbalancing::{self, Taken, TargetPhase};

/// A refresh that does not come further for so long fails.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What falls due for a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshTurn {
    Begin,
    /// A checkpoint is over.
    Goes,
    Baked,
    Cancelled,
    /// Whether it came further is looked at.
    Stalled,
}

/// Look again at this instant, once what happens now is over.
pub(super) fn later(scope: &mut Scope<'_>, name: &str) {
    scope.schedule(Duration::ZERO, Event::Look { group: name.to_owned(), instance: None });
}

/// Let a refresh, and then its group, do what can be done now.
pub(super) fn look(scope: &mut Scope<'_>, name: &str) {
    roll(scope, name);
    reconcile(scope, name);
    warm::fill(scope, name);
}

/// Let something of a refresh fall due.
pub(super) fn plan(scope: &mut Scope<'_>, name: &str, id: &str, turn: RefreshTurn, after: Duration) {
    scope.schedule(after, Event::Refresh { group: name.to_owned(), id: id.to_owned(), turn });
}

/// Something falls due for a refresh; nothing, where it has gone on meanwhile.
pub(super) fn turn(scope: &mut Scope<'_>, name: &str, id: &str, turn: RefreshTurn) {
    let now = scope.now();
    let Some(refresh) = group(scope, name).and_then(|group| group.active_mut()).filter(|one| one.id == id) else {
        return;
    };
    match (turn, refresh.status) {
        (RefreshTurn::Begin, RefreshStatus::Pending) => {
            refresh.status = RefreshStatus::InProgress;
            (refresh.started, refresh.progress) = (Some(now), now);
            let alarms = refresh.preferences.alarms().to_vec();
            plan(scope, name, id, RefreshTurn::Stalled, PATIENCE);
            let alight: Vec<String> = alarms
                .into_iter()
                .filter(|alarm| cloudwatch::state_of(scope, alarm) == Some(AlarmState::Alarm))
                .collect();
            alarmed(scope, name, &alight);
        }
        (RefreshTurn::Baked, RefreshStatus::Baking) => succeed(scope, name),
        (RefreshTurn::Cancelled, RefreshStatus::Cancelling) => {
            (refresh.status, refresh.ended) = (RefreshStatus::Cancelled, Some(now));
            refresh.reason = Some("Cancelled due to user request.".to_owned());
        }
        (RefreshTurn::Stalled, RefreshStatus::InProgress | RefreshStatus::RollbackInProgress) => {
            let since = refresh.progress.max(refresh.waits_until.unwrap_or_default());
            match now < since + PATIENCE {
                true => {
                    let after = (since + PATIENCE).since(now);
                    plan(scope, name, id, RefreshTurn::Stalled, after);
                }
                false => {
                    let reason = stalled(scope, name);
                    fail(scope, name, reason);
                }
            }
        }
        _ => {}
    }
    look(scope, name);
}

/// Why a refresh comes no further.
fn stalled(scope: &mut Scope<'_>, name: &str) -> String {
    let Some(fleet) = group(scope, name) else { return String::new() };
    let Some(refresh) = fleet.active() else { return String::new() };
    let since = refresh.progress;
    let held = |phase: MemberPhase| fleet.members.values().filter(move |member| member.phase == phase).count();
    let protected = fleet.members.values().filter(|member| member.protected).count();
    let failed = fleet.activities.iter().rev().find(|activity| {
        activity.started >= since && matches!(activity.status, ActivityStatus::Failed | ActivityStatus::Cancelled)
    });
    let ill = fleet
        .activities
        .iter()
        .rev()
        .find(|activity| activity.started >= since && activity.cause.contains("health check"));
    let why = match (failed.and_then(|failed| failed.message.clone()), ill) {
        (Some(message), _) => message,
        (None, Some(ill)) => ill.cause.clone(),
        (None, None) if protected > 0 => format!("{protected} instances are protected from scale in."),
        (None, None) if held(MemberPhase::Standby) > 0 => "There are instances in Standby.".to_owned(),
        (None, None) => "There are unhealthy instances in the Auto Scaling group.".to_owned(),
    };
    format!("The instance refresh could not make progress for 1 hour. {why}")
}

/// Whether an instance was launched of what this source means now, or brought to it.
pub(super) fn is_at(scope: &mut Scope<'_>, member: &Member, source: &LaunchSource) -> bool {
    if let Some(brought) = &member.brought {
        return brought == source;
    }
    if source.image_for(scope, &member.instance_type).as_ref() != Some(&member.image) {
        return false;
    }
    if let LaunchSource::Configuration(name) = source {
        return member.configuration.as_ref() == Some(name);
    }
    let Some((id, _, version)) = &member.template else { return false };
    let specs: Vec<_> = source.specs().into_iter().cloned().collect();
    specs.iter().any(|spec| spec.resolve(scope).is_ok_and(|found| found.id == *id && found.version == *version))
}

/// Whether an instance serves, is well, and has warmed up.
fn is_ready(scope: &mut Scope<'_>, fleet: &FleetGroup, refresh: &Refresh, member: &Member) -> bool {
    let Some(since) = member.in_service else { return false };
    let warm = scope.now() >= since + refresh.warmup(fleet.warmup);
    let well = |scope: &mut Scope<'_>, target: &String| {
        elasticloadbalancing::phase_of(scope, target, &member.id) == Some(TargetPhase::Healthy)
    };
    member.phase == MemberPhase::InService
        && member.healthy
        && warm
        && fleet.target_groups.iter().all(|target| well(scope, target))
}

/// How the instances of a group stand to its refresh.
#[derive(Debug, Default)]
struct FleetStanding {
    /// Those to be replaced that may be, the ill ones first, then the oldest: the id, and whether it is ready.
    old: Vec<(String, bool)>,
    /// Those to be replaced that may not be, or not yet.
    stuck: usize,
    /// Those that are what the refresh wants, and ready.
    ready: usize,
    /// Those that will be.
    coming: usize,
    /// Those that the refresh leaves alone.
    ignored: usize,
    /// All that are ready.
    healthy: usize,
}

impl FleetStanding {
    fn of(scope: &mut Scope<'_>, fleet: &FleetGroup, refresh: &Refresh) -> Self {
        let mut stand = Self::default();
        let (goal, stamp) = (refresh.launches().unwrap_or(&fleet.source).clone(), refresh.stamp());
        let matching = refresh.is_back() || refresh.preferences.skip_matching == Some(true);
        let mut members: Vec<&Member> = fleet.members.values().collect();
        members.sort_by_key(|member| (member.launched, member.id.clone()));
        for member in members {
            let done = member.made_by.as_ref() == Some(&stamp) || (matching && is_at(scope, member, &goal));
            let ready = is_ready(scope, fleet, refresh, member);
            stand.healthy += usize::from(ready);
            match (member.phase, done) {
                (MemberPhase::Terminating | MemberPhase::TerminatingWait, _) => {}
                (MemberPhase::WarmedPending | MemberPhase::WarmedStopped, _) => {}
                (MemberPhase::Standby, true) => {}
                (MemberPhase::Standby, false) => match refresh.preferences.standby_instances {
                    Some(StandbyOnes::Terminate) => stand.old.push((member.id.clone(), false)),
                    Some(StandbyOnes::Ignore) => {}
                    Some(StandbyOnes::Wait) | None => stand.stuck += 1,
                },
                // It is on its way to what an earlier refresh wanted.
                (MemberPhase::ReplacingRootVolume, false) => stand.stuck += 1,
                (_, true) if ready => stand.ready += 1,
                (_, true) => stand.coming += 1,
                (MemberPhase::Pending | MemberPhase::PendingWait, false) => stand.stuck += 1,
                (MemberPhase::InService, false) => {
                    match (member.protected, refresh.preferences.scale_in_protected_instances) {
                        (false, _) | (true, Some(ProtectedOnes::Refresh)) => stand.old.push((member.id.clone(), ready)),
                        (true, Some(ProtectedOnes::Ignore)) => stand.ignored += 1,
                        (true, Some(ProtectedOnes::Wait) | None) => stand.stuck += 1,
                    }
                }
            }
        }
        stand.old.sort_by_key(|(_, ready)| *ready);
        stand
    }

    fn left(&self) -> usize {
        self.old.len() + self.stuck
    }
}

/// Replace what can be replaced now.
fn roll(scope: &mut Scope<'_>, name: &str) {
    let now = scope.now();
    let Some(fleet) = group(scope, name).cloned() else { return };
    let Some(refresh) = fleet.active().cloned() else { return };
    if !matches!(refresh.status, RefreshStatus::InProgress | RefreshStatus::RollbackInProgress) {
        return;
    }
    let stand = FleetStanding::of(scope, &fleet, &refresh);
    let all = (stand.ready + stand.coming + stand.left()).max(1);
    let next =
        refresh.preferences.checkpoint_percentages.get(refresh.checkpoint).copied().filter(|_| !refresh.is_back());
    let at_the_end = refresh.checkpoint > 0 && next.is_none() && !refresh.is_back();
    let allowed = match next {
        Some(percent) => (fleet.desired * percent).div_ceil(100),
        // The last checkpoint says how many are replaced at all.
        None if at_the_end => {
            let last = refresh.preferences.checkpoint_percentages.last().copied().unwrap_or(100);
            (fleet.desired * last).div_ceil(100)
        }
        None => fleet.desired,
    };
    if let Some(active) = group(scope, name).and_then(|group| group.active_mut()) {
        active.left = stand.left();
        active.percentage = stand.ready * 100 / all;
        if active.seen != (stand.ready, stand.left()) {
            (active.seen, active.progress) = ((stand.ready, stand.left()), now);
        }
        active.ahead = 0;
    }
    if refresh.waits_until.is_some_and(|until| now < until) {
        return;
    }
    let keeps = fleet.desired.saturating_sub(allowed);
    let reached = stand.coming == 0 && stand.ready + stand.ignored >= allowed && stand.left() <= keeps;
    match next {
        Some(percent) if reached && percent < 100 => {
            let delay = Duration::from_secs(refresh.preferences.checkpoint_delay.unwrap_or(3600));
            if let Some(active) = group(scope, name).and_then(|group| group.active_mut()) {
                (active.checkpoint, active.waits_until) = (active.checkpoint + 1, Some(now + delay));
            }
            return plan(scope, name, &refresh.id, RefreshTurn::Goes, delay);
        }
        _ if reached => return bake(scope, name),
        _ => {}
    }
    replace(scope, name, &fleet, &refresh, &stand, stand.left().saturating_sub(keeps));
}

/// Take out of service what may go, at most `most`, and let others be launched in their place.
fn replace(
    scope: &mut Scope<'_>,
    name: &str,
    fleet: &FleetGroup,
    refresh: &Refresh,
    stand: &FleetStanding,
    most: usize,
) {
    let now = scope.now();
    let share = |percent: Option<usize>, usual| fleet.desired * percent.unwrap_or(usual);
    let in_place = refresh.strategy == RefreshStrategy::ReplaceRootVolume;
    let maximum = match in_place {
        true => fleet.desired,
        false => (share(refresh.preferences.max_healthy_percentage, 100) / 100).max(fleet.desired),
    };
    let mut minimum = share(refresh.preferences.min_healthy_percentage, 90).div_ceil(100);
    if maximum == fleet.desired {
        // One at a time goes even where nothing may: otherwise nothing ever would.
        minimum = minimum.min(fleet.desired.saturating_sub(1));
    }
    let most = most.min(stand.old.len());
    let cause =
        format!("At {now} an instance was taken out of service in response to an instance refresh ({}).", refresh.id);
    let (mut spare, mut taken) = (stand.healthy.saturating_sub(minimum), 0);
    for (id, ready) in stand.old.iter().take(most) {
        match (ready, spare) {
            (true, 0) => break,
            (true, _) => spare -= 1,
            (false, _) => {}
        }
        taken += 1;
        match in_place {
            true => root_volumes::begin_replacing(scope, name, id, refresh, cause.clone()),
            false => take(scope, name, id, cause.clone(), Taken::Step),
        }
    }
    // In the place of those that are left, others are launched before they go.
    if let Some(active) = group(scope, name).and_then(|group| group.active_mut()) {
        active.ahead = (maximum - fleet.desired).min(most - taken);
    }
}

/// All is replaced: wait for the bake time, if there is one.
fn bake(scope: &mut Scope<'_>, name: &str) {
    let Some(refresh) = group(scope, name).and_then(|group| group.active_mut()) else { return };
    let time = Duration::from_secs(refresh.preferences.bake_time.unwrap_or(0));
    if time.is_zero() || refresh.is_back() {
        return succeed(scope, name);
    }
    refresh.status = RefreshStatus::Baking;
    let id = refresh.id.clone();
    plan(scope, name, &id, RefreshTurn::Baked, time);
}

fn succeed(scope: &mut Scope<'_>, name: &str) {
    let now = scope.now();
    let Some(fleet) = group(scope, name) else { return };
    let Some(refresh) = fleet.active_mut() else { return };
    let back = refresh.is_back();
    refresh.status = if back { RefreshStatus::RollbackSuccessful } else { RefreshStatus::Successful };
    (refresh.ended, refresh.percentage, refresh.left, refresh.ahead) = (Some(now), 100, 0, 0);
    if !back && refresh.desired.is_some() {
        let to = refresh.to.clone();
        fleet.source = to;
    }
}

/// A refresh fails: it goes back where it was told to, or stays where it is.
fn fail(scope: &mut Scope<'_>, name: &str, reason: String) {
    let now = scope.now();
    let Some(refresh) = group(scope, name).and_then(|group| group.active_mut()) else { return };
    let reason: String = reason.chars().take(1023).collect();
    if refresh.status.is_forward() && refresh.preferences.auto_rollback == Some(true) && refresh.desired.is_some() {
        return go_back(scope, name, reason);
    }
    refresh.status = if refresh.is_back() { RefreshStatus::RollbackFailed } else { RefreshStatus::Failed };
    (refresh.reason, refresh.ended, refresh.ahead) = (Some(reason), Some(now), 0);
}

/// A refresh turns back.
pub(super) fn go_back(scope: &mut Scope<'_>, name: &str, reason: String) {
    let now = scope.now();
    let Some(refresh) = group(scope, name).and_then(|group| group.active_mut()) else { return };
    let (percentage, left) = (refresh.percentage, refresh.left);
    refresh.status = RefreshStatus::RollbackInProgress;
    refresh.started.get_or_insert(now);
    (refresh.waits_until, refresh.progress, refresh.seen) = (None, now, (0, 0));
    refresh.reason = Some(format!("Rolling back: {reason}"));
    refresh.rollback = Some(RefreshRollback { reason, at: now, percentage, left });
    let id = refresh.id.clone();
    plan(scope, name, &id, RefreshTurn::Stalled, PATIENCE);
    later(scope, name);
}

/// These alarms are on: a refresh that they watch fails.
pub(super) fn alarmed(scope: &mut Scope<'_>, name: &str, alight: &[String]) {
    let Some(refresh) = group(scope, name).and_then(|group| group.active()) else { return };
    if !matches!(refresh.status, RefreshStatus::InProgress | RefreshStatus::Baking) {
        return;
    }
    let watching = refresh.preferences.alarms().iter().filter(|alarm| alight.contains(alarm));
    let names: Vec<String> = watching.cloned().collect();
    if !names.is_empty() {
        fail(scope, name, format!("The following CloudWatch alarms are in the ALARM state: {}.", names.join(", ")));
        later(scope, name);
    }
}

/// A spot instance is going to be taken away: a group that rebalances replaces it before.
pub(super) fn rebalance(scope: &mut Scope<'_>, name: &str, id: &str) {
    let now = scope.now();
    if group(scope, name).is_some_and(|group| group.capacity_rebalance) {
        let cause = format!(
            "At {now} an instance was taken out of service in response to a Spot Instance interruption notice."
        );
        take(scope, name, id, cause, Taken::Interrupted);
        later(scope, name);
    }
}
