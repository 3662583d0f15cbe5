//! Gates a machine image by what Inspector finds in it.
//! The main type is [`ScanAmi`]; what a scan means is decided in `scan`, what findings mean in `kiln_gate`.

mod config;
mod scan;

use kiln_gate::{Gate, Scan, Verdict, judge, never_scanned};
use kiln_plugin::aws::ErrorKind;
use kiln_plugin::aws::ec2::{DescribeImagesRequest, Image as MachineImage, describe_images};
use kiln_plugin::aws::imagebuilder::{
    GetImageRequest, Image, ListImageScanFindingsRequest, get_image, list_image_scan_findings,
};
use kiln_plugin::aws::inspector2::{
    BatchGetAccountStatusRequest, GetOnDemandScanStatusRequest, ListFindingsRequest, ListOnDemandScansRequest,
    OnDemandScan, StartOnDemandScanRequest, batch_get_account_status, get_on_demand_scan_status, list_findings,
    list_on_demand_scans, start_on_demand_scan,
};
use kiln_plugin::{
    ChangeAction, During, Failure, Instant, Known, Look, Permission, Plan, Stage, context, log, poll, poll_within,
};

pub use crate::config::{AmiId, By, Config, Outputs};
use crate::scan::{NEVER, Step};

/// The plugin.
pub struct ScanAmi;

/// The tag by which Image Builder says which of its images an AMI came of.
const BUILDER_TAG: &str = "Ec2ImageBuilderArn";

/// Whose scan is looked at.
#[derive(Debug)]
enum Source {
    /// Image Builder's, of this image.
    Builder(Box<Image>),
    /// A scan of the machine image itself.
    OnDemand,
}

impl Stage for ScanAmi {
    const NAME: &'static str = "scan-ami";
    const SUMMARY: &'static str = "Takes Inspector's findings of a machine image and gates by their severity";
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        vec![
            Permission::new("ec2:DescribeImages", "to see that the image is there, and what made it").on_any(),
            Permission::new("imagebuilder:GetImage", "to see how Image Builder's scan of the build stands")
                .on("imagebuilder", "image/*"),
            Permission::new("imagebuilder:ListImageScanFindings", "to read what that scan found")
                .on("imagebuilder", "image/*"),
            Permission::new("inspector2:ListFindings", "to read what a scan found").on_any(),
            Permission::new("inspector2:BatchGetAccountStatus", "to see whether Inspector scans machine images")
                .on_any(),
            Permission::new("inspector2:ListOnDemandScans", "to find a scan that is there already").on_any(),
            Permission::new("inspector2:StartOnDemandScan", "to start one where there is none").on_any(),
            Permission::new("inspector2:GetOnDemandScanStatus", "to follow it").on_any(),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let gate = format!("closes at findings of severity {} or worse", config.fail_on);
        let ami = match &config.ami {
            Known::Now(ami) => ami.0.as_str(),
            Known::After(stage) => {
                let plan = Plan::new(format!("scans the machine image that stage {stage} makes and {gate}"));
                let detail = format!("of the machine image, known after {stage}");
                return Ok(plan.change(ChangeAction::Read, "findings", detail));
            }
        };
        let source = source(&config, &machine_image(ami)?)?;
        let plan = Plan::new(format!("scans {ami} and {gate}"));
        let subject = format!("scan of {ami}");
        let (plan, over) = match &source {
            Source::Builder(image) => {
                let detail = format!("Image Builder's, of {} {}: {}", image.name, image.version, image.scan_status);
                (plan.change(ChangeAction::Read, subject, detail), scan::of_builder(image)? == Step::Over)
            }
            Source::OnDemand => match there(&config, ami)? {
                Some(found) => {
                    let detail = format!("the scan {} is there: {}", found.id, found.status);
                    (plan.change(ChangeAction::Read, subject, detail), found.status == "SUCCESSFUL")
                }
                None => {
                    inspector_is_on(ami)?;
                    (plan.change(ChangeAction::Start, subject, "there is none that is new enough"), false)
                }
            },
        };
        if over {
            // All is known: a gate that would be closed then is closed now.
            let scans = found(ami, &source, "COMPLETED")?;
            verdict(&config, ami, &scans)?.notes.into_iter().for_each(log::warn);
        }
        Ok(plan)
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let ami = config.ami.get()?.0.clone();
        let source = source(&config, &machine_image(&ami)?)?;
        let status = wait(&config, &ami, &source)?;
        let scans = found(&ami, &source, &status)?;
        let verdict = verdict(&config, &ami, &scans)?;
        verdict.notes.into_iter().for_each(log::warn);
        let by = match source {
            Source::Builder(_) => "builder",
            Source::OnDemand => "on-demand",
        };
        Ok(Outputs {
            ami,
            by: by.to_owned(),
            status: verdict.status,
            critical: verdict.critical,
            high: verdict.high,
            medium: verdict.medium,
            low: verdict.low,
            accepted: verdict.accepted,
            unfixed: verdict.unfixed,
            findings: verdict.findings,
        })
    }
}

fn verdict(config: &Config, ami: &str, scans: &[Scan]) -> Result<Verdict, Failure> {
    let gate = Gate { fail_on: config.fail_on, accept: &config.accept, ignore_unfixed: config.ignore_unfixed.as_ref() };
    judge(ami, gate, Instant::now().date(), scans)
}

/// The machine image, which must be there, and of this account: of others' Inspector knows nothing here.
fn machine_image(ami: &str) -> Result<MachineImage, Failure> {
    let request = DescribeImagesRequest {
        ids: vec![ami.to_owned()],
        owners: Vec::new(),
        filters: Vec::new(),
        include_disabled: true,
    };
    let here = context::get();
    let missing = || {
        Failure::not_found(format!(
            "there is no machine image {ami} in account {} and region {}",
            here.account, here.region
        ))
        .help("Give the stage an `environment` of the account and region that have it, or bake it again.")
    };
    let images = match describe_images(&request) {
        Ok(response) => response.images,
        Err(error) if error.kind == ErrorKind::NotFound || error.code.starts_with("InvalidAMIID") => {
            return Err(missing());
        }
        Err(error) => return Err(error).during(format!("looking for {ami}")),
    };
    let image = images.into_iter().find(|image| image.id == ami).ok_or_else(missing)?;
    match image.owner == here.account {
        true => Ok(image),
        false => {
            Err(Failure::config(format!("{ami} is account {}'s, and this stage acts in {}", image.owner, here.account))
                .help("Give the stage an `environment` of the account that owns the image."))
        }
    }
}

/// Whose scan is to be looked at.
fn source(config: &Config, image: &MachineImage) -> Result<Source, Failure> {
    if config.by == By::OnDemand {
        return Ok(Source::OnDemand);
    }
    let here = context::get();
    let arn = image.tags.iter().find(|tag| tag.name == BUILDER_TAG).map(|tag| tag.value.clone());
    let place = format!(":imagebuilder:{}:{}:image/", here.region, here.account);
    let builder = match arn.filter(|arn| arn.contains(&place)) {
        Some(arn) => match get_image(&GetImageRequest { image: arn.clone() }) {
            Ok(response) => Some(response.image),
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return Err(error).during(format!("looking at {arn}")),
        },
        None => None,
    };
    match (builder, config.by) {
        (Some(image), By::Builder) => Ok(Source::Builder(Box::new(image))),
        (Some(image), _) if image.scans || !image.scan_status.is_empty() => Ok(Source::Builder(Box::new(image))),
        (_, By::Builder) => Err(Failure::rejected(format!(
            "{} was never scanned by Image Builder here: it knows no image of it",
            image.id
        ))
        .help("Scan where the image was built, or say `by = \"on-demand\"`.")),
        (_, _) => Ok(Source::OnDemand),
    }
}

/// Look until the scan is over, and tell its status. What was not scanned when time is over was never scanned, and that is no pass.
fn wait(config: &Config, ami: &str, source: &Source) -> Result<String, Failure> {
    let subject = format!("the scan of {ami}");
    let (mut began, mut followed) = (false, None::<String>);
    let look = || match source {
        Source::Builder(image) => {
            let request = GetImageRequest { image: image.arn.clone() };
            let image = get_image(&request).during(format!("looking at {}", image.arn))?.image;
            began = began || matches!(image.scan_status.as_str(), "SCANNING" | "COLLECTING" | "COMPLETED");
            Ok(match scan::of_builder(&image)? {
                Step::Over => Look::Done(image.scan_status),
                Step::Wait => Look::waiting(format!("Image Builder's scan: {}", image.scan_status)),
            })
        }
        Source::OnDemand => {
            let current = match &followed {
                Some(id) => status(ami, id)?,
                None => match there(config, ami)? {
                    Some(scan) => scan,
                    None => match begin(ami)? {
                        Some(id) => {
                            let started = status(ami, &id)?;
                            followed = Some(id);
                            started
                        }
                        None => return Ok(Look::waiting("waiting for a scan that somebody else has started")),
                    },
                },
            };
            followed = Some(current.id.clone());
            began = true;
            Ok(match scan::on_demand(&current)? {
                Step::Over => Look::Done(current.status),
                Step::Wait => Look::waiting(format!("scan {}: {}", current.id, current.status)),
            })
        }
    };
    let ended = match config.timeout {
        Some(limit) => poll_within(limit, config.poll, &subject, look),
        None => poll(config.poll, &subject, look),
    };
    ended.map_err(|failure| if began { failure } else { never_scanned(&[ami.to_owned()], NEVER, failure) })
}

fn status(ami: &str, id: &str) -> Result<OnDemandScan, Failure> {
    let request = GetOnDemandScanStatusRequest { machine_image: ami.to_owned(), scan: id.to_owned() };
    Ok(get_on_demand_scan_status(&request).during(format!("looking at the scan {id} of {ami}"))?.scan)
}

/// The scan that counts, where there is one.
fn there(config: &Config, ami: &str) -> Result<Option<OnDemandScan>, Failure> {
    let request = ListOnDemandScansRequest { machine_image: ami.to_owned() };
    let scans = list_on_demand_scans(&request).during(format!("looking for scans of {ami}"))?.scans;
    Ok(scan::counts(scans, Instant::now().0, config.max_age.as_millis()))
}

/// Start a scan. None where one is in progress that was not seen yet.
fn begin(ami: &str) -> Result<Option<String>, Failure> {
    inspector_is_on(ami)?;
    match start_on_demand_scan(&StartOnDemandScanRequest { machine_image: ami.to_owned() }) {
        Ok(started) => {
            log::info(format!("started the scan {} of {ami}", started.scan));
            Ok(Some(started.scan))
        }
        Err(error) if error.kind == ErrorKind::Conflict => Ok(None),
        Err(error) => Err(error).during(format!("starting a scan of {ami}")),
    }
}

/// A failure where Inspector says that it does not scan machine images here: nobody will look, however long one waits.
fn inspector_is_on(ami: &str) -> Result<(), Failure> {
    let request = BatchGetAccountStatusRequest { account: None };
    let status = batch_get_account_status(&request).during("looking whether Inspector scans machine images")?;
    match status.machine_images.as_str() {
        // Regions that do not tell may do it nevertheless.
        "ENABLED" | "ENABLING" | "" => Ok(()),
        off => Err(Failure::rejected(format!(
            "{ami} was never scanned: Inspector's scans of machine images are {off} here"
        ))
        .help(NEVER)),
    }
}

/// What the scan found.
fn found(ami: &str, source: &Source, status: &str) -> Result<Vec<Scan>, Failure> {
    match source {
        Source::Builder(image) => {
            let request = ListImageScanFindingsRequest { image: image.arn.clone() };
            let found = list_image_scan_findings(&request).during(format!("reading the findings of {}", image.arn))?;
            Ok(scan::found_by_builder(status, found.findings))
        }
        Source::OnDemand => {
            let request = ListFindingsRequest {
                machine_images: vec![ami.to_owned()],
                of_instances_from: Vec::new(),
                resources: Vec::new(),
            };
            let found = list_findings(&request).during(format!("reading the findings of {ami}"))?;
            Ok(scan::found_on_demand(status, found.findings))
        }
    }
}

kiln_plugin::export!(ScanAmi);
