//! Which tasks a service starts and stops next, within the limits of its deployment configuration.
//!
//! The main function is [`decide`]: pure, so that its limits can be tested on any state.

/// A task that is not being stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StandingTask {
    pub(super) id: String,
    /// Whether it belongs to the primary deployment.
    pub(super) primary: bool,
    /// Whether it runs and, where it is checked, is healthy.
    pub(super) healthy: bool,
}

/// How many tasks there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) desired: usize,
    /// The fewest healthy tasks that stopping may leave.
    pub(super) lower: usize,
    /// The most tasks that starting may lead to.
    pub(super) upper: usize,
}

impl Limits {
    /// Of a deployment configuration: the lower limit is rounded up, the upper one down.
    pub(super) fn new(desired: usize, minimum_percent: usize, maximum_percent: usize) -> Self {
        let of = |percent: usize| desired.saturating_mul(percent);
        Self { desired, lower: of(minimum_percent).div_ceil(100), upper: of(maximum_percent) / 100 }
    }
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many tasks of the primary deployment to start.
    pub(super) start: usize,
    /// Tasks to stop.
    pub(super) stop: Vec<String>,
    /// There is something to do, and the limits allow nothing, now or later.
    pub(super) stuck: bool,
}

/// Decide. Tasks of older deployments that are not healthy go at once; healthy ones go when enough of the primary
/// deployment are healthy in their place, or when they must make room for them.
pub(super) fn decide(limits: Limits, tasks: &[StandingTask], may_start: bool) -> Plan {
    let Limits { desired, lower, upper } = limits;
    let (primary, old): (Vec<&StandingTask>, Vec<&StandingTask>) = tasks.iter().partition(|task| task.primary);
    let healthy_of = |tasks: &[&StandingTask]| tasks.iter().filter(|task| task.healthy).count();
    let (healthy_old, healthy_new) = (healthy_of(&old), healthy_of(&primary));
    let mut may_lose = (healthy_old + healthy_new).saturating_sub(lower);

    let mut stop: Vec<String> = old.iter().filter(|task| !task.healthy).map(|task| task.id.clone()).collect();

    // More of the primary deployment than wanted: the service was scaled in.
    let mut surplus = primary.len().saturating_sub(desired);
    for task in primary.iter().filter(|task| !task.healthy).chain(primary.iter().filter(|task| task.healthy)) {
        if surplus == 0 || (task.healthy && may_lose == 0) {
            break;
        }
        may_lose -= usize::from(task.healthy);
        surplus -= 1;
        stop.push(task.id.clone());
    }

    let missing = if may_start { desired.saturating_sub(primary.len()) } else { 0 };
    let replaced = (healthy_old + healthy_new).saturating_sub(desired);
    let left = tasks.len() - stop.len();
    let room = upper.saturating_sub(left);
    let in_the_way = missing.saturating_sub(room);
    let gone = replaced.max(in_the_way).min(may_lose).min(healthy_old);
    stop.extend(old.iter().filter(|task| task.healthy).take(gone).map(|task| task.id.clone()));

    let start = missing.min(upper.saturating_sub(tasks.len() - stop.len()));
    let waiting = primary.iter().any(|task| !task.healthy);
    let stuck = missing > 0 && start == 0 && stop.is_empty() && !waiting;
    Plan { start, stop, stuck }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tasks(primary: (usize, usize), old: (usize, usize)) -> Vec<StandingTask> {
        let of = |count, primary, healthy| {
            (0..count).map(move |n| StandingTask { id: format!("{primary}/{healthy}/{n}"), primary, healthy })
        };
        of(primary.0, true, true)
            .chain(of(primary.1, true, false))
            .chain(of(old.0, false, true))
            .chain(of(old.1, false, false))
            .collect()
    }

    #[test]
    fn new_tasks_start_first_and_old_ones_go_as_they_become_healthy() {
        let limits = Limits::new(4, 100, 150);
        assert_eq!(decide(limits, &tasks((0, 0), (4, 0)), true), Plan { start: 2, ..Plan::default() });
        assert_eq!(decide(limits, &tasks((0, 2), (4, 0)), true), Plan::default());
        let two = decide(limits, &tasks((2, 0), (4, 0)), true);
        assert_eq!((two.start, two.stop.len()), (2, 2));
        let last = decide(limits, &tasks((4, 0), (2, 0)), true);
        assert_eq!((last.start, last.stop.len()), (0, 2));
    }

    #[test]
    fn without_headroom_old_tasks_make_room() {
        let plan = decide(Limits::new(4, 50, 100), &tasks((0, 0), (4, 0)), true);
        assert_eq!((plan.start, plan.stop.len()), (2, 2));
    }

    #[test]
    fn limits_that_allow_nothing_are_told() {
        assert!(decide(Limits::new(1, 100, 150), &tasks((0, 0), (1, 0)), true).stuck);
        assert!(!decide(Limits::new(1, 100, 200), &tasks((0, 0), (1, 0)), true).stuck);
    }

    proptest! {
        #[test]
        fn no_plan_breaks_the_limits(
            desired in 0_usize..12, minimum in 0_usize..=100, over in 0_usize..=200,
            healthy in 0_usize..12, starting in 0_usize..12, old in 0_usize..12, ill in 0_usize..12, may_start: bool,
        ) {
            let limits = Limits::new(desired, minimum, 100 + over);
            let before = tasks((healthy, starting), (old, ill));
            let plan = decide(limits, &before, may_start);
            let after: Vec<&StandingTask> = before.iter().filter(|task| !plan.stop.contains(&task.id)).collect();
            let healthy_after = after.iter().filter(|task| task.healthy).count();
            let healthy_before = before.iter().filter(|task| task.healthy).count();
            // Stopping never goes below the lower limit; what is below it already is not made worse.
            prop_assert!(healthy_after >= limits.lower.min(healthy_before));
            // Starting never goes above the upper limit.
            prop_assert!(plan.start == 0 || after.len() + plan.start <= limits.upper);
            prop_assert!(plan.start == 0 || may_start);
            let primary = after.iter().filter(|task| task.primary).count();
            prop_assert!(plan.start == 0 || primary + plan.start <= desired);
            let distinct: std::collections::BTreeSet<&String> = plan.stop.iter().collect();
            prop_assert_eq!(distinct.len(), plan.stop.len());
        }
    }
}
