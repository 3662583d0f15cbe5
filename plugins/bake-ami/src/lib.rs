//! Bakes a machine image with EC2 Image Builder, or takes one that is there, and looks at what came of it.
//! The main type is [`BakeAmi`]; what a bake's state means is decided in `bake`, whether an image is an equal one in `equal`, what is wrong
//! with a machine image in `check`, and who may use a key in `key`.

mod bake;
mod check;
mod config;
mod equal;
mod key;
mod removal;
mod source;

use std::collections::BTreeMap;

use kiln_plugin::aws::imagebuilder::{
    GetImageRequest, Image, ListWorkflowExecutionsRequest, ListWorkflowStepExecutionsRequest, OutputAmi, get_image,
    list_workflow_executions, list_workflow_step_executions,
};
use kiln_plugin::aws::logs::{GetLogEventsRequest, get_log_events};
use kiln_plugin::aws::{ErrorKind, Pair};
use kiln_plugin::{ChangeAction, Duration, During, Failure, Look, Permission, Plan, Stage, context, log, memory, poll};
use serde::{Deserialize, Serialize};

use crate::bake::{Step, brief};
pub use crate::config::{Config, Elsewhere, Outputs, Unchecked, Using};
use crate::source::{Found, Source};

/// The plugin.
pub struct BakeAmi;

/// What an undo and a later attempt must know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The ARN of the image that this run began.
    pub(crate) image: String,
}

pub(crate) const MEMORY: &str = "image";
/// How much of the end of a failed bake's log is shown.
const LOG_LINES: u32 = 40;

impl Stage for BakeAmi {
    const NAME: &'static str = "bake-ami";
    const SUMMARY: &'static str =
        "Bakes a machine image with EC2 Image Builder, or takes one that is there, and checks each of its copies";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        permissions()
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        config.check()?;
        let source = Source::find(&config)?;
        if let Some(found) = source.existing(&config)? {
            let name = brief(&found.image);
            let plan = Plan::new(format!("takes {name}, which is there already"));
            let plan = plan.change(ChangeAction::Keep, format!("image {name}"), found.why.clone());
            let plan = found.image.amis.iter().fold(plan, |plan, ami| {
                plan.change(
                    ChangeAction::Read,
                    format!("{} in {}", ami.ami, check::place(ami)),
                    "encryption, key and permissions",
                )
            });
            // An image that is wrong now is wrong then.
            let unchecked = check::all(&config, &found.image.amis)?;
            return Ok(plan.outputs(&outputs(&found.image, unchecked, true)?));
        }
        let plan = Plan::new(format!("bakes {}", source.name()));
        let plan = plan.change(ChangeAction::Start, source.name(), source.outline());
        Ok(source.places().into_iter().fold(plan, |plan, place| {
            plan.change(ChangeAction::Create, format!("machine image in {place}"), "by the distribution of the bake")
        }))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        config.check()?;
        let (image, reused) = match earlier()? {
            Some(image) => (follow(&image.arn, config.poll)?, false),
            None => {
                let source = Source::find(&config)?;
                match source.existing(&config)? {
                    Some(Found { image, why }) => {
                        log::info(format!("taking {}: {why}", brief(&image)));
                        (image, true)
                    }
                    None => {
                        let arn = source.start(tags(&config))?;
                        memory::remember(MEMORY, &Remembered { image: arn.clone() })?;
                        log::info(format!("started the bake of {arn}"));
                        (follow(&arn, config.poll)?, false)
                    }
                }
            }
        };
        let unchecked = check::all(&config, &image.amis)?;
        let outputs = outputs(&image, unchecked, reused)?;
        if !image.tags.iter().any(|tag| tag.name == RUN_TAG) || !reused {
            source::tag(&config, &image.amis, &tags(&config))?;
        }
        Ok(outputs)
    }

    fn undo(config: Config) -> Result<String, Failure> {
        removal::undo(&config)
    }
}

fn permissions() -> Vec<Permission> {
    const IMAGES: &str = "arn:${partition}:ec2:${region}::image/*";
    const SNAPSHOTS: &str = "arn:${partition}:ec2:${region}::snapshot/*";
    let elsewhere = |arn: &str| format!("elsewhere:{arn}");
    let builder = |action: &str, reason: &str, resource: &str| {
        Permission::new(&format!("imagebuilder:{action}"), reason).on("imagebuilder", resource)
    };
    vec![
        builder("GetImagePipeline", "to see what the pipeline makes", "image-pipeline/${with.pipeline}"),
        builder("GetImageRecipe", "to see what an image is made of", "image-recipe/*"),
        builder("GetInfrastructureConfiguration", "to bake a recipe on it", "infrastructure-configuration/*"),
        builder(
            "GetDistributionConfiguration",
            "to see which regions and accounts get the image",
            "distribution-configuration/*",
        ),
        builder("StartImagePipelineExecution", "to start the bake", "image-pipeline/${with.pipeline}"),
        builder("CreateImage", "to start the bake of a recipe", "image/*"),
        builder(
            "TagResource",
            "to tag the image, so that it is found where the answer to its start is lost",
            "image/*",
        ),
        builder(
            "ListImagePipelineImages",
            "to find the images that the pipeline has made",
            "image-pipeline/${with.pipeline}",
        ),
        builder("ListImageBuildVersions", "to find the images of the recipe", "image/*"),
        builder("GetImage", "to follow the bake", "image/*"),
        builder("ListWorkflowExecutions", "to see how far the bake is", "image/*"),
        builder("ListWorkflowStepExecutions", "to name the step that it is in", "workflow-execution/*"),
        builder("CancelImageCreation", "to cancel the bake when the stage is undone", "image/*"),
        builder("DeleteImage", "to delete the image in an undo, where the config says so", "image/*"),
        Permission::new("ssm:GetParameter", "to see whether the parameter that names the parent has changed")
            .on_arn("arn:${partition}:ssm:${region}::parameter/aws/service/*")
            .on("ssm", "parameter/*"),
        Permission::new("logs:GetLogEvents", "to show the end of the log of a bake that failed")
            .on("logs", "log-group:/aws/imagebuilder/*:log-stream:*")
            .on("logs", "log-group:${with.log-group}:log-stream:*"),
        Permission::new("ec2:DescribeImages", "to see that machine images are there, encrypted and not public")
            .on_any()
            .on_any_elsewhere(),
        Permission::new("ec2:DescribeSnapshots", "to see which key they are encrypted with")
            .on_any()
            .on_any_elsewhere(),
        Permission::new("ec2:CreateTags", "to tag machine images with pipeline, run, commit and version")
            .on_arn(IMAGES)
            .on_arn(&elsewhere(IMAGES)),
        Permission::new("ec2:DeregisterImage", "to delete machine images in an undo, where the config says so")
            .on_arn(IMAGES)
            .on_arn(&elsewhere(IMAGES)),
        Permission::new("ec2:DeleteSnapshot", "to delete their snapshots with them")
            .on_arn(SNAPSHOTS)
            .on_arn(&elsewhere(SNAPSHOTS)),
        Permission::new("kms:DescribeKey", "to find the key that must be used")
            .on("kms", "key/*")
            .on("kms", "alias/*")
            .on_elsewhere("kms", "key/*")
            .on_elsewhere("kms", "alias/*"),
        Permission::new("kms:GetKeyPolicy", "to see whether Auto Scaling may use the key")
            .on("kms", "key/*")
            .on_elsewhere("kms", "key/*"),
        Permission::new("kms:ListGrants", "to see whether Auto Scaling may use the key")
            .on("kms", "key/*")
            .on_elsewhere("kms", "key/*"),
    ]
}

/// The tag that names the run.
const RUN_TAG: &str = "kiln:run";

/// What images and machine images are tagged with.
fn tags(config: &Config) -> Vec<Pair> {
    let here = context::get();
    let own = [
        ("kiln:pipeline", Some(here.pipeline)),
        (RUN_TAG, Some(here.run_id)),
        ("kiln:stage", Some(here.stage)),
        ("kiln:commit", config.commit.clone()),
        ("kiln:version", config.version.clone()),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let all: BTreeMap<String, String> = config.tags.clone().into_iter().chain(own).collect();
    all.into_iter().map(|(name, value)| Pair { name, value }).collect()
}

/// The image that an earlier attempt of this stage began, where it is made or goes on.
fn earlier() -> Result<Option<Image>, Failure> {
    let Some(Remembered { image: arn }) = memory::recall(MEMORY)? else { return Ok(None) };
    let Some(image) = get(&arn)? else { return Ok(None) };
    match bake::step(&image) {
        Step::Wait | Step::Made => {
            log::info(format!("following {} of an earlier attempt ({})", brief(&image), image.status));
            Ok(Some(image))
        }
        Step::Failed(failure) => {
            log::info(format!("of an earlier attempt, {}", failure.message));
            Ok(None)
        }
    }
}

/// An image; none where there is none.
pub(crate) fn get(arn: &str) -> Result<Option<Image>, Failure> {
    match get_image(&GetImageRequest { image: arn.to_owned() }) {
        Ok(response) => Ok(Some(response.image)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during(format!("looking at {arn}")),
    }
}

/// Follow a bake to its end.
fn follow(arn: &str, every: Duration) -> Result<Image, Failure> {
    poll(every, &format!("the bake of {arn}"), || {
        // An image can be read a moment after it was begun.
        let Some(image) = get(arn)? else { return Ok(Look::waiting("waiting for the image to appear")) };
        match bake::step(&image) {
            Step::Made => Ok(Look::Done(image)),
            Step::Failed(failure) => Err(with_evidence(failure, &image)),
            Step::Wait => {
                let (message, counted) = where_it_is(&image)?;
                Ok(match counted {
                    Some((done, all)) => Look::counted(message, done, all),
                    None => Look::waiting(message),
                })
            }
        }
    })
    .map_err(|failure| match failure.help {
        Some(_) => failure,
        None => failure.help("The bake goes on; `kiln undo` cancels it."),
    })
}

/// How far a bake is.
fn where_it_is(image: &Image) -> Result<(String, Option<(u32, u32)>), Failure> {
    let request = ListWorkflowExecutionsRequest { image: image.arn.clone() };
    let executions =
        list_workflow_executions(&request).during(format!("looking how far {} is", brief(image)))?.executions;
    let current = bake::current(&executions);
    let steps = match current {
        Some(workflow) => {
            let request = ListWorkflowStepExecutionsRequest { execution: workflow.id.clone() };
            list_workflow_step_executions(&request).during(format!("looking at the steps of {}", workflow.id))?.steps
        }
        None => Vec::new(),
    };
    Ok(bake::progress(image, current, &steps))
}

/// A failure with what the step that failed says, and the end of the log. What cannot be read must not hide why the bake failed.
fn with_evidence(failure: Failure, image: &Image) -> Failure {
    let executions = list_workflow_executions(&ListWorkflowExecutionsRequest { image: image.arn.clone() });
    let executions = executions.map(|response| response.executions).unwrap_or_default();
    let steps = bake::current(&executions).map(|workflow| {
        let request = ListWorkflowStepExecutionsRequest { execution: workflow.id.clone() };
        list_workflow_step_executions(&request).map(|response| response.steps).unwrap_or_default()
    });
    let failure = failure.details(bake::failed_step(&steps.unwrap_or_default()));
    let (group, stream) = (bake::log_group(image), image.version.clone());
    let request = GetLogEventsRequest { log_group: group.clone(), log_stream: stream.clone(), limit: LOG_LINES };
    match get_log_events(&request) {
        Ok(response) => failure.details(bake::log_lines(&group, &stream, &response.events)),
        Err(error) => failure.detail(bake::without_log(&group, &stream, &error)),
    }
}

/// What the stage answers.
fn outputs(image: &Image, unchecked: Vec<String>, reused: bool) -> Result<Outputs, Failure> {
    let here = context::get();
    let of = |ami: &OutputAmi| (check::place(ami), ami.ami.clone());
    let own = |ami: &&OutputAmi| ami.account == here.account;
    let regions: BTreeMap<String, String> =
        image.amis.iter().filter(own).map(|ami| (ami.region.clone(), ami.ami.clone())).collect();
    let ami = regions.get(&here.region).cloned().ok_or_else(|| {
        let name = brief(image);
        Failure::failed(format!("{name} has no machine image in account {} and region {}", here.account, here.region))
            .help("Let the distribution configuration name this region, or give the stage the `environment` that gets the image.")
            .details(image.amis.iter().map(|ami| format!("{} in {}", ami.ami, check::place(ami))))
    })?;
    Ok(Outputs {
        ami,
        amis: image.amis.iter().map(of).collect(),
        regions,
        unchecked,
        image: image.arn.clone(),
        version: image.version.clone(),
        recipe: image.recipe.as_ref().map(|recipe| recipe.arn.clone()),
        reused,
    })
}

kiln_plugin::export!(BakeAmi);
