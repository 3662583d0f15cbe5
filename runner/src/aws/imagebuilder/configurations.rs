//! What images are made by: pipelines, recipes, infrastructure and distribution.
//!
//! The main type is [`GetImagePipelineRequest`].

use aws_sdk_imagebuilder::types as sdk;

use super::images::{PAGE, by_name};
use super::{PIPELINE, RECIPE, instant, pairs};
use crate::aws::clients::Clients;
use crate::aws::error::{AwsError, from_sdk};
use crate::aws::limits::gather;
use crate::aws::names::ResourceKind;
use crate::aws::operation::{Read, heads};
use crate::aws::values::{incomplete, list, word};
use crate::contract::bindings::kiln::aws_imagebuilder::imagebuilder::{
    ComponentParameter, DistributedParameter, DistributedTemplate, Distribution, GetDistributionConfigurationRequest,
    GetDistributionConfigurationResponse, GetImagePipelineRequest, GetImagePipelineResponse, GetImageRecipeRequest,
    GetImageRecipeResponse, GetInfrastructureConfigurationRequest, GetInfrastructureConfigurationResponse, ImageRecipe,
    ListImageRecipesRequest, ListImageRecipesResponse, RecipeComponent, RecipeSummary, RecipeVolume,
};

pub(super) const INFRASTRUCTURE: ResourceKind =
    ResourceKind::new("imagebuilder", "an infrastructure configuration", "infrastructure-configuration/", "");
pub(super) const DISTRIBUTION: ResourceKind =
    ResourceKind::new("imagebuilder", "a distribution configuration", "distribution-configuration/", "");

heads! {
    GetImagePipelineRequest => GetImagePipelineResponse:
        "imagebuilder:GetImagePipeline" on |it, at| [PIPELINE.arn(at, &it.pipeline)];
    GetImageRecipeRequest => GetImageRecipeResponse:
        "imagebuilder:GetImageRecipe" on |it, at| [RECIPE.arn(at, &it.recipe)];
    ListImageRecipesRequest => ListImageRecipesResponse: "imagebuilder:ListImageRecipes" on |_, _| [];
    GetInfrastructureConfigurationRequest => GetInfrastructureConfigurationResponse:
        "imagebuilder:GetInfrastructureConfiguration" on |it, at| [INFRASTRUCTURE.arn(at, &it.infrastructure)];
    GetDistributionConfigurationRequest => GetDistributionConfigurationResponse:
        "imagebuilder:GetDistributionConfiguration" on |it, at| [DISTRIBUTION.arn(at, &it.distribution)];
}

impl Read for GetImagePipelineRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        PIPELINE.check_arn(&self.pipeline)?;
        let request = aws.imagebuilder().get_image_pipeline().image_pipeline_arn(&self.pipeline);
        let found = request.send().await.map_err(from_sdk)?.image_pipeline;
        let pipeline = found.ok_or_else(|| incomplete("the pipeline"))?;
        let (schedule, condition) = pipeline.schedule.map_or((None, None), |schedule| {
            (schedule.schedule_expression, schedule.pipeline_execution_start_condition)
        });
        let tests = pipeline.image_tests_configuration.and_then(|tests| tests.image_tests_enabled);
        let scans = pipeline.image_scanning_configuration.and_then(|scan| scan.image_scanning_enabled);
        Ok(GetImagePipelineResponse {
            arn: pipeline.arn.unwrap_or_default(),
            name: pipeline.name.unwrap_or_default(),
            status: word(pipeline.status),
            recipe: pipeline.image_recipe_arn,
            infrastructure: pipeline.infrastructure_configuration_arn.unwrap_or_default(),
            distribution: pipeline.distribution_configuration_arn,
            tests: tests.unwrap_or(true),
            scans: scans.unwrap_or(false),
            schedule,
            start_condition: word(condition),
            last_run: instant(pipeline.date_last_run),
            log_group: pipeline.logging_configuration.and_then(|logging| logging.image_log_group_name),
        })
    }
}

impl Read for GetImageRecipeRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        RECIPE.check_arn(&self.recipe)?;
        let request = aws.imagebuilder().get_image_recipe().image_recipe_arn(&self.recipe);
        let found = request.send().await.map_err(from_sdk)?.image_recipe;
        Ok(GetImageRecipeResponse { recipe: recipe(found.ok_or_else(|| incomplete("the recipe"))?) })
    }
}

pub(super) fn recipe(recipe: sdk::ImageRecipe) -> ImageRecipe {
    let component = |component: sdk::ComponentConfiguration| RecipeComponent {
        arn: component.component_arn,
        parameters: list(component.parameters, |parameter: sdk::ComponentParameter| ComponentParameter {
            name: parameter.name,
            values: parameter.value,
        }),
    };
    let volume = |mapping: sdk::InstanceBlockDeviceMapping| {
        let (encrypted, key) = mapping.ebs.map_or((None, None), |ebs| (ebs.encrypted, ebs.kms_key_id));
        RecipeVolume { device: mapping.device_name.unwrap_or_default(), encrypted, key }
    };
    ImageRecipe {
        arn: recipe.arn.unwrap_or_default(),
        name: recipe.name.unwrap_or_default(),
        version: recipe.version.unwrap_or_default(),
        platform: word(recipe.platform),
        parent: recipe.parent_image.unwrap_or_default(),
        components: list(recipe.components, component),
        volumes: list(recipe.block_device_mappings, volume),
    }
}

impl Read for ListImageRecipesRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        let request = aws.imagebuilder().list_image_recipes().owner(sdk::Ownership::SelfValue);
        let request = request.set_filters(by_name(self.name.as_deref())?).max_results(PAGE);
        let recipes = gather("recipes", request.into_paginator().send(), |page| {
            list(page.image_recipe_summary_list, |recipe: sdk::ImageRecipeSummary| RecipeSummary {
                arn: recipe.arn.unwrap_or_default(),
                name: recipe.name.unwrap_or_default(),
                parent: recipe.parent_image.unwrap_or_default(),
                created: instant(recipe.date_created),
            })
        })
        .await?;
        Ok(ListImageRecipesResponse { recipes })
    }
}

impl Read for GetInfrastructureConfigurationRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        INFRASTRUCTURE.check_arn(&self.infrastructure)?;
        let request = aws.imagebuilder().get_infrastructure_configuration();
        let request = request.infrastructure_configuration_arn(&self.infrastructure);
        let found = request.send().await.map_err(from_sdk)?.infrastructure_configuration;
        let found = found.ok_or_else(|| incomplete("the infrastructure configuration"))?;
        Ok(GetInfrastructureConfigurationResponse {
            arn: found.arn.unwrap_or_default(),
            name: found.name.unwrap_or_default(),
            instance_types: found.instance_types.unwrap_or_default(),
            instance_profile: found.instance_profile_name.unwrap_or_default(),
            subnet: found.subnet_id,
            security_groups: found.security_group_ids.unwrap_or_default(),
            terminates_on_failure: found.terminate_instance_on_failure.unwrap_or(true),
            http_tokens: found.instance_metadata_options.and_then(|options| options.http_tokens),
        })
    }
}

impl Read for GetDistributionConfigurationRequest {
    async fn send(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
        DISTRIBUTION.check_arn(&self.distribution)?;
        let request = aws.imagebuilder().get_distribution_configuration();
        let request = request.distribution_configuration_arn(&self.distribution);
        let found = request.send().await.map_err(from_sdk)?.distribution_configuration;
        let found = found.ok_or_else(|| incomplete("the distribution configuration"))?;
        Ok(GetDistributionConfigurationResponse {
            arn: found.arn.unwrap_or_default(),
            name: found.name.unwrap_or_default(),
            distributions: list(found.distributions, distribution),
        })
    }
}

fn distribution(distribution: sdk::Distribution) -> Distribution {
    let ami = distribution.ami_distribution_configuration;
    let (name, accounts, tags, key, permission) = ami.map_or((None, None, None, None, None), |ami| {
        (ami.name, ami.target_account_ids, ami.ami_tags, ami.kms_key_id, ami.launch_permission)
    });
    let (users, groups, organizations, units) = permission.map_or((None, None, None, None), |permission| {
        let sdk::LaunchPermissionConfiguration {
            user_ids,
            user_groups,
            organization_arns,
            organizational_unit_arns,
            ..
        } = permission;
        (user_ids, user_groups, organization_arns, organizational_unit_arns)
    });
    let template = |template: sdk::LaunchTemplateConfiguration| DistributedTemplate {
        id: template.launch_template_id,
        account: template.account_id,
        set_default: template.set_default_version,
    };
    let parameter = |parameter: sdk::SsmParameterConfiguration| DistributedParameter {
        name: parameter.parameter_name,
        account: parameter.ami_account_id,
    };
    Distribution {
        region: distribution.region,
        ami_name: name,
        target_accounts: accounts.unwrap_or_default(),
        key,
        launch_accounts: users.unwrap_or_default(),
        launch_groups: groups.unwrap_or_default(),
        launch_organizations: [organizations, units].into_iter().flatten().flatten().collect(),
        ami_tags: pairs(tags),
        templates: list(distribution.launch_template_configurations, template),
        parameters: list(distribution.ssm_parameter_configurations, parameter),
    }
}
