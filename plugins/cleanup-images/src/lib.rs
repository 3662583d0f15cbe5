//! Deletes ECR images that nothing needs any more.
//! The main type is [`CleanupImages`]; what goes and what stays is decided in `verdict`, what is in use
//! found in `in_use`.

mod archive;
mod config;
mod definitions;
mod functions;
mod glob;
mod in_use;
mod kin;
mod registry;
mod removal;
mod starts;
mod unseen;
mod verdict;

use kiln_plugin::{ChangeAction, Failure, Instant, Permission, Plan, Stage, count, grouped, log};

use crate::archive::Archiving;
pub use crate::config::{Config, Outputs};
use crate::in_use::Search;
use crate::registry::Contents;
use crate::removal::{FEW, Removal, few, span, unfinished};
use crate::verdict::{Decision, Verdict};

/// The plugin.
pub struct CleanupImages;

impl Stage for CleanupImages {
    const NAME: &'static str = "cleanup-images";
    const SUMMARY: &'static str =
        "Deletes old ECR images, never one that a task, a task definition, a Lambda function or this run uses";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let repository = "repository/${with.repository}";
        vec![
            Permission::new("ecr:DescribeRepositories", "to find the repository").on("ecr", repository),
            Permission::new("ecr:DescribeImages", "to see which images there are").on("ecr", repository),
            Permission::new(
                "ecr:BatchGetImage",
                "to see which images are parts of others, and what a deletion came to",
            )
            .on("ecr", repository),
            Permission::new("ecr:BatchDeleteImage", "to delete what nothing needs").on("ecr", repository),
            Permission::new("ecr:UpdateImageStorageClass", "to archive what nothing needs, where the config says so")
                .on("ecr", repository),
            Permission::new("ecs:ListServices", "to find the services whose images must stay")
                .on_any()
                .on_any_elsewhere(),
            Permission::new("ecs:DescribeServices", "to see which task definitions they use")
                .on("ecs", "service/${with.clusters}/*")
                .on_elsewhere("ecs", "service/${with.elsewhere.clusters}/*"),
            Permission::new("ecs:DescribeTaskDefinition", "to see which images those use").on_any().on_any_elsewhere(),
            Permission::new("ecs:ListTaskDefinitions", "to find the task definitions of jobs")
                .on_any()
                .on_any_elsewhere(),
            Permission::new("ecs:ListClusters", "to say in the plan which clusters are not looked at")
                .on_any()
                .on_any_elsewhere(),
            Permission::new("events:ListEventBuses", "to find the rules that start tasks").on_any().on_any_elsewhere(),
            Permission::new("events:ListRules", "to find the rules that start tasks").on_any().on_any_elsewhere(),
            Permission::new("events:ListTargetsByRule", "to see which task definitions they start")
                .on("events", "rule/*")
                .on_elsewhere("events", "rule/*"),
            Permission::new("scheduler:ListSchedules", "to find the schedules that start tasks")
                .on_any()
                .on_any_elsewhere(),
            Permission::new("scheduler:GetSchedule", "to see which task definitions they start")
                .on("scheduler", "schedule/*")
                .on_elsewhere("scheduler", "schedule/*"),
            Permission::new("lambda:ListFunctions", "to find the functions that are made of images")
                .on_any()
                .on_any_elsewhere(),
            Permission::new("lambda:GetFunction", "to see which images they are made of")
                .on("lambda", "function:*")
                .on_elsewhere("lambda", "function:*"),
            Permission::new("ecs:ListTasks", "to find the tasks whose images must stay")
                .on("ecs", "container-instance/${with.clusters}/*")
                .on_elsewhere("ecs", "container-instance/${with.elsewhere.clusters}/*"),
            Permission::new("ecs:DescribeTasks", "to see which images they run")
                .on("ecs", "task/${with.clusters}/*")
                .on_elsewhere("ecs", "task/${with.elsewhere.clusters}/*"),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        warn_of_no_clusters(&config);
        let contents = Contents::read(&config.repository)?;
        let mut search = Search::new(&config, &contents);
        let decisions = decide(&mut search, Instant::now())?;
        let doomed: Vec<&Decision> = decisions.iter().filter(|decision| decision.verdict == Verdict::Delete).collect();
        let summary = format!(
            "deletes {} of {} of {}, {}",
            grouped(doomed.len()),
            count(decisions.len(), "image"),
            config.repository,
            size(doomed.iter().map(|decision| decision.size).sum())
        );
        let summary = match decisions.iter().filter(|decision| decision.verdict == Verdict::Archive).count() {
            0 => summary,
            archived => format!("archives {} and {summary}", grouped(archived)),
        };
        let looked = search.looked.into_iter().chain(unseen::told(&config)?);
        let plan = looked.fold(Plan::new(summary), |plan, (what, found)| plan.change(ChangeAction::Read, what, found));
        Ok(decisions.iter().fold(plan, |plan, decision| {
            let action = match decision.verdict {
                Verdict::Delete => ChangeAction::Delete,
                Verdict::Archive => ChangeAction::Update,
                Verdict::Keep => ChangeAction::Keep,
            };
            let reason = match decision.verdict {
                Verdict::Archive => format!("to the archive: {}", decision.reason),
                Verdict::Delete | Verdict::Keep => decision.reason.clone(),
            };
            plan.change(action, decision.name(&config.repository), reason)
        }))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        warn_of_no_clusters(&config);
        let contents = Contents::read(&config.repository)?;
        let mut search = Search::new(&config, &contents);
        let looked = Instant::now();
        let mut decisions = decide(&mut search, looked)?;
        let to_archive: Vec<Decision> =
            decisions.extract_if(.., |decision| decision.verdict == Verdict::Archive).collect();
        decisions.retain(|decision| decision.verdict == Verdict::Delete);
        let archived = if to_archive.is_empty() {
            0
        } else {
            let bound = contents.kin.bound(search.find()?);
            Archiving { config: &config, bound: &bound }.run(&to_archive)?
        };
        let done = Removal::new(search, looked, &decisions).run()?;
        let deleted = done.deleted.len() as u64;
        if decisions.len() > FEW {
            log::info(format!("deleted {} of {}: {}", count(deleted, "image"), config.repository, few(&done.deleted)));
        }
        let kept = contents.images.len().saturating_sub(done.gone) as u64;
        Ok(Outputs { deleted, kept, archived, images: span(&done.deleted) })
    }
}

/// What a run does not look at, a plan says, too.
fn warn_of_no_clusters(config: &Config) {
    if config.clusters.is_empty() {
        log::warn("`clusters` is empty: what runs in clusters is not looked at");
    }
}

/// Find out what is in use, and decide.
fn decide(search: &mut Search<'_>, now: Instant) -> Result<Vec<Decision>, Failure> {
    let in_use = search.find().map_err(|failure| unfinished(failure, &[], 0))?;
    Ok(verdict::decide(search.config, search.contents, &in_use, now))
}

/// A size for people.
fn size(bytes: u64) -> String {
    const MEBI: u64 = 1 << 20;
    if bytes < MEBI { format!("{} KiB", bytes.div_ceil(1024)) } else { format!("{} MiB", bytes / MEBI) }
}

kiln_plugin::export!(CleanupImages);
