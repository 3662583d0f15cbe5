//! Launch templates, subnets and security groups that CloudFormation makes.
//!
//! The main functions are [`make_template`], [`make_subnet`] and [`make_group`].

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document;
use super::network::{SecurityGroup, SecurityRule, Subnet};
use super::template::{Template, TemplateVersion};
use crate::ctx::Scope;
use crate::tags::Tags;

fn text(given: &Value, name: &str) -> Option<String> {
    match given.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The tags of properties.
fn tags(given: Option<&Value>) -> Tags {
    let all = given.and_then(Value::as_array).into_iter().flatten();
    all.map(|tag| (text(tag, "Key").unwrap_or_default(), text(tag, "Value").unwrap_or_default())).collect()
}

fn author(scope: &Scope<'_>) -> String {
    format!("arn:{}:sts::{}:assumed-role/CloudFormation/AWSCloudFormation", scope.at.partition(), scope.at.account)
}

/// The data of a launch template, as the API has it. Numbers and truths may stand there as text, as parameters have them.
fn data(given: &Value) -> Result<Value, String> {
    let data = given.get("LaunchTemplateData").cloned().unwrap_or_else(|| json!({}));
    let checked = document::checked(&data).or_else(|_| document::checked(&plain(&data)));
    checked.map_err(|error| error.message)
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => Value::Object(members.iter().map(|(name, one)| (name.clone(), plain(one))).collect()),
        Value::String(text) => match (text.parse::<i64>(), text.as_str()) {
            (Ok(number), _) => json!(number),
            (Err(_), "true" | "false") => json!(text == "true"),
            (Err(_), _) => value.clone(),
        },
        other => other.clone(),
    }
}

fn version(scope: &Scope<'_>, number: u64, given: &Value) -> Result<TemplateVersion, String> {
    Ok(TemplateVersion {
        number,
        description: text(given, "VersionDescription"),
        created: scope.now(),
        created_by: author(scope),
        data: data(given)?,
    })
}

/// Make a launch template: its id.
pub(crate) fn make_template(scope: &mut Scope<'_>, name: &str, given: &Value) -> Result<String, String> {
    if scope.place().ec2.templates.values().any(|template| template.name == name) {
        return Err(format!("Launch template name already in use: {name}"));
    }
    let kind = format!("ec2/template/{}", scope.at);
    let id = format!("lt-0{}", scope.world.ids.hex(&kind, 16));
    let first = version(scope, 1, given)?;
    let of_template = given.get("TagSpecifications").and_then(Value::as_array).into_iter().flatten();
    let mut own = Tags::new();
    for specification in of_template.filter(|one| text(one, "ResourceType").as_deref() == Some("launch-template")) {
        own.extend(tags(specification.get("Tags")));
    }
    let template = Template {
        id: id.clone(),
        name: name.to_owned(),
        created: scope.now(),
        created_by: author(scope),
        default: 1,
        versions: BTreeMap::from([(1, first)]),
        tags: own,
    };
    scope.place().ec2.templates.insert(id.clone(), template);
    Ok(id)
}

/// Give a launch template another version: its number.
pub(crate) fn next_version(scope: &mut Scope<'_>, id: &str, given: &Value) -> Result<u64, String> {
    let latest = scope.place().ec2.templates.get(id).map(Template::latest);
    let latest =
        latest.ok_or_else(|| format!("The specified launch template, with template ID {id}, does not exist."))?;
    let next = version(scope, latest + 1, given)?;
    if let Some(template) = scope.place().ec2.templates.get_mut(id) {
        template.versions.insert(latest + 1, next);
        // CloudFormation does not move the default version.
    }
    Ok(latest + 1)
}

/// Make a subnet: its id.
pub(crate) fn make_subnet(scope: &mut Scope<'_>, given: &Value) -> Result<String, String> {
    let kind = format!("ec2/subnet/{}", scope.at);
    let id = format!("subnet-0{}", scope.world.ids.hex(&kind, 16));
    let zone = text(given, "AvailabilityZone").unwrap_or_else(|| format!("{}a", scope.at.region));
    if !zone.starts_with(&scope.at.region) {
        return Err(format!(
            "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: {0}a, {0}b, {0}c.",
            scope.at.region
        ));
    }
    let subnet = Subnet {
        id: id.clone(),
        vpc: text(given, "VpcId").unwrap_or_default(),
        zone,
        cidr: text(given, "CidrBlock").unwrap_or_default(),
        addresses: 251,
        public: given.get("MapPublicIpOnLaunch").is_some_and(|public| public == true),
        tags: tags(given.get("Tags")),
    };
    scope.place().ec2.subnets.insert(id.clone(), subnet);
    Ok(id)
}

fn rules(given: Option<&Value>) -> Vec<SecurityRule> {
    let all = given.and_then(Value::as_array).into_iter().flatten();
    all.map(|rule| {
        let port = |name: &str| text(rule, name).and_then(|text| text.parse::<u16>().ok());
        let group = ["SourceSecurityGroupId", "DestinationSecurityGroupId"].iter().find_map(|name| text(rule, name));
        SecurityRule {
            protocol: text(rule, "IpProtocol").unwrap_or_else(|| "-1".to_owned()),
            ports: port("FromPort").zip(port("ToPort")),
            cidr: text(rule, "CidrIp").or_else(|| text(rule, "CidrIpv6")),
            group,
        }
    })
    .collect()
}

/// Make a security group, or bring the one of `id` to other properties: its id.
pub(crate) fn make_group(scope: &mut Scope<'_>, name: &str, given: &Value, id: Option<&str>) -> String {
    let id = id.map_or_else(
        || {
            let kind = format!("ec2/security-group/{}", scope.at);
            format!("sg-0{}", scope.world.ids.hex(&kind, 16))
        },
        str::to_owned,
    );
    let everything =
        SecurityRule { protocol: "-1".to_owned(), ports: None, cidr: Some("0.0.0.0/0".to_owned()), group: None };
    let egress = rules(given.get("SecurityGroupEgress"));
    let group = SecurityGroup {
        id: id.clone(),
        name: name.to_owned(),
        description: text(given, "GroupDescription").unwrap_or_default(),
        vpc: text(given, "VpcId").unwrap_or_default(),
        ingress: rules(given.get("SecurityGroupIngress")),
        egress: if egress.is_empty() { vec![everything] } else { egress },
        tags: tags(given.get("Tags")),
    };
    scope.place().ec2.security_groups.insert(id.clone(), group);
    id
}

/// The name of a security group that is there.
pub(crate) fn group_name(scope: &mut Scope<'_>, id: &str) -> Option<String> {
    scope.place().ec2.security_groups.get(id).map(|group| group.name.clone())
}

/// Whether something of this id is there: a launch template, a subnet or a security group.
pub(crate) fn is_there(scope: &mut Scope<'_>, id: &str) -> bool {
    let state = &scope.place().ec2;
    state.templates.contains_key(id) || state.subnets.contains_key(id) || state.security_groups.contains_key(id)
}

/// Something of this id goes.
pub(crate) fn remove(scope: &mut Scope<'_>, id: &str) -> Result<(), String> {
    let state = &mut scope.place().ec2;
    let used = state.instances.values().any(|instance| !instance.is_ending() && instance.stands_in(id));
    if used {
        return Err(format!(
            "{id} has dependencies and cannot be deleted. (Service: Ec2, Status Code: 400, Error Code: DependencyViolation)"
        ));
    }
    state.templates.remove(id);
    state.subnets.remove(id);
    state.security_groups.remove(id);
    Ok(())
}
