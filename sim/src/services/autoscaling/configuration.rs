//! What instances are launched of, as the API spells it.
//!
//! The main types are [`LaunchSource`] and [`DesiredConfiguration`].

use serde::{Deserialize, Serialize};

use super::state::invalid;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::services::ec2::{ResolvedTemplate, TemplateRef, template_version};

/// A version of a launch template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TemplateSpec {
    pub(super) launch_template_id: Option<String>,
    pub(super) launch_template_name: Option<String>,
    pub(super) version: Option<String>,
}

/// Launch templates for several types and markets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MixedPolicy {
    pub(super) launch_template: MixedTemplate,
    #[serde(default)]
    pub(super) instances_distribution: InstancesDistribution,
}

/// What a mixed group is launched of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MixedTemplate {
    pub(super) launch_template_specification: TemplateSpec,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) overrides: Vec<TypeOverride>,
}

/// A type that a mixed group may have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TypeOverride {
    pub(super) instance_type: Option<String>,
    pub(super) weighted_capacity: Option<String>,
    pub(super) launch_template_specification: Option<TemplateSpec>,
    /// In the place of the launch template's.
    pub(super) image_id: Option<String>,
}

/// How a mixed group is shared between the markets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InstancesDistribution {
    pub(super) on_demand_allocation_strategy: Option<String>,
    pub(super) on_demand_base_capacity: Option<i64>,
    pub(super) on_demand_percentage_above_base_capacity: Option<i64>,
    pub(super) spot_allocation_strategy: Option<String>,
    pub(super) spot_instance_pools: Option<i64>,
    pub(super) spot_max_price: Option<String>,
}

/// What a refresh brings a group to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DesiredConfiguration {
    pub(super) launch_template: Option<TemplateSpec>,
    pub(super) mixed_instances_policy: Option<MixedPolicy>,
}

/// What a group's instances are launched of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LaunchSource {
    Template(TemplateSpec),
    Mixed(MixedPolicy),
    Configuration(String),
}

impl TemplateSpec {
    fn by(&self) -> TemplateRef {
        // AWS tells both, and takes both of what it told.
        let name = self.launch_template_name.clone().filter(|_| self.launch_template_id.is_none());
        TemplateRef { id: self.launch_template_id.clone(), name, version: self.version.clone() }
    }

    /// The version that is meant now.
    pub(super) fn resolve(&self, scope: &mut Scope<'_>) -> Result<ResolvedTemplate, AwsError> {
        let found = template_version(scope, &self.by());
        found.map_err(|error| invalid(format!("You must use a valid fully-formed launch template. {}", error.message)))
    }

    /// Whether it means whatever version there is.
    fn is_unpinned(&self) -> bool {
        self.version.as_deref().is_none_or(|version| version.starts_with('$'))
    }

    /// With id and name, as the API tells it.
    fn told(&self, scope: &mut Scope<'_>) -> Self {
        let Ok(found) = self.resolve(scope) else { return self.clone() };
        Self {
            launch_template_id: Some(found.id),
            launch_template_name: Some(found.name),
            version: Some(self.version.clone().unwrap_or_else(|| "$Default".to_owned())),
        }
    }
}

impl LaunchSource {
    /// All versions of launch templates that it names.
    pub(super) fn specs(&self) -> Vec<&TemplateSpec> {
        match self {
            LaunchSource::Template(spec) => vec![spec],
            LaunchSource::Mixed(policy) => {
                let overrides = policy.launch_template.overrides.iter();
                let own = overrides.filter_map(|one| one.launch_template_specification.as_ref());
                std::iter::once(&policy.launch_template.launch_template_specification).chain(own).collect()
            }
            LaunchSource::Configuration(_) => Vec::new(),
        }
    }

    /// The image that instances of a type are launched of: the override's, or else the launch template's.
    pub(super) fn image_for(&self, scope: &mut Scope<'_>, instance_type: &str) -> Option<String> {
        let (spec, own) = match self {
            LaunchSource::Template(spec) => (spec, None),
            LaunchSource::Mixed(policy) => {
                let template = &policy.launch_template;
                let of_type = |one: &&TypeOverride| one.instance_type.as_deref() == Some(instance_type);
                let found = template.overrides.iter().find(of_type);
                let spec = found.and_then(|one| one.launch_template_specification.as_ref());
                (spec.unwrap_or(&template.launch_template_specification), found.and_then(|one| one.image_id.clone()))
            }
            LaunchSource::Configuration(name) => {
                return scope.place().autoscaling.configurations.get(name).map(|found| found.image.clone());
            }
        };
        match own {
            Some(image) => Some(image),
            None => spec.resolve(scope).ok()?.text("ImageId").map(str::to_owned),
        }
    }

    /// The image of each type, where every one has its own: only then root volumes can be replaced by a refresh.
    pub(super) fn own_images(&self) -> Option<Vec<String>> {
        let LaunchSource::Mixed(policy) = self else { return None };
        let overrides = &policy.launch_template.overrides;
        let images: Vec<String> = overrides.iter().filter_map(|one| one.image_id.clone()).collect();
        (!overrides.is_empty() && images.len() == overrides.len()).then_some(images)
    }

    /// Whether a refresh to or from it can be taken back.
    pub(super) fn is_pinned(&self) -> bool {
        !matches!(self, LaunchSource::Configuration(_)) && !self.specs().iter().any(|spec| spec.is_unpinned())
    }

    /// With ids and names, as the API tells it.
    pub(super) fn told(&self, scope: &mut Scope<'_>) -> Self {
        match self {
            LaunchSource::Template(spec) => LaunchSource::Template(spec.told(scope)),
            LaunchSource::Mixed(policy) => {
                let mut policy = policy.clone();
                let template = &mut policy.launch_template;
                template.launch_template_specification = template.launch_template_specification.told(scope);
                for one in &mut template.overrides {
                    one.launch_template_specification =
                        one.launch_template_specification.as_ref().map(|spec| spec.told(scope));
                }
                LaunchSource::Mixed(policy)
            }
            LaunchSource::Configuration(name) => LaunchSource::Configuration(name.clone()),
        }
    }
}

impl DesiredConfiguration {
    /// What it says that a group is launched of, which must be there.
    pub(super) fn source(&self, scope: &mut Scope<'_>) -> Result<LaunchSource, AwsError> {
        let source = match (&self.launch_template, &self.mixed_instances_policy) {
            (Some(spec), None) => LaunchSource::Template(spec.clone()),
            (None, Some(policy)) => LaunchSource::Mixed(policy.clone()),
            (Some(_), Some(_)) | (None, None) => {
                return Err(invalid("Exactly one of LaunchTemplate or MixedInstancesPolicy must be specified."));
            }
        };
        for spec in source.specs() {
            spec.clone().resolve(scope)?;
        }
        Ok(source)
    }

    /// The same as the API tells it.
    pub(super) fn of(source: LaunchSource) -> Option<Self> {
        match source {
            LaunchSource::Template(spec) => Some(Self { launch_template: Some(spec), mixed_instances_policy: None }),
            LaunchSource::Mixed(policy) => Some(Self { launch_template: None, mixed_instances_policy: Some(policy) }),
            LaunchSource::Configuration(_) => None,
        }
    }
}
