//! Follows a refresh until what it brings serves, or why it does not is known.
//! The main function is [`until_served`].

use kiln_plugin::aws::autoscaling::{AutoScalingGroup, GroupInstance, InstanceRefresh};
use kiln_plugin::{Failure, Look, log, poll};

use crate::config::{Config, WhenBusy};
use crate::course::{Ending, Stand};
use crate::source::Source;
use crate::why::{self, Evidence};
use crate::{fleet, guard};

/// What is to serve.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) source: Source,
    /// What served before.
    pub(crate) before: Source,
    /// The same as what is to serve, or as what served before, by another number.
    pub(crate) alike: Vec<Source>,
    /// What it is, for people: `web version 3 (ami-…)`.
    pub(crate) name: String,
    /// How many healthy targets each target group must keep, by its name.
    pub(crate) floors: Vec<(String, u32)>,
}

impl Goal {
    /// A source with those that are like it.
    fn good<'g>(&'g self, source: &'g Source) -> Vec<&'g Source> {
        let same = |one: &&Source| one.image.is_some() && one.image == source.image;
        std::iter::once(source).chain(self.alike.iter().filter(same)).collect()
    }
}

/// How following ended.
enum End {
    Served(u32),
    Failed(Box<InstanceRefresh>, Ending),
}

/// Follow until the goal serves. Answers how many instances do.
pub(crate) fn until_served(config: &Config, id: &str, goal: &Goal) -> Result<u32, Failure> {
    let mut watch = Watch::default();
    let subject = format!("the refresh of {} to {}", config.group, goal.name);
    let end = poll(config.poll, &subject, || {
        let group = fleet::group(config)?;
        watch.look(&goal.floors, &fleet::healthy(&fleet::targets(&group)?));
        let Some(refresh) = fleet::refresh(config, id)? else {
            return Ok(Look::waiting("AWS does not show the refresh yet"));
        };
        Ok(match Stand::of(&refresh) {
            Stand::Forward(status) | Stand::Back(status) => Look::Waiting(status),
            Stand::Cancelling => Look::waiting("the refresh is being cancelled"),
            Stand::Unknown(state) => Look::waiting(format!("the refresh is {state}, which kiln does not know")),
            Stand::Ended(ending) => Look::Done(End::Failed(Box::new(refresh), ending)),
            Stand::Succeeded => match serving_any(&group, &goal.good(&goal.source)) {
                Serving::All(count) => Look::Done(End::Served(count)),
                Serving::Some { there, all } => {
                    Look::counted(format!("{there} of {all} instances in service run {}", goal.name), there, all)
                }
            },
        })
    });
    match end {
        Ok(End::Served(count)) => Ok(count),
        Ok(End::Failed(refresh, ending)) => Err(explained(config, goal, &refresh, ending)),
        Err(failure) => Err(not_yet(config, id, goal, failure)),
    }
}

/// Wait until a group's instances run one of these, which are alike, as a whole: no refresh goes on. Answers how many do.
pub(crate) fn until_whole(config: &Config, sources: &[&Source], name: &str) -> Result<u32, Failure> {
    poll(config.poll, &format!("the way of {} to {name}", config.group), || {
        Ok(match serving_any(&fleet::group(config)?, sources) {
            Serving::All(count) => Look::Done(count),
            Serving::Some { there, all } => {
                Look::counted(format!("{there} of {all} instances in service run {name}"), there, all)
            }
        })
    })
}

/// What the instances of a group run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    /// All in service run it, as many as the group is to have.
    All(u32),
    Some {
        there: u32,
        all: u32,
    },
}

/// Whether every instance in service was launched of this source, and none is missing.
pub(crate) fn serving(group: &AutoScalingGroup, source: &Source) -> Serving {
    serving_any(group, &[source])
}

/// The same of sources that are alike.
pub(crate) fn serving_any(group: &AutoScalingGroup, sources: &[&Source]) -> Serving {
    let launched = |one: &GroupInstance| sources.iter().any(|source| source.launched(one));
    let in_service: Vec<&GroupInstance> = group.instances.iter().filter(|one| one.state == "InService").collect();
    let of_it = in_service.iter().filter(|one| launched(one) && one.health == "Healthy").count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (there, all) = (count(of_it), count(in_service.len()).max(group.desired));
    if there == all { Serving::All(there) } else { Serving::Some { there, all } }
}

/// Watches the traffic guard while a refresh goes on.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The fewest healthy targets that were seen, by their group.
    least: Vec<(String, u32)>,
}

impl Watch {
    pub(crate) fn look(&mut self, floors: &[(String, u32)], healthy: &[(String, u32)]) {
        for line in self.fallen(floors, healthy) {
            log::warn(line);
        }
    }

    /// What there is to say of target groups in which there are fewer healthy targets than the guard wants, and than were seen so far.
    fn fallen(&mut self, floors: &[(String, u32)], healthy: &[(String, u32)]) -> Vec<String> {
        let mut said = Vec::new();
        for (name, floor) in floors {
            let Some((_, now)) = healthy.iter().find(|(of, _)| of == name) else { continue };
            let seen = self.least.iter().find(|(of, _)| of == name).map_or(*floor, |(_, least)| *least);
            if *now < seen {
                self.least.retain(|(of, _)| of != name);
                self.least.push((name.clone(), *now));
                said.push(format!(
                    "{name} has {now} healthy targets, and the guard wants {floor}: AWS takes no instance for the refresh as long as that is so"
                ));
            }
        }
        said
    }
}

/// Why a refresh failed, as far as it can be told. Evidence that cannot be had must not hide the failure.
pub(crate) fn explained(config: &Config, goal: &Goal, refresh: &InstanceRefresh, ending: Ending) -> Failure {
    let told = |what: &str, failure: &Failure| log::warn(format!("{what} cannot be told: {}", failure.message));
    let activities =
        fleet::activities(config).inspect_err(|failure| told("what the group did", failure)).unwrap_or_default();
    let hooks = fleet::hooks(config).inspect_err(|failure| told("its lifecycle hooks", failure)).unwrap_or_default();
    let group = fleet::group(config).ok();
    let targets = group.as_ref().and_then(|group| fleet::targets(group).ok()).unwrap_or_default();
    let is_back = group.is_some_and(|group| matches!(serving_any(&group, &goal.good(&goal.before)), Serving::All(_)));
    why::explain(&Evidence {
        group: &config.group,
        target: &goal.name,
        ending,
        refresh,
        activities: &activities,
        hooks: &hooks,
        targets: &targets,
        is_back,
    })
}

/// The stage's time ran out, or a look failed: what is known of why it takes so long.
fn not_yet(config: &Config, id: &str, goal: &Goal, failure: Failure) -> Failure {
    let Ok(Some(refresh)) = fleet::refresh(config, id) else { return failure };
    let told = explained(config, goal, &refresh, Ending::Failed);
    failure.details(told.details)
}

/// Somebody else's refresh.
pub(crate) fn busy_with(config: &Config, ours: Option<&str>) -> Result<Option<InstanceRefresh>, Failure> {
    let all = fleet::refreshes(config)?;
    Ok(all.into_iter().find(|one| Stand::of(one).is_under_way() && ours != Some(one.id.as_str())))
}

/// What a run does about somebody else's refresh.
pub(crate) fn refusal(config: &Config, busy: &InstanceRefresh) -> Option<Failure> {
    match config.when_busy {
        WhenBusy::Wait => None,
        WhenBusy::Refuse => Some(
            Failure::conflict(format!(
                "a refresh of {} is in progress that is not this stage's: {} is {} at {} %",
                config.group, busy.id, busy.status, busy.percentage
            ))
            .help("Wait for its end and run again, or say `when-busy = \"wait\"`. Nothing was changed."),
        ),
    }
}

/// Wait until nobody else's refresh is in progress, or refuse, as the config says.
pub(crate) fn until_free(config: &Config, ours: Option<&str>) -> Result<(), Failure> {
    let mut said = false;
    poll(config.poll, &format!("somebody else's refresh of {}", config.group), || {
        let Some(busy) = busy_with(config, ours)? else { return Ok(Look::Done(())) };
        if let Some(refusal) = refusal(config, &busy) {
            return Err(refusal);
        }
        if !said {
            said = true;
            log::info(format!("waiting for the refresh {} of {}, which is not this stage's", busy.id, config.group));
        }
        Ok(Look::counted(format!("the refresh {} is {}", busy.id, busy.status), busy.percentage.min(100), 100))
    })
}

/// How many healthy targets each target group must keep.
pub(crate) fn floors(config: &Config, healthy: &[(String, u32)]) -> Vec<(String, u32)> {
    healthy.iter().map(|(name, healthy)| (name.clone(), guard::floor(*healthy, config.keep_healthy))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::{group, instance};

    #[test]
    fn a_fleet_serves_when_all_of_it_is_new_and_none_is_missing() {
        let source = Source::of(&group()).map(|source| source.with_version(3, None)).unwrap();
        let of = |versions: &[&str]| {
            let instances =
                versions.iter().enumerate().map(|(n, version)| instance(&format!("i-{n}"), version)).collect();
            serving(&AutoScalingGroup { instances, ..group() }, &source)
        };
        assert_eq!(of(&["3", "3", "3", "3"]), Serving::All(4));
        assert_eq!(of(&["3", "3", "3", "3", "3"]), Serving::All(5), "more than are wanted, for a while");
        assert_eq!(of(&["3", "3", "3"]), Serving::Some { there: 3, all: 4 });
        assert_eq!(of(&["3", "3", "3", "3", "2"]), Serving::Some { there: 4, all: 5 });
        let mut ill = AutoScalingGroup { desired: 1, instances: vec![instance("i-0", "3")], ..group() };
        ill.instances.iter_mut().for_each(|one| one.health = "Unhealthy".to_owned());
        assert_eq!(serving(&ill, &source), Serving::Some { there: 0, all: 1 });
    }

    #[test]
    fn each_fall_below_the_guard_is_said_once() {
        let mut watch = Watch::default();
        let floors = [("blue".to_owned(), 3)];
        let mut at = |healthy: u32| watch.fallen(&floors, &[("blue".to_owned(), healthy)]).len();
        assert_eq!([at(4), at(3), at(2), at(2), at(3), at(1)], [0, 0, 1, 0, 0, 1]);
    }
}
