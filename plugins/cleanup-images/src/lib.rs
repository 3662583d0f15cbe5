//! Deletes ECR images that nothing needs any more.
//! The main type is [`CleanupImages`]; what goes and what stays is decided in `verdict`, what is in use found in `in_use`.

mod config;
mod glob;
mod in_use;
mod registry;
mod verdict;

use kiln_plugin::{
    ChangeAction, Failure, FailureKind, Instant, Permission, Plan, Stage, context, log, progress, timer,
};

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
        for batch in doomed.chunks(BATCH) {
            progress::report(&progress::Status {
                message: format!("deleting images of {}", config.repository),
                done: u32::try_from(deleted.len()).ok(),
                total: u32::try_from(doomed.len()).ok(),
            });
            // What is used may have changed since the decision: look again right before each deletion.
            let in_use = in_use::find(&config, &contents).map_err(|failure| untouched(failure, deleted.len()))?;
            let (spared, batch): (Vec<&Decision>, Vec<&Decision>) =
                batch.iter().partition(|decision| contents.uses(&in_use, &decision.digest).is_some());
            for decision in spared {
                log::warn(format!("{} is in use since a moment ago: kept", decision.name(&config.repository)));
            }
            let outcome =
                registry::delete(&config.repository, &batch).map_err(|failure| untouched(failure, deleted.len()))?;
            for decision in batch.iter().filter(|decision| outcome.deleted.contains(&decision.digest)) {
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
    let in_use = in_use::find(config, contents).map_err(|failure| untouched(failure, 0))?;
    let of_this_run = in_use::references(&context::images_of_this_run(), contents);
    Ok(verdict::decide(config, contents, &in_use, &of_this_run, Instant(timer::now())))
}

/// A failure that ends the stage before it was through: it says how far it came.
fn untouched(failure: Failure, deleted: usize) -> Failure {
    let help = match (failure.kind, deleted) {
        (FailureKind::Denied, 0) => return failure.detail("nothing was deleted"),
        (_, 0) => "Nothing was deleted: kiln deletes only while it knows what is in use.".to_owned(),
        (_, deleted) => format!("{deleted} images were deleted before; the rest was left alone."),
    };
    match failure.help {
        Some(_) => failure.detail(help),
        None => failure.help(help),
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    if bytes < MEBI { format!("{} KiB", bytes.div_ceil(1024)) } else { format!("{} MiB", bytes / MEBI) }
}

kiln_plugin::export!(CleanupImages);
