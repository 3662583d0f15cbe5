//! Gates an image by the findings of its ECR scan.
//! The main type is [`ScanImage`]; what a status means is decided in `scan`, what findings mean in `gate`.

mod config;
mod gate;
mod scan;

use kiln_plugin::aws::ecr::{
    BatchGetRepositoryScanningConfigurationRequest, DescribeImageScanFindingsRequest,
    DescribeImageScanFindingsResponse, ImageId, StartImageScanRequest, batch_get_repository_scanning_configuration,
    describe_image_scan_findings, start_image_scan,
};
use kiln_plugin::aws::{Error, ErrorKind};
use kiln_plugin::{
    ChangeAction, During, Failure, Instant, Known, Look, Permission, PinnedImage, Plan, Stage, context, log, poll,
    poll_within,
};

pub use crate::config::{Accepted, Config, Found, Outputs, ScanType, Severity};
use crate::scan::Step;

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
        let plan = Plan::new(format!("scans {} and {gate}", image.repository.name));
        let subject = format!("scan of {}", image.brief());
        Ok(match findings(image).during(format!("looking for the scan of {}", image.brief()))? {
            Some(found) => {
                plan.change(ChangeAction::Read, subject, format!("{}, {} findings", found.status, found.findings.len()))
            }
            None if scan::is_enhanced(config.scan_type, &frequency(image)?) => {
                plan.change(ChangeAction::Read, subject, "waits for Inspector, which has not scanned it yet")
            }
            None => plan.change(ChangeAction::Start, subject, "it was never scanned"),
        })
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let image = config.image.get()?.clone();
        check_place(&image)?;
        let enhanced = scan::is_enhanced(config.scan_type, &frequency(&image)?);
        let found = await_scan(&image, &config, enhanced)?;
        if let Some(at) = found.completed {
            log::info(format!("{} was scanned {}", image.brief(), Instant(at)));
        }
        let today = Instant::now().date();
        let verdict = gate::judge(&image, config.fail_on, &config.accept, today, &found)?;
        for line in verdict.notes {
            log::warn(line);
        }
        Ok(verdict.outputs)
    }
}

/// Look until the scan is over, starting it where that is ours to do.
fn await_scan(
    image: &PinnedImage,
    config: &Config,
    enhanced: bool,
) -> Result<DescribeImageScanFindingsResponse, Failure> {
    let mut started = false;
    let mut began = false;
    let mut waits_for_inspector = enhanced;
    let subject = format!("the scan of {}", image.brief());
    let look = || {
        let Some(found) = findings(image).during(format!("looking at the scan of {}", image.brief()))? else {
            if waits_for_inspector {
                return Ok(Look::waiting("waiting for Inspector to begin its scan"));
            }
            if !started {
                started = true;
                waits_for_inspector = begin(image, config.scan_type)?;
            }
            return Ok(Look::waiting("the scan was started"));
        };
        began = true;
        match scan::step(image, config.scan_type, &found)? {
            Step::Over => Ok(Look::Done(found)),
            Step::Wait => Ok(Look::waiting(format!("scan: {}", found.status))),
        }
    };
    let found = match config.timeout {
        Some(limit) => poll_within(limit, config.poll, &subject, look),
        None => poll(config.poll, &subject, look),
    };
    found.map_err(|failure| if began { failure } else { scan::never_began(image, failure) })
}

/// Start a basic scan. Answers whether Inspector scans the repository, so that there is nothing to start.
fn begin(image: &PinnedImage, scan_type: ScanType) -> Result<bool, Failure> {
    let request = StartImageScanRequest { repository: image.repository.name.clone(), image: by_digest(image) };
    match start_image_scan(&request) {
        Ok(response) => {
            log::info(format!("started a scan of {} ({})", image.brief(), response.status));
            Ok(false)
        }
        // One scan a day and image: a result of this day exists or is on its way.
        Err(error) if error.kind == ErrorKind::Limit || error.code == "LimitExceededException" => {
            log::info("the image was scanned within a day already: waiting for that result");
            Ok(false)
        }
        Err(error) if error.code == "UnsupportedImageTypeException" => {
            Err(scan::unsupported(image, Some(&error.message)))
        }
        // Where the registry is set to enhanced scanning, ECR refuses to start a scan.
        Err(error) if error.kind == ErrorKind::Invalid && scan_type == ScanType::Auto => {
            log::info(format!("ECR starts no scan ({}): waiting for Inspector", error.message));
            Ok(true)
        }
        Err(error) => Err(error).during(format!("starting a scan of {}", image.brief())),
    }
}

/// The scan of an image; none where there never was one.
fn findings(image: &PinnedImage) -> Result<Option<DescribeImageScanFindingsResponse>, Error> {
    let request =
        DescribeImageScanFindingsRequest { repository: image.repository.name.clone(), image: by_digest(image) };
    match describe_image_scan_findings(&request) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == "ScanNotFoundException" => Ok(None),
        Err(error) => Err(error),
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

fn by_digest(image: &PinnedImage) -> ImageId {
    ImageId { digest: Some(image.digest.clone()), tag: None }
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
