//! Recipes, configurations and pipelines that CloudFormation makes.
//!
//! The main function is [`provide`].

use serde_json::Value;

use super::behaviour::BakeBehaviour;
use super::state::{DistributionConfiguration, ImagePipeline, ImageRecipe, Infrastructure, RegionTarget};
use crate::ctx::Scope;
use crate::tags::Tags;

fn text(given: &Value, name: &str) -> Option<String> {
    match given.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

fn list(given: Option<&Value>) -> Vec<String> {
    given.and_then(Value::as_array).into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect()
}

fn is_true(given: &Value, pointer: &str, usual: bool) -> bool {
    match given.pointer(pointer) {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => text == "true",
        _ => usual,
    }
}

/// The ARN of a thing by the last part of its type, its name and its version.
fn arn(scope: &Scope<'_>, kind: &str, given: &Value) -> String {
    let name = text(given, "Name").unwrap_or_default().to_lowercase().replace([' ', '_'], "-");
    let version = text(given, "Version").unwrap_or_default();
    match kind {
        "ImageRecipe" => scope.arn("imagebuilder", &format!("image-recipe/{name}/{version}")),
        "Component" => scope.arn("imagebuilder", &format!("component/{name}/{version}/1")),
        "InfrastructureConfiguration" => scope.arn("imagebuilder", &format!("infrastructure-configuration/{name}")),
        "DistributionConfiguration" => scope.arn("imagebuilder", &format!("distribution-configuration/{name}")),
        _ => scope.arn("imagebuilder", &format!("image-pipeline/{name}")),
    }
}

/// Make a thing of this type, or bring the one of `id` to other properties: its ARN.
pub(crate) fn provide(scope: &mut Scope<'_>, kind: &str, given: &Value, id: Option<&str>) -> Result<String, String> {
    let kind = kind.rsplit("::").next().unwrap_or_default();
    let arn = id.map_or_else(|| arn(scope, kind, given), str::to_owned);
    if id.is_none() && is_there(scope, &arn) {
        return Err(format!("Resource of type 'AWS::ImageBuilder::{kind}' with identifier '{arn}' already exists."));
    }
    match kind {
        "ImageRecipe" => {
            let recipe = recipe(scope, &arn, given);
            scope.place().imagebuilder.recipes.insert(arn.clone(), recipe);
        }
        "InfrastructureConfiguration" => {
            let infrastructure = infrastructure(scope, &arn, given);
            scope.place().imagebuilder.infrastructures.insert(arn.clone(), infrastructure);
        }
        "DistributionConfiguration" => {
            let distribution = distribution(scope, &arn, given);
            scope.place().imagebuilder.distributions.insert(arn.clone(), distribution);
        }
        _ => {
            let pipeline = pipeline(scope, &arn, given)?;
            scope.place().imagebuilder.pipelines.insert(arn.clone(), pipeline);
        }
    }
    Ok(arn)
}

fn recipe(scope: &Scope<'_>, arn: &str, given: &Value) -> ImageRecipe {
    let ebs = |name: &str| given.pointer(&format!("/BlockDeviceMappings/0/Ebs/{name}")).cloned();
    let components = given.get("Components").and_then(Value::as_array).into_iter().flatten();
    ImageRecipe {
        arn: arn.to_owned(),
        name: text(given, "Name").unwrap_or_default(),
        version: text(given, "Version").unwrap_or_default(),
        platform: "Linux".to_owned(),
        parent: text(given, "ParentImage").unwrap_or_default(),
        components: components.filter_map(|one| text(one, "ComponentArn")).collect(),
        encrypted: ebs("Encrypted").map(|value| value == true || value == "true"),
        key: ebs("KmsKeyId").and_then(|key| key.as_str().map(str::to_owned)),
        size: ebs("VolumeSize").and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok())).unwrap_or(8),
        created: scope.now(),
        behaviour: BakeBehaviour::default(),
    }
}

fn infrastructure(scope: &Scope<'_>, arn: &str, given: &Value) -> Infrastructure {
    Infrastructure {
        arn: arn.to_owned(),
        name: text(given, "Name").unwrap_or_default(),
        instance_types: list(given.get("InstanceTypes")),
        instance_profile: text(given, "InstanceProfileName").unwrap_or_default(),
        subnet: text(given, "SubnetId"),
        security_groups: list(given.get("SecurityGroupIds")),
        terminates: is_true(given, "/TerminateInstanceOnFailure", true),
        http_tokens: given.pointer("/InstanceMetadataOptions/HttpTokens").and_then(Value::as_str).map(str::to_owned),
        created: scope.now(),
    }
}

fn distribution(scope: &Scope<'_>, arn: &str, given: &Value) -> DistributionConfiguration {
    let targets = given.get("Distributions").and_then(Value::as_array).into_iter().flatten().map(|one| {
        let ami = one.get("AmiDistributionConfiguration").cloned().unwrap_or_default();
        let tags: Tags = ami
            .get("AmiTags")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        RegionTarget {
            region: text(one, "Region").unwrap_or_default(),
            ami_name: text(&ami, "Name"),
            accounts: list(ami.get("TargetAccountIds")),
            key: text(&ami, "KmsKeyId"),
            public: list(ami.pointer("/LaunchPermissionConfiguration/UserGroups")).iter().any(|group| group == "all"),
            launch_accounts: list(ami.pointer("/LaunchPermissionConfiguration/UserIds")),
            tags,
            parameters: one
                .get("SsmParameterConfigurations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|parameter| text(parameter, "ParameterName"))
                .collect(),
        }
    });
    DistributionConfiguration {
        arn: arn.to_owned(),
        name: text(given, "Name").unwrap_or_default(),
        regions: targets.collect(),
        created: scope.now(),
    }
}

fn pipeline(scope: &mut Scope<'_>, arn: &str, given: &Value) -> Result<ImagePipeline, String> {
    let recipe = text(given, "ImageRecipeArn").unwrap_or_default();
    let infrastructure = text(given, "InfrastructureConfigurationArn").unwrap_or_default();
    let state = &scope.place().imagebuilder;
    if !state.recipes.contains_key(&recipe) {
        return Err(format!("The image recipe {recipe} does not exist."));
    }
    if !state.infrastructures.contains_key(&infrastructure) {
        return Err(format!("The infrastructure configuration {infrastructure} does not exist."));
    }
    let last_run = state.pipelines.get(arn).and_then(|old| old.last_run);
    Ok(ImagePipeline {
        arn: arn.to_owned(),
        name: text(given, "Name").unwrap_or_default(),
        recipe,
        infrastructure,
        distribution: text(given, "DistributionConfigurationArn"),
        tests: is_true(given, "/ImageTestsConfiguration/ImageTestsEnabled", true),
        scans: is_true(given, "/ImageScanningConfiguration/ImageScanningEnabled", false),
        schedule: given.pointer("/Schedule/ScheduleExpression").and_then(Value::as_str).map(str::to_owned),
        enabled: text(given, "Status").as_deref() != Some("DISABLED"),
        log_group: given.pointer("/LoggingConfiguration/ImageLogGroupName").and_then(Value::as_str).map(str::to_owned),
        created: scope.now(),
        last_run,
    })
}

/// Whether something of this ARN is there.
pub(crate) fn is_there(scope: &mut Scope<'_>, arn: &str) -> bool {
    let state = &scope.place().imagebuilder;
    state.recipes.contains_key(arn)
        || state.infrastructures.contains_key(arn)
        || state.distributions.contains_key(arn)
        || state.pipelines.contains_key(arn)
}

/// Something of this ARN goes.
pub(crate) fn remove(scope: &mut Scope<'_>, arn: &str) -> Result<(), String> {
    let state = &mut scope.place().imagebuilder;
    let used = state.pipelines.values().find(|pipeline| {
        pipeline.recipe == arn || pipeline.infrastructure == arn || pipeline.distribution.as_deref() == Some(arn)
    });
    if let Some(pipeline) = used {
        return Err(format!(
            "The resource {arn} is in use by {}. (Service: Imagebuilder, Error Code: ResourceDependencyException)",
            pipeline.arn
        ));
    }
    state.recipes.remove(arn);
    state.infrastructures.remove(arn);
    state.distributions.remove(arn);
    state.pipelines.remove(arn);
    Ok(())
}
