//! Deletes ECR images that nothing needs any more.
//! The main type is [`CleanupImages`]; what goes and what stays is decided in `verdict`, what is in use found in `in_use`.

mod config;
mod glob;
mod in_use;
mod registry;
mod verdict;

use kiln_plugin::{ChangeAction, Failure, Instant, Permission, Plan, Stage, context, log, progress, timer};

pub use crate::config::{Config, Outputs};
use crate::registry::Contents;
use crate::verdict::{Decision, Verdict};

/// The plugin.
pub struct CleanupImages;

/// How many images one call may delete.
const BATCH: usize = 100;

impl Stage for CleanupImages {
    const NAME: &'static str = "cleanup-images";
    const SUMMARY: &'static str =
        "Deletes old ECR images, never one that a running task, a service's task definition or this run uses";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let repository = "repository/${with.repository}";
        vec![
            Permission::new("ecr:DescribeRepositories", "to find the repository").on("ecr", repository),
            Permission::new("ecr:DescribeImages", "to see which images there are").on("ecr", repository),
            Permission::new("ecr:BatchGetImage", "to see which images are parts of others").on("ecr", repository),
            Permission::new("ecr:BatchDeleteImage", "to delete what nothing needs").on("ecr", repository),
            Permission::new("ecs:ListServices", "to find the services whose images must stay").on_any(),
            Permission::new("ecs:DescribeServices", "to see which task definitions they use")
                .on("ecs", "service/${with.clusters}/*"),
            Permission::new("ecs:DescribeTaskDefinition", "to see which images those use").on_any(),
            Permission::new("ecs:ListTasks", "to find the tasks whose images must stay")
                .on("ecs", "container-instance/${with.clusters}/*"),
            Permission::new("ecs:DescribeTasks", "to see which images they run").on("ecs", "task/${with.clusters}/*"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let contents = Contents::read(&config.repository)?;
        let decisions = decide(&config, &contents)?;
        let doomed = decisions.iter().filter(|decision| decision.verdict == Verdict::Delete).count();
        let summary = format!(
            "deletes {doomed} of {} images of {}, {}",
            decisions.len(),
            config.repository,
            size(
                decisions
                    .iter()
                    .filter(|decision| decision.verdict == Verdict::Delete)
                    .map(|decision| decision.size)
                    .sum()
            )
        );
        Ok(decisions.iter().fold(Plan::new(summary), |plan, decision| {
            let action = match decision.verdict {
                Verdict::Delete => ChangeAction::Delete,
                Verdict::Keep => ChangeAction::Keep,
            };
            plan.change(action, decision.name(&config.repository), decision.reason.clone())
        }))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        if config.clusters.is_empty() {
            log::warn("`clusters` is empty: only images of this run are known to be in use");
        }
        let contents = Contents::read(&config.repository)?;
        let decisions = decide(&config, &contents)?;
        let doomed: Vec<&Decision> = decisions.iter().filter(|decision| decision.verdict == Verdict::Delete).collect();
        let mut deleted = Vec::new();
        let mut failures = Vec::new();
        // Wholes in calls before those of their parts: ECR deletes no part of what is still there.
        let is_whole = |decision: &Decision| contents.parts.contains_key(&decision.digest);
        let batches = doomed.chunk_by(|a, b| is_whole(a) == is_whole(b)).flat_map(|group| group.chunks(BATCH));
        for batch in batches {
            progress::report(&progress::Status {
                message: format!("deleting images of {}", config.repository),
                done: u32::try_from(deleted.len()).ok(),
                total: u32::try_from(doomed.len()).ok(),
            });
            // The world may have changed since the decision: look again right before each deletion.
            let now = Contents::read(&config.repository).map_err(|failure| unfinished(failure, deleted.len()))?;
            let in_use = in_use::find(&config, &now).map_err(|failure| unfinished(failure, deleted.len()))?;
            let mut still_doomed = Vec::new();
            for decision in batch {
                match verdict::spared(decision, &now, &in_use) {
                    Some(reason) => log::warn(format!("{} is kept: {reason}", decision.name(&config.repository))),
                    None => still_doomed.push(*decision),
                }
            }
            let outcome = registry::delete(&config.repository, &still_doomed)
                .map_err(|failure| unfinished(failure, deleted.len()))?;
            for decision in still_doomed.iter().filter(|decision| outcome.deleted.contains(&decision.digest)) {
                log::info(format!("deleted {}: {}", decision.name(&config.repository), decision.reason));
            }
            deleted.extend(outcome.deleted);
            failures.extend(outcome.failures);
        }
        if !failures.is_empty() {
            let of_all = format!("{} of {} images of {}", failures.len(), doomed.len(), config.repository);
            return Err(Failure::failed(format!("{of_all} could not be deleted; {} were", deleted.len()))
                .help("See why below. Running the stage again deletes what is left.")
                .details(failures));
        }
        let kept = contents.images.len().saturating_sub(deleted.len()) as u64;
        Ok(Outputs { deleted, kept })
    }
}

/// Find out what is in use, and decide.
fn decide(config: &Config, contents: &Contents) -> Result<Vec<Decision>, Failure> {
    let in_use = in_use::find(config, contents).map_err(|failure| unfinished(failure, 0))?;
    let of_this_run = in_use::references(&context::images_of_this_run(), contents);
    Ok(verdict::decide(config, contents, &in_use, &of_this_run, Instant(timer::now())))
}

/// A failure that ends the stage before it was through: it says how far it came.
fn unfinished(failure: Failure, deleted: usize) -> Failure {
    failure.detail(match deleted {
        0 => "nothing was deleted: kiln deletes only while it knows what is in use".to_owned(),
        deleted => format!("{deleted} images were deleted before; the rest was left alone"),
    })
}

/// A size for people.
fn size(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    if bytes < MEBI { format!("{} KiB", bytes.div_ceil(1024)) } else { format!("{} MiB", bytes / MEBI) }
}

kiln_plugin::export!(CleanupImages);
