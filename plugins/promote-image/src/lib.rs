//! Has an image in another account's or region's registry: copies it by its digest, or waits until ECR has replicated it.
//! The main type is [`PromoteImage`]; what belongs to an image is found in `tree`, what is there already in `target`.

mod config;
mod copying;
mod removal;
mod replication;
mod target;
mod tree;

use kiln_plugin::{
    ChangeAction, Failure, Known, Permission, PinnedImage, Plan, Stage, context, elsewhere, log, memory,
};

use crate::config::By;
pub use crate::config::{Config, Outputs};
use crate::copying::{Copying, brief, size};
use crate::removal::{PUT, Put};
use crate::target::Lack;
use crate::tree::Tree;

/// The plugin.
pub struct PromoteImage;

impl Stage for PromoteImage {
    const NAME: &'static str = "promote-image";
    const SUMMARY: &'static str = "Has an image in another account's or region's registry, by its digest";
    const UNDOABLE: bool = true;
    type Config = Config;
    type Outputs = Outputs;

    fn permissions() -> Vec<Permission> {
        let (target, source) = ("repository/${with.repository}", "repository/${image-repository(with.image)}");
        vec![
            Permission::new("ecr:DescribeRepositories", "to find the repository that it goes to").on("ecr", target),
            Permission::new("ecr:BatchGetImage", "to see what belongs to the image, and what of it is there already")
                .on("ecr", target)
                .on_elsewhere("ecr", source),
            Permission::new("ecr:DescribeImages", "to find what is about the image, and tags before it is removed")
                .on("ecr", target)
                .on_elsewhere("ecr", source),
            Permission::new("ecr:GetDownloadUrlForLayer", "to get layers").on_elsewhere("ecr", source),
            Permission::new("ecr:DescribeImageReplicationStatus", "to wait for ECR's own replication")
                .on_elsewhere("ecr", source),
            Permission::new("ecr:BatchCheckLayerAvailability", "to see which layers are there already")
                .on("ecr", target),
            Permission::new("ecr:InitiateLayerUpload", "to copy layers").on("ecr", target),
            Permission::new("ecr:UploadLayerPart", "to copy layers").on("ecr", target),
            Permission::new("ecr:CompleteLayerUpload", "to copy layers").on("ecr", target),
            Permission::new("ecr:PutImage", "to put the image where its layers are").on("ecr", target),
            Permission::new("ecr:BatchDeleteImage", "to remove the copy in an undo, where the config says so")
                .on("ecr", target),
        ]
    }

    fn plan(config: Config) -> Result<Plan, Failure> {
        let uri = target::uri(&config.repository)?;
        let image = match &config.image {
            Known::Now(image) => image,
            Known::After(stage) => {
                let summary = format!("has the image of {stage} in {uri}; what belongs to it is known after {stage}");
                return Ok(Plan::new(summary));
            }
        };
        let tree = source(&config, image)?;
        let outputs = outputs(&config, image, &uri, 0, 0);
        let plan = match config.by {
            By::Copy => planned_copy(&config, image, &tree, &uri),
            By::Replication => planned_replication(&config, image, &tree),
        };
        plan.map(|plan| plan.outputs(&outputs))
    }

    fn run(config: Config) -> Result<Outputs, Failure> {
        let image = config.image.get()?;
        let uri = target::uri(&config.repository)?;
        let tree = source(&config, image)?;
        if config.by == By::Replication {
            is_own_name(&config, image)?;
            replication::wait(image, &config.elsewhere.environment, &tree.digests(), config.poll)?;
            tag(&config, image, &tree)?;
            return Ok(outputs(&config, image, &uri, 0, 0));
        }
        let lack = Lack::find(&config.repository, &tree)?;
        let put = Put {
            digests: lack.items.iter().map(|(item, _)| item.digest.clone()).collect(),
            tags: lack.items.iter().filter_map(|(item, _)| item.tag.clone()).chain(config.tag.clone()).collect(),
        };
        // An attempt before this one may have put some of it.
        let put = put.with(memory::recall(PUT)?);
        memory::remember(PUT, &put)?;
        let copying = Copying::new(&config.repository, &config.elsewhere.environment, &image.repository.name);
        let bytes = copying.run(&lack, &image.digest, config.tag.as_deref())?;
        if lack.items.iter().all(|(item, _)| item.digest != image.digest) {
            tag(&config, image, &tree)?;
        }
        let images = u32::try_from(lack.items.len()).unwrap_or(u32::MAX);
        match images {
            0 => log::info(format!("{} is in {} already", image.brief(), config.repository)),
            _ => log::info(format!("copied {} to {}: {}", image.brief(), config.repository, size(bytes))),
        }
        Ok(outputs(&config, image, &uri, images, bytes))
    }

    fn undo(config: Config) -> Result<String, Failure> {
        removal::undo(&config)
    }
}

/// All that belongs to the image, read where it comes from.
fn source(config: &Config, image: &PinnedImage) -> Result<Tree, Failure> {
    elsewhere::within(&config.elsewhere.environment, |there| {
        let of = &image.repository;
        if of.account != there.account || of.region != there.region {
            return Err(Failure::config(format!(
                "{} is in the registry of account {} in {}, but this stage acts in account {} and {} to read it",
                image.brief(),
                of.account,
                of.region,
                there.account,
                there.region
            ))
            .help("Name the environment of the image's account and region in `elsewhere`."));
        }
        Tree::read(image, config.referrers)
    })
}

/// ECR replicates under the same name.
fn is_own_name(config: &Config, image: &PinnedImage) -> Result<(), Failure> {
    let name = &image.repository.name;
    if *name == config.repository {
        return Ok(());
    }
    Err(Failure::not_found(format!("ECR replicates {name} under its own name: {} never has it", config.repository))
        .help(format!("Say `repository = \"{name}\"`, or `by = \"copy\"`.")))
}

/// Tag the image, which is there, where the config wants that.
fn tag(config: &Config, image: &PinnedImage, tree: &Tree) -> Result<(), Failure> {
    let item = tree.items.iter().find(|item| item.digest == image.digest);
    match (item, config.tag.as_deref()) {
        (Some(item), Some(tag)) => copying::put(&config.repository, item, Some(tag)),
        _ => Ok(()),
    }
}

fn planned_copy(config: &Config, image: &PinnedImage, tree: &Tree, uri: &str) -> Result<Plan, Failure> {
    let lack = Lack::find(&config.repository, tree)?;
    let (layers, bytes) = lack.layers();
    let summary = match lack.items.len() {
        0 => format!("{} is in {uri} already", image.brief()),
        images => format!(
            "copies {} to {uri}: {}, {} of {}",
            image.brief(),
            count(images, "image"),
            size(bytes),
            count(layers, "layer")
        ),
    };
    let mut plan = Plan::new(summary);
    for (item, layers) in &lack.items {
        let bytes = layers.iter().map(|(_, size)| size).sum();
        let left = item.layers.len() - layers.len();
        let there = if left > 0 { format!("; {} there already", count(left, "layer")) } else { String::new() };
        let detail = format!("{}, {}{there}", count(layers.len(), "layer"), size(bytes));
        plan = plan.change(ChangeAction::Create, subject(config, &item.what, &item.digest), detail);
    }
    for item in &lack.there {
        plan = plan.change(ChangeAction::Keep, subject(config, &item.what, &item.digest), "it is there already");
    }
    let Some(tag) = &config.tag else { return Ok(plan) };
    let name = format!("tag {}:{tag}", config.repository);
    Ok(match target::tagged(&config.repository, tag)? {
        Some(digest) if digest == image.digest => plan.change(ChangeAction::Keep, name, "it names the image already"),
        Some(digest) => plan.change(ChangeAction::Update, name, format!("from {}", brief(&digest))),
        None => plan.change(ChangeAction::Create, name, image.short_digest()),
    })
}

fn planned_replication(config: &Config, image: &PinnedImage, tree: &Tree) -> Result<Plan, Failure> {
    is_own_name(config, image)?;
    let replicas = elsewhere::within(&config.elsewhere.environment, |_| replication::replicas(image))?;
    let here = context::get();
    let state = match replication::state(&replicas, &here.account, &here.region) {
        replication::State::None => "is not replicated here: the run will fail",
        replication::State::Waiting => "is on its way",
        replication::State::Complete => "is here",
        replication::State::Failed(_) => "could not be replicated: the run will fail",
    };
    let summary = format!("waits until ECR has replicated {} to {}: it {state}", image.brief(), config.repository);
    let there = target::there(&config.repository, &tree.digests())?;
    Ok(tree.items.iter().fold(Plan::new(summary), |plan, item| {
        let detail = if there.contains(&item.digest) { "it is there already" } else { "ECR brings it" };
        plan.change(ChangeAction::Read, subject(config, &item.what, &item.digest), detail)
    }))
}

fn subject(config: &Config, what: &str, digest: &str) -> String {
    format!("{what} {}@{}", config.repository, brief(digest))
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn outputs(config: &Config, image: &PinnedImage, uri: &str, images: u32, bytes: u64) -> Outputs {
    Outputs {
        image: format!("{uri}@{}", image.digest),
        repository: config.repository.clone(),
        digest: image.digest.clone(),
        images,
        bytes,
    }
}

kiln_plugin::export!(PromoteImage);
