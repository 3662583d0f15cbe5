//! The sections of a template.
//!
//! The main type is [`Template`].

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Position};
use crate::node::{Entry, Node};
use crate::parameter::Parameter;
use crate::references::{Target, references};

/// A template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// What it is for.
    pub description: Option<String>,
    /// What else it says of itself.
    pub metadata: Option<Node>,
    /// What transforms it, such as `AWS::LanguageExtensions`.
    pub transforms: Vec<String>,
    /// Parameters, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// Mappings, by name.
    pub mappings: BTreeMap<String, Node>,
    /// Conditions, by name.
    pub conditions: BTreeMap<String, Node>,
    /// What parameters must fulfil together, by name.
    pub rules: BTreeMap<String, TemplateRule>,
    /// Resources, by logical id.
    pub resources: BTreeMap<String, Resource>,
    /// Outputs, by name.
    pub outputs: BTreeMap<String, Output>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Where its logical id stands.
    pub at: Position,
    /// Its type, such as `AWS::EC2::VPC`.
    pub kind: String,
    /// Where the type stands.
    pub kind_at: Position,
    /// Its properties; an empty structure where none are given.
    pub properties: Node,
    /// What it waits for, beside what it refers to.
    pub depends_on: Vec<(String, Position)>,
    /// The condition that makes it.
    pub condition: Option<(String, Position)>,
    /// What happens when it goes.
    pub deletion_policy: Option<Node>,
    /// What happens when it is replaced.
    pub update_replace_policy: Option<Node>,
    /// How it is updated.
    pub update_policy: Option<Node>,
    /// What it waits for when it is made.
    pub creation_policy: Option<Node>,
    /// What else is said of it.
    pub metadata: Option<Node>,
}

/// An output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Where its name stands.
    pub at: Position,
    /// What it is for.
    pub description: Option<String>,
    /// Its value.
    pub value: Node,
    /// The name by which other stacks import it.
    pub export: Option<Node>,
    /// The condition that makes it.
    pub condition: Option<(String, Position)>,
}

/// What parameters must fulfil together.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRule {
    /// When it counts; always where this is not told.
    pub condition: Option<Node>,
    /// What must be so.
    pub assertions: Vec<Assertion>,
}

/// What must be so.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion {
    /// The function.
    pub assert: Node,
    /// What is said where it is not so.
    pub description: Option<String>,
}

/// The transform that offers `Fn::ForEach`, `Fn::Length`, `Fn::ToJsonString` and more.
pub(crate) const EXTENSIONS: &str = "AWS::LanguageExtensions";

const SECTIONS: &[&str] = &[
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Rules",
    "Resources",
    "Outputs",
    "Transform",
];

impl Template {
    /// The sections of a tree, with what is wrong in their form.
    pub(crate) fn of(root: &Node) -> (Self, Vec<Finding>) {
        let mut findings = Vec::new();
        let Some(entries) = root.entries() else {
            let message = format!("a template is a structure, not {}", root.kind());
            return (Self::empty(), vec![Finding::new(root.at, "", message).help("begin with `Resources:`")]);
        };
        for entry in entries.iter().filter(|entry| !SECTIONS.contains(&entry.key.as_str())) {
            let finding = Finding::new(entry.at, "", format!("a template has no section {:?}", entry.key));
            findings.push(finding.meant(&entry.key, SECTIONS.iter().copied()));
        }
        if let Some(version) = root.get("AWSTemplateFormatVersion")
            && version.scalar().as_deref() != Some("2010-09-09")
        {
            let finding = Finding::new(version.at, "AWSTemplateFormatVersion", "there is one version alone");
            findings.push(finding.help("say `AWSTemplateFormatVersion: \"2010-09-09\"`"));
        }
        let template = Self {
            description: root.get("Description").and_then(Node::scalar),
            metadata: root.get("Metadata").cloned(),
            transforms: transforms(root.get("Transform")),
            parameters: section(root, "Parameters", &mut findings, |entry, findings| {
                Parameter::of(entry.at, &entry.key, &entry.value, findings)
            }),
            mappings: section(root, "Mappings", &mut findings, |entry, _| Some(entry.value.clone())),
            conditions: section(root, "Conditions", &mut findings, |entry, _| Some(entry.value.clone())),
            rules: section(root, "Rules", &mut findings, rule),
            resources: section(root, "Resources", &mut findings, resource),
            outputs: section(root, "Outputs", &mut findings, output),
        };
        if root.get("Resources").is_none() {
            let finding =
                Finding::new(root.at, "", "a template has at least one resource, and this one has no Resources");
            findings.push(finding);
        }
        (template, findings)
    }

    fn empty() -> Self {
        Self {
            description: None,
            metadata: None,
            transforms: Vec::new(),
            parameters: BTreeMap::new(),
            mappings: BTreeMap::new(),
            conditions: BTreeMap::new(),
            rules: BTreeMap::new(),
            resources: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Whether it asks for the language extensions.
    pub fn is_extended(&self) -> bool {
        self.transforms.iter().any(|transform| transform == EXTENSIONS)
    }

    /// The resources that each resource waits for: those that it refers to, and those that it names.
    pub fn dependencies(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.resources.iter().map(|(name, resource)| (name.as_str(), self.needs(resource))).collect()
    }

    /// The resources that this one waits for.
    pub fn needs_of(&self, logical: &str) -> BTreeSet<&str> {
        self.resources.get(logical).map(|resource| self.needs(resource)).unwrap_or_default()
    }

    fn needs(&self, resource: &Resource) -> BTreeSet<&str> {
        let known = |name: &str| self.resources.get_key_value(name).map(|(name, _)| name.as_str());
        let parts = [
            Some(&resource.properties),
            resource.metadata.as_ref(),
            resource.update_policy.as_ref(),
            resource.creation_policy.as_ref(),
        ];
        let referred =
            parts.into_iter().flatten().flat_map(references).filter_map(|reference| match reference.target {
                Target::Named(name) | Target::Attribute(name, _) => known(&name),
                Target::Condition(_) | Target::Mapping(..) => None,
            });
        referred.chain(resource.depends_on.iter().filter_map(|(name, _)| known(name))).collect()
    }
}

fn transforms(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let name = |node: &Node| node.scalar().or_else(|| node.get("Name").and_then(Node::scalar));
    match node.items() {
        Some(items) => items.iter().filter_map(name).collect(),
        None => name(node).into_iter().collect(),
    }
}

/// A section: named things.
fn section<T>(
    root: &Node,
    name: &str,
    findings: &mut Vec<Finding>,
    mut one: impl FnMut(&Entry, &mut Vec<Finding>) -> Option<T>,
) -> BTreeMap<String, T> {
    let Some(node) = root.get(name) else { return BTreeMap::new() };
    let Some(entries) = node.entries() else {
        findings.push(Finding::new(node.at, name, format!("{name} is a structure, not {}", node.kind())));
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        // A loop that is not unrolled names no thing itself.
        if entry.key.starts_with("Fn::") {
            continue;
        }
        if name != "Rules" && name != "Mappings" && !entry.key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("{:?} is no name here: letters and digits alone", entry.key);
            findings.push(Finding::new(entry.at, name, message));
            continue;
        }
        if let Some(thing) = one(entry, findings) {
            found.insert(entry.key.clone(), thing);
        }
    }
    found
}

fn condition(node: &Node, path: &str, findings: &mut Vec<Finding>) -> Option<(String, Position)> {
    let condition = node.get("Condition")?;
    match condition.as_text() {
        Some(name) => Some((name.to_owned(), condition.at)),
        None => {
            findings.push(Finding::new(condition.at, path, "Condition is the name of one of Conditions"));
            None
        }
    }
}

fn unknown(entries: &[Entry], what: &str, known: &[&str], path: &str, findings: &mut Vec<Finding>) {
    for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
        let finding = Finding::new(entry.at, path, format!("{what} has no {:?}", entry.key));
        findings.push(finding.meant(&entry.key, known.iter().copied()));
    }
}

fn resource(entry: &Entry, findings: &mut Vec<Finding>) -> Option<Resource> {
    let (node, path) = (&entry.value, format!("Resources.{}", entry.key));
    let Some(entries) = node.entries() else {
        findings.push(Finding::new(node.at, path, format!("a resource is a structure, not {}", node.kind())));
        return None;
    };
    const KNOWN: &[&str] = &[
        "Type",
        "Properties",
        "DependsOn",
        "Condition",
        "DeletionPolicy",
        "UpdateReplacePolicy",
        "UpdatePolicy",
        "CreationPolicy",
        "Metadata",
        "Description",
    ];
    unknown(entries, "a resource", KNOWN, &path, findings);
    let Some((kind, kind_at)) = node.get("Type").and_then(|node| Some((node.as_text()?.to_owned(), node.at))) else {
        findings.push(Finding::new(entry.at, path, "it has no Type").help("say `Type: AWS::Logs::LogGroup`, for one"));
        return None;
    };
    let mut properties = Node::empty(entry.at);
    if let Some(given) = node.get("Properties") {
        match given.entries() {
            Some(_) => properties = given.clone(),
            None if given.content == crate::node::Content::Null => {}
            None => {
                let message = format!("Properties is a structure, not {}", given.kind());
                findings.push(Finding::new(given.at, &path, message));
            }
        }
    }
    let depends_on = match node.get("DependsOn") {
        Some(given) => {
            let items = given.items().unwrap_or(std::slice::from_ref(given));
            for item in items.iter().filter(|item| item.as_text().is_none()) {
                let message = format!("DependsOn names resources, and this is {}", item.kind());
                findings.push(Finding::new(item.at, &path, message));
            }
            items.iter().filter_map(|item| Some((item.as_text()?.to_owned(), item.at))).collect()
        }
        None => Vec::new(),
    };
    Some(Resource {
        at: entry.at,
        kind,
        kind_at,
        properties,
        depends_on,
        condition: condition(node, &path, findings),
        deletion_policy: node.get("DeletionPolicy").cloned(),
        update_replace_policy: node.get("UpdateReplacePolicy").cloned(),
        update_policy: node.get("UpdatePolicy").cloned(),
        creation_policy: node.get("CreationPolicy").cloned(),
        metadata: node.get("Metadata").cloned(),
    })
}

fn output(entry: &Entry, findings: &mut Vec<Finding>) -> Option<Output> {
    let (node, path) = (&entry.value, format!("Outputs.{}", entry.key));
    let Some(entries) = node.entries() else {
        findings.push(Finding::new(node.at, path, format!("an output is a structure, not {}", node.kind())));
        return None;
    };
    unknown(entries, "an output", &["Description", "Value", "Export", "Condition"], &path, findings);
    let Some(value) = node.get("Value").cloned() else {
        findings.push(Finding::new(entry.at, path, "it has no Value"));
        return None;
    };
    let export = node.get("Export");
    if let Some(export) = export
        && export.get("Name").is_none()
    {
        findings.push(Finding::new(export.at, &path, "its Export has no Name").help("say `Export: { Name: … }`"));
    }
    Some(Output {
        at: entry.at,
        description: node.get("Description").and_then(Node::scalar),
        value,
        export: export.and_then(|export| export.get("Name")).cloned(),
        condition: condition(node, &path, findings),
    })
}

fn rule(entry: &Entry, findings: &mut Vec<Finding>) -> Option<TemplateRule> {
    let (node, path) = (&entry.value, format!("Rules.{}", entry.key));
    let Some(assertions) = node.get("Assertions").and_then(Node::items) else {
        findings.push(Finding::new(entry.at, path, "a rule has a list of Assertions"));
        return None;
    };
    unknown(node.entries().unwrap_or_default(), "a rule", &["RuleCondition", "Assertions"], &path, findings);
    let mut read = Vec::new();
    for assertion in assertions {
        match assertion.get("Assert") {
            Some(assert) => read.push(Assertion {
                assert: assert.clone(),
                description: assertion.get("AssertDescription").and_then(Node::scalar),
            }),
            None => findings.push(Finding::new(assertion.at, &path, "an assertion has no Assert")),
        }
    }
    Some(TemplateRule { condition: node.get("RuleCondition").cloned(), assertions: read })
}
