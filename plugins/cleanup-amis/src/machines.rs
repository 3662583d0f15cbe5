//! What Auto Scaling holds: groups, and launch configurations, which EC2's own search leaves out.
//! The main function is [`find`]; what a group may launch from is read by [`versions_of`], purely.

use std::collections::BTreeSet;

use kiln_plugin::aws::autoscaling::{
    AutoScalingGroup, DescribeAutoScalingGroupsRequest, DescribeLaunchConfigurationsRequest,
    LaunchTemplate as GroupTemplate, describe_auto_scaling_groups, describe_launch_configurations,
};
use kiln_plugin::aws::ec2::{
    DescribeLaunchTemplateVersionsRequest, DescribeLaunchTemplatesRequest, LaunchTemplateVersion,
    describe_launch_template_versions, describe_launch_templates,
};
use kiln_plugin::aws::{ErrorKind, autoscaling};
use kiln_plugin::{During, Failure, count};
use serde_json::Value;

use crate::uses::Looked;
use crate::verdict::Uses;

/// A version of a launch template that a group uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Used {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    /// A number: what `$Latest` and `$Default` mean is in use in any case.
    pub(crate) version: u64,
    pub(crate) group: String,
}

/// The versions of launch templates that a group may launch from, or that its instances were launched from.
pub(crate) fn versions_of(group: &AutoScalingGroup) -> Vec<Used> {
    let mut found = Vec::new();
    let mut add = |template: &GroupTemplate| {
        let number = template.version.as_deref().and_then(|version| version.parse().ok());
        found.extend(number.map(|version| Used {
            id: template.id.clone(),
            name: template.name.clone(),
            version,
            group: group.name.clone(),
        }));
    };
    group.launch_template.iter().for_each(&mut add);
    group.instances.iter().filter_map(|instance| instance.launch_template.as_ref()).for_each(&mut add);
    let policy = group.mixed_instances_policy.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(policy) = policy {
        of_document(&policy, &mut add);
    }
    found
}

/// The images that types of a group have as their own, in the place of the launch template's.
pub(crate) fn own_images(policy: Option<&str>) -> Vec<String> {
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let types = policy.as_ref().and_then(|policy| policy.pointer("/LaunchTemplate/Overrides")?.as_array());
    types.into_iter().flatten().filter_map(|one| one.get("ImageId")?.as_str().map(str::to_owned)).collect()
}

/// Each `LaunchTemplateSpecification`, wherever it stands: the policy's own, and those of its overrides.
fn of_document(document: &Value, add: &mut impl FnMut(&autoscaling::LaunchTemplate)) {
    match document {
        Value::Array(items) => items.iter().for_each(|item| of_document(item, add)),
        Value::Object(members) => {
            for (name, member) in members {
                if name == "LaunchTemplateSpecification" {
                    let text = |name: &str| match member.get(name) {
                        Some(Value::String(text)) => Some(text.clone()),
                        Some(Value::Number(number)) => Some(number.to_string()),
                        Some(_) | None => None,
                    };
                    add(&GroupTemplate {
                        id: text("LaunchTemplateId"),
                        name: text("LaunchTemplateName"),
                        version: text("Version"),
                    });
                } else {
                    of_document(member, add);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What groups and launch configurations hold, and the versions of launch templates that groups use, each with its reason.
pub(crate) fn find(uses: &mut Uses, looked: &mut Looked) -> Result<Vec<(LaunchTemplateVersion, String)>, Failure> {
    let groups = describe_auto_scaling_groups(&DescribeAutoScalingGroupsRequest { names: Vec::new() });
    let groups = groups.during("listing the groups")?.groups;
    looked.push(("groups".to_owned(), count(groups.len(), "group")));
    let mut versions: BTreeSet<Used> = BTreeSet::new();
    for group in &groups {
        versions.extend(versions_of(group));
        for image in own_images(group.mixed_instances_policy.as_deref()) {
            uses.entry(image).or_insert_with(|| format!("group {} gives it to one of its types", group.name));
        }
        for instance in &group.instances {
            if let Some(image) = &instance.image {
                uses.entry(image.clone())
                    .or_insert_with(|| format!("instance {} of group {} runs it", instance.id, group.name));
            }
        }
    }
    let request = DescribeLaunchConfigurationsRequest { names: Vec::new() };
    let configurations =
        describe_launch_configurations(&request).during("listing the launch configurations")?.configurations;
    looked.push(("launch configurations".to_owned(), count(configurations.len(), "launch configuration")));
    for configuration in configurations {
        uses.entry(configuration.image)
            .or_insert_with(|| format!("launch configuration {} has it", configuration.name));
    }
    let mut found = Vec::new();
    for used in versions {
        for version in read(&used)? {
            let reason =
                format!("group {} uses version {} of launch template {}", used.group, used.version, version.name);
            found.push((version, reason));
        }
    }
    Ok(found)
}

/// The version; none, where the launch template is gone, so that nothing can be launched by it.
fn read(used: &Used) -> Result<Vec<LaunchTemplateVersion>, Failure> {
    let id = match (&used.id, &used.name) {
        (Some(id), _) => id.clone(),
        (None, Some(name)) => {
            let request = DescribeLaunchTemplatesRequest { ids: Vec::new(), names: vec![name.clone()] };
            match describe_launch_templates(&request) {
                Ok(found) => match found.templates.into_iter().next() {
                    Some(template) => template.id,
                    None => return Ok(Vec::new()),
                },
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error).during(format!("looking for the launch template {name}")),
            }
        }
        (None, None) => return Ok(Vec::new()),
    };
    let request =
        DescribeLaunchTemplateVersionsRequest { template: Some(id.clone()), versions: vec![used.version.to_string()] };
    match describe_launch_template_versions(&request) {
        Ok(found) => Ok(found.versions),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).during(format!("reading version {} of launch template {id}", used.version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_launch_template_of_a_policy_is_found() {
        let policy = serde_json::json!({ "LaunchTemplate": {
            "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-1", "Version": "3" },
            "Overrides": [
                { "InstanceType": "t3.small", "LaunchTemplateSpecification": { "LaunchTemplateName": "arm", "Version": "7" } },
                { "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-2", "Version": "$Latest" } },
            ],
        }, "InstancesDistribution": { "OnDemandBaseCapacity": "1" } });
        let mut found = Vec::new();
        of_document(&policy, &mut |template| {
            found.push((template.id.clone().or(template.name.clone()), template.version.clone()));
        });
        found.sort();
        let expected = [("arm", "7"), ("lt-1", "3"), ("lt-2", "$Latest")];
        let expected = expected.map(|(name, version)| (Some(name.to_owned()), Some(version.to_owned())));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_image_that_a_type_has_as_its_own_is_in_use() {
        let policy =
            r#"{"LaunchTemplate":{"Overrides":[{"InstanceType":"a","ImageId":"ami-1"},{"InstanceType":"b"}]}}"#;
        assert_eq!(own_images(Some(policy)), ["ami-1"]);
        assert_eq!(own_images(Some("{")), Vec::<String>::new());
        assert_eq!(own_images(None), Vec::<String>::new());
    }
}
