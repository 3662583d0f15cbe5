//! Takes machine images that nothing needs any more out of use: deprecated, disabled, deregistered with their snapshots.
//! The main type is [`CleanupAmis`]; what goes and what stays is decided in `verdict`, what is in use found in `uses`, what other accounts
//! do in `others`.

mod config;
mod cost;
mod family;
mod glob;
mod machines;
mod names;
mod orphans;
mod others;
mod removal;
mod uses;
mod verdict;

use std::collections::BTreeMap;

use kiln_plugin::aws::ec2::{
    DescribeImagesRequest, DescribeSnapshotsRequest, Filter, Image, Snapshot, describe_images, describe_snapshots,
};
use kiln_plugin::{ChangeAction, During, Failure, Instant, Known, Permission, Plan, Stage, count, grouped};

pub use crate::config::{Config, Family, Look, Outputs, Rung};
use crate::cost::Cost;
use crate::orphans::Orphan;
use crate::others::Others;
use crate::removal::Removal;
use crate::uses::{Looked, Search};
use crate::verdict::{Account, Decision, Verdict};

/// The plugin.
pub struct CleanupAmis;

impl Stage for CleanupAmis {
    const NAME: &'static str = "cleanup-amis";
    const SUMMARY: &'static str = "Takes old AMIs out of use, never one that an instance, a launch template, a group, a parameter, a recipe or another account uses";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let image = "arn:${partition}:ec2:${region}::image/*";
        let snapshot = "arn:${partition}:ec2:${region}::snapshot/*";
        vec![
            Permission::new("ec2:DescribeImages", "to see which images there are").on_any(),
            Permission::new(
                "ec2:DescribeSnapshots",
                "to see what they hold, and which snapshots are left of former ones",
            )
            .on_any(),
            Permission::new("ec2:DescribeInstances", "to find the instances whose images must stay").on_any(),
            Permission::new(
                "ec2:DescribeLaunchTemplateVersions",
                "to find the launch templates whose images must stay",
            )
            .on_any(),
            Permission::new("ec2:DescribeImageReferences", "to find all else that names an image").on_any(),
            Permission::new("ec2:DescribeImageAttribute", "to see which images other accounts may launch")
                .on_arn(image),
            Permission::new("ec2:DescribeImageUsageReports", "to find what other accounts do with an image").on_any(),
            Permission::new("ec2:DescribeImageUsageReportEntries", "to read what other accounts do with an image")
                .on_any(),
            Permission::new(
                "ec2:CreateImageUsageReport",
                "to let EC2 report what other accounts do, where `report` says so",
            )
            .on_arn(image)
            .on("ec2", "image-usage-report/*"),
            Permission::new("ec2:EnableImageDeprecation", "to deprecate what nothing needs").on_arn(image),
            Permission::new("ec2:DisableImage", "to disable what nothing needs").on_arn(image),
            Permission::new("ec2:DescribeLaunchTemplates", "to find the launch templates that groups name").on_any(),
            Permission::new("autoscaling:DescribeAutoScalingGroups", "to find the groups whose images must stay")
                .on_any(),
            Permission::new("autoscaling:DescribeLaunchConfigurations", "to find those whose images must stay")
                .on_any(),
            Permission::new("ssm:GetParameter", "to see which images parameters name").on("ssm", "parameter/*"),
            Permission::new("ssm:GetParametersByPath", "to see which images parameters name").on("ssm", "parameter/*"),
            Permission::new("imagebuilder:ListImageRecipes", "to find the recipes that build on an image").on_any(),
            Permission::new("imagebuilder:ListLifecyclePolicies", "to name the policies that do the same work")
                .on_any(),
            Permission::new("imagebuilder:GetLifecyclePolicy", "to see what those do")
                .on("imagebuilder", "lifecycle-policy/*"),
            Permission::new("imagebuilder:DeleteImage", "to delete Image Builder's own record of what is deregistered")
                .on("imagebuilder", "image/*"),
            Permission::new("imagebuilder:GetImage", "to see what became of such a deletion")
                .on("imagebuilder", "image/*"),
            Permission::new("ec2:DeregisterImage", "to deregister what nothing needs").on_arn(image),
            Permission::new("ec2:DeleteSnapshot", "to delete its snapshots, and those of former images")
                .on_arn(snapshot),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let (config, later) = known(config);
        let findings = Findings::of(&config)?;
        let plan = Plan::new(findings.summary());
        let policies =
            if config.not_looked_at.contains(&Look::ImageBuilder) { Vec::new() } else { names::lifecycle_policies()? };
        let plan = policies.into_iter().fold(plan, |plan, (what, does)| plan.change(ChangeAction::Read, what, does));
        let plan = findings
            .looked
            .iter()
            .fold(plan, |plan, (what, found)| plan.change(ChangeAction::Read, what.clone(), found.clone()));
        let plan = later.iter().fold(plan, |plan, stage| {
            plan.change(
                ChangeAction::Keep,
                format!("what {stage} makes"),
                "`keep-images` has it, known after that stage",
            )
        });
        let plan = findings.decisions.iter().fold(plan, |plan, decision| {
            let (action, what) = match decision.verdict {
                Verdict::To(Rung::Deprecate) => (ChangeAction::Update, "deprecated: "),
                Verdict::To(Rung::Disable) => (ChangeAction::Update, "disabled: "),
                Verdict::To(Rung::Deregister) => (ChangeAction::Delete, ""),
                Verdict::Keep => (ChangeAction::Keep, ""),
            };
            plan.change(action, decision.title(), format!("{what}{}; {}", decision.reason, decision.cost))
        });
        let plan = findings.orphans.iter().fold(plan, |plan, orphan| {
            let action = if orphan.goes { ChangeAction::Delete } else { ChangeAction::Keep };
            plan.change(action, orphan.id.clone(), format!("{}; {}", orphan.reason, orphan.cost))
        });
        let missing = findings.missing.iter().filter(|_| config.report);
        Ok(missing.fold(plan, |plan, image| {
            plan.change(
                ChangeAction::Create,
                format!("a report of {image}"),
                "what other accounts do with it; the next run reads it",
            )
        }))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let findings = Findings::of(&config)?;
        let kept = findings.decisions.len() as u64;
        let removal = Removal::new(&config, findings.steps(config.report));
        let done = removal.run(&findings.decisions, &findings.orphans, &findings.missing)?;
        Ok(Outputs { kept: kept.saturating_sub(done.deregistered), ..done })
    }
}

/// The config without what is not known while planning, and the stages that will know it.
fn known(mut config: Config) -> (Config, Vec<String>) {
    let mut later = Vec::new();
    config.keep_images.retain(|image| match image {
        Known::Now(_) => true,
        Known::After(stage) => {
            later.push(stage.clone());
            false
        }
    });
    (config, later)
}

/// What was found out, and decided.
struct Findings {
    looked: Looked,
    decisions: Vec<Decision>,
    orphans: Vec<Orphan>,
    /// The images of which a report of other accounts' use is missing.
    missing: Vec<String>,
}

impl Findings {
    fn of(config: &Config) -> Result<Self, Failure> {
        let now = Instant::now();
        let request = DescribeImagesRequest {
            ids: Vec::new(),
            owners: vec!["self".to_owned()],
            filters: Vec::new(),
            include_disabled: true,
        };
        let mut images = describe_images(&request).during("listing the images")?.images;
        images.retain(|image| image.state != "deregistered");
        let snapshots = snapshots(config, &images)?;
        let mut search = Search::new(config);
        let uses = search.find()?;
        let mut account = Account { images, snapshots, uses };
        // Of those that could go otherwise EC2 itself is asked.
        let (_, candidates) = verdict::sift(config, &account, now);
        let ids: Vec<String> = candidates.iter().map(|candidate| candidate.image.id.clone()).collect();
        let named = uses::named_now(config, &ids)?;
        account.uses = uses::together(account.uses, named);
        let mut others = Others::new(config, now);
        let decisions = verdict::decide(config, &account, now, |image| others.reason(image))?;
        let orphans = orphans::find(config, &account, &search.snapshots, now);
        let mut looked = search.looked;
        looked.push(("references".to_owned(), count(ids.len(), "image")));
        looked.push(("other accounts".to_owned(), count(others.looked, "image")));
        Ok(Self { looked, decisions, orphans, missing: others.missing })
    }

    fn going(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| matches!(decision.verdict, Verdict::To(_)))
    }

    fn steps(&self, report: bool) -> usize {
        let orphans = self.orphans.iter().filter(|orphan| orphan.goes).count();
        self.going().count() + orphans + if report { self.missing.len() } else { 0 }
    }

    fn summary(&self) -> String {
        let to = |rung: Rung| self.going().filter(|decision| decision.verdict == Verdict::To(rung)).count();
        let orphans = self.orphans.iter().filter(|orphan| orphan.goes);
        let saved: Cost = self
            .going()
            .filter(|decision| decision.verdict == Verdict::To(Rung::Deregister))
            .map(|decision| decision.cost)
            .chain(orphans.clone().map(|orphan| orphan.cost))
            .sum();
        format!(
            "deprecates {}, disables {} and deregisters {} of {}, and deletes {}: {saved}",
            grouped(to(Rung::Deprecate)),
            grouped(to(Rung::Disable)),
            grouped(to(Rung::Deregister)),
            count(self.decisions.len(), "image"),
            count(orphans.count(), "orphan"),
        )
    }
}

/// The snapshots that the families' images are made of, and where the config says so those that images were made of once: an account may
/// have many more.
fn snapshots(config: &Config, images: &[Image]) -> Result<Vec<Snapshot>, Failure> {
    /// How many values one filter takes.
    const VALUES: usize = 200;
    let listed = |name: &str, values: Vec<String>| {
        let filters = vec![Filter { name: name.to_owned(), values }];
        let request = DescribeSnapshotsRequest { ids: Vec::new(), owners: vec!["self".to_owned()], filters };
        Ok::<_, Failure>(describe_snapshots(&request).during("listing the snapshots")?.snapshots)
    };
    let of_families = images.iter().filter(|image| family::of_image(&config.families, image).is_some());
    let ids: Vec<String> =
        of_families.flat_map(|image| &image.devices).filter_map(|device| device.snapshot.clone()).collect();
    let mut found = BTreeMap::new();
    for batch in ids.chunks(VALUES) {
        found.extend(listed("snapshot-id", batch.to_vec())?.into_iter().map(|each| (each.id.clone(), each)));
    }
    if config.orphans {
        let words = orphans::WORDS.map(|words| format!("{words}*")).to_vec();
        found.extend(listed("description", words)?.into_iter().map(|each| (each.id.clone(), each)));
    }
    Ok(found.into_values().collect())
}

kiln_plugin::export!(CleanupAmis);
