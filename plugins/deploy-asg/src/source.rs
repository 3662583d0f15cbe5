//! What a group's instances are launched of, and the same with another version of its launch template.
//! The main type is [`Source`].

use kiln_plugin::Failure;
use kiln_plugin::aws::autoscaling::{AutoScalingGroup, GroupInstance, LaunchTemplate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A launch template, or a policy that mixes instances, as AWS's `DesiredConfiguration` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The id of the launch template that the image is changed in.
    pub(crate) template: String,
    /// Its name, for people.
    pub(crate) name: String,
    /// Its version, as the group names it.
    pub(crate) version: String,
    /// The AMI of the instances, once it is known: that of the version, or the one that every type has as its own.
    #[serde(default)]
    pub(crate) image: Option<String>,
    /// Whether every type has that AMI as its own, in the place of the launch template's.
    #[serde(default)]
    pub(crate) is_own: bool,
    /// AWS's own members.
    document: Value,
}

/// Where the general launch template stands in a policy that mixes instances.
const GENERAL: &str = "/LaunchTemplate/LaunchTemplateSpecification";
const OVERRIDES: &str = "/LaunchTemplate/Overrides";

impl Source {
    /// What a group has. A failure where a refresh cannot bring an AMI to it.
    pub(crate) fn of(group: &AutoScalingGroup) -> Result<Self, Failure> {
        let name = &group.name;
        if let Some(policy) = &group.mixed_instances_policy {
            let policy: Value = serde_json::from_str(policy).map_err(|error| {
                Failure::internal(format!("the mixed instances policy of {name} is no JSON: {error}"))
            })?;
            let own = own_image(name, &policy)?;
            let general = spec(policy.pointer(GENERAL));
            let source = Self::checked(name, general, json!({ "MixedInstancesPolicy": policy }))?;
            return Ok(Self { is_own: own.is_some(), image: own, ..source });
        }
        match (&group.launch_template, &group.launch_configuration) {
            (Some(template), _) => {
                let mut document = Map::new();
                let mut put = |name: &str, text: &Option<String>| {
                    text.iter().for_each(|text| drop(document.insert(name.to_owned(), json!(text))));
                };
                // AWS takes one of id and name.
                match &template.id {
                    Some(_) => put("LaunchTemplateId", &template.id),
                    None => put("LaunchTemplateName", &template.name),
                }
                put("Version", &template.version);
                Self::checked(name, Some(template.clone()), json!({ "LaunchTemplate": document }))
            }
            (None, Some(configuration)) => Err(Failure::config(format!(
                "the group {name} is launched of the launch configuration {configuration}, which has no versions"
            ))
            .help("Give the group a launch template; AWS tells how to make one of a launch configuration.")),
            (None, None) => Err(Failure::config(format!("AWS does not tell what the group {name} is launched of"))),
        }
    }

    fn checked(group: &str, template: Option<LaunchTemplate>, document: Value) -> Result<Self, Failure> {
        let incomplete = || Failure::internal(format!("AWS does not tell which launch template the group {group} has"));
        let template = template.ok_or_else(incomplete)?;
        let id = template.id.ok_or_else(incomplete)?;
        Ok(Self {
            name: template.name.unwrap_or_else(|| id.clone()),
            template: id,
            version: template.version.unwrap_or_else(|| "$Default".to_owned()),
            document: named_once(document),
            image: None,
            is_own: false,
        })
    }

    /// Whether it names a version by its number, in all places.
    pub(crate) fn is_pinned(&self) -> bool {
        let mut versions = Vec::new();
        walk(&self.document, &mut |spec| versions.push(version_of(spec).to_owned()));
        !versions.is_empty() && versions.iter().all(|version| version.parse::<u64>().is_ok())
    }

    /// The same with this version of the launch template, wherever it names that, and with this AMI, which the version has.
    pub(crate) fn with_version(&self, number: u64, image: Option<&str>) -> Self {
        let mut document = self.document.clone();
        walk_mut(&mut document, &mut |spec| {
            let is_ours = spec.get("LaunchTemplateId").and_then(Value::as_str) == Some(&self.template)
                || spec.get("LaunchTemplateName").and_then(Value::as_str) == Some(&self.name);
            if let (true, Some(spec)) = (is_ours, spec.as_object_mut()) {
                spec.insert("Version".to_owned(), json!(number.to_string()));
            }
        });
        let next = Self { version: number.to_string(), document, image: image.map(str::to_owned), ..self.clone() };
        match image {
            Some(image) if self.is_own => next.in_place(image),
            _ => next,
        }
    }

    /// The same with this AMI as every type's own.
    pub(crate) fn in_place(&self, image: &str) -> Self {
        let mut document = self.document.clone();
        let types = document.pointer_mut(&format!("/MixedInstancesPolicy{OVERRIDES}")).and_then(Value::as_array_mut);
        for one in types.into_iter().flatten().filter_map(Value::as_object_mut) {
            one.insert("ImageId".to_owned(), json!(image));
        }
        Self { document, image: Some(image.to_owned()), is_own: true, ..self.clone() }
    }

    /// Why AWS cannot replace the root volumes of what is launched of it; none where it can.
    pub(crate) fn not_in_place(&self) -> Option<&'static str> {
        let types = self.document.pointer(&format!("/MixedInstancesPolicy{OVERRIDES}")).and_then(Value::as_array);
        match types {
            None if self.document.get("MixedInstancesPolicy").is_none() => Some("it mixes no instances"),
            None => Some("its mixed instances policy names no types"),
            Some(types) if types.is_empty() => Some("its mixed instances policy names no types"),
            Some(_) if !self.others().is_empty() => Some("some of its types have a launch template of their own"),
            Some(_) => None,
        }
    }

    /// Versions of other launch templates that it names: for types with an architecture of their own, say.
    pub(crate) fn others(&self) -> Vec<String> {
        let mut others = Vec::new();
        walk(&self.document, &mut |spec| {
            let text = |name: &str| spec.get(name).and_then(Value::as_str);
            let is_ours =
                text("LaunchTemplateId") == Some(&self.template) || text("LaunchTemplateName") == Some(&self.name);
            if !is_ours {
                let which = text("LaunchTemplateName").or(text("LaunchTemplateId")).unwrap_or("one without a name");
                others.push(format!("{which} version {}", version_of(spec)));
            }
        });
        others
    }

    /// AWS's `DesiredConfiguration`.
    pub(crate) fn desired(&self) -> String {
        self.document.to_string()
    }

    /// Whether two mean the same: the same template, the same version by its number, and the same AMI of their types.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let own = |source: &Self| source.image.clone().filter(|_| source.is_own);
        self.template == other.template && self.version == other.version && own(self) == own(other)
    }

    /// Whether an instance was launched of this version of the launch template, or of another template that it names, or was brought to
    /// its AMI. AWS tells an instance's AMI only where it is not the launch template's.
    pub(crate) fn launched(&self, instance: &GroupInstance) -> bool {
        match (&instance.image, &self.image) {
            (told, Some(own)) if self.is_own => return told.as_ref() == Some(own),
            (Some(told), Some(image)) => return told == image,
            (Some(_) | None, _) => {}
        }
        let Some(template) = &instance.launch_template else { return false };
        let mut found = false;
        walk(&self.document, &mut |spec| {
            let text = |name: &str| spec.get(name).and_then(Value::as_str);
            let same = text("LaunchTemplateId").is_some_and(|id| template.id.as_deref() == Some(id))
                || text("LaunchTemplateName").is_some_and(|name| template.name.as_deref() == Some(name));
            found |= same && template.version.as_deref() == Some(version_of(spec));
        });
        found
    }

    /// How its instances are mixed, for people; none where they are not.
    pub(crate) fn mix(&self) -> Option<String> {
        let policy = self.document.get("MixedInstancesPolicy")?;
        let overrides = policy.pointer(OVERRIDES).and_then(Value::as_array).cloned().unwrap_or_default();
        let types: Vec<&str> =
            overrides.iter().filter_map(|one| one.get("InstanceType").and_then(Value::as_str)).collect();
        let share = |name: &str| policy.pointer(&format!("/InstancesDistribution/{name}")).and_then(Value::as_str);
        let base = share("OnDemandBaseCapacity").unwrap_or("0");
        let above = share("OnDemandPercentageAboveBaseCapacity").unwrap_or("100");
        let types = if types.is_empty() { "one type".to_owned() } else { types.join(", ") };
        Some(format!("{types}; {base} on demand and {above} % of the rest, others spot"))
    }
}

/// The AMI that every type of a mixed instances policy has as its own; none, where none has one.
fn own_image(group: &str, policy: &Value) -> Result<Option<String>, Failure> {
    let overrides = policy.pointer(OVERRIDES).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let image = |one: &Value| one.get("ImageId").and_then(Value::as_str).map(str::to_owned);
    let Some(first) = overrides.iter().find_map(image) else { return Ok(None) };
    let Some(other) = overrides.iter().find(|one| image(one).as_ref() != Some(&first)) else { return Ok(Some(first)) };
    let kind = other.get("InstanceType").and_then(Value::as_str).unwrap_or("one");
    let message =
        format!("the group {group} gives some of its types {first} as their own AMI, and {kind} another or none");
    Err(Failure::config(message).help(
        "Take `ImageId` out of the overrides of its mixed instances policy: the AMI is the launch template's. Or give each the same.",
    ))
}

/// `2` of `lt-1 version 2`.
fn version_of(spec: &Value) -> &str {
    spec.get("Version").and_then(Value::as_str).unwrap_or("$Default")
}

/// The version of a launch template that a document names.
fn spec(value: Option<&Value>) -> Option<LaunchTemplate> {
    let text = |name: &str| value?.get(name)?.as_str().map(str::to_owned);
    value?;
    Some(LaunchTemplate { id: text("LaunchTemplateId"), name: text("LaunchTemplateName"), version: text("Version") })
}

/// AWS tells id and name of a launch template, and takes one of them.
fn named_once(mut document: Value) -> Value {
    walk_mut(&mut document, &mut |spec| {
        if let Some(spec) = spec.as_object_mut().filter(|spec| spec.contains_key("LaunchTemplateId")) {
            spec.remove("LaunchTemplateName");
        }
    });
    document
}

fn is_spec(value: &Value) -> bool {
    value.get("LaunchTemplateId").is_some() || value.get("LaunchTemplateName").is_some()
}

/// Visit each version of a launch template that a document names.
fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    match value {
        _ if is_spec(value) => visit(value),
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(members) => members.values().for_each(|member| walk(member, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn walk_mut(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    if is_spec(value) {
        return visit(value);
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk_mut(item, visit)),
        Value::Object(members) => members.values_mut().for_each(|member| walk_mut(member, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn group() -> AutoScalingGroup {
        let template =
            LaunchTemplate { id: Some("lt-1".to_owned()), name: Some("web".to_owned()), version: Some("2".to_owned()) };
        AutoScalingGroup {
            name: "web".to_owned(),
            arn: String::new(),
            status: None,
            min_size: 2,
            max_size: 8,
            desired: 4,
            launch_template: Some(template),
            launch_configuration: None,
            mixed_instances_policy: None,
            instances: Vec::new(),
            target_groups: Vec::new(),
            load_balancers: Vec::new(),
            health_check: "ELB".to_owned(),
            grace_seconds: None,
            warmup_seconds: None,
            min_healthy_percentage: None,
            max_healthy_percentage: None,
            capacity_rebalance: false,
            warm_pool_size: None,
            suspended: Vec::new(),
            tags: Vec::new(),
            document: "{}".to_owned(),
        }
    }

    pub(crate) fn instance(id: &str, version: &str) -> GroupInstance {
        GroupInstance {
            id: id.to_owned(),
            instance_type: None,
            zone: "us-west-2a".to_owned(),
            state: "InService".to_owned(),
            health: "Healthy".to_owned(),
            protected_from_scale_in: false,
            launch_template: Some(LaunchTemplate {
                id: Some("lt-1".to_owned()),
                name: Some("web".to_owned()),
                version: Some(version.to_owned()),
            }),
            launch_configuration: None,
            image: None,
            weight: None,
        }
    }

    fn mixed() -> AutoScalingGroup {
        let policy = json!({
            "LaunchTemplate": {
                "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "Version": "2" },
                "Overrides": [
                    { "InstanceType": "m5.large", "Novelty": "x" },
                    { "InstanceType": "m6g.large", "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-9", "Version": "4" } },
                    { "InstanceType": "m5.xlarge", "LaunchTemplateSpecification": { "LaunchTemplateId": "lt-1", "Version": "2" } },
                ],
            },
            "InstancesDistribution": { "OnDemandBaseCapacity": "1", "OnDemandPercentageAboveBaseCapacity": "25" },
        });
        AutoScalingGroup { launch_template: None, mixed_instances_policy: Some(policy.to_string()), ..group() }
    }

    #[test]
    fn a_plain_group_gets_another_version_by_its_number() {
        let source = Source::of(&group()).unwrap();
        assert!(source.is_pinned());
        let next = source.with_version(3, None);
        let desired: Value = serde_json::from_str(&next.desired()).unwrap();
        assert_eq!(desired, json!({ "LaunchTemplate": { "LaunchTemplateId": "lt-1", "Version": "3" } }));
        assert!(next.launched(&instance("i-1", "3")) && !next.launched(&instance("i-1", "2")));
        assert!(source.mix().is_none() && !next.is(&source));
    }

    #[test]
    fn all_else_of_a_mixed_policy_stays_as_it_was() {
        let source = Source::of(&mixed()).unwrap();
        let desired: Value = serde_json::from_str(&source.with_version(3, None).desired()).unwrap();
        let policy = &desired["MixedInstancesPolicy"];
        assert_eq!(policy["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"], "3");
        assert_eq!(policy["LaunchTemplate"]["Overrides"][0], json!({ "InstanceType": "m5.large", "Novelty": "x" }));
        assert_eq!(policy["LaunchTemplate"]["Overrides"][1]["LaunchTemplateSpecification"]["Version"], "4");
        assert_eq!(policy["LaunchTemplate"]["Overrides"][2]["LaunchTemplateSpecification"]["Version"], "3");
        assert_eq!(policy["InstancesDistribution"]["OnDemandBaseCapacity"], "1");
        assert_eq!(source.others(), ["lt-9 version 4"]);
        let mix = "m5.large, m6g.large, m5.xlarge; 1 on demand and 25 % of the rest, others spot";
        assert_eq!(source.mix().as_deref(), Some(mix));
    }

    #[test]
    fn what_a_refresh_cannot_change_is_refused_with_the_way_out() {
        let old =
            AutoScalingGroup { launch_template: None, launch_configuration: Some("web-2019".to_owned()), ..group() };
        let failure = Source::of(&old).unwrap_err();
        assert!(failure.message.contains("launch configuration web-2019"), "{}", failure.message);
        let policy = r#"{"LaunchTemplate":{"Overrides":[{"InstanceType":"m5.large","ImageId":"ami-1"},{"InstanceType":"m5.xlarge"}]}}"#;
        let own = AutoScalingGroup { mixed_instances_policy: Some(policy.to_owned()), ..group() };
        let failure = Source::of(&own).unwrap_err();
        assert!(
            failure.message.contains("ami-1 as their own AMI, and m5.xlarge another or none"),
            "{}",
            failure.message
        );
        assert!(Source::of(&AutoScalingGroup { launch_template: None, ..group() }).is_err());
    }

    fn of_types(overrides: Value) -> AutoScalingGroup {
        let general = json!({ "LaunchTemplateId": "lt-1", "LaunchTemplateName": "web", "Version": "2" });
        let policy = json!({ "LaunchTemplate": { "LaunchTemplateSpecification": general, "Overrides": overrides } });
        AutoScalingGroup { launch_template: None, mixed_instances_policy: Some(policy.to_string()), ..group() }
    }

    #[test]
    fn root_volumes_are_replaced_where_every_type_gets_the_ami_as_its_own() {
        let source = Source::of(&of_types(json!([{ "InstanceType": "a" }, { "InstanceType": "b" }]))).unwrap();
        assert!(!source.is_own && source.not_in_place().is_none());
        let next = source.with_version(3, Some("ami-3")).in_place("ami-3");
        let desired: Value = serde_json::from_str(&next.desired()).unwrap();
        let overrides = &desired["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"];
        let own = json!([{ "InstanceType": "a", "ImageId": "ami-3" }, { "InstanceType": "b", "ImageId": "ami-3" }]);
        assert_eq!(*overrides, own);
        // Whatever version AWS says that an instance was launched of.
        let of = |version: &str, image: Option<&str>| GroupInstance {
            image: image.map(str::to_owned),
            ..instance("i-1", version)
        };
        assert!(next.launched(&of("2", Some("ami-3"))) && next.launched(&of("3", Some("ami-3"))));
        assert!(!next.launched(&of("3", None)) && !next.launched(&of("3", Some("ami-2"))));
        let before = source.with_version(2, Some("ami-2"));
        assert!(before.launched(&of("2", None)) && before.launched(&of("2", Some("ami-2"))));
        assert!(!before.launched(&of("2", Some("ami-3"))), "its root volume was replaced");
        assert!(!next.is(&source.with_version(3, Some("ami-3"))), "the one has an AMI of its own");
        // The next deployment changes it in all places.
        let again = Source::of(&of_types(own)).unwrap();
        assert_eq!((again.is_own, again.image.as_deref()), (true, Some("ami-3")));
        let desired = again.with_version(4, Some("ami-4")).desired();
        assert_eq!((desired.matches("ami-4").count(), desired.matches("ami-3").count()), (2, 0), "{desired}");
    }

    #[test]
    fn root_volumes_are_not_replaced_where_aws_could_not() {
        let why = |group: &AutoScalingGroup| Source::of(group).unwrap().not_in_place();
        assert_eq!(why(&group()), Some("it mixes no instances"));
        assert_eq!(why(&of_types(json!([]))), Some("its mixed instances policy names no types"));
        assert_eq!(why(&mixed()), Some("some of its types have a launch template of their own"));
    }

    #[test]
    fn a_version_that_is_whatever_there_is_is_no_number() {
        for version in [None, Some("$Latest"), Some("$Default")] {
            let mut group = group();
            group.launch_template.iter_mut().for_each(|template| template.version = version.map(str::to_owned));
            let source = Source::of(&group).unwrap();
            assert!(!source.is_pinned() && source.with_version(3, None).is_pinned(), "{version:?}");
        }
    }
}
