//! Parameters of templates.
//!
//! The main types are [`Parameter`] and [`ParameterType`].

use std::fmt;

use serde_json::Value;

use crate::finding::{Finding, Position};
use crate::node::Node;

/// A parameter of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Where its name stands.
    pub at: Position,
    /// Its type.
    pub kind: ParameterType,
    /// What it is where nothing is given.
    pub default: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is not shown.
    pub no_echo: bool,
    /// The values that it may have, if not any.
    pub allowed_values: Vec<String>,
    /// The pattern that a value matches as a whole.
    pub allowed_pattern: Option<String>,
    /// What is said where a value is refused.
    pub constraint: Option<String>,
    /// The least number.
    pub min_value: Option<f64>,
    /// The greatest number.
    pub max_value: Option<f64>,
    /// The shortest text.
    pub min_length: Option<usize>,
    /// The longest text.
    pub max_length: Option<usize>,
}

/// The type of a parameter, as it is spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterType {
    name: String,
    /// Without `AWS::SSM::Parameter::Value<…>` around it.
    inner: String,
}

/// Types of one value, beside `String` and `Number`; lists of them are `List<…>`.
const AWS: &[&str] = &[
    "AWS::EC2::AvailabilityZone::Name",
    "AWS::EC2::Image::Id",
    "AWS::EC2::Instance::Id",
    "AWS::EC2::KeyPair::KeyName",
    "AWS::EC2::SecurityGroup::GroupName",
    "AWS::EC2::SecurityGroup::Id",
    "AWS::EC2::Subnet::Id",
    "AWS::EC2::VPC::Id",
    "AWS::EC2::Volume::Id",
    "AWS::Route53::HostedZone::Id",
];

impl ParameterType {
    /// Read the name of a type.
    pub fn parse(name: &str) -> Option<Self> {
        let ssm = name.strip_prefix("AWS::SSM::Parameter::Value<").and_then(|rest| rest.strip_suffix('>'));
        let inner = ssm.unwrap_or(name);
        let known = |one: &str| AWS.contains(&one);
        let of_list = |one: &str| one.strip_prefix("List<").and_then(|rest| rest.strip_suffix('>')).map(str::to_owned);
        let fits = match (inner, of_list(inner)) {
            ("String" | "CommaDelimitedList", _) => true,
            ("Number" | "AWS::SSM::Parameter::Name" | "List<Number>", _) => ssm.is_none(),
            (_, Some(item)) => known(&item) || (ssm.is_some() && item == "String"),
            (one, None) => known(one),
        };
        fits.then(|| Self { name: name.to_owned(), inner: inner.to_owned() })
    }

    /// The names of all types, to suggest one.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        [
            "String",
            "Number",
            "CommaDelimitedList",
            "List<Number>",
            "AWS::SSM::Parameter::Name",
            "AWS::SSM::Parameter::Value<String>",
        ]
        .into_iter()
        .chain(AWS.iter().copied())
    }

    /// As it is spelled.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Without `AWS::SSM::Parameter::Value<…>` around it.
    pub fn inner(&self) -> &str {
        &self.inner
    }

    /// Whether a value is a list, written with commas.
    pub fn is_list(&self) -> bool {
        self.inner == "CommaDelimitedList" || self.inner.starts_with("List<")
    }

    /// Whether a value, or each of its items, is a number.
    pub fn is_number(&self) -> bool {
        matches!(self.inner.as_str(), "Number" | "List<Number>")
    }

    /// Whether what is given is the name of an SSM parameter that has the value.
    pub fn is_ssm_value(&self) -> bool {
        self.name != self.inner
    }

    /// A value of this type, as functions get it: lists as lists of text, all else as text.
    pub fn value(&self, text: &str) -> Value {
        if !self.is_list() {
            return Value::String(text.to_owned());
        }
        if text.is_empty() {
            return Value::Array(Vec::new());
        }
        Value::Array(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
    }
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a value is refused, in CloudFormation's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Parameter {
    /// Whether this value may be given for the parameter `name`: what was given, or for an SSM type what SSM has.
    pub fn check(&self, name: &str, value: &str) -> Result<(), Refusal> {
        let items: Vec<&str> = match self.kind.is_list() {
            true => value.split(',').map(str::trim).collect(),
            false => vec![value],
        };
        items.into_iter().try_for_each(|item| self.check_item(item)).map_err(|what| {
            Refusal(match &self.constraint {
                Some(constraint) => format!("Parameter {name} failed to satisfy constraint: {constraint}"),
                None => format!("Parameter '{name}' {what}"),
            })
        })
    }

    fn check_item(&self, item: &str) -> Result<(), String> {
        if self.kind.is_number() {
            let number: f64 = item.trim().parse().map_err(|_| "must be a number".to_owned())?;
            if let Some(least) = self.min_value.filter(|least| number < *least) {
                return Err(format!("must be a number not less than {least}"));
            }
            if let Some(most) = self.max_value.filter(|most| number > *most) {
                return Err(format!("must be a number not greater than {most}"));
            }
        }
        let length = item.chars().count();
        if let Some(least) = self.min_length.filter(|least| length < *least) {
            return Err(format!("must contain at least {least} characters"));
        }
        if let Some(most) = self.max_length.filter(|most| length > *most) {
            return Err(format!("must contain at most {most} characters"));
        }
        if !self.allowed_values.is_empty() && !self.allowed_values.iter().any(|allowed| allowed == item) {
            return Err(format!("must be one of AllowedValues: {}", self.allowed_values.join(", ")));
        }
        if let Some(pattern) = &self.allowed_pattern
            // A pattern that only Java understands is AWS's to check.
            && regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| !regex.is_match(item))
        {
            return Err(format!("must match pattern {pattern}"));
        }
        Ok(())
    }

    /// Read one of `Parameters`.
    pub(crate) fn of(at: Position, name: &str, node: &Node, findings: &mut Vec<Finding>) -> Option<Self> {
        let path = format!("Parameters.{name}");
        let Some(entries) = node.entries() else {
            findings.push(Finding::new(node.at, path, format!("a parameter is a structure, not {}", node.kind())));
            return None;
        };
        const KNOWN: &[&str] = &[
            "Type",
            "Default",
            "Description",
            "NoEcho",
            "AllowedValues",
            "AllowedPattern",
            "ConstraintDescription",
            "MinValue",
            "MaxValue",
            "MinLength",
            "MaxLength",
        ];
        for entry in entries.iter().filter(|entry| !KNOWN.contains(&entry.key.as_str())) {
            let finding = Finding::new(entry.at, &path, format!("a parameter has no {:?}", entry.key));
            findings.push(finding.meant(&entry.key, KNOWN.iter().copied()));
        }
        let Some(told) = node.get("Type") else {
            findings.push(Finding::new(at, path, "it has no Type").help("say `Type: String`, for one"));
            return None;
        };
        let given = told.scalar().unwrap_or_default();
        let Some(kind) = ParameterType::parse(&given) else {
            let finding = Finding::new(told.at, path, format!("there is no type {given:?} of parameters"));
            findings.push(finding.meant(&given, ParameterType::names()));
            return None;
        };
        let text = |key: &str| node.get(key).and_then(Node::scalar);
        let mut number = |key: &str| {
            let node = node.get(key)?;
            let read = node.scalar().and_then(|text| text.parse::<f64>().ok());
            if read.is_none() {
                findings.push(Finding::new(node.at, &path, format!("{key} is a number, not {}", node.kind())));
            }
            read
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a length is small, and none is below 0"
        )]
        let mut length = |key: &str| number(key).map(|number| number.max(0.0) as usize);
        let (min_length, max_length) = (length("MinLength"), length("MaxLength"));
        let (min_value, max_value) = (number("MinValue"), number("MaxValue"));
        let default = match node.get("Default") {
            Some(node) => match node.items() {
                Some(items) => Some(items.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",")),
                None => node.scalar(),
            },
            None => None,
        };
        let allowed = node.get("AllowedValues").and_then(Node::items).unwrap_or_default();
        let parameter = Self {
            at,
            kind,
            default,
            description: text("Description"),
            no_echo: text("NoEcho").is_some_and(|text| text.eq_ignore_ascii_case("true")),
            allowed_values: allowed.iter().filter_map(Node::scalar).collect(),
            allowed_pattern: text("AllowedPattern"),
            constraint: text("ConstraintDescription"),
            min_value,
            max_value,
            min_length,
            max_length,
        };
        if let (Some(default), false) = (&parameter.default, parameter.kind.is_ssm_value())
            && let Err(refusal) = parameter.check(name, default)
        {
            let at = node.get("Default").map_or(at, |node| node.at);
            findings.push(Finding::new(
                at,
                format!("{path}.Default"),
                format!("its own default is refused: {refusal}"),
            ));
        }
        Some(parameter)
    }
}
