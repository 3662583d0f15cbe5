//! Finds out which images of the account are in use.
//! The main type is [`Search`]. Where it cannot find out, it fails, and then nothing goes.

use std::collections::{BTreeMap, BTreeSet};

use kiln_plugin::aws::ec2::{
    DescribeImageReferencesRequest, DescribeInstancesRequest, DescribeLaunchTemplateVersionsRequest, Filter,
    LaunchTemplateVersion, describe_image_references, describe_instances, describe_launch_template_versions,
};
use kiln_plugin::{During, Failure, count};
use serde_json::Value;

use crate::config::{Config, Look};
use crate::verdict::Uses;
use crate::{machines, names};

/// How many images one call may ask about.
const REFERENCES: usize = 10;

/// What was looked at, and what was found there: for people.
pub(crate) type Looked = Vec<(String, String)>;

/// A search for what is in use.
pub(crate) struct Search<'a> {
    config: &'a Config,
    pub(crate) looked: Looked,
    /// Snapshots that launch templates name, by id, each with who does.
    pub(crate) snapshots: Uses,
    /// Parameters that launch templates name in the place of an image, each with who does.
    aliases: Vec<(String, String)>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config, looked: Looked::new(), snapshots: Uses::new(), aliases: Vec::new() }
    }

    /// The images that this account's instances, launch templates, groups and the config hold, each with who does.
    pub(crate) fn find(&mut self) -> Result<Uses, Failure> {
        let mut uses = Uses::new();
        for image in &self.config.keep_images {
            uses.insert(image.get()?.clone(), "`keep-images` has it".to_owned());
        }
        self.of_instances(&mut uses)?;
        self.of_templates(&mut uses)?;
        if !self.config.not_looked_at.contains(&Look::Groups) {
            for (version, reason) in machines::find(&mut uses, &mut self.looked)? {
                self.of_version(&version, &reason, &mut uses);
            }
        }
        names::find(self.config, &self.aliases, &mut uses, &mut self.looked)?;
        Ok(uses)
    }

    fn of_instances(&mut self, uses: &mut Uses) -> Result<(), Failure> {
        let instances = alive(Vec::new())?;
        for (id, image) in &instances {
            uses.entry(image.clone()).or_insert_with(|| format!("instance {id} runs it"));
        }
        self.looked.push(("instances".to_owned(), count(instances.len(), "instance")));
        Ok(())
    }

    fn of_templates(&mut self, uses: &mut Uses) -> Result<(), Failure> {
        let words = ["$Default", "$Latest"].map(str::to_owned).to_vec();
        let request = DescribeLaunchTemplateVersionsRequest { template: None, versions: words };
        let versions = describe_launch_template_versions(&request).during("reading the launch templates")?.versions;
        let templates: BTreeSet<&str> = versions.iter().map(|version| version.template.as_str()).collect();
        self.looked.push(("launch templates".to_owned(), count(templates.len(), "launch template")));
        for version in &versions {
            let which = if version.is_default { "default" } else { "newest" };
            self.of_version(version, &format!("the {which} version of launch template {} has it", version.name), uses);
        }
        Ok(())
    }

    /// What a version of a launch template that is in use holds.
    fn of_version(&mut self, version: &LaunchTemplateVersion, reason: &str, uses: &mut Uses) {
        for snapshot in snapshots_in(&version.data) {
            self.snapshots.entry(snapshot).or_insert_with(|| reason.to_owned());
        }
        if let Some(image) = &version.image {
            // In the place of an image a parameter may stand.
            if let Some(name) = image.strip_prefix("resolve:ssm:") {
                self.aliases.push((name.to_owned(), reason.to_owned()));
                return;
            }
            uses.entry(image.clone()).or_insert_with(|| reason.to_owned());
        }
    }
}

/// The instances that have not ended, of images or of any, each with its image.
fn alive(more: Vec<Filter>) -> Result<Vec<(String, String)>, Failure> {
    let states = ["pending", "running", "shutting-down", "stopping", "stopped"].map(str::to_owned).to_vec();
    let mut filters = vec![Filter { name: "instance-state-name".to_owned(), values: states }];
    filters.extend(more);
    let found = describe_instances(&DescribeInstancesRequest { ids: Vec::new(), filters });
    let found = found.during("looking for instances")?.instances;
    Ok(found.into_iter().map(|instance| (instance.id, instance.image)).collect())
}

/// The snapshots that the data of a launch template names.
fn snapshots_in(data: &str) -> Vec<String> {
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let devices = data.get("BlockDeviceMappings").and_then(Value::as_array).cloned().unwrap_or_default();
    devices
        .iter()
        .filter_map(|device| device.pointer("/Ebs/SnapshotId").and_then(Value::as_str).map(str::to_owned))
        .collect()
}

/// What names these images now, by EC2's own search and by the instances that run: each with who does.
pub(crate) fn named_now(config: &Config, images: &[String]) -> Result<Uses, Failure> {
    let mut uses = Uses::new();
    for batch in images.chunks(REFERENCES) {
        let request =
            DescribeImageReferencesRequest { images: batch.to_vec(), template_versions: config.template_versions };
        let found = describe_image_references(&request).during("looking for what names the images")?;
        for reference in found.references {
            let reason = words(&reference.resource_type, &reference.arn);
            uses.entry(reference.image).or_insert(reason);
        }
        let filter = Filter { name: "image-id".to_owned(), values: batch.to_vec() };
        for (id, image) in alive(vec![filter])? {
            uses.entry(image).or_insert_with(|| format!("instance {id} runs it"));
        }
    }
    Ok(uses)
}

/// Who names an image, in words. Types that EC2 learns later count as all others do.
fn words(resource_type: &str, arn: &str) -> String {
    let name = arn.rsplit_once('/').map_or(arn, |(_, name)| name);
    match resource_type {
        "ec2:Instance" => format!("instance {name} was launched from it"),
        "ec2:LaunchTemplate" => format!("a newest version of launch template {name} has it"),
        "ssm:Parameter" => format!("parameter {} names it", arn.split_once(":parameter").map_or(arn, |(_, name)| name)),
        "imagebuilder:ImageRecipe" | "imagebuilder:ContainerRecipe" => {
            let recipe = arn.splitn(6, ':').nth(5).unwrap_or(arn);
            format!("Image Builder's {recipe} names it")
        }
        other => format!("{other} {arn} names it"),
    }
}

/// By whom things are held, one map of several.
pub(crate) fn together(mut all: Uses, more: Uses) -> Uses {
    let more: BTreeMap<String, String> = more.into_iter().filter(|(id, _)| !all.contains_key(id)).collect();
    all.extend(more);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_an_image_is_told_in_words() {
        let arn = |rest: &str| format!("arn:aws:{rest}");
        let cases = [
            ("ec2:Instance", "ec2:us-west-2:1:instance/i-1", "instance i-1 was launched from it"),
            (
                "ec2:LaunchTemplate",
                "ec2:us-west-2:1:launch-template/lt-1",
                "a newest version of launch template lt-1 has it",
            ),
            ("ssm:Parameter", "ssm:us-west-2:1:parameter/web/ami", "parameter /web/ami names it"),
            (
                "imagebuilder:ImageRecipe",
                "imagebuilder:us-west-2:1:image-recipe/web/1.0.0",
                "Image Builder's image-recipe/web/1.0.0 names it",
            ),
            ("x:New", "x:us-west-2:1:new/n", "x:New arn:aws:x:us-west-2:1:new/n names it"),
        ];
        for (kind, rest, expected) in cases {
            assert_eq!(words(kind, &arn(rest)), expected);
        }
    }

    #[test]
    fn snapshots_that_a_launch_template_names_are_found() {
        let data = r#"{"BlockDeviceMappings":[{"DeviceName":"/dev/sdb","Ebs":{"SnapshotId":"snap-1"}},{"Ebs":{"VolumeSize":8}}]}"#;
        assert_eq!(snapshots_in(data), ["snap-1"]);
        assert_eq!(snapshots_in("nonsense"), Vec::<String>::new());
    }

    #[test]
    fn the_first_reason_counts() {
        let one = |id: &str, reason: &str| Uses::from([(id.to_owned(), reason.to_owned())]);
        let all = together(one("a", "first"), one("a", "second"));
        assert_eq!(all.get("a").map(String::as_str), Some("first"));
        assert_eq!(together(one("a", "x"), one("b", "y")).len(), 2);
    }
}
