//! Computes the values of a template.
//!
//! The main type is [`Evaluation`]: a template over what a [`Known`] says.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::finding::Finding;
use crate::node::{Content, Node};
use crate::references::{Piece, attribute, pieces};
use crate::template::Template;
use crate::{expand, functions};

/// What stands for a value that only an execution makes known, as change sets of AWS show it.
pub const LATER: &str = "{{changeSet:KNOWN_AFTER_APPLY}}";

/// What is known outside the template.
pub trait Known {
    /// The value of a parameter or a pseudo parameter, or what `Ref` gives of a resource; [`LATER`] where that comes later.
    fn reference(&self, name: &str) -> Option<Value>;
    /// What `Fn::GetAtt` gives of a resource; [`LATER`] where that comes later.
    fn attribute(&self, of: &str, attribute: &str) -> Option<Value>;
    /// What another stack exports.
    fn import(&self, name: &str) -> Option<Value>;
    /// The zones of a region.
    fn zones(&self, region: &str) -> Vec<String>;
    /// An attribute of what a parameter of an AWS type names, such as the `VpcId` of a subnet: rules of templates ask for it. A rule over
    /// what is not known counts as kept.
    fn described(&self, kind: &str, id: &str, attribute: &str) -> Option<Value> {
        let _ = (kind, id, attribute);
        None
    }
}

/// A template's functions over what is known.
pub struct Evaluation<'t, 'k, K> {
    template: &'t Template,
    known: &'k K,
    /// Conditions that were computed; nothing stands for one that is being computed.
    conditions: RefCell<BTreeMap<String, Option<bool>>>,
}

fn error(node: &Node, message: impl Into<String>) -> Finding {
    Finding::new(node.at, "", message)
}

impl<'t, 'k, K: Known> Evaluation<'t, 'k, K> {
    /// Evaluate this template over this.
    pub fn new(template: &'t Template, known: &'k K) -> Self {
        Self { template, known, conditions: RefCell::default() }
    }

    /// Whether a condition holds.
    pub fn holds(&self, name: &str) -> Result<bool, Finding> {
        if let Some(found) = self.conditions.borrow().get(name) {
            return found.ok_or_else(|| {
                Finding::new(
                    crate::Position::default(),
                    "Conditions",
                    format!("the condition {name:?} refers to itself"),
                )
            });
        }
        let Some(node) = self.template.conditions.get(name) else {
            let message = format!("Template error: there is no condition {name:?}");
            return Err(Finding::new(crate::Position::default(), "Conditions", message));
        };
        self.conditions.borrow_mut().insert(name.to_owned(), None);
        let holds = self.truth(node)?;
        self.conditions.borrow_mut().insert(name.to_owned(), Some(holds));
        Ok(holds)
    }

    /// Whether what has this condition is made.
    pub fn is_made(&self, condition: Option<&str>) -> Result<bool, Finding> {
        condition.map_or(Ok(true), |name| self.holds(name))
    }

    /// The logical ids of the resources that are made.
    pub fn made(&self) -> Result<Vec<&'t str>, Finding> {
        let mut made = Vec::new();
        for (name, resource) in &self.template.resources {
            if self.is_made(resource.condition.as_ref().map(|(condition, _)| condition.as_str()))? {
                made.push(name.as_str());
            }
        }
        Ok(made)
    }

    /// What is said where a rule of the template is broken: one for each assertion that does not hold.
    pub fn broken_rules(&self) -> Result<Vec<String>, Finding> {
        let mut broken = Vec::new();
        for (name, rule) in &self.template.rules {
            if let Some(condition) = &rule.condition
                && !self.truth(condition)?
            {
                continue;
            }
            for assertion in &rule.assertions {
                if !self.truth(&assertion.assert)? {
                    broken.push(assertion.description.clone().unwrap_or_else(|| format!("Rule {name} is broken")));
                }
            }
        }
        Ok(broken)
    }

    /// A value with its functions computed; nothing where it is `AWS::NoValue`.
    pub fn value(&self, node: &Node) -> Result<Option<Value>, Finding> {
        if let Some((function, argument)) = node.call() {
            // `Condition` is a function in conditions alone: elsewhere it is a name, as in the statements of policies.
            if function != "Condition" {
                return self.call(node, function, argument);
            }
        }
        match &node.content {
            Content::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.extend(self.value(item)?);
                }
                Ok(Some(Value::Array(list)))
            }
            Content::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    if let Some(value) = self.value(&entry.value)? {
                        map.insert(entry.key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(map)))
            }
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => Ok(Some(node.json())),
        }
    }

    /// A value that must be there.
    pub fn present(&self, node: &Node) -> Result<Value, Finding> {
        self.value(node)?.ok_or_else(|| error(node, "Template error: AWS::NoValue cannot stand here"))
    }

    fn call(&self, node: &Node, function: &str, argument: &Node) -> Result<Option<Value>, Finding> {
        let wrong = |message: String| error(node, format!("Template error: {message}"));
        let value = match function {
            "Ref" => match argument.as_text() {
                Some("AWS::NoValue") => return Ok(None),
                Some(name) => {
                    let found = self.known.reference(name);
                    found.ok_or_else(|| wrong(format!("Ref refers to {name}, which is not there")))?
                }
                None => return Err(wrong("Ref names a parameter or a resource".to_owned())),
            },
            "Fn::GetAtt" => {
                let (of, attribute) = self.attribute_of(argument)?;
                let found = self.known.attribute(&of, &attribute);
                found.ok_or_else(|| wrong(format!("Fn::GetAtt: {of} has no attribute {attribute}")))?
            }
            "Fn::If" => {
                let [condition, then, otherwise] = argument.items().unwrap_or_default() else {
                    return Err(wrong("Fn::If takes a condition and two values".to_owned()));
                };
                let name =
                    condition.as_text().ok_or_else(|| wrong("Fn::If begins with a condition's name".to_owned()))?;
                return self.value(if self.holds(name)? { then } else { otherwise });
            }
            "Fn::Sub" => Value::String(self.substitute(argument)?),
            "Fn::FindInMap" => self.find_in_map(node, argument)?,
            "Fn::ImportValue" => {
                let name = text(&self.present(argument)?);
                if name.contains(LATER) {
                    return Ok(Some(Value::from(LATER)));
                }
                let found = self.known.import(&name);
                found.ok_or_else(|| error(node, format!("No export named {name} found.")))?
            }
            "Fn::GetAZs" => {
                let region = text(&self.present(argument)?);
                let region = match region.as_str() {
                    "" => self.known.reference("AWS::Region").as_ref().map(text).unwrap_or_default(),
                    _ => region,
                };
                Value::from(self.known.zones(&region))
            }
            "Fn::And"
            | "Fn::Or"
            | "Fn::Not"
            | "Fn::Equals"
            | "Fn::Contains"
            | "Fn::EachMemberIn"
            | "Fn::EachMemberEquals" => Value::Bool(self.truth(node)?),
            "Fn::RefAll" => Value::Array(self.all_of(argument.as_text().unwrap_or_default())),
            "Fn::ValueOf" | "Fn::ValueOfAll" => self.values_of(function, argument)?,
            "Fn::Transform" => return Err(wrong("Fn::Transform is not supported".to_owned())),
            _ => functions::call(function, &self.present(argument)?).map_err(wrong)?,
        };
        Ok(Some(value))
    }

    /// The values of all parameters of this type.
    fn all_of(&self, kind: &str) -> Vec<Value> {
        let list = format!("List<{kind}>");
        let of_kind =
            self.template.parameters.iter().filter(|(_, one)| one.kind.inner() == kind || one.kind.inner() == list);
        let values = of_kind.filter_map(|(name, _)| self.known.reference(name));
        values
            .flat_map(|value| match value {
                Value::Array(items) => items,
                one => vec![one],
            })
            .collect()
    }

    fn values_of(&self, function: &str, argument: &Node) -> Result<Value, Finding> {
        let wrong = || error(argument, format!("Template error: {function} takes two names"));
        let [of, attribute] = argument.items().unwrap_or_default() else { return Err(wrong()) };
        let (of, attribute) = (of.as_text().ok_or_else(wrong)?, attribute.as_text().ok_or_else(wrong)?);
        let described = |kind: &str, id: &Value| {
            self.known.described(kind, &text(id), attribute).unwrap_or_else(|| Value::from(LATER))
        };
        if function == "Fn::ValueOfAll" {
            return Ok(self.all_of(of).iter().map(|id| described(of, id)).collect());
        }
        let parameter = self.template.parameters.get(of).ok_or_else(wrong)?;
        Ok(match (parameter.kind.inner(), self.known.reference(of)) {
            (kind, Some(Value::Array(ids))) => {
                let kind = kind.trim_start_matches("List<").trim_end_matches('>');
                ids.iter().map(|id| described(kind, id)).collect()
            }
            (kind, Some(id)) => described(kind, &id),
            (_, None) => return Err(wrong()),
        })
    }

    fn attribute_of(&self, argument: &Node) -> Result<(String, String), Finding> {
        if let Some(told) = attribute(argument, argument.as_text()) {
            return Ok(told);
        }
        // With the language extensions, the attribute may be computed.
        match argument.items() {
            Some([of, name]) => Ok((text(&self.present(of)?), text(&self.present(name)?))),
            _ => Err(error(argument, "Template error: Fn::GetAtt takes a logical id and an attribute")),
        }
    }

    fn substitute(&self, argument: &Node) -> Result<String, Finding> {
        let wrong = |message: String| error(argument, format!("Template error: {message}"));
        let (template, own) = match (argument.as_text(), argument.items()) {
            (Some(text), _) => (text, None),
            (None, Some([text, own])) => (text.as_text().unwrap_or_default(), own.entries()),
            (None, Some([text])) => (text.as_text().unwrap_or_default(), None),
            _ => return Err(wrong("Fn::Sub takes text, or text and a structure of variables".to_owned())),
        };
        let mut out = String::new();
        for piece in pieces(template) {
            let name = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Variable(name) => name,
            };
            let own = own.and_then(|entries| entries.iter().find(|entry| entry.key == name));
            let value = match (own, name.split_once('.')) {
                (Some(entry), _) => Some(self.present(&entry.value)?),
                (None, Some((of, attribute))) => self.known.attribute(of, attribute),
                (None, None) => self.known.reference(name),
            };
            match value {
                Some(Value::Array(_) | Value::Object(_)) => {
                    return Err(wrong(format!("${{{name}}} of Fn::Sub is no text")));
                }
                Some(value) => out.push_str(&text(&value)),
                None => return Err(wrong(format!("Fn::Sub: there is no {name}"))),
            }
        }
        Ok(out)
    }

    fn find_in_map(&self, node: &Node, argument: &Node) -> Result<Value, Finding> {
        let (name, first, second, default) = match argument.items().unwrap_or_default() {
            [name, first, second] => (name, first, second, None),
            [name, first, second, default] => (name, first, second, default.get("DefaultValue")),
            _ => return Err(error(node, "Template error: Fn::FindInMap takes a mapping and two keys")),
        };
        let (name, first, second) =
            (text(&self.present(name)?), text(&self.present(first)?), text(&self.present(second)?));
        let mapping = self.template.mappings.get(&name);
        match mapping.and_then(|mapping| mapping.get(&first)).and_then(|keys| keys.get(&second)) {
            Some(found) => self.present(found),
            None => match default {
                Some(default) => self.present(default),
                None => {
                    let message = format!("Template error: Unable to get mapping for {name}::{first}::{second}");
                    Err(error(node, message))
                }
            },
        }
    }

    /// What a function of conditions says.
    fn truth(&self, node: &Node) -> Result<bool, Finding> {
        let wrong = |message: &str| error(node, format!("Template error: {message}"));
        let Some((function, argument)) = node.call() else {
            return match node.scalar().as_deref() {
                Some("true") => Ok(true),
                Some("false") => Ok(false),
                _ => Err(wrong("a condition is a function such as Fn::Equals")),
            };
        };
        let items = argument.items().unwrap_or_default();
        match (function, items) {
            ("Condition", _) => match argument.as_text() {
                Some(name) => self.holds(name),
                None => Err(wrong("Condition names one of Conditions")),
            },
            ("Fn::Equals", [one, other]) => Ok(same(&self.present(one)?, &self.present(other)?)),
            ("Fn::Not", [one]) => Ok(!self.truth(one)?),
            ("Fn::And", [_, ..]) => items.iter().try_fold(true, |all, item| Ok(self.truth(item)? && all)),
            ("Fn::Or", [_, ..]) => items.iter().try_fold(false, |any, item| Ok(self.truth(item)? || any)),
            ("Fn::Contains", [list, one]) => {
                let (list, one) = (self.present(list)?, self.present(one)?);
                Ok(list.as_array().is_some_and(|list| list.iter().any(|item| same(item, &one))))
            }
            ("Fn::EachMemberIn", [list, all]) => {
                let (list, all) = (self.present(list)?, self.present(all)?);
                let (list, all) = (list.as_array().cloned(), all.as_array().cloned());
                let (list, all) = (list.unwrap_or_default(), all.unwrap_or_default());
                Ok(list.iter().all(|item| all.iter().any(|other| same(item, other))))
            }
            ("Fn::EachMemberEquals", [list, one]) => {
                let (list, one) = (self.present(list)?, self.present(one)?);
                Ok(list.as_array().is_some_and(|list| list.iter().all(|item| same(item, &one))))
            }
            ("Fn::Equals", _) => Err(wrong("Fn::Equals takes two values")),
            ("Fn::Not", _) => Err(wrong("Fn::Not takes a list of one condition")),
            _ => Err(wrong("this is no function of conditions")),
        }
    }
}

/// A value as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Whether two values are the same to CloudFormation, which compares them as text. What is not known yet may be anything.
fn same(one: &Value, other: &Value) -> bool {
    if [one, other].iter().any(|value| value.as_str() == Some(LATER)) {
        return true;
    }
    match (one, other) {
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => one == other,
        _ => text(one) == text(other),
    }
}

/// What loops may ask for before there is anything but parameters.
pub(crate) struct Parameters<'p>(pub(crate) &'p BTreeMap<String, Value>);

impl Known for Parameters<'_> {
    fn reference(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn attribute(&self, _of: &str, _attribute: &str) -> Option<Value> {
        None
    }

    fn import(&self, _name: &str) -> Option<Value> {
        None
    }

    fn zones(&self, _region: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A list that a loop runs over, from parameters and mappings alone.
pub(crate) fn collection(
    template: &Template,
    values: &BTreeMap<String, Value>,
    node: &Node,
) -> Result<Vec<String>, Finding> {
    let known = Parameters(values);
    let evaluation = Evaluation::new(template, &known);
    let items = match node.items() {
        Some(items) => {
            let mut all = Vec::new();
            for item in items {
                match evaluation.present(item)? {
                    Value::Array(list) => all.extend(list.iter().map(text)),
                    one => all.push(text(&one)),
                }
            }
            all
        }
        None => match evaluation.present(node)? {
            Value::Array(list) => list.iter().map(text).collect(),
            _ => return Err(error(node, "Fn::ForEach runs over a list")),
        },
    };
    if items.len() > expand::MOST_TURNS {
        return Err(error(node, format!("Fn::ForEach runs {} times, {} at most", items.len(), expand::MOST_TURNS)));
    }
    Ok(items)
}
