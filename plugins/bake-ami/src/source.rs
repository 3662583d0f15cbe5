//! What is baked: a pipeline or a recipe; and images of it that are there already.
//! The main type is [`Source`].

use std::collections::BTreeSet;

use kiln_plugin::aws::ec2::{CreateTagsRequest, create_tags};
use kiln_plugin::aws::imagebuilder::{
    CreateImageRequest, Distribution, GetDistributionConfigurationRequest, GetImagePipelineRequest,
    GetImagePipelineResponse, GetImageRecipeRequest, Image, ImageRecipe, ImageSummary, ListImageBuildVersionsRequest,
    ListImagePipelineImagesRequest, OutputAmi, StartImagePipelineExecutionRequest, create_image,
    get_distribution_configuration, get_image_pipeline, get_image_recipe, list_image_build_versions,
    list_image_pipeline_images, start_image_pipeline_execution,
};
use kiln_plugin::aws::ssm::{GetParameterRequest, get_parameter};
use kiln_plugin::aws::{ErrorKind, Pair};
use kiln_plugin::{During, Failure, Instant, context, elsewhere, log};

use crate::config::{Config, Using};
use crate::equal::{self, Wanted};
use crate::{bake, get};

/// How many images are looked at for an equal one.
const LOOKED_AT: usize = 10;

/// What is baked.
#[derive(Debug)]
pub(crate) struct Source {
    pipeline: Option<GetImagePipelineResponse>,
    recipe: ImageRecipe,
    /// ARNs.
    infrastructure: String,
    distribution: Option<String>,
    distributions: Option<Vec<Distribution>>,
    tests: bool,
    scans: bool,
}

/// An image that is there, and why it is taken.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) image: Image,
    pub(crate) why: String,
}

fn arn(kind: &str, name: &str) -> String {
    let here = context::get();
    format!("arn:{}:imagebuilder:{}:{}:{kind}/{name}", here.partition, here.region, here.account)
}

fn missing(what: &str, name: &str) -> Failure {
    let here = context::get();
    Failure::not_found(format!(
        "Image Builder has no {what} {name} in account {} and region {}",
        here.account, here.region
    ))
    .help("Correct its name, or create it: kiln starts bakes but makes no pipelines or recipes.")
}

impl Source {
    /// Read what the config names.
    pub(crate) fn find(config: &Config) -> Result<Self, Failure> {
        let pipeline = match &config.pipeline {
            Some(name) => {
                let request = GetImagePipelineRequest { pipeline: arn("image-pipeline", name) };
                Some(match get_image_pipeline(&request) {
                    Ok(pipeline) => pipeline,
                    Err(error) if error.kind == ErrorKind::NotFound => return Err(missing("pipeline", name)),
                    Err(error) => return Err(error).during(format!("looking for the pipeline {name}")),
                })
            }
            None => None,
        };
        let named = config.recipe.as_ref().map(|recipe| arn("image-recipe", &recipe.name));
        let recipe = pipeline.as_ref().and_then(|pipeline| pipeline.recipe.clone()).or(named);
        let recipe = recipe.ok_or_else(|| {
            Failure::config("the pipeline makes container images, not machine images")
                .help("Use `build-image` for those.")
        })?;
        let recipe = match get_image_recipe(&GetImageRecipeRequest { recipe: recipe.clone() }) {
            Ok(response) => response.recipe,
            Err(error) if error.kind == ErrorKind::NotFound => return Err(missing("recipe", &recipe)),
            Err(error) => return Err(error).during(format!("looking for the recipe {recipe}")),
        };
        let distribution = match &pipeline {
            Some(pipeline) => pipeline.distribution.clone(),
            None => {
                let named = config.recipe.as_ref().and_then(|recipe| recipe.distribution.as_ref());
                named.map(|name| arn("distribution-configuration", name))
            }
        };
        let distributions = match &distribution {
            Some(distribution) => {
                let request = GetDistributionConfigurationRequest { distribution: distribution.clone() };
                let found = get_distribution_configuration(&request).during(format!("looking at {distribution}"))?;
                Some(found.distributions)
            }
            None => None,
        };
        let (infrastructure, tests, scans) = match (&pipeline, &config.recipe) {
            (Some(pipeline), _) => (pipeline.infrastructure.clone(), pipeline.tests, pipeline.scans),
            (None, Some(recipe)) => {
                (arn("infrastructure-configuration", &recipe.infrastructure), recipe.tests, recipe.scans)
            }
            (None, None) => return Err(Failure::internal("a config without pipeline and recipe was not refused")),
        };
        Ok(Self { pipeline, recipe, infrastructure, distribution, distributions, tests, scans })
    }

    /// As people name it.
    pub(crate) fn name(&self) -> String {
        match &self.pipeline {
            Some(pipeline) => format!("image pipeline {}", pipeline.name),
            None => format!("image recipe {} {}", self.recipe.name, self.recipe.version),
        }
    }

    /// What it is made of.
    pub(crate) fn outline(&self) -> String {
        let tested = if self.tests { "tested" } else { "not tested" };
        let components = kiln_plugin::count(self.recipe.components.len(), "component");
        format!("{} {} on {}: {components}, {tested}", self.recipe.name, self.recipe.version, self.recipe.parent)
    }

    /// The places that get it.
    pub(crate) fn places(&self) -> BTreeSet<String> {
        let here = context::get();
        equal::places(self.distributions.as_deref(), &here.account, &here.region)
    }

    /// Begin a bake, and tell the ARN of the image.
    pub(crate) fn start(&self, tags: Vec<Pair>) -> Result<String, Failure> {
        let name = self.name();
        match &self.pipeline {
            Some(pipeline) => {
                let request = StartImagePipelineExecutionRequest { pipeline: pipeline.arn.clone(), tags };
                Ok(start_image_pipeline_execution(&request).during(format!("starting the {name}"))?.image)
            }
            None => {
                let request = CreateImageRequest {
                    recipe: self.recipe.arn.clone(),
                    infrastructure: self.infrastructure.clone(),
                    distribution: self.distribution.clone(),
                    tests: Some(self.tests),
                    scans: Some(self.scans),
                    tags,
                };
                Ok(create_image(&request).during(format!("starting the bake of the {name}"))?.image)
            }
        }
    }

    /// The image that is taken in the place of a bake; none where one must be baked. A failure where the newest of the schedule is wanted
    /// and there is none.
    pub(crate) fn existing(&self, config: &Config) -> Result<Option<Found>, Failure> {
        match (config.using, config.reuse) {
            (Using::Latest, _) => self.latest(config).map(Some),
            (Using::New, true) => self.equal(config),
            (Using::New, false) => Ok(None),
        }
    }

    /// All images of the pipeline, or of the recipe.
    fn images(&self) -> Result<Vec<ImageSummary>, Failure> {
        let during = format!("looking for images of the {}", self.name());
        if let Some(pipeline) = &self.pipeline {
            let request = ListImagePipelineImagesRequest { pipeline: pipeline.arn.clone() };
            return Ok(list_image_pipeline_images(&request).during(during)?.images);
        }
        let version = self.recipe.arn.replacen(":image-recipe/", ":image/", 1);
        match list_image_build_versions(&ListImageBuildVersionsRequest { version }) {
            Ok(response) => Ok(response.images),
            // Nothing was ever made of it.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).during(during),
        }
    }

    fn candidates(&self, config: &Config, scheduled: bool) -> Result<Vec<ImageSummary>, Failure> {
        let max_age = config.max_age.map(|age| age.as_millis());
        Ok(equal::candidates(self.images()?, scheduled, Instant::now().0, max_age))
    }

    /// The newest image that the schedule has made.
    fn latest(&self, config: &Config) -> Result<Found, Failure> {
        let name = self.name();
        let newest = self.candidates(config, true)?.into_iter().next();
        let none = || {
            let age = config.max_age.map(|age| format!(" within {age}")).unwrap_or_default();
            let schedule = self.pipeline.as_ref().and_then(|pipeline| pipeline.schedule.as_deref());
            let schedule = match schedule {
                Some(schedule) => format!("its schedule is {schedule}"),
                None => "it has no schedule".to_owned(),
            };
            Failure::not_found(format!("the schedule of the {name} has made no image{age}"))
                .help("See in Image Builder why it does not run or why its bakes fail; or say `use = \"new\"`, and bake one here.")
                .detail(schedule)
        };
        let newest = newest.ok_or_else(none)?;
        let image = get(&newest.arn)?.ok_or_else(none)?;
        match bake::step(&image) {
            bake::Step::Failed(failure) => Err(failure),
            bake::Step::Wait | bake::Step::Made => {
                Ok(Found { image, why: format!("it is the newest that the schedule of the {name} has made") })
            }
        }
    }

    /// An image that was made as one would be that is baked now.
    fn equal(&self, config: &Config) -> Result<Option<Found>, Failure> {
        if let Some(why) = equal::untold(&self.recipe) {
            log::info(format!("no image is reused: {why}"));
            return Ok(None);
        }
        let wanted = Wanted {
            recipe: self.recipe.clone(),
            tests: self.tests,
            places: self.places(),
            parent_changed: self.parent_changed()?,
        };
        for summary in self.candidates(config, false)?.into_iter().take(LOOKED_AT) {
            let Some(image) = get(&summary.arn)? else { continue };
            match equal::differs(&wanted, &image) {
                None => {
                    let why = format!(
                        "it is equal: of {} {}, with the same components, on {}",
                        self.recipe.name, self.recipe.version, self.recipe.parent
                    );
                    return Ok(Some(Found { image, why }));
                }
                Some(why) => log::debug(format!("{} is not reused: {why}", bake::brief(&image))),
            }
        }
        Ok(None)
    }

    /// When the parameter that names the parent last changed; none where no parameter does, or where it is not there.
    fn parent_changed(&self) -> Result<Option<u64>, Failure> {
        let Some(name) = equal::parent_parameter(&self.recipe) else { return Ok(None) };
        match get_parameter(&GetParameterRequest { name: name.to_owned() }) {
            Ok(response) => Ok(response.parameter.modified),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).during(format!("looking at the parameter {name}, which names the parent")),
        }
    }
}

/// Tag the machine images, where the stage reaches them. Where it does not, nobody is told more than that they were not looked at.
pub(crate) fn tag(config: &Config, amis: &[OutputAmi], tags: &[Pair]) -> Result<(), Failure> {
    let here = context::get();
    let of = |account: &str, region: &str| -> Vec<String> {
        let there = |ami: &&OutputAmi| ami.account == account && ami.region == region;
        amis.iter().filter(there).map(|ami| ami.ami.clone()).collect()
    };
    let set = |resources: Vec<String>, place: &str| -> Result<(), Failure> {
        if resources.is_empty() {
            return Ok(());
        }
        let request = CreateTagsRequest { resources, tags: tags.to_vec() };
        create_tags(&request).during(format!("tagging the machine images in {place}"))?;
        Ok(())
    };
    set(of(&here.account, &here.region), &format!("{}/{}", here.account, here.region))?;
    for there in elsewhere::all() {
        let named = config.elsewhere.iter().any(|one| one.environment == there.name);
        let resources = of(&there.account, &there.region);
        if named && !resources.is_empty() {
            let place = format!("{}/{}", there.account, there.region);
            elsewhere::within(&there.name, |_| set(resources, &place))?;
        }
    }
    Ok(())
}
