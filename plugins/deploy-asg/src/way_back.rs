//! Takes a deployment back: the rollback of the refresh while it runs, else a refresh to what served before.
//! The main function is [`go`].

use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::autoscaling::{
    CancelInstanceRefreshRequest, InstanceRefresh, RollbackInstanceRefreshRequest, cancel_instance_refresh,
    rollback_instance_refresh,
};
use kiln_plugin::{During, Failure, Look, log, memory, poll};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::course::{Ending, Stand};
use crate::follow::{self, Goal, Serving};
use crate::guard::Pace;
use crate::source::Source;
use crate::{Remembered, fleet, preferences, start};

/// The refresh of the way back.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Back {
    pub(crate) id: String,
}

pub(crate) const BACK: &str = "way-back";

/// Go back.
pub(crate) fn go(config: &Config, remembered: &Remembered) -> Result<String, Failure> {
    let group = &config.group;
    let before = remembered.before_name();
    let ours = remembered.find(config)?;
    if let Some(refresh) = &ours {
        turned(config, remembered, refresh)?;
    }
    let back: Option<Back> = memory::recall(BACK)?;
    let id = match back {
        // An earlier undo began it.
        Some(back) => Some(back.id),
        None => begin(config, remembered, ours.is_some())?,
    };
    let whole = || fleet::group(config).map(|group| follow::serving(&group, &remembered.previous));
    match id {
        None => match whole()? {
            Serving::All(count) => {
                Ok(format!("{group} serves {before} as a whole: {}", kiln_plugin::count(count, "instance")))
            }
            Serving::Some { .. } if ours.is_none() => Ok(format!(
                "no refresh of {group} was begun, and {before} is what it names: the instances that are not of it were so before"
            )),
            Serving::Some { .. } => settled(config, remembered),
        },
        Some(id) => {
            let goal = Goal {
                source: remembered.previous.clone(),
                before: remembered.target.clone().unwrap_or_else(|| remembered.previous.clone()),
                alike: Vec::new(),
                name: before.clone(),
                floors: Vec::new(),
            };
            let count = follow::until_served(config, &id, &goal)?;
            Ok(format!(
                "{group} went back to {before} by a refresh, as a whole: {}",
                kiln_plugin::count(count, "instance")
            ))
        }
    }
}

/// The rollback is over, and its last instances come into service.
fn settled(config: &Config, remembered: &Remembered) -> Result<String, Failure> {
    let before = remembered.before_name();
    let count = follow::until_whole(config, &[&remembered.previous], &before)?;
    Ok(format!("{} went back to {before}, as a whole: {}", config.group, kiln_plugin::count(count, "instance")))
}

/// Turn this stage's own refresh back while it runs, and wait until it has ended.
fn turned(config: &Config, remembered: &Remembered, refresh: &InstanceRefresh) -> Result<(), Failure> {
    let group = &config.group;
    if matches!(Stand::of(refresh), Stand::Forward(_)) {
        log::info(format!("rolling the refresh {} of {group} back", refresh.id));
        let request = RollbackInstanceRefreshRequest { group: group.clone(), id: refresh.id.clone() };
        match rollback_instance_refresh(&request) {
            Ok(_) => {}
            // AWS cannot roll it back, or it has ended meanwhile.
            Err(error) if error.kind == ErrorKind::Conflict || error.kind == ErrorKind::NotFound => {
                log::info(format!("AWS cannot roll it back: {}", error.message));
                cancel(config, &refresh.id)?;
            }
            Err(error) => return Err(error).during(format!("rolling the refresh of {group} back")),
        }
    }
    until_ended(config, remembered, &refresh.id)
}

/// Cancel this stage's own refresh while it goes forward, and wait until it has ended.
pub(crate) fn cancelled(config: &Config, remembered: &Remembered, refresh: &InstanceRefresh) -> Result<(), Failure> {
    if matches!(Stand::of(refresh), Stand::Forward(_)) {
        log::info(format!("cancelling the refresh {} of {}", refresh.id, config.group));
        cancel(config, &refresh.id)?;
    }
    until_ended(config, remembered, &refresh.id)
}

fn until_ended(config: &Config, remembered: &Remembered, id: &str) -> Result<(), Failure> {
    poll(config.poll, &format!("the rollback of {} to {}", config.group, remembered.before_name()), || {
        let Some(now) = fleet::refresh(config, id)? else { return Ok(Look::Done(())) };
        Ok(match Stand::of(&now) {
            Stand::Forward(status) | Stand::Back(status) => Look::Waiting(status),
            Stand::Cancelling => Look::waiting("the refresh is being cancelled"),
            Stand::Unknown(state) => Look::waiting(format!("the refresh is {state}, which kiln does not know")),
            Stand::Succeeded
            | Stand::Ended(Ending::Failed | Ending::Cancelled | Ending::RolledBack | Ending::RollbackFailed) => {
                Look::Done(())
            }
        })
    })
}

fn cancel(config: &Config, id: &str) -> Result<(), Failure> {
    let request =
        CancelInstanceRefreshRequest { group: config.group.clone(), id: id.to_owned(), wait_for_transitions: None };
    match cancel_instance_refresh(&request) {
        Ok(_) => Ok(()),
        // It has ended meanwhile.
        Err(error) if error.kind == ErrorKind::Conflict || error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).during(format!("cancelling the refresh of {}", config.group)),
    }
}

/// Begin a refresh to what served before, where that is not what serves. Answers its id, where one was begun.
fn begin(config: &Config, remembered: &Remembered, was_begun: bool) -> Result<Option<String>, Failure> {
    follow::until_free(config, None)?;
    let group = fleet::group(config)?;
    let now = Source::of(&group)?;
    let target = remembered.target.as_ref();
    if !now.is(&remembered.named) && !now.is(&remembered.previous) && !target.is_some_and(|target| now.is(target)) {
        return Err(Failure::conflict(format!(
            "{} now names {} version {}, which is neither what this stage deployed nor what served before ({})",
            config.group,
            now.name,
            now.version,
            remembered.before_name()
        ))
        .help("Somebody deployed since. Nothing was changed: decide by hand what is to serve."));
    }
    let is_at_target = target.is_some_and(|target| now.is(target)) && !now.is(&remembered.previous);
    let whole = matches!(follow::serving(&group, &remembered.previous), Serving::All(_));
    let mixed = group.instances.iter().any(|one| target.is_some_and(|target| target.launched(one)));
    if !is_at_target && (whole || !was_begun || !mixed) {
        return Ok(None);
    }
    log::info(format!("a refresh brings {} back to {}", config.group, remembered.before_name()));
    let preferences = preferences::back(config, Pace::of(config, &group));
    let id = start(config, &remembered.previous, Some(preferences))?;
    memory::remember(BACK, &Back { id: id.clone() })?;
    Ok(Some(id))
}
