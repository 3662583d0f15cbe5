//! What AWS's schemas say of resource types.
//!
//! The main type is [`Rules`]; [`rules()`] gives those of a type. The data is `rules/rules.json`, which `rules/project.py` makes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// The rules of one resource type. Paths within a property are written with `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The properties that identify a resource, together.
    pub identifier: Vec<String>,
    /// The properties, with AWS's word for the kind of each, `any` where it may be several.
    pub properties: BTreeMap<String, String>,
    /// Those that must be given.
    pub required: Vec<String>,
    /// Those that replace the resource when they change.
    pub create_only: Vec<String>,
    /// Those that may replace it.
    pub conditional_create_only: Vec<String>,
    /// Those that cannot be given.
    pub read_only: Vec<String>,
    /// Those that AWS does not tell again.
    pub write_only: Vec<String>,
    /// What `Fn::GetAtt` gives; `.*` at the end stands for any name.
    pub attributes: Vec<String>,
    /// The property with the tags, if it has tags.
    pub tags: String,
    /// The IAM actions that each handler takes: `create`, `read`, `update`, `delete`.
    pub permissions: BTreeMap<String, Vec<String>>,
}

static RULES: OnceLock<BTreeMap<String, Rules>> = OnceLock::new();

fn all() -> &'static BTreeMap<String, Rules> {
    // INVARIANT: the file is checked in, and a test reads it.
    RULES.get_or_init(|| serde_json::from_str(include_str!("../rules/rules.json")).unwrap_or_default())
}

/// The rules of a resource type, if it is supported. A `Custom::…` has those of a custom resource.
pub fn rules(kind: &str) -> Option<&'static Rules> {
    let kind = if is_custom(kind) { "AWS::CloudFormation::CustomResource" } else { kind };
    all().get(kind)
}

/// The names of the types that are supported.
pub fn supported() -> impl Iterator<Item = &'static str> {
    all().keys().map(String::as_str)
}

/// Whether whoever wrote the template answers for the type.
pub(crate) fn is_custom(kind: &str) -> bool {
    kind.starts_with("Custom::") || kind == "AWS::CloudFormation::CustomResource"
}

/// Whether an attribute of a resource becomes another one when the resource is changed in place: versions, and what scripts answer.
pub fn moves(kind: &str, attribute: &str) -> bool {
    match kind {
        "AWS::EC2::LaunchTemplate" => matches!(attribute, "LatestVersionNumber" | "DefaultVersionNumber"),
        "AWS::SSM::Parameter" => attribute == "Value",
        "AWS::CodePipeline::Pipeline" => attribute == "Version",
        "AWS::IAM::ManagedPolicy" => attribute == "DefaultVersionId",
        "AWS::CloudFormation::Stack" => true,
        _ => is_custom(kind),
    }
}

impl Rules {
    /// Whether `Fn::GetAtt` gives this.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|known| match known.strip_suffix("*") {
            Some(prefix) => name.starts_with(prefix.trim_end_matches('.')),
            None => known == name || known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_read_and_say_what_aws_says() -> Result<(), String> {
        assert!(supported().count() > 60, "{}", supported().count());
        let group = rules("AWS::AutoScaling::AutoScalingGroup").ok_or("no group")?;
        assert_eq!(group.create_only, ["AutoScalingGroupName", "InstanceId"]);
        assert!(group.conditional_create_only.iter().any(|name| name == "LaunchTemplate"));
        assert_eq!(group.required, ["MaxSize", "MinSize"]);
        let create = group.permissions.get("create").ok_or("no create")?;
        assert!(create.iter().any(|action| action == "autoscaling:CreateAutoScalingGroup"));
        let stack = rules("AWS::CloudFormation::Stack").ok_or("no stack")?;
        assert!(stack.has_attribute("Outputs.Url") && !stack.has_attribute("Url"));
        assert!(rules("Custom::Anything").ok_or("no custom")?.has_attribute("Anything"));
        assert_eq!(rules("AWS::Nothing::AtAll"), None);
        Ok(())
    }

    /// As the README beside the data says. Where cfn-lint of that version is not installed, there is nothing to compare with.
    #[test]
    fn the_script_makes_the_file_that_is_checked_in() -> std::io::Result<()> {
        let python = std::env::var("KILN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let version = "import importlib.metadata; print(importlib.metadata.version('cfn-lint'))";
        let found = std::process::Command::new(&python).args(["-c", version]).output()?;
        if String::from_utf8_lossy(&found.stdout).trim() != "1.58.0" {
            return Ok(());
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let made = std::process::Command::new(&python).arg(folder.join("project.py")).output()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        assert!(made.stdout == std::fs::read(folder.join("rules.json"))?, "run rules/project.py again");
        Ok(())
    }
}
