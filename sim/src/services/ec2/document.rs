//! The data of a launch template's version: read from requests, written into answers.
//!
//! The main functions are [`from_request`] and [`to_answer`]. Between them it is a document with the members of the API's model, such as
//! `BlockDeviceMappings`, all of them: a table beside this file, made of botocore's model, says how each is spelled in a request and in an
//! answer.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Number, Value};

use crate::error::AwsError;

const TABLE: &str = include_str!("launch-template-data.txt");

static ROOT: LazyLock<Node> = LazyLock::new(|| {
    let mut root = Node::default();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        root.read(line);
    }
    root
});

/// A member, with those below it.
#[derive(Debug, Default)]
struct Node {
    request: &'static str,
    answer: &'static str,
    kind: &'static str,
    list: bool,
    /// By the model's name.
    members: BTreeMap<&'static str, Node>,
}

impl Node {
    fn read(&mut self, line: &'static str) {
        let mut words = line.split(' ');
        let (Some(path), Some(request), Some(answer), Some(kind)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let mut at = self;
        for part in path.split('.') {
            let name = part.strip_suffix("[]").unwrap_or(part);
            at = at.members.entry(name).or_default();
            at.list = part.ends_with("[]");
        }
        (at.request, at.answer, at.kind) = (request, answer, kind);
    }

    /// The members of a structure: a list or not of each.
    fn structure(&self, given: &Value, path: &str, spelled: Spelling) -> Result<Value, AwsError> {
        let Value::Object(given) = given else {
            return Err(malformed(format!("{path} is no structure")));
        };
        let mut made = Map::new();
        for (name, value) in given {
            let found = self.members.iter().find(|(model, node)| spelled.of(model, node) == name);
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let Some((model, node)) = found else {
                return Err(AwsError::new("UnknownParameter", format!("The parameter {at} is not recognized")));
            };
            let value = match node.list {
                true => {
                    let items = spelled.items(value).ok_or_else(|| malformed(format!("{at} is no list")))?;
                    let items = items.into_iter().map(|item| node.value(item, &at, spelled));
                    Value::Array(items.collect::<Result<_, _>>()?)
                }
                false => node.value(value, &at, spelled)?,
            };
            made.insert((*model).to_owned(), value);
        }
        Ok(Value::Object(made))
    }

    fn value(&self, given: &Value, path: &str, spelled: Spelling) -> Result<Value, AwsError> {
        let wrong = || malformed(format!("{path} is {given}, and is to be a {}", self.kind));
        match (self.kind, given) {
            ("structure", given) => self.structure(given, path, spelled),
            ("boolean", Value::String(text)) => text.parse().map(Value::Bool).map_err(|_| wrong()),
            ("boolean", Value::Bool(_)) | ("string" | "timestamp", Value::String(_)) => Ok(given.clone()),
            ("integer", Value::String(text)) => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
            ("integer" | "double", Value::Number(_)) => Ok(given.clone()),
            ("double", Value::String(text)) => {
                text.parse().ok().and_then(Number::from_f64).map(Value::Number).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }

    fn answer(&self, document: &Value) -> Value {
        let Value::Object(members) = document else { return document.clone() };
        let mut made = Map::new();
        for (name, value) in members {
            let Some(node) = self.members.get(name.as_str()).filter(|node| node.answer != "-") else { continue };
            match value {
                Value::Array(items) => {
                    let (list, item) = node.answer.split_once('/').unwrap_or((node.answer, "item"));
                    let items = items.iter().map(|item| node.answer(item)).collect();
                    let items = Map::from_iter([(format!("{item}[]"), Value::Array(items))]);
                    made.insert(list.to_owned(), Value::Object(items));
                }
                value => {
                    made.insert(node.answer.to_owned(), node.answer(value));
                }
            }
        }
        Value::Object(made)
    }
}

/// How a document's members are spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// As a request has them.
    Request,
    /// As the model has them.
    Model,
}

impl Spelling {
    fn of<'n>(self, model: &'n str, node: &'n Node) -> &'n str {
        match self {
            Spelling::Request => node.request,
            Spelling::Model => model,
        }
    }

    fn items(self, value: &Value) -> Option<Vec<&Value>> {
        match (self, value) {
            (Spelling::Model, Value::Array(items)) => Some(items.iter().collect()),
            (Spelling::Request, Value::Object(list)) => {
                let items = list.get("member")?.as_object()?;
                let mut numbered: Vec<(u32, &Value)> = Vec::new();
                for (number, item) in items {
                    numbered.push((number.parse().ok()?, item));
                }
                numbered.sort_by_key(|(number, _)| *number);
                Some(numbered.into_iter().map(|(_, item)| item).collect())
            }
            _ => None,
        }
    }
}

fn malformed(reason: String) -> AwsError {
    AwsError::new("InvalidParameterValue", reason)
}

/// The document that a request's form makes.
pub(super) fn from_request(form: &Value) -> Result<Value, AwsError> {
    ROOT.structure(form, "", Spelling::Request)
}

/// A document that has the model's members already, if it has no others.
pub(super) fn checked(document: &Value) -> Result<Value, AwsError> {
    ROOT.structure(document, "", Spelling::Model)
}

/// The document, as an answer writes it.
pub(super) fn to_answer(document: &Value) -> Value {
    ROOT.answer(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::query::Form;

    #[test]
    fn what_is_read_from_a_request_is_written_into_an_answer_whole() -> Result<(), Box<dyn std::error::Error>> {
        let body = b"Action=X&ImageId=ami-1&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2&EbsOptimized=true\
            &BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=20\
            &NetworkInterface.1.SecurityGroupId.1=sg-3&InstanceRequirements.MemoryGiBPerVCpu.Min=0.5";
        let (_, form) = Form::parse(body).map_err(|error| error.message)?;
        let document = from_request(&form.with_named_lists().to_value()).map_err(|error| error.message)?;
        let expected = json!({
            "ImageId": "ami-1", "SecurityGroupIds": ["sg-1", "sg-2"], "EbsOptimized": true,
            "BlockDeviceMappings": [{ "DeviceName": "/dev/xvda", "Ebs": { "VolumeSize": 20 } }],
            "NetworkInterfaces": [{ "Groups": ["sg-3"] }],
            "InstanceRequirements": { "MemoryGiBPerVCpu": { "Min": 0.5 } },
        });
        assert_eq!(document, expected);
        assert_eq!(checked(&document), Ok(document.clone()));
        assert_eq!(
            to_answer(&document),
            json!({
                "imageId": "ami-1", "securityGroupIdSet": { "item[]": ["sg-1", "sg-2"] }, "ebsOptimized": true,
                "blockDeviceMappingSet": { "item[]": [{ "deviceName": "/dev/xvda", "ebs": { "volumeSize": 20 } }] },
                "networkInterfaceSet": { "item[]": [{ "groupSet": { "groupId[]": ["sg-3"] } }] },
                "instanceRequirements": { "memoryGiBPerVCpu": { "min": 0.5 } },
            })
        );
        Ok(())
    }

    #[test]
    fn what_the_model_does_not_have_is_refused_by_its_name() {
        let refusal = |document: Value| checked(&document).err().map(|error| error.message);
        assert_eq!(
            refusal(json!({ "BlockDeviceMappings": [{ "Ebs": { "Size": 8 } }] })),
            Some("The parameter BlockDeviceMappings.Ebs.Size is not recognized".to_owned())
        );
        assert!(refusal(json!({ "EbsOptimized": "perhaps" })).is_some());
        assert!(refusal(json!({ "SecurityGroupIds": "sg-1" })).is_some());
    }
}
