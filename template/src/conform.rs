//! Holds properties against the schemas of their types.
//!
//! The main function is [`conform`].

use crate::finding::Finding;
use crate::node::{Content, Node};
use crate::rules::{Rules, is_custom, rules};
use crate::template::{Resource, Template};

/// Properties that no schema has, that are missing, that cannot be given or are of another kind: each with its resource's logical id.
pub fn conform(template: &Template) -> Vec<(&str, Finding)> {
    let mut all = Vec::new();
    for (name, resource) in &template.resources {
        if let Some(known) = rules(&resource.kind) {
            let mut findings = Vec::new();
            one(name, resource, known, &mut findings);
            all.extend(findings.into_iter().map(|finding| (name.as_str(), finding)));
        }
    }
    all
}

fn one(name: &str, resource: &Resource, known: &Rules, findings: &mut Vec<Finding>) {
    let path = format!("Resources.{name}.Properties");
    let entries = resource.properties.entries().unwrap_or_default();
    // Some are computed as a whole, and a loop makes others.
    if entries.iter().any(|entry| entry.key.starts_with("Fn::")) {
        return;
    }
    for entry in entries {
        let key = entry.key.as_str();
        match known.properties.get(key) {
            // Whoever answers for a custom type takes what it likes.
            None if is_custom(&resource.kind) => {}
            None => {
                let finding = Finding::new(entry.at, &path, format!("{} has no property {key:?}", resource.kind));
                findings.push(finding.meant(key, known.properties.keys().map(String::as_str)));
            }
            Some(_) if known.read_only.iter().any(|name| name == key) => {
                let message = format!("{key:?} is told by AWS and cannot be given");
                findings.push(Finding::new(entry.at, &path, message).help("take it away"));
            }
            Some(kind) => {
                if let Some(wanted) = misfit(&entry.value, kind) {
                    let message = format!("{key:?} is {wanted}, not {}", entry.value.kind());
                    findings.push(Finding::new(entry.value.at, format!("{path}.{key}"), message));
                }
            }
        }
    }
    for required in known.required.iter().filter(|required| !entries.iter().any(|entry| entry.key == **required)) {
        let message = format!("{} needs the property {required:?}", resource.kind);
        findings.push(Finding::new(resource.at, &path, message));
    }
}

/// What a property is to be, where it is surely something else. CloudFormation takes text for numbers and the other way round.
fn misfit(value: &Node, kind: &str) -> Option<&'static str> {
    if value.call().is_some() {
        return None;
    }
    match (kind, &value.content) {
        ("array", Content::List(_)) | ("object", Content::Map(_)) => None,
        ("array", _) => Some("a list"),
        ("object", Content::Text(text)) if text.trim_start().starts_with('{') => None,
        ("object", _) => Some("a structure"),
        ("string" | "integer" | "number" | "boolean", Content::List(_)) => Some("one value"),
        ("string" | "integer" | "number" | "boolean", Content::Map(entries))
            if kind != "string" || entries.len() > 1 =>
        {
            Some("one value")
        }
        ("integer" | "number", Content::Text(text)) if text.parse::<f64>().is_err() && !text.contains("{{") => {
            Some("a number")
        }
        ("boolean", Content::Text(text))
            if !matches!(text.to_lowercase().as_str(), "true" | "false") && !text.contains("{{") =>
        {
            Some("`true` or `false`")
        }
        _ => None,
    }
}
