//! Waits until the instances that answer have warmed up, before a refresh begins.
//! The main function is [`until_warm`].
//!
//! To a refresh an instance that warms up is not healthy, and what is not healthy goes first, whatever share is to stay healthy: where what
//! answers has just come into service, a refresh would take all of its traffic with the first step.

use kiln_plugin::aws::autoscaling::{AutoScalingGroup, GroupInstance, ScalingActivity};
use kiln_plugin::aws::elasticloadbalancing::TargetHealth;
use kiln_plugin::{Failure, Instant, Look, count, poll};

use crate::config::Config;
use crate::fleet;
use crate::guard::Pace;

/// Wait until as many instances are warm as a refresh leaves, but no longer than one takes to warm up: those that come and go without end
/// hold no refresh up.
pub(crate) fn until_warm(config: &Config) -> Result<(), Failure> {
    let began = Instant::now();
    poll(config.poll, &format!("the instances of {}, before they are replaced", config.group), || {
        let (group, now) = (fleet::group(config)?, Instant::now());
        let millis = warmup_millis(config, &group);
        let least = Pace::of(config, &group).least(group.desired);
        if least == 0 || now.millis_since(began) >= millis {
            return Ok(Look::Done(()));
        }
        let (activities, targets) = (fleet::activities(config)?, fleet::targets(&group)?);
        let answering: Vec<&GroupInstance> = group.instances.iter().filter(|one| answers(one, &targets)).collect();
        let warming = answering.iter().filter(|one| warms_up(&one.id, &activities, now, millis)).count();
        if warming == 0 || answering.len() - warming >= usize::try_from(least).unwrap_or(usize::MAX) {
            return Ok(Look::Done(()));
        }
        Ok(Look::waiting(format!("{} in service warm up", count(warming, "instance"))))
    })
}

/// How long an instance warms up, as AWS takes it: as the refresh says, else the group, else for as long as its health does not count.
fn warmup_millis(config: &Config, group: &AutoScalingGroup) -> u64 {
    let own = || u64::from(group.warmup_seconds.or(group.grace_seconds).unwrap_or(0)) * 1000;
    config.warmup.map_or_else(own, kiln_plugin::Duration::as_millis)
}

/// Whether it is in service, and its targets are healthy.
fn answers(one: &GroupInstance, targets: &[(String, Vec<TargetHealth>)]) -> bool {
    let is_healthy = |target: &TargetHealth| target.id == one.id && target.state == "healthy";
    one.state == "InService"
        && one.health == "Healthy"
        && targets.iter().all(|(_, targets)| targets.iter().any(is_healthy))
}

/// Whether it came into service less than so long ago. One whose launch the newest activities do not tell has been there for longer.
fn warms_up(id: &str, activities: &[ScalingActivity], now: Instant, millis: u64) -> bool {
    let launched = activities.iter().find(|one| {
        one.description.starts_with("Launching") && one.description.split([' ', ':']).any(|word| word == id)
    });
    let since = launched.and_then(|launch| launch.ended.or(launch.started));
    since.is_some_and(|since| now.millis_since(Instant(since)) < millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::{group, instance};
    use crate::tests::config;
    use kiln_plugin::Duration;

    fn launch(id: &str, ended: Option<u64>) -> ScalingActivity {
        ScalingActivity {
            id: String::new(),
            description: format!("Launching a new EC2 instance: {id}"),
            cause: String::new(),
            started: Some(1_000),
            ended,
            status: "Successful".to_owned(),
            message: None,
        }
    }

    #[test]
    fn an_instance_warms_up_from_when_its_launch_ended() {
        let all = [launch("i-12", Some(40_000)), launch("i-1", Some(10_000)), launch("i-3", None)];
        let warms = |id: &str, now: u64| warms_up(id, &all, Instant(now), 30_000);
        assert!(warms("i-1", 39_999) && !warms("i-1", 40_000));
        assert!(warms("i-12", 69_999), "another instance's id begins alike");
        assert!(warms("i-3", 30_999) && !warms("i-3", 31_000), "it has begun at least");
        assert!(!warms("i-2", 0), "nothing tells of it any more");
    }

    #[test]
    fn how_long_is_what_the_refresh_says_else_the_group() {
        let mut group = group();
        assert_eq!(warmup_millis(&config(), &group), 0);
        group.grace_seconds = Some(300);
        assert_eq!(warmup_millis(&config(), &group), 300_000);
        group.warmup_seconds = Some(60);
        assert_eq!(warmup_millis(&config(), &group), 60_000);
        let told = Config { warmup: Some(Duration::from_secs(5)), ..config() };
        assert_eq!(warmup_millis(&told, &group), 5_000);
    }

    #[test]
    fn only_what_every_target_group_calls_healthy_answers() {
        let target = |id: &str, state: &str| TargetHealth {
            id: id.to_owned(),
            port: None,
            zone: None,
            state: state.to_owned(),
            reason: None,
            description: None,
        };
        let targets = |second: &str| {
            [("a".to_owned(), vec![target("i-1", "healthy")]), ("b".to_owned(), vec![target("i-1", second)])]
        };
        assert!(answers(&instance("i-1", "1"), &targets("healthy")));
        assert!(!answers(&instance("i-1", "1"), &targets("initial")));
        assert!(!answers(&instance("i-2", "1"), &targets("healthy")));
        assert!(answers(&instance("i-2", "1"), &[]), "nothing but the group looks at it");
        let leaving = GroupInstance { state: "Terminating".to_owned(), ..instance("i-1", "1") };
        assert!(!answers(&leaving, &[]));
    }
}
