//! Bakes are begun and cancelled.
//!
//! The main types are [`StartImagePipelineExecutionRequest`] and [`CreateImageRequest`]. Both tag the image with the call's token, by
//! which it is found where the answer is lost: AWS does not say for how long it knows a client token.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_imagebuilder::types as sdk;

use super::configurations::{DISTRIBUTION, INFRASTRUCTURE};
use super::images::check_build;
use super::{IMAGE, PIPELINE, RECIPE};
use crate::aws::clients::Clients;

use crate::aws::error::{AwsError, ErrorKind, from_sdk, invalid};
use crate::aws::look::Look;
use crate::aws::names;
use crate::aws::operation::{Fate, Operation, RetryClass, TOKEN_TAG, Token, Unanswered, Write};
use crate::aws::values::incomplete;
use crate::contract::bindings::kiln::aws::types::Pair;
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    CancelImageCreationRequest, CancelImageCreationResponse, CreateImageRequest, CreateImageResponse, GetImageRequest,
    ImageSummary, ListImageBuildVersionsRequest, ListImagePipelineImagesRequest, StartImagePipelineExecutionRequest,
    StartImagePipelineExecutionResponse,
};
use crate::types::{Arn, Place};

/// For how long a token is trusted to be known. Afterwards the image is looked for.
const TOKEN_LASTS: Duration = Duration::from_secs(240);

/// Tags as AWS takes them, with the one that the image is found by.
fn tagged(tags: &[Pair], token: &Token) -> Result<HashMap<String, String>, AwsError> {
    let mut all = HashMap::from([(TOKEN_TAG.to_owned(), token.as_str().to_owned())]);
    for tag in tags {
        if all.insert(tag.name.clone(), tag.value.clone()).is_some() {
            return Err(invalid(format_args!("the tag {:?} is given twice, or is kiln's own", tag.name)));
        }
    }
    Ok(all)
}

/// The image among these that carries the call's token.
fn ours(images: Vec<ImageSummary>, token: &Token) -> Option<String> {
    let carries = |tag: &Pair| tag.name == TOKEN_TAG && tag.value == token.as_str();
    images.into_iter().find(|image| image.tags.iter().any(carries)).map(|image| image.arn)
}

/// What became of the start of an image that is `found`, or not, by its token.
fn found<T>(found: Option<String>, what: &str, output: impl FnOnce(String) -> T) -> Fate<T> {
    match found {
        Some(image) => {
            let evidence = format!("{image} carries the call's token");
            Fate::Happened { output: output(image), evidence }
        }
        None => Fate::NotHappened { evidence: format!("no image of {what} carries the call's token") },
    }
}

impl Operation for StartImagePipelineExecutionRequest {
    type Output = StartImagePipelineExecutionResponse;
    const ACTION: &'static str = "imagebuilder:StartImagePipelineExecution";
    const REQUIRES: &'static [&'static str] = &["imagebuilder:GetImagePipeline", "imagebuilder:TagResource"];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![PIPELINE.arn(at, &self.pipeline)]
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        // The image is named after the recipe, which the request does not name.
        let images = match self.resources(at).first() {
            Some(pipeline) => names::beside(pipeline, "image/*"),
            None => names::here(at, "imagebuilder", "image/*"),
        };
        vec![("imagebuilder:GetImagePipeline", self.resources(at)), ("imagebuilder:TagResource", vec![images])]
    }
}

impl Write for StartImagePipelineExecutionRequest {
    const RETRY: RetryClass = RetryClass::Token;
    const TOKEN_LASTS: Duration = TOKEN_LASTS;
    const LOOKS: &'static [&'static str] = &["imagebuilder:ListImagePipelineImages"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        PIPELINE.check_arn(&self.pipeline)?;
        let request = aws.imagebuilder().start_image_pipeline_execution().image_pipeline_arn(&self.pipeline);
        let request = request.set_tags(Some(tagged(&self.tags, token)?)).client_token(token.as_str());
        let started = request.send().await.map_err(from_sdk)?;
        let image = started.image_build_version_arn.ok_or_else(|| incomplete("the image"))?;
        Ok(StartImagePipelineExecutionResponse { image })
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if unanswered.age < Self::TOKEN_LASTS && !unanswered.given_up {
            return Ok(Fate::SendAgain);
        }
        let images = look.read(&ListImagePipelineImagesRequest { pipeline: self.pipeline.clone() }).await?.images;
        let what = format!("the pipeline {}", self.pipeline);
        Ok(found(ours(images, unanswered.token), &what, |image| StartImagePipelineExecutionResponse { image }))
    }
}

impl CreateImageRequest {
    /// The version of the image that the recipe makes: it has the recipe's name and version.
    fn version(&self, at: Option<&Place>) -> Option<Arn> {
        let recipe = match at {
            Some(at) => RECIPE.arn(at, &self.recipe),
            None => self.recipe.parse().ok()?,
        };
        let name = recipe.resource().strip_prefix(RECIPE.before)?;
        Some(names::beside(&recipe, &format!("{}{name}", IMAGE.before)))
    }
}

impl Operation for CreateImageRequest {
    type Output = CreateImageResponse;
    const ACTION: &'static str = "imagebuilder:CreateImage";
    const REQUIRES: &'static [&'static str] = &[
        "imagebuilder:GetImageRecipe",
        "imagebuilder:GetInfrastructureConfiguration",
        "imagebuilder:GetDistributionConfiguration",
        "imagebuilder:TagResource",
    ];

    fn resources(&self, at: &Place) -> Vec<Arn> {
        let version = self.version(Some(at)).unwrap_or_else(|| RECIPE.arn(at, &self.recipe));
        vec![names::beside(&version, &format!("{}/*", version.resource()))]
    }

    fn requires(&self, at: &Place) -> Vec<(&'static str, Vec<Arn>)> {
        let mut required = vec![
            ("imagebuilder:GetImageRecipe", vec![RECIPE.arn(at, &self.recipe)]),
            ("imagebuilder:GetInfrastructureConfiguration", vec![INFRASTRUCTURE.arn(at, &self.infrastructure)]),
            ("imagebuilder:TagResource", self.resources(at)),
        ];
        if let Some(distribution) = &self.distribution {
            required.push(("imagebuilder:GetDistributionConfiguration", vec![DISTRIBUTION.arn(at, distribution)]));
        }
        required
    }
}

impl Write for CreateImageRequest {
    const RETRY: RetryClass = RetryClass::Token;
    const TOKEN_LASTS: Duration = TOKEN_LASTS;
    const LOOKS: &'static [&'static str] = &["imagebuilder:ListImageBuildVersions"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        RECIPE.check_arn(&self.recipe)?;
        INFRASTRUCTURE.check_arn(&self.infrastructure)?;
        if let Some(distribution) = &self.distribution {
            DISTRIBUTION.check_arn(distribution)?;
        }
        let tests = self.tests.map(|tests| sdk::ImageTestsConfiguration::builder().image_tests_enabled(tests).build());
        let scans =
            self.scans.map(|scans| sdk::ImageScanningConfiguration::builder().image_scanning_enabled(scans).build());
        let created = aws
            .imagebuilder()
            .create_image()
            .image_recipe_arn(&self.recipe)
            .infrastructure_configuration_arn(&self.infrastructure)
            .set_distribution_configuration_arn(self.distribution.clone())
            .set_image_tests_configuration(tests)
            .set_image_scanning_configuration(scans)
            .set_tags(Some(tagged(&self.tags, token)?))
            .client_token(token.as_str())
            .send()
            .await
            .map_err(from_sdk)?;
        let image = created.image_build_version_arn.ok_or_else(|| incomplete("the image"))?;
        Ok(CreateImageResponse { image })
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        if unanswered.age < Self::TOKEN_LASTS && !unanswered.given_up {
            return Ok(Fate::SendAgain);
        }
        let version = self.version(None).ok_or_else(|| invalid(format_args!("{:?} is no recipe", self.recipe)))?;
        let images = match look.read(&ListImageBuildVersionsRequest { version: version.to_string() }).await {
            Ok(found) => found.images,
            // Nothing was ever made of the recipe.
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let what = format!("the recipe {}", self.recipe);
        Ok(found(ours(images, unanswered.token), &what, |image| CreateImageResponse { image }))
    }
}

/// The states of an image that is being made.
const UNDER_WAY: [&str; 6] = ["PENDING", "CREATING", "BUILDING", "TESTING", "DISTRIBUTING", "INTEGRATING"];

impl Operation for CancelImageCreationRequest {
    type Output = CancelImageCreationResponse;
    const ACTION: &'static str = "imagebuilder:CancelImageCreation";

    fn resources(&self, at: &Place) -> Vec<Arn> {
        vec![IMAGE.arn(at, &self.image)]
    }
}

impl Write for CancelImageCreationRequest {
    const RETRY: RetryClass = RetryClass::Token;
    const TOKEN_LASTS: Duration = TOKEN_LASTS;
    const LOOKS: &'static [&'static str] = &["imagebuilder:GetImage"];

    async fn send(&self, aws: &Clients, token: &Token) -> Result<Self::Output, AwsError> {
        check_build(&self.image)?;
        let request = aws.imagebuilder().cancel_image_creation().image_build_version_arn(&self.image);
        let cancelled = request.client_token(token.as_str()).send().await.map_err(from_sdk)?;
        let image = cancelled.image_build_version_arn.unwrap_or_else(|| self.image.clone());
        Ok(CancelImageCreationResponse { image })
    }

    async fn fate(&self, look: &Look, unanswered: &Unanswered<'_>) -> Result<Fate<Self::Output>, AwsError> {
        let image = look.read(&GetImageRequest { image: self.image.clone() }).await?.image;
        let evidence = format!("the image's status is {}", image.status);
        Ok(match image.status.as_str() {
            "CANCELLED" => {
                Fate::Happened { output: CancelImageCreationResponse { image: self.image.clone() }, evidence }
            }
            // One that is being cancelled can be told so again.
            status if UNDER_WAY.contains(&status) && !unanswered.given_up => Fate::SendAgain,
            _ => Fate::NotHappened { evidence },
        })
    }
}
