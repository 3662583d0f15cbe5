//! Deploys to a group that belongs to a CloudFormation stack: the AMI goes in as that stack's parameter, so that the stack and its template
//! stay one. The instances are then replaced by the stack itself or by this stage, and followed as ever.
//! The main functions are [`run`] and [`undo`]; what the stack is like is in `owned`.

use kiln_plugin::aws::autoscaling::{GroupInstance, InstanceRefresh};
use kiln_plugin::aws::cloudformation::Stack;
use kiln_plugin::{Failure, log, memory};
use kiln_stack::owner::{Changed, Given, Step};
use kiln_stack::{Cause, Owner, WhenBusy as StackBusy, cause, look, show};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Outputs, RefreshBy, WhenBusy};
use crate::course::{Ending, Stand};
use crate::follow::{self, Goal, Serving, Watch};
use crate::guard::Pace;
use crate::owned::Owned;
use crate::prepared::{Need, Prepared};
use crate::source::Source;
use crate::way_back::{self, Back};
use crate::{MEMORY, Remembered, as_it_was, finish, fleet, named, owned, preferences, remember, start};

/// What an undo must know of the stack. Remembered before the stack is changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ByStack {
    given: Given,
    /// The group's name in the template: a stack may give the group another name.
    logical: String,
}

const STACK: &str = "stack";

/// Deploy.
pub(crate) fn run(config: &Config, by: Owner<'_>) -> Result<Outputs, Failure> {
    let image = config.image.get()?.0.clone();
    let earlier: Option<Remembered> = memory::recall(MEMORY)?;
    let earlier = earlier.filter(|earlier| earlier.image == image);
    if let Some(going) = earlier.as_ref().map(|earlier| earlier.going_on(config)).transpose()?.flatten() {
        return finish(config, going);
    }
    // First, so that a group that is not there is told as that.
    fleet::group(config)?;
    let stack = by.ready(match config.when_busy {
        WhenBusy::Refuse => StackBusy::Refuse,
        WhenBusy::Wait => StackBusy::Wait,
    })?;
    follow::until_free(config, None)?;
    let prepared = Prepared::of(config, fleet::group(config)?)?;
    let owned = Owned::of(config, by, stack, &prepared.group)?;
    if prepared.need(config)? == Need::Nothing && owned.has == image {
        log::info(format!("{} runs {image} already: nothing to deploy", config.group));
        return Ok(as_it_was(&prepared, config, image));
    }
    prepared.admit(config)?;
    owned.admit(config, &prepared)?;
    owned::notes(config, &prepared).into_iter().for_each(log::warn);
    let remembered = remember(config, &prepared, earlier, &image)?;
    let changed = change(config, by, &owned, &image, &remembered)?;
    let is_new = match changed {
        Changed::Done(_) => true,
        Changed::Nothing => {
            log::info(format!("{} has {image} for {} already", by.stack, by.parameter));
            false
        }
        Changed::Failed { stack, cause } => return Err(not_changed(config, by, &remembered, stack, cause.as_ref())),
    };
    let config = &owned.renamed(config)?;
    let now = Prepared::of(config, fleet::group(config)?)?;
    if now.image() != image {
        return Err(other_image(config, by, &now, &image, is_new));
    }
    let remembered = Remembered { target: Some(now.now()), version: Some(now.version.number), ..remembered };
    match config.refresh_by() {
        RefreshBy::Stage => by_stage(config, &now, remembered),
        RefreshBy::Stack => by_the_stack(config, &now, remembered, is_new),
    }
}

/// Let the stack have the AMI, and watch the traffic while it changes.
fn change(
    config: &Config,
    by: Owner<'_>,
    owned: &Owned,
    image: &str,
    remembered: &Remembered,
) -> Result<Changed, Failure> {
    let earlier: Option<ByStack> = memory::recall(STACK)?;
    let given = Given::of(&owned.stack, &owned.has, image, earlier.map(|earlier| earlier.given));
    let mut kept = ByStack { given, logical: owned.logical.clone() };
    let mut keep = |step: Step<'_>| {
        kept.given.take(step);
        memory::remember(STACK, &kept)
    };
    let mut watch = Watch::default();
    by.change(&owned.stack, image, &mut keep, &mut || look_besides(config, &mut watch, &remembered.floors))
}

/// Look at the traffic of the group while its stack changes. A group that the stack takes away is no failure of that.
fn look_besides(config: &Config, watch: &mut Watch, floors: &[(String, u32)]) -> Result<(), Failure> {
    let targets = fleet::group(config).and_then(|group| fleet::targets(&group));
    match targets {
        Ok(targets) => watch.look(floors, &fleet::healthy(&targets)),
        Err(failure) => log::debug(format!("the traffic cannot be told: {}", failure.message)),
    }
    Ok(())
}

/// The stage replaces the instances by what the group names now.
fn by_stage(config: &Config, now: &Prepared, remembered: Remembered) -> Result<Outputs, Failure> {
    if now.need(config)? == Need::Nothing {
        return Ok(outputs(config, &remembered, now, None, in_service(now)));
    }
    memory::remember(MEMORY, &remembered)?;
    let preferences = preferences::of(config, Pace::of(config, &now.group));
    let id = start(config, &now.now(), preferences)?;
    let remembered = Remembered { refresh: Some(id), ..remembered };
    memory::remember(MEMORY, &remembered)?;
    finish(config, remembered)
}

/// The stack has replaced the instances, or had nothing to do.
fn by_the_stack(config: &Config, now: &Prepared, remembered: Remembered, is_new: bool) -> Result<Outputs, Failure> {
    let source = now.now();
    let others = now.group.instances.iter().filter(|one| one.state == "InService" && !source.launched(one)).count();
    if !is_new && others > 0 {
        return Err(Failure::config(format!(
            "the stack has the AMI already, and {} of {} do not run it: an update of the stack that changes nothing replaces none",
            kiln_plugin::count(others, "instance"),
            config.group
        ))
        .help("Let the stage replace them: `refresh = \"stage\"`. Or refresh the group by hand."));
    }
    let name = named(&source, now.version.number, Some(&remembered.image));
    let refresh = new_refreshes(config, &remembered)?.pop().filter(|_| is_new);
    let instances = match &refresh {
        Some(refresh) => {
            let goal = Goal {
                source,
                before: remembered.previous.clone(),
                alike: Vec::new(),
                name: name.clone(),
                floors: remembered.floors.clone(),
            };
            follow::until_served(config, &refresh.id, &goal)?
        }
        None => follow::until_whole(config, &[&source], &name)?,
    };
    log::info(format!("{} serves {name}: {}", config.group, kiln_plugin::count(instances, "instance")));
    Ok(outputs(config, &remembered, now, refresh.map(|refresh| refresh.id), instances))
}

/// Refreshes that began since, the newest first.
fn new_refreshes(config: &Config, remembered: &Remembered) -> Result<Vec<InstanceRefresh>, Failure> {
    let mut new = fleet::refreshes(config)?;
    new.retain(|refresh| !remembered.known.contains(&refresh.id));
    Ok(new)
}

fn in_service(now: &Prepared) -> u32 {
    let count = now.group.instances.iter().filter(|instance| instance.state == "InService").count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn outputs(
    config: &Config,
    remembered: &Remembered,
    now: &Prepared,
    refresh: Option<String>,
    instances: u32,
) -> Outputs {
    Outputs {
        group: config.group.clone(),
        image: remembered.image.clone(),
        previous_image: remembered.previous_image.clone(),
        launch_template: now.source.template.clone(),
        version: now.version.number,
        previous_version: remembered.previous_version,
        refresh,
        instances,
    }
}

/// The stack has the AMI, and the group names another.
fn other_image(config: &Config, by: Owner<'_>, now: &Prepared, image: &str, is_new: bool) -> Failure {
    let names = format!("the group {} names {}", config.group, now.image());
    match is_new {
        true => Failure::config(format!("the stack {} took {image} for {}, and {names}", by.stack, by.parameter)).help(
            "Let the template give the launch template that parameter as its ImageId and let the group name the version by \
             `!GetAtt LaunchTemplate.LatestVersionNumber`, or name the parameter that does.",
        ),
        false => Failure::conflict(format!("the stack {} has {image} for {} already, and {names}", by.stack, by.parameter))
            .help("Somebody changed the group behind the stack's back: a stage of `deploy-stack` with `drift = \"revert\"` brings it back."),
    }
}

/// Why the stack was not changed, and what serves. Evidence that cannot be had must not hide the failure.
fn not_changed(
    config: &Config,
    by: Owner<'_>,
    remembered: &Remembered,
    stack: Option<Box<Stack>>,
    cause: Option<&Cause>,
) -> Failure {
    let reason = stack.as_ref().and_then(|stack| stack.reason.clone());
    let left = stack.map_or_else(|| "gone".to_owned(), |stack| stack.status.clone());
    let subject =
        format!("{} was not deployed to {} by the stack {}, which is {left}", remembered.image, config.group, by.stack);
    let failure = cause::failure(&subject, cause, reason.as_deref());
    let alike = alike(config, remembered).unwrap_or_default();
    let sources: Vec<&Source> = std::iter::once(&remembered.previous).chain(&alike).collect();
    let is_back =
        fleet::group(config).is_ok_and(|group| matches!(follow::serving_any(&group, &sources), Serving::All(_)));
    let failure = match is_back {
        true => failure.help("Mend the cause, and deploy again. What served before serves as a whole."),
        false => failure.help(
            "The group may have old and new instances now: `kiln undo` brings it back to what it was as a whole. Mend the cause before \
             you deploy again.",
        ),
    };
    // The first one is the one that failed; behind it the stack goes back.
    match new_refreshes(config, remembered).ok().and_then(|mut new| new.pop()) {
        Some(refresh) if Stand::of(&refresh) != Stand::Succeeded => {
            let goal = Goal {
                source: remembered.previous.clone(),
                before: remembered.previous.clone(),
                alike: alike.clone(),
                name: remembered.image.clone(),
                floors: Vec::new(),
            };
            failure.details(follow::explained(config, &goal, &refresh, Ending::Failed).details)
        }
        Some(_) | None => failure,
    }
}

/// What the group names now, where that is the AMI of before by another number: a stack that goes back makes a version, and gives none back.
fn alike(config: &Config, remembered: &Remembered) -> Result<Vec<Source>, Failure> {
    let group = fleet::group(config)?;
    let source = Source::of(&group)?;
    let version = fleet::version(&source.template, &source.version)?;
    let image = source.image.clone().or(version.image);
    let same = image.is_some() && image == remembered.previous_image;
    Ok(same.then(|| source.with_version(version.number, image.as_deref())).into_iter().collect())
}

/// Go back to the parameter's value of before, and to instances of that alone.
pub(crate) fn undo(config: &Config, by: Owner<'_>) -> Result<String, Failure> {
    let remembered: Option<Remembered> = memory::recall(MEMORY)?;
    let by_stack: Option<ByStack> = memory::recall(STACK)?;
    let (Some(remembered), Some(mut kept)) = (remembered, by_stack) else {
        return Ok(format!("the stack {} was not changed", by.stack));
    };
    let resources = look::resources(&kept.given.stack_id)?;
    let group = resources.iter().find(|one| one.logical == kept.logical).and_then(|one| one.physical.clone());
    let config = &Config { group: group.unwrap_or_else(|| config.group.clone()), ..config.clone() };
    if remembered.target.is_some()
        && config.refresh_by() == RefreshBy::Stage
        && let Some(refresh) = remembered.find(config)?
    {
        // AWS would roll back to what the stack lets the group name: the new AMI.
        way_back::cancelled(config, &remembered, &refresh)?;
    }
    let given = kept.given.clone();
    let logical = kept.logical.clone();
    let mut keep = |step: Step<'_>| {
        kept.given.take(step);
        memory::remember(STACK, &kept)
    };
    if let Changed::Failed { stack, cause } = by.back(&given, &mut keep, &mut || Ok(()))? {
        let reason = stack.and_then(|stack| stack.reason.clone());
        return Err(cause::failure(
            &format!("the stack {} did not go back", by.stack),
            cause.as_ref(),
            reason.as_deref(),
        )
        .help("Mend the cause, then undo again; what was done so far stays known."));
    }
    let config = &Owned::named(config, &given.stack_id, &logical)?;
    let said = whole_again(config, &remembered)?;
    Ok(format!("the stack {} has {} for {} again, and {said}", by.stack, show::shown(&given.before), by.parameter))
}

/// Bring the whole group to what it names now, which is what served before.
fn whole_again(config: &Config, remembered: &Remembered) -> Result<String, Failure> {
    let before = remembered.previous_image.as_deref().unwrap_or("an unknown AMI");
    let alike = alike(config, remembered)?;
    let Some(now) = alike.first() else {
        return Err(Failure::conflict(format!(
            "the group {} names another AMI than {before}, which served before",
            config.group
        ))
        .help(
            "Somebody deployed since, or the group had drifted from its stack before: decide by hand what is to serve.",
        ));
    };
    let sources = [&remembered.previous, now];
    let all =
        |count: u32| format!("{} serves {before} as a whole: {}", config.group, kiln_plugin::count(count, "instance"));
    let back = match memory::recall::<Back>(way_back::BACK)? {
        // An earlier undo began it.
        Some(back) => back.id,
        None => {
            follow::until_free(config, None)?;
            let group = fleet::group(config)?;
            let stays = |one: &&GroupInstance| !one.state.starts_with("Terminat");
            let is_known = |one: &GroupInstance| sources.iter().any(|source| source.launched(one));
            let strangers = group.instances.iter().filter(stays).any(|one| !is_known(one));
            if !strangers {
                return follow::until_whole(config, &sources, before).map(all);
            }
            log::info(format!("a refresh brings {} back to {before}", config.group));
            let preferences = preferences::back(config, Pace::of(config, &group));
            let id = start(config, now, Some(preferences))?;
            memory::remember(way_back::BACK, &Back { id: id.clone() })?;
            id
        }
    };
    let goal = Goal {
        source: now.clone(),
        before: now.clone(),
        alike: vec![remembered.previous.clone()],
        name: before.to_owned(),
        floors: Vec::new(),
    };
    follow::until_served(config, &back, &goal).map(all)
}
