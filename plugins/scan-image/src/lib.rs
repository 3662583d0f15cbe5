//! Gates an image by the findings of its ECR scan.
//! The main type is [`ScanImage`]; what there is to scan is decided in `parts`, what a status means in `scan`, what findings mean
//! in `gate`.

mod config;
mod gate;
mod parts;
mod scan;
mod wait;

use kiln_gate::IgnoreUnfixed;
use kiln_plugin::aws::ecr::{
    BatchGetRepositoryScanningConfigurationRequest, batch_get_repository_scanning_configuration,
};
use kiln_plugin::{
    ChangeAction, During, Failure, Instant, Known, Permission, PinnedImage, Plan, Stage, context, count, log,
};

pub use crate::config::{Config, Outputs, ScanType};
use crate::parts::parts_of;
use crate::scan::Step;
use crate::wait::{Scanned, await_scans, findings};

/// The plugin.
pub struct ScanImage;

impl Stage for ScanImage {
    const NAME: &'static str = "scan-image";
    const SUMMARY: &'static str = "Starts or awaits ECR's scan of an image and gates by the severity of its findings";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let repository = "repository/${image-repository(with.image)}";
        vec![
            Permission::new("ecr:BatchGetImage", "to see whether the image is an index, and which images it lists")
                .on("ecr", repository),
            Permission::new("ecr:BatchGetRepositoryScanningConfiguration", "to see how the repository is scanned")
                .on("ecr", repository),
            Permission::new("ecr:DescribeImageScanFindings", "to read the findings").on("ecr", repository),
            Permission::new("ecr:StartImageScan", "to start a basic scan where there is none").on("ecr", repository),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let gate = format!("closes at findings of severity {} or worse", config.fail_on);
        let image = match &config.image {
            Known::Now(image) => image,
            Known::After(stage) => {
                let plan = Plan::new(format!("scans the image that stage {stage} makes and {gate}"));
                return Ok(plan.change(
                    ChangeAction::Read,
                    "scan findings",
                    format!("of the image, known after {stage}"),
                ));
            }
        };
        check_place(image)?;
        let parts = parts_of(image)?;
        let mut plan = Plan::new(format!("scans {} and {gate}", image.repository.name));
        if parts.is_index {
            plan = plan.change(ChangeAction::Read, format!("manifest of {}", image.brief()), parts.outline());
        }
        if let Some(IgnoreUnfixed { reason, until }) = &config.ignore_unfixed {
            let detail = format!("pass until {until} ({reason}), where the scan tells that nothing mends them");
            plan = plan.change(ChangeAction::Keep, "findings without a fix", detail);
        }
        let mut enhanced = None;
        let mut scans = Vec::new();
        for part in &parts.images {
            let brief = part.brief();
            let subject = format!("scan of {brief}");
            plan = match findings(&part.image).during(format!("looking for the scan of {brief}"))? {
                Some(found) => {
                    let detail = format!("{}, {}", found.status, count(found.findings.len(), "finding"));
                    // A scan that ended without an answer is refused now as it would be then.
                    if scan::step(&brief, config.scan_type, &found)? == Step::Over {
                        scans.push(Scanned { part: part.clone(), found });
                    }
                    plan.change(ChangeAction::Read, subject, detail)
                }
                None => {
                    let enhanced = match enhanced {
                        Some(known) => known,
                        None => {
                            let frequency = frequency(image)?;
                            let foreseen = scan::foreseen(&image.repository.name, config.scan_type, &frequency);
                            foreseen.into_iter().for_each(log::warn);
                            *enhanced.insert(scan::is_enhanced(config.scan_type, &frequency))
                        }
                    };
                    if enhanced {
                        plan.change(ChangeAction::Read, subject, "waits for Inspector, which has not scanned it yet")
                    } else {
                        plan.change(ChangeAction::Start, subject, "it was never scanned")
                    }
                }
            };
        }
        if scans.len() == parts.images.len() {
            // All is known: a gate that would be closed then is closed now.
            let verdict = gate::judge(image, &config, Instant::now().date(), &scans)?;
            verdict.notes.into_iter().for_each(log::warn);
        }
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let image = config.image.get()?.clone();
        check_place(&image)?;
        let parts = parts_of(&image)?;
        if parts.is_index {
            log::info(format!("{} is {}", image.brief(), parts.outline()));
        }
        let enhanced = scan::is_enhanced(config.scan_type, &frequency(&image)?);
        let scans = await_scans(&image, parts.images, &config, enhanced)?;
        for scanned in &scans {
            if let Some(at) = scanned.found.completed {
                log::info(format!("{} was scanned {}", scanned.part.brief(), Instant(at)));
            }
        }
        let verdict = gate::judge(&image, &config, Instant::now().date(), &scans)?;
        for line in verdict.notes {
            log::warn(line);
        }
        Ok(verdict.outputs)
    }
}

/// How the repository is scanned, as ECR words it; empty where it does not say.
fn frequency(image: &PinnedImage) -> Result<String, Failure> {
    let name = &image.repository.name;
    let request = BatchGetRepositoryScanningConfigurationRequest { repositories: vec![name.clone()] };
    let response = batch_get_repository_scanning_configuration(&request)
        .during(format!("looking how the repository {name} is scanned"))?;
    let found = response.configurations.into_iter().find(|configuration| configuration.repository == *name);
    Ok(found.map(|configuration| configuration.frequency).unwrap_or_default())
}

/// A repository of the same name in another registry is another repository.
fn check_place(image: &PinnedImage) -> Result<(), Failure> {
    let here = context::get();
    let there = &image.repository;
    if there.account == here.account && there.region == here.region {
        return Ok(());
    }
    Err(Failure::config(format!(
        "the image is in account {} and region {}, but this stage acts in {} and {}",
        there.account, there.region, here.account, here.region
    ))
    .help("Give the stage an `environment` of the account that holds the image."))
}

kiln_plugin::export!(ScanImage);
