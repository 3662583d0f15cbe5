//! How tasks behave: what a world file says that befalls them.
//!
//! The main types are [`TaskBehaviour`], which matches tasks, and [`Fate`], what befalls one of them.

use std::time::Duration;

use super::definition::TaskDefinition;
use super::image;
use crate::ctx::Scope;
use crate::services::ecr::is_built;

/// What befalls the tasks that match.
#[derive(Debug, Clone)]
pub(super) struct TaskBehaviour {
    /// A part of the image of one of the containers; `built` stands for all that builds of this world pushed.
    pub(super) image: Option<String>,
    /// The digest of one of the containers' images.
    pub(super) digest: Option<String>,
    pub(super) family: Option<String>,
    /// Only from this revision of the family on.
    pub(super) from_revision: Option<u64>,
    /// How many of the matching tasks: 1 for all.
    pub(super) probability: f64,
    /// The container that it befalls; unless told the one whose image matches, else the first essential one.
    pub(super) container: Option<String>,
    pub(super) fate: Fate,
}

/// What befalls a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fate {
    pub(super) container: String,
    /// It does not start, for this reason; an empty one means that its image cannot be pulled.
    pub(super) never_starts: Option<String>,
    pub(super) crash: Option<Crash>,
    /// It fails its health check.
    pub(super) unhealthy: bool,
    /// What it prints: all of it before it crashes, where it does.
    pub(super) log: Vec<String>,
}

/// How a container ends by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Crash {
    /// After the task began to run.
    pub(super) after: Duration,
    pub(super) exit_code: i64,
    pub(super) reason: Option<String>,
}

impl TaskBehaviour {
    /// The container that it befalls in tasks of this definition, if it matches them.
    fn container_of(&self, scope: &mut Scope<'_>, definition: &TaskDefinition) -> Option<String> {
        let containers = definition.containers();
        let family = self.family.as_ref().is_none_or(|family| *family == definition.family);
        let revision = self.from_revision.is_none_or(|revision| definition.revision >= revision);
        if !family || !revision {
            return None;
        }
        let mut by_image = |image: &str| {
            self.image.as_deref().is_none_or(|part| match part {
                // What it is called is not known before the run.
                "built" => is_built(scope.world, &scope.at, image),
                part => image.contains(part),
            }) && self.digest.as_ref().is_none_or(|digest| image::pull(scope, image).as_ref() == Ok(digest))
        };
        let matching = containers.iter().find(|container| by_image(&container.image))?;
        let by_name = self.image.is_some() || self.digest.is_some();
        let first = containers.iter().find(|container| container.essential).map(|container| container.name.clone());
        let usual = if by_name { Some(matching.name.clone()) } else { first };
        self.container.clone().or(usual)
    }
}

/// What befalls a new task of this definition: by the first behaviour that matches and, where it is left to chance,
/// strikes.
pub(super) fn fate(scope: &mut Scope<'_>, definition: &TaskDefinition) -> Fate {
    for behaviour in scope.place().ecs.behaviours.clone() {
        let Some(container) = behaviour.container_of(scope, definition) else { continue };
        if strikes(scope, behaviour.probability, &definition.family) {
            return Fate { container, ..behaviour.fate };
        }
    }
    Fate::default()
}

fn strikes(scope: &mut Scope<'_>, probability: f64, family: &str) -> bool {
    if probability >= 1.0 {
        return true;
    }
    let kind = format!("ecs/behaviour/{}/{family}", scope.at);
    let bytes = scope.world.ids.bytes(&kind);
    let number = bytes.iter().take(6).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number as f64) / ((1_u64 << 48) as f64) < probability
}
