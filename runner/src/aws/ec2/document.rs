//! The data of a launch template's version, as a document with the members of EC2's API.
//!
//! The main functions are [`read`], of an answer, and [`written`], for a request. How each member is spelled in a request and in an answer
//! says a table, which is made of botocore's model; the simulator has the same one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::{Map, Number, Value};

use crate::aws::error::{AwsError, invalid};

const TABLE: &str = include_str!("../../../../sim/src/services/ec2/launch-template-data.txt");

/// What a machine runs when it boots may hold secrets: it is not told, so that no record has it, and not taken. A version that is made
/// of another one has the other's.
const UNTOLD: &str = "UserData";

/// An answer nests so deep: launch templates need half of it.
const DEEPEST: usize = 64;

static ROOT: LazyLock<DataMember> = LazyLock::new(|| {
    let mut root = DataMember::default();
    TABLE.lines().filter(|line| !line.starts_with('#')).for_each(|line| root.add(line));
    root
});

/// A member, with those below it.
#[derive(Debug, Default)]
struct DataMember {
    request: &'static str,
    /// In an answer: its name, and for a list that of its items.
    answer: (&'static str, &'static str),
    kind: &'static str,
    list: bool,
    /// By the model's name.
    members: BTreeMap<&'static str, DataMember>,
}

impl DataMember {
    fn add(&mut self, line: &'static str) {
        let mut words = line.split(' ');
        let (Some(path), Some(request), Some(answer), Some(kind)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let mut at = self;
        for part in path.split('.') {
            at = at.members.entry(part.strip_suffix("[]").unwrap_or(part)).or_default();
            at.list = part.ends_with("[]");
        }
        (at.request, at.answer, at.kind) = (request, answer.split_once('/').unwrap_or((answer, "item")), kind);
    }

    /// What an answer says. A member that the table does not have is kept by the answer's own name: it is seen, and is not written again.
    fn read(&self, element: &Element) -> Value {
        let mut document = Map::new();
        for child in &element.children {
            let known = self.members.iter().find(|(_, node)| node.answer.0 == child.name);
            let (name, value) = match known {
                // What EC2 tells of a version, and takes for none.
                Some((_, node)) if node.request == "-" => continue,
                Some((name, _)) if *name == UNTOLD => continue,
                Some((name, node)) if node.list => {
                    let items = child.children.iter().filter(|item| item.name == node.answer.1);
                    ((*name).to_owned(), Value::Array(items.map(|item| node.value(item)).collect()))
                }
                Some((name, node)) => ((*name).to_owned(), node.value(child)),
                None => (child.name.clone(), child.whole()),
            };
            document.insert(name, value);
        }
        Value::Object(document)
    }

    fn value(&self, element: &Element) -> Value {
        let text = element.text.as_str();
        let parsed = match self.kind {
            "structure" => Some(self.read(element)),
            "boolean" => text.parse().ok().map(Value::Bool),
            "integer" => text.parse::<i64>().ok().map(Value::from),
            "double" => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
            _ => None,
        };
        parsed.unwrap_or_else(|| Value::from(text))
    }

    /// What is sent: refused where the API has no such member, or one of another kind.
    fn written(&self, document: &Value, path: &str) -> Result<Value, AwsError> {
        let Value::Object(members) = document else {
            return Err(invalid(format_args!("{} is no object", at(path))));
        };
        let mut form = Map::new();
        for (name, value) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name == UNTOLD {
                let told = "UserData is not given to kiln, which writes down what it is given: make the version of one that has it";
                return Err(invalid(told));
            }
            let Some(node) = self.members.get(name.as_str()).filter(|node| node.request != "-") else {
                let told = format_args!(
                    "{path} is nothing that kiln knows in the data of a launch template: give what changes, and a source version"
                );
                return Err(invalid(told));
            };
            let value = match (node.list, value) {
                (true, Value::Array(items)) => {
                    Value::Array(items.iter().map(|item| node.one(item, &path)).collect::<Result<_, _>>()?)
                }
                (true, _) => return Err(invalid(format_args!("{path} is no list"))),
                (false, value) => node.one(value, &path)?,
            };
            form.insert(node.request.to_owned(), value);
        }
        Ok(Value::Object(form))
    }

    fn one(&self, value: &Value, path: &str) -> Result<Value, AwsError> {
        match (self.kind, value) {
            ("structure", value) => self.written(value, path),
            ("boolean", Value::Bool(_))
            | ("integer" | "double", Value::Number(_))
            | ("string" | "timestamp", Value::String(_)) => Ok(value.clone()),
            (kind, _) => Err(invalid(format_args!("{path} is to be a {kind}"))),
        }
    }
}

fn at(path: &str) -> &str {
    if path.is_empty() { "the data of a launch template" } else { path }
}

/// An element of an answer.
#[derive(Debug, Default)]
struct Element {
    name: String,
    children: Vec<Element>,
    text: String,
}

impl Element {
    /// The root of a document; none, where it is no XML, or nests too deep.
    fn parse(xml: &str) -> Option<Element> {
        let mut reader = Reader::from_str(xml);
        let mut open = vec![Element::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(tag) if open.len() < DEEPEST => open.push(Element::named(tag.local_name().as_ref())),
                Event::Start(_) => return None,
                Event::Empty(tag) => open.last_mut()?.children.push(Element::named(tag.local_name().as_ref())),
                Event::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text),
                Event::CData(text) => open.last_mut()?.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().ok()? {
                        Some(character) => character.to_string(),
                        None => resolve_xml_entity(&reference)?.to_owned(),
                    };
                    open.last_mut()?.text.push_str(&resolved);
                }
                Event::Eof => return open.pop()?.children.pop(),
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
            }
        }
    }

    fn named(name: &str) -> Element {
        Element { name: name.to_owned(), ..Element::default() }
    }

    /// Those below it that have this name, wherever they stand, in their order.
    fn all<'e>(&'e self, name: &str, found: &mut Vec<&'e Element>) {
        for child in &self.children {
            if child.name == name { found.push(child) } else { child.all(name, found) }
        }
    }

    /// All of it, by its own names.
    fn whole(&self) -> Value {
        match self.children.first() {
            None => Value::from(self.text.as_str()),
            Some(first) if first.name == "item" => Value::Array(self.children.iter().map(Element::whole).collect()),
            Some(_) => Value::Object(self.children.iter().map(|each| (each.name.clone(), each.whole())).collect()),
        }
    }
}

/// The documents in an answer about versions of launch templates, one for each version, in their order.
pub(super) fn read(xml: &str) -> Vec<Value> {
    let Some(root) = Element::parse(xml) else { return Vec::new() };
    let mut found = Vec::new();
    root.all("launchTemplateData", &mut found);
    found.into_iter().map(|element| ROOT.read(element)).collect()
}

/// A document, as a request has it.
pub(super) fn written(document: &Value) -> Result<Value, AwsError> {
    ROOT.written(document, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_of_an_answer_can_be_written_again_whole() {
        let xml = "<?xml version=\"1.0\"?><R xmlns=\"urn:x\"><launchTemplateVersionSet><item><launchTemplateData>\
            <imageId>ami-1</imageId><ebsOptimized>true</ebsOptimized><keyName>a&amp;&#x3c;</keyName><userData>c2VjcmV0</userData>\
            <blockDeviceMappingSet><item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>20</volumeSize>\
            <encrypted>false</encrypted></ebs></item></blockDeviceMappingSet>\
            <networkInterfaceSet><item><groupSet><groupId>sg-1</groupId><groupId>sg-2</groupId></groupSet></item></networkInterfaceSet>\
            <metadataOptions><state>applied</state><httpTokens>required</httpTokens></metadataOptions>\
            <securityGroupIdSet/></launchTemplateData></item><item><launchTemplateData><imageId>ami-2</imageId>\
            <somethingNew><item>1</item></somethingNew></launchTemplateData></item></launchTemplateVersionSet></R>";
        let documents = read(xml);
        let first = json!({
            "ImageId": "ami-1", "EbsOptimized": true, "KeyName": "a&<",
            "BlockDeviceMappings": [{ "DeviceName": "/dev/xvda", "Ebs": { "VolumeSize": 20, "Encrypted": false } }],
            "NetworkInterfaces": [{ "Groups": ["sg-1", "sg-2"] }],
            "MetadataOptions": { "HttpTokens": "required" }, "SecurityGroupIds": [],
        });
        assert_eq!(documents, [first.clone(), json!({ "ImageId": "ami-2", "somethingNew": ["1"] })]);
        assert_eq!(
            written(&first),
            Ok(json!({
                "ImageId": "ami-1", "EbsOptimized": true, "KeyName": "a&<",
                "BlockDeviceMapping": [{ "DeviceName": "/dev/xvda", "Ebs": { "VolumeSize": 20, "Encrypted": false } }],
                "NetworkInterface": [{ "SecurityGroupId": ["sg-1", "sg-2"] }],
                "MetadataOptions": { "HttpTokens": "required" }, "SecurityGroupId": [],
            }))
        );
        let new = written(&json!({ "ImageId": "ami-2", "somethingNew": ["1"] })).map_err(|error| error.message);
        assert!(new.is_err_and(|told| told.contains("somethingNew") && told.contains("a source version")));
    }

    #[test]
    fn what_is_no_answer_has_no_documents_and_bottomless_ones_end() {
        for odd in ["", "<a>", "not xml", &"<a>".repeat(100_000)] {
            assert_eq!(read(odd), Vec::<Value>::new());
        }
    }

    #[test]
    fn a_document_of_the_wrong_kind_is_refused_by_its_path() {
        for (document, expected) in [
            (
                json!({ "UserData": "c2VjcmV0" }),
                "UserData is not given to kiln, which writes down what it is given: make the version of one that has it",
            ),
            (json!([]), "the data of a launch template is no object"),
            (json!({ "EbsOptimized": "true" }), "EbsOptimized is to be a boolean"),
            (json!({ "SecurityGroupIds": "sg-1" }), "SecurityGroupIds is no list"),
            (json!({ "Placement": { "Tenancy": 1 } }), "Placement.Tenancy is to be a string"),
        ] {
            assert_eq!(written(&document).map_err(|error| error.message), Err(expected.to_owned()));
        }
    }
}
