//! Launch templates and their versions.
//!
//! The main types are [`Template`] and [`ResolvedTemplate`], a version that was found.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ctx::Scope;
use crate::error::AwsError;
use crate::tags::Tags;

/// A launch template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Template {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    /// The version that counts where none is named.
    pub(super) default: u64,
    /// By number.
    pub(super) versions: BTreeMap<u64, TemplateVersion>,
    pub(super) tags: Tags,
}

/// A version of a launch template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct TemplateVersion {
    pub(super) number: u64,
    pub(super) description: Option<String>,
    pub(super) created: Timestamp,
    pub(super) created_by: String,
    /// With the members of the API's model.
    pub(super) data: Value,
}

impl Template {
    /// The highest number of a version.
    pub(super) fn latest(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or_default()
    }

    /// The version that is meant by a number, `$Latest` or `$Default`.
    pub(super) fn version(&self, which: &str) -> Result<&TemplateVersion, AwsError> {
        let number = match which {
            "$Latest" => Some(self.latest()),
            "$Default" => Some(self.default),
            number => number.parse().ok(),
        };
        number.and_then(|number| self.versions.get(&number)).ok_or_else(|| {
            let message =
                format!("Could not find the specified version {which} for the launch template with ID {}.", self.id);
            AwsError::new("InvalidLaunchTemplateId.VersionNotFound", message)
        })
    }
}

/// Which version of which launch template: by id or name, and a number, `$Latest` or `$Default`, which is meant where there is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TemplateRef {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

/// A version of a launch template that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResolvedTemplate {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: u64,
    /// With the members of the API's model.
    pub(crate) data: Value,
}

impl ResolvedTemplate {
    /// A text of the data: `ImageId`, `InstanceType`.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.data.get(member).and_then(Value::as_str)
    }

    /// The tags that it gives to instances.
    pub(crate) fn instance_tags(&self) -> Tags {
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut tags = Tags::new();
        for specification in list(self.data.get("TagSpecifications")) {
            if specification.get("ResourceType").and_then(Value::as_str) != Some("instance") {
                continue;
            }
            for tag in list(specification.get("Tags")) {
                let text = |member: &str| tag.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
                tags.insert(text("Key"), text("Value"));
            }
        }
        tags
    }
}

/// The launch template of an id or a name.
pub(super) fn find<'s>(
    scope: &'s mut Scope<'_>,
    id: Option<&str>,
    name: Option<&str>,
) -> Result<&'s mut Template, AwsError> {
    let templates = &mut scope.place().ec2.templates;
    match (id, name) {
        (Some(id), None) => templates.get_mut(id).ok_or_else(|| {
            let message = format!("The specified launch template, with template ID {id}, does not exist.");
            AwsError::new("InvalidLaunchTemplateId.NotFound", message)
        }),
        (None, Some(name)) => templates.values_mut().find(|template| template.name == name).ok_or_else(|| {
            let message = format!("The specified launch template, with template name {name}, does not exist.");
            AwsError::new("InvalidLaunchTemplateName.NotFoundException", message)
        }),
        (Some(_), Some(_)) | (None, None) => {
            let message = "Provide either a launch template ID or a launch template name.";
            Err(AwsError::new("InvalidParameterCombination", message))
        }
    }
}

/// The version that is meant.
pub(crate) fn template_version(scope: &mut Scope<'_>, by: &TemplateRef) -> Result<ResolvedTemplate, AwsError> {
    let template = find(scope, by.id.as_deref(), by.name.as_deref())?;
    let version = template.version(by.version.as_deref().unwrap_or("$Default"))?;
    Ok(ResolvedTemplate {
        id: template.id.clone(),
        name: template.name.clone(),
        version: version.number,
        data: version.data.clone(),
    })
}
