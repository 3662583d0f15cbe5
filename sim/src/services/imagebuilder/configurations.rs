//! Pipelines, recipes, infrastructure and distribution, as AWS tells of them.
//!
//! The main function is [`get_image_pipeline`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{
    DistributionConfiguration, ImageRecipe, Infrastructure, RegionTarget, missing, put, request_id, text,
};
use crate::ctx::Ctx;
use crate::error::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichPipeline {
    image_pipeline_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnePipeline {
    request_id: String,
    image_pipeline: Value,
}

pub(super) fn get_image_pipeline(ctx: &mut Ctx<'_>, input: WhichPipeline) -> Result<OnePipeline, AwsError> {
    let arn = input.image_pipeline_arn;
    let pipeline = ctx.place().imagebuilder.pipelines.get(&arn).cloned().ok_or_else(|| missing(&arn))?;
    let mut view = json!({
        "arn": pipeline.arn,
        "name": pipeline.name,
        "platform": "Linux",
        "enhancedImageMetadataEnabled": true,
        "imageRecipeArn": pipeline.recipe,
        "infrastructureConfigurationArn": pipeline.infrastructure,
        "imageTestsConfiguration": { "imageTestsEnabled": pipeline.tests, "timeoutMinutes": 720 },
        "imageScanningConfiguration": { "imageScanningEnabled": pipeline.scans },
        "status": if pipeline.enabled { "ENABLED" } else { "DISABLED" },
        "dateCreated": text(pipeline.created),
        "dateUpdated": text(pipeline.created),
        "tags": {},
    });
    let mut set = |member: &str, value: Option<Value>| {
        if let Some(value) = value {
            put(&mut view, member, value);
        }
    };
    set("distributionConfigurationArn", pipeline.distribution.map(Value::from));
    set("dateLastRun", pipeline.last_run.map(|run| text(run).into()));
    set(
        "schedule",
        pipeline.schedule.map(|expression| {
            let condition = "EXPRESSION_MATCH_AND_DEPENDENCY_UPDATES_AVAILABLE";
            json!({ "scheduleExpression": expression, "pipelineExecutionStartCondition": condition })
        }),
    );
    set("loggingConfiguration", pipeline.log_group.map(|group| json!({ "imageLogGroupName": group })));
    Ok(OnePipeline { request_id: request_id(ctx), image_pipeline: view })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichRecipe {
    image_recipe_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneRecipe {
    request_id: String,
    image_recipe: Value,
}

pub(super) fn get_image_recipe(ctx: &mut Ctx<'_>, input: WhichRecipe) -> Result<OneRecipe, AwsError> {
    let arn = input.image_recipe_arn;
    let recipe = ctx.place().imagebuilder.recipes.get(&arn).cloned().ok_or_else(|| missing(&arn))?;
    Ok(OneRecipe { request_id: request_id(ctx), image_recipe: recipe_view(&recipe) })
}

pub(super) fn recipe_view(recipe: &ImageRecipe) -> Value {
    let component = |arn: &String| json!({ "componentArn": arn });
    let mut ebs = json!({ "deleteOnTermination": true, "volumeSize": recipe.size, "volumeType": "gp3" });
    if let Some(encrypted) = recipe.encrypted {
        put(&mut ebs, "encrypted", encrypted.into());
    }
    if let Some(key) = &recipe.key {
        put(&mut ebs, "kmsKeyId", key.as_str().into());
    }
    json!({
        "arn": recipe.arn,
        "type": "AMI",
        "name": recipe.name,
        "platform": recipe.platform,
        "owner": recipe.arn.split(':').nth(4),
        "version": recipe.version,
        "components": recipe.components.iter().map(component).collect::<Vec<_>>(),
        "parentImage": recipe.parent,
        "blockDeviceMappings": [{ "deviceName": "/dev/xvda", "ebs": ebs }],
        "dateCreated": text(recipe.created),
        "tags": {},
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichInfrastructure {
    infrastructure_configuration_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneInfrastructure {
    request_id: String,
    infrastructure_configuration: Value,
}

pub(super) fn get_infrastructure_configuration(
    ctx: &mut Ctx<'_>,
    input: WhichInfrastructure,
) -> Result<OneInfrastructure, AwsError> {
    let arn = input.infrastructure_configuration_arn;
    let found = ctx.place().imagebuilder.infrastructures.get(&arn).cloned().ok_or_else(|| missing(&arn))?;
    let infrastructure_configuration = infrastructure_view(&found);
    Ok(OneInfrastructure { request_id: request_id(ctx), infrastructure_configuration })
}

pub(super) fn infrastructure_view(infrastructure: &Infrastructure) -> Value {
    let mut view = json!({
        "arn": infrastructure.arn,
        "name": infrastructure.name,
        "instanceTypes": infrastructure.instance_types,
        "instanceProfileName": infrastructure.instance_profile,
        "securityGroupIds": infrastructure.security_groups,
        "terminateInstanceOnFailure": infrastructure.terminates,
        "dateCreated": text(infrastructure.created),
        "tags": {},
    });
    if let Some(subnet) = &infrastructure.subnet {
        put(&mut view, "subnetId", subnet.as_str().into());
    }
    if let Some(tokens) = &infrastructure.http_tokens {
        put(&mut view, "instanceMetadataOptions", json!({ "httpTokens": tokens }));
    }
    view
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WhichDistribution {
    distribution_configuration_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneDistribution {
    request_id: String,
    distribution_configuration: Value,
}

pub(super) fn get_distribution_configuration(
    ctx: &mut Ctx<'_>,
    input: WhichDistribution,
) -> Result<OneDistribution, AwsError> {
    let arn = input.distribution_configuration_arn;
    let found = ctx.place().imagebuilder.distributions.get(&arn).cloned().ok_or_else(|| missing(&arn))?;
    let distribution_configuration = distribution_view(&found);
    Ok(OneDistribution { request_id: request_id(ctx), distribution_configuration })
}

pub(super) fn distribution_view(distribution: &DistributionConfiguration) -> Value {
    json!({
        "arn": distribution.arn,
        "name": distribution.name,
        "distributions": distribution.regions.iter().map(region_view).collect::<Vec<_>>(),
        "timeoutMinutes": 720,
        "dateCreated": text(distribution.created),
        "tags": {},
    })
}

fn region_view(target: &RegionTarget) -> Value {
    let mut permission = json!({});
    if target.public {
        put(&mut permission, "userGroups", json!(["all"]));
    }
    if !target.launch_accounts.is_empty() {
        put(&mut permission, "userIds", json!(target.launch_accounts));
    }
    let mut ami = json!({ "amiTags": target.tags, "launchPermission": permission });
    if let Some(name) = &target.ami_name {
        put(&mut ami, "name", name.as_str().into());
    }
    if let Some(key) = &target.key {
        put(&mut ami, "kmsKeyId", key.as_str().into());
    }
    if !target.accounts.is_empty() {
        put(&mut ami, "targetAccountIds", json!(target.accounts));
    }
    let parameter = |name: &String| json!({ "parameterName": name, "dataType": "aws:ec2:image" });
    let mut view = json!({ "region": target.region, "amiDistributionConfiguration": ami });
    if !target.parameters.is_empty() {
        put(&mut view, "ssmParameterConfigurations", target.parameters.iter().map(parameter).collect());
    }
    view
}
