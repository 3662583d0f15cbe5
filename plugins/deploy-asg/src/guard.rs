//! The traffic guard: how many healthy targets a refresh may leave, and how many it would.
//! The main type is [`Pace`].

use kiln_plugin::Failure;
use kiln_plugin::aws::autoscaling::AutoScalingGroup;

use crate::config::{Config, Strategy};

/// What holds where neither the config nor the group says it: AWS's own.
const MIN: u32 = 90;
const MAX: u32 = 100;

/// How many instances a refresh leaves, percent of the desired capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

impl Pace {
    /// Of a refresh as the config says, of a group as it is.
    pub(crate) fn of(config: &Config, group: &AutoScalingGroup) -> Self {
        let mut own = (group.min_healthy_percentage, group.max_healthy_percentage);
        if config.strategy == Strategy::ReplaceRootVolume {
            // Nothing is launched ahead, whatever the group lets.
            own.1 = None;
        }
        Self::told((config.min_healthy_percentage, config.max_healthy_percentage), own)
    }

    /// Of what is told of the least and the most, and of what the group says by itself.
    pub(crate) fn told(told: (Option<u32>, Option<u32>), own: (Option<u32>, Option<u32>)) -> Self {
        match told {
            (Some(min), max) => Self { min, max: max.unwrap_or(MAX) },
            (None, Some(max)) => Self { min: own.0.unwrap_or(MIN), max },
            (None, None) => Self { min: own.0.unwrap_or(MIN), max: own.1.unwrap_or(MAX) },
        }
    }

    /// The fewest instances that are healthy at any step. Where no more may be launched than there are to be, one goes even where the
    /// percentages let none go: otherwise nothing could be replaced.
    pub(crate) fn least(self, desired: u32) -> u32 {
        let least = percent(desired, self.min).div_ceil(100);
        match percent(desired, self.max) / 100 > u64::from(desired) {
            true => to_count(least),
            false => to_count(least.min(u64::from(desired.saturating_sub(1)))),
        }
    }

    /// The most instances that there are at any step.
    pub(crate) fn most(self, desired: u32) -> u32 {
        to_count(percent(desired, self.max) / 100).max(desired)
    }
}

fn percent(count: u32, percent: u32) -> u64 {
    u64::from(count) * u64::from(percent)
}

fn to_count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The fewest healthy targets of so many that the guard lets a refresh leave.
pub(crate) fn floor(healthy: u32, keep: u32) -> u32 {
    to_count(percent(healthy, keep).div_ceil(100))
}

/// Refuse a refresh that would leave fewer healthy targets than the guard lets it. Each target group with its healthy targets now.
pub(crate) fn check(
    config: &Config,
    group: &AutoScalingGroup,
    pace: Pace,
    targets: &[(String, u32)],
) -> Result<(), Failure> {
    let (least, desired) = (pace.least(group.desired), group.desired);
    let told = format!("it keeps at least {least} of {desired} instances: {} to {} percent", pace.min, pace.max);
    check_least(config, group, least, targets).map_err(|failure| {
        failure
            .help(
                "Say `max-healthy-percentage` above 100 with `min-healthy-percentage = 100`, so that instances are launched before others go; \
                 or a higher `min-healthy-percentage`; or a lower `keep-healthy`.",
            )
            .detail(told)
    })
}

/// The same where so many instances are left at the least, whoever replaces them.
pub(crate) fn check_least(
    config: &Config,
    group: &AutoScalingGroup,
    least: u32,
    targets: &[(String, u32)],
) -> Result<(), Failure> {
    let desired = group.desired;
    // As many as may be missing of the instances may be missing of the targets.
    let missing = desired.saturating_sub(least);
    for (name, healthy) in targets {
        let (floor, left) = (floor(*healthy, config.keep_healthy), healthy.saturating_sub(missing));
        if left < floor {
            return Err(Failure::rejected(format!(
                "a refresh of {} could leave {left} of {healthy} healthy targets in {name}, and the guard wants {floor} (`keep-healthy = {}`)",
                config.group, config.keep_healthy
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::group;
    use crate::tests::config;

    fn least(desired: u32, min: u32, max: u32) -> u32 {
        Pace { min, max }.least(desired)
    }

    #[test]
    fn at_least_one_goes_where_none_comes_before() {
        assert_eq!(least(4, 90, 100), 3, "a share of one instance is none");
        assert_eq!(least(20, 90, 100), 18);
        assert_eq!(least(4, 100, 100), 3);
        assert_eq!(least(4, 100, 110), 3, "ten percent of four are no instance");
        assert_eq!(least(4, 100, 125), 4);
        assert_eq!(least(1, 90, 100), 0);
        assert_eq!(least(0, 90, 100), 0);
        assert_eq!((Pace { min: 90, max: 150 }.most(4), Pace { min: 90, max: 110 }.most(4)), (6, 4));
    }

    #[test]
    fn the_groups_own_percentages_hold_where_the_config_names_none() {
        let mut group = group();
        let pace = |config: &Config, group: &AutoScalingGroup| Pace::of(config, group);
        assert_eq!(pace(&config(), &group), Pace { min: 90, max: 100 });
        (group.min_healthy_percentage, group.max_healthy_percentage) = (Some(100), Some(150));
        assert_eq!(pace(&config(), &group), Pace { min: 100, max: 150 });
        let only_min = Config { min_healthy_percentage: Some(50), ..config() };
        assert_eq!(pace(&only_min, &group), Pace { min: 50, max: 100 });
        let only_max = Config { max_healthy_percentage: Some(120), ..config() };
        assert_eq!(pace(&only_max, &group), Pace { min: 100, max: 120 });
        let in_place = Config { strategy: Strategy::ReplaceRootVolume, ..config() };
        assert_eq!(pace(&in_place, &group), Pace { min: 100, max: 100 }, "nothing is launched ahead");
    }

    #[test]
    fn a_refresh_that_would_leave_too_few_is_refused_before_it_begins() {
        let judged = |keep_healthy, pace, healthy: u32| {
            let config = Config { keep_healthy, ..config() };
            check(&config, &group(), pace, &[("blue".to_owned(), healthy)]).map_err(|failure| failure.message)
        };
        let (careful, usual) = (Pace { min: 100, max: 150 }, Pace { min: 90, max: 100 });
        assert_eq!(judged(75, usual, 4), Ok(()));
        assert!(judged(76, usual, 4).is_err_and(|message| message.contains("leave 3 of 4 healthy targets in blue")));
        assert_eq!(judged(100, careful, 4), Ok(()));
        // Of fewer healthy ones than there are instances, as many may be missing.
        assert!(judged(75, usual, 2).is_err());
        assert_eq!(judged(0, usual, 0), Ok(()));
    }
}
