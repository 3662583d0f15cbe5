//! What can be said of a template without a run.
//!
//! The main function is [`check`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::conform::conform;
use crate::expand::expand;
use crate::finding::{Finding, Position};
use crate::node::Node;
use crate::read::read;
use crate::references::{Target, references};
use crate::rules::rules;
use crate::template::Template;

/// The pseudo parameters.
pub(crate) const PSEUDO: &[&str] = &[
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Read a template and check all that needs no run, loops unrolled over the defaults of parameters. All that is wrong is told at once,
/// in the order of the text.
pub fn check(text: &str) -> Result<Template, Vec<Finding>> {
    check_tree(&read(text).map_err(|finding| vec![finding])?, &BTreeMap::new())
}

/// What a tree declares, where its loops cannot be unrolled yet: parameters and all else that stands outside of loops.
pub fn declared(root: &Node) -> Option<Template> {
    let (template, findings) = Template::of(root);
    (findings.is_empty() && template.is_extended()).then_some(template)
}

/// The same of a tree, with the values of parameters that are known.
pub fn check_tree(root: &Node, values: &BTreeMap<String, Value>) -> Result<Template, Vec<Finding>> {
    finished(parsed(root, values)?, true)
}

/// The same but for what the schemas of resource types say, which [`conform`](crate::conform()) tells.
pub fn parse(root: &Node, values: &BTreeMap<String, Value>) -> Result<Template, Vec<Finding>> {
    finished(parsed(root, values)?, false)
}

fn finished((template, mut findings): (Template, Vec<Finding>), conforms: bool) -> Result<Template, Vec<Finding>> {
    if conforms {
        findings.extend(conform(&template).into_iter().map(|(_, finding)| finding));
    }
    findings.sort();
    findings.dedup();
    if findings.is_empty() { Ok(template) } else { Err(findings) }
}

fn parsed(root: &Node, values: &BTreeMap<String, Value>) -> Result<(Template, Vec<Finding>), Vec<Finding>> {
    let (unexpanded, _) = Template::of(root);
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for (name, parameter) in &unexpanded.parameters {
        let default = parameter.default.as_ref().map(|default| parameter.kind.value(default));
        all.extend(values.get(name).cloned().or(default).map(|value| (name.clone(), value)));
    }
    all.extend(
        values.iter().filter(|(name, _)| name.starts_with("AWS::")).map(|(name, value)| (name.clone(), value.clone())),
    );
    // A loop over what is not known yet stays a loop, and what it makes is not known.
    let (expanded, lenient) = match expand(root, &all) {
        Ok(expanded) => (expanded, false),
        Err(_) if values.is_empty() => (root.clone(), true),
        Err(finding) => return Err(vec![finding]),
    };
    let (template, mut findings) = Template::of(&expanded);
    let mut checks = Checks { template: &template, lenient, findings: &mut findings };
    checks.all();
    Ok((template, findings))
}

impl Template {
    /// The resources of types whose rules are not known: nothing can be said of their properties.
    pub fn unsupported(&self) -> Vec<Finding> {
        let unknown = self.resources.iter().filter(|(_, resource)| rules(&resource.kind).is_none());
        let mut found: Vec<Finding> = unknown
            .map(|(name, resource)| {
                let message = format!("the type {:?} is not among those that kiln knows", resource.kind);
                Finding::new(resource.kind_at, format!("Resources.{name}.Type"), message)
                    .meant(&resource.kind, crate::rules::supported())
            })
            .collect();
        found.sort();
        found
    }
}

struct Checks<'c> {
    template: &'c Template,
    lenient: bool,
    findings: &'c mut Vec<Finding>,
}

impl Checks<'_> {
    fn all(&mut self) {
        let template = self.template;
        for (name, node) in &template.conditions {
            let path = format!("Conditions.{name}");
            self.references(node, &path, false);
        }
        for (name, rule) in &template.rules {
            let path = format!("Rules.{name}");
            for assertion in &rule.assertions {
                self.references(&assertion.assert, &path, false);
            }
        }
        for (name, resource) in &template.resources {
            let path = format!("Resources.{name}");
            self.references(&resource.properties, &format!("{path}.Properties"), true);
            for node in [&resource.update_policy, &resource.creation_policy, &resource.metadata].into_iter().flatten() {
                self.references(node, &path, true);
            }
            if let Some((condition, at)) = &resource.condition {
                self.condition(condition, *at, &path);
            }
            for (other, at) in &resource.depends_on {
                if !template.resources.contains_key(other) && !self.lenient {
                    let finding =
                        Finding::new(*at, format!("{path}.DependsOn"), format!("there is no resource {other:?}"));
                    self.findings.push(finding.meant(other, template.resources.keys().map(String::as_str)));
                }
            }
            self.policies(name);
        }
        for (name, output) in &template.outputs {
            let path = format!("Outputs.{name}");
            self.references(&output.value, &path, true);
            if let Some(export) = &output.export {
                self.references(export, &path, true);
            }
            if let Some((condition, at)) = &output.condition {
                self.condition(condition, *at, &path);
            }
        }
        self.functions();
        self.cycles();
    }

    fn condition(&mut self, name: &str, at: Position, path: &str) {
        let known = &self.template.conditions;
        if !known.contains_key(name) && !self.lenient {
            let finding = Finding::new(at, path, format!("there is no condition {name:?}"));
            self.findings.push(finding.meant(name, known.keys().map(String::as_str)));
        }
    }

    /// What a value refers to must be there; `resources` may be meant only where there are some by then.
    fn references(&mut self, node: &Node, path: &str, resources: bool) {
        let template = self.template;
        for reference in references(node) {
            let at = reference.at;
            match reference.target {
                Target::Named(name) => {
                    let is_resource = resources && template.resources.contains_key(&name);
                    let known =
                        template.parameters.contains_key(&name) || PSEUDO.contains(&name.as_str()) || is_resource;
                    if !known && !self.lenient {
                        let names = template.parameters.keys().chain(template.resources.keys()).map(String::as_str);
                        let finding = Finding::new(at, path, format!("there is no parameter and no resource {name:?}"));
                        self.findings.push(finding.meant(&name, names.chain(PSEUDO.iter().copied())));
                    }
                }
                Target::Attribute(of, attribute) => self.attribute(&of, &attribute, at, path),
                // A key of this name, such as that of a policy's statement, is a condition only where conditions are.
                Target::Condition(name) if !resources || !name.is_empty() => self.condition(&name, at, path),
                Target::Condition(_) => {}
                Target::Mapping(name, first, second) => {
                    self.mapping(&name, first.as_deref(), second.as_deref(), at, path)
                }
            }
        }
    }

    fn attribute(&mut self, of: &str, attribute: &str, at: Position, path: &str) {
        let template = self.template;
        match template.resources.get(of) {
            None if self.lenient => {}
            None => {
                let finding = Finding::new(at, path, format!("there is no resource {of:?}"));
                self.findings.push(finding.meant(of, template.resources.keys().map(String::as_str)));
            }
            Some(resource) => {
                if let Some(known) = rules(&resource.kind)
                    && !known.has_attribute(attribute)
                {
                    let message = format!("{:?}, a {}, has no attribute {attribute:?}", of, resource.kind);
                    let finding = Finding::new(at, path, message);
                    self.findings.push(finding.meant(attribute, known.attributes.iter().map(String::as_str)));
                }
            }
        }
    }

    fn mapping(&mut self, name: &str, first: Option<&str>, second: Option<&str>, at: Position, path: &str) {
        let known = &self.template.mappings;
        let Some(mapping) = known.get(name) else {
            if !self.lenient && !self.template.is_extended() {
                let finding = Finding::new(at, path, format!("there is no mapping {name:?}"));
                self.findings.push(finding.meant(name, known.keys().map(String::as_str)));
            }
            return;
        };
        let extended = self.template.is_extended();
        let mut missing = |key: &str, node: &Node| {
            let keys = node.entries().unwrap_or_default().iter().map(|entry| entry.key.as_str());
            let finding = Finding::new(at, path, format!("the mapping {name:?} has no key {key:?} there"));
            self.findings.push(finding.meant(key, keys));
        };
        // A default stands in for what is missing, which the language extensions allow.
        if let (Some(first), false) = (first, extended) {
            match (mapping.get(first), second) {
                (None, _) => missing(first, mapping),
                (Some(keys), Some(second)) if keys.get(second).is_none() => missing(second, keys),
                (Some(_), _) => {}
            }
        }
    }

    fn policies(&mut self, name: &str) {
        let Some(resource) = self.template.resources.get(name) else { return };
        let each = [
            (
                "DeletionPolicy",
                &resource.deletion_policy,
                &["Delete", "Retain", "Snapshot", "RetainExceptOnCreate"][..],
            ),
            ("UpdateReplacePolicy", &resource.update_replace_policy, &["Delete", "Retain", "Snapshot"][..]),
        ];
        for (attribute, given, known) in each {
            let Some(node) = given else { continue };
            match node.as_text() {
                Some(text) if !known.contains(&text) => {
                    let message = format!("{text:?} is no {attribute}; those are {}", known.join(", "));
                    let finding = Finding::new(node.at, format!("Resources.{name}"), message);
                    self.findings.push(finding.meant(text, known.iter().copied()));
                }
                Some(_) => {}
                None if node.call().is_some() && self.template.is_extended() => {}
                None => {
                    let message = format!("{attribute} is one of {}", known.join(", "));
                    self.findings.push(Finding::new(node.at, format!("Resources.{name}"), message));
                }
            }
        }
    }

    /// Functions that there are not.
    fn functions(&mut self) {
        const KNOWN: &[&str] = &[
            "Fn::And",
            "Fn::Base64",
            "Fn::Cidr",
            "Fn::Equals",
            "Fn::FindInMap",
            "Fn::GetAtt",
            "Fn::GetAZs",
            "Fn::If",
            "Fn::ImportValue",
            "Fn::Join",
            "Fn::Length",
            "Fn::Not",
            "Fn::Or",
            "Fn::Select",
            "Fn::Split",
            "Fn::Sub",
            "Fn::ToJsonString",
            "Fn::Transform",
            "Fn::Contains",
            "Fn::EachMemberIn",
            "Fn::EachMemberEquals",
            "Fn::RefAll",
            "Fn::ValueOf",
            "Fn::ValueOfAll",
        ];
        let template = self.template;
        let values =
            template.resources.iter().map(|(name, resource)| (format!("Resources.{name}"), &resource.properties));
        let outputs = template.outputs.iter().map(|(name, output)| (format!("Outputs.{name}"), &output.value));
        let conditions = template.conditions.iter().map(|(name, node)| (format!("Conditions.{name}"), node));
        let mut found = Vec::new();
        for (path, node) in values.chain(outputs).chain(conditions) {
            calls(node, &mut |at, name| {
                if !KNOWN.contains(&name) && !name.starts_with("Fn::ForEach::") {
                    let finding = Finding::new(at, &path, format!("there is no function {name:?}"));
                    found.push(finding.meant(name, KNOWN.iter().copied()));
                }
                if matches!(name, "Fn::Length" | "Fn::ToJsonString") && !template.is_extended() {
                    let finding = Finding::new(at, &path, format!("{name} is one of the language extensions"));
                    found.push(finding.help("say `Transform: AWS::LanguageExtensions`"));
                }
            });
        }
        self.findings.extend(found);
    }

    fn cycles(&mut self) {
        let needs = self.template.dependencies();
        let mut left: BTreeMap<&str, BTreeSet<&str>> = needs;
        loop {
            let free: BTreeSet<&str> =
                left.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| *name).collect();
            if free.is_empty() {
                break;
            }
            left.retain(|name, _| !free.contains(name));
            for needs in left.values_mut() {
                needs.retain(|name| !free.contains(name));
            }
        }
        // What only waits for a circle is in none.
        loop {
            let needed: BTreeSet<&str> = left.values().flatten().copied().collect();
            let before = left.len();
            left.retain(|name, _| needed.contains(name));
            if left.len() == before {
                break;
            }
        }
        let at = left.keys().filter_map(|name| self.template.resources.get(*name)).map(|resource| resource.at).min();
        if let Some(at) = at {
            let names: Vec<&str> = left.keys().copied().collect();
            let message = format!("Circular dependency between resources: [{}]", names.join(", "));
            self.findings.push(
                Finding::new(at, "Resources", message).help("break the circle, perhaps by a resource of its own"),
            );
        }
    }
}

/// Every name that looks like a function's.
fn calls(node: &Node, tell: &mut impl FnMut(Position, &str)) {
    if let Some(items) = node.items() {
        items.iter().for_each(|item| calls(item, tell));
    }
    for entry in node.entries().unwrap_or_default() {
        if entry.key.starts_with("Fn::") {
            tell(entry.at, &entry.key);
        }
        calls(&entry.value, tell);
    }
}
