//! A template with what its parameters are, evaluated without asking AWS.
//! The main type is [`Side`].

use std::collections::BTreeMap;

use kiln_plugin::aws::cloudformation::Stack;
use kiln_plugin::context;
use kiln_template::{Known, Template};
use serde_json::Value;

/// A template with what its parameters are.
pub struct Side<'t> {
    /// The template.
    pub template: &'t Template,
    /// Values of parameters and of pseudo parameters.
    pub values: BTreeMap<String, Value>,
}

/// What is known of a stack without asking AWS. A resource is known by its name: on both sides it is the same thing.
impl Known for Side<'_> {
    fn reference(&self, name: &str) -> Option<Value> {
        let resource = || self.template.resources.contains_key(name).then(|| Value::from(format!("({name})")));
        self.values.get(name).cloned().or_else(resource)
    }

    fn attribute(&self, of: &str, attribute: &str) -> Option<Value> {
        Some(Value::from(format!("({of}.{attribute})")))
    }

    fn import(&self, name: &str) -> Option<Value> {
        Some(Value::from(format!("(import of {name})")))
    }

    fn zones(&self, region: &str) -> Vec<String> {
        ["a", "b", "c"].iter().map(|zone| format!("{region}{zone}")).collect()
    }
}

/// What parameters and pseudo parameters are in a stack that there is.
pub fn values(name: &str, template: &Template, stack: &Stack) -> BTreeMap<String, Value> {
    let mut values = pseudo(name, Some(stack));
    for (parameter, declared) in &template.parameters {
        let has = stack.parameters.iter().find(|has| has.name == *parameter).map(|has| has.value.clone());
        let text = has.or_else(|| declared.default.clone()).unwrap_or_default();
        values.insert(parameter.clone(), declared.kind.value(&text));
    }
    values
}

/// The pseudo parameters of a stack, which may not be there yet.
pub fn pseudo(name: &str, stack: Option<&Stack>) -> BTreeMap<String, Value> {
    let info = context::get();
    let suffix = if info.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    let id = stack.map_or_else(|| "(the stack's id)".to_owned(), |stack| stack.id.clone());
    let text = |name: &str, value: &str| (name.to_owned(), Value::from(value));
    BTreeMap::from([
        text("AWS::AccountId", &info.account),
        text("AWS::Partition", &info.partition),
        text("AWS::Region", &info.region),
        text("AWS::StackId", &id),
        text("AWS::StackName", name),
        text("AWS::URLSuffix", suffix),
        ("AWS::NotificationARNs".to_owned(), Value::Array(Vec::new())),
    ])
}
