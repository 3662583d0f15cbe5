//! Resource templates: `arn:${partition}:ecr:${region}:${account}:repository/${with.repository}`.
//!
//! The main function is [`resolve`]: a template over a stage's config and place becomes patterns. What comes from the
//! config is a name and stays one: it can bring no wildcard, no further part of an ARN, no other account.

use serde_json::Value;

use super::pattern::{ArnPattern, PatternPiece, ResourcePattern};
use super::untied::{Tie, tie};
use crate::harmless::is_unseen;
use crate::types::Arn;
use crate::types::Place;

/// How many resources one template may become.
const MAX_RESOURCES: usize = 1000;
/// How many bytes all resources of a stage may have together: a call is compared with those of its action.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// The longest name, in bytes. No ARN is longer.
const LONGEST_NAME: usize = 2_048;
/// How much of a value a message repeats, in bytes.
const SHOWN: usize = 200;
/// How a config value begins that is not known before the run: `(known after STAGE)`, `(known when the run starts)`.
const UNKNOWN: &str = "(known ";

/// Why a plugin's permissions cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The action is not one IAM action.
    #[error(
        "the plugin asks for the action {action:?}: {reason}. An action is written as IAM writes it, such as \
         `ecr:DescribeImages`, and wildcards are refused: each action is declared by itself"
    )]
    Action {
        /// As declared.
        action: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A template is wrong, whatever the config.
    #[error("the plugin asks for {action} on the resource {template:?}: {reason}. Only its author can correct this")]
    Template {
        /// The action.
        action: String,
        /// The template.
        template: String,
        /// What is wrong.
        reason: String,
    },
    /// There are too many resources.
    #[error(
        "with this config the plugin asks for access to so many resources that they take more than {} KiB to name, with those of \
         {action} among them; give it fewer",
        MAX_BYTES >> 10
    )]
    TooMany {
        /// The action at which it became too much.
        action: String,
    },
    /// A value of the config cannot stand where the template puts it.
    #[error("`{path}` is {value:?}, which cannot name a resource of {action} ({template}): {reason}")]
    Value {
        /// The action.
        action: String,
        /// The template.
        template: String,
        /// Where in the stage: `with.repository`.
        path: String,
        /// The value.
        value: String,
        /// What is wrong.
        reason: String,
    },
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ArnPart {
    Text(String),
    Run,
    One,
    Partition,
    Region,
    Account,
    /// `${with.PATH}`.
    With(String),
    /// `${image-repository(with.PATH)}`.
    ImageRepository(String),
}

/// What a value grants that is not known before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfUnknown {
    /// Nothing: nothing is done with it yet.
    Nothing,
    /// Every name: a role must be able to do what the run will turn out to need.
    Anything,
}

/// The dotted paths into the config that a template looks at.
pub(crate) fn config_paths(template: &str) -> Vec<String> {
    let parts = parse(template).unwrap_or_default().into_iter();
    let paths = parts.filter_map(|part| match part {
        ArnPart::With(path) | ArnPart::ImageRepository(path) => Some(path),
        ArnPart::Text(_) | ArnPart::Run | ArnPart::One | ArnPart::Partition | ArnPart::Region | ArnPart::Account => {
            None
        }
    });
    paths.collect()
}

/// What `template` of `action` grants.
pub(super) fn resolve(
    action: &str,
    template: &str,
    config: &Value,
    place: &Place,
    unknown: OfUnknown,
) -> Result<Vec<ResourcePattern>, PolicyError> {
    let resolver = Resolver { action, template, config, place, unknown };
    if template == "*" {
        return match tie(action) {
            Tie::Never | Tie::Sometimes => Ok(vec![ResourcePattern::Everything]),
            Tie::Always => Err(resolver.wrong(
                "IAM ties this action to resources, so `*` would grant it on all of them; name the resources by their ARNs",
            )),
        };
    }
    if tie(action) == Tie::Never {
        return Err(
            resolver.wrong("IAM does not tie this action to resources; the only resource that grants it is `*`")
        );
    }
    let parts = parse(template).map_err(|reason| resolver.wrong(reason))?;
    if let [ArnPart::With(path)] = parts.as_slice() {
        return resolver.whole_arns(path);
    }
    resolver.check_shape(&parts)?;
    resolver.expand(&parts)
}

/// The one repository that the template of a name, such as `${with.repository}` or `${image-repository(with.image)}`, means in a
/// stage of this config and place; none where it means none, several, or one that is not known yet.
pub fn repository_of(template: &str, config: &Value, place: &Place) -> Option<String> {
    let before = "arn:${partition}:ecr:${region}:${account}:repository/";
    let whole = format!("{before}{template}");
    let found = resolve("ecr:DescribeRepositories", &whole, config, place, OfUnknown::Nothing).ok()?;
    let [ResourcePattern::Arns(one)] = found.as_slice() else { return None };
    one.literal()?.split_once(":repository/").map(|(_, name)| name.to_owned())
}

struct Resolver<'a> {
    action: &'a str,
    template: &'a str,
    config: &'a Value,
    place: &'a Place,
    unknown: OfUnknown,
}

impl Resolver<'_> {
    fn wrong(&self, reason: impl Into<String>) -> PolicyError {
        PolicyError::Template {
            action: self.action.to_owned(),
            template: self.template.to_owned(),
            reason: reason.into(),
        }
    }

    fn unfit(&self, path: &str, value: &str, reason: impl Into<String>) -> PolicyError {
        PolicyError::Value {
            action: self.action.to_owned(),
            template: self.template.to_owned(),
            path: format!("with.{path}"),
            value: value.get(..value.floor_char_boundary(SHOWN)).unwrap_or_default().to_owned(),
            reason: reason.into(),
        }
    }

    /// The first five parts of the ARN are the place's, whatever else the template says.
    fn check_shape(&self, parts: &[ArnPart]) -> Result<(), PolicyError> {
        let mut fields: Vec<Vec<&ArnPart>> = vec![Vec::new()];
        let mut texts: Vec<String> = vec![String::new()];
        for part in parts {
            let ArnPart::Text(text) = part else {
                if let Some(field) = fields.last_mut() {
                    field.push(part);
                }
                continue;
            };
            for (index, piece) in text.split(':').enumerate() {
                if index > 0 && fields.len() < 6 {
                    fields.push(Vec::new());
                    texts.push(String::new());
                }
                if let Some(text) = texts.last_mut() {
                    text.push_str(piece);
                }
            }
        }
        let (Some([arn, partition, service, region, account, resource]), Some(texts)) =
            (fields.first_chunk::<6>(), texts.first_chunk::<6>())
        else {
            return Err(self.wrong("a resource is `*` or an ARN: arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"));
        };
        let [arn_text, partition_text, service_text, region_text, account_text, resource_text] = texts;
        if !arn.is_empty() || arn_text != "arn" {
            return Err(self.wrong("a resource is `*` or an ARN, which begins with `arn:`"));
        }
        let is = |parts: &[&ArnPart], text: &str, part: &ArnPart, value: &str, or_empty: bool| match parts {
            [] => text == value || (or_empty && text.is_empty()),
            [one] => *one == part && text.is_empty(),
            _ => false,
        };
        if !is(partition, partition_text, &ArnPart::Partition, &self.place.partition, false) {
            return Err(self.wrong("the partition of the ARN must be `${partition}`"));
        }
        if !service.is_empty()
            || service_text.is_empty()
            || !service_text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(self.wrong("the service of the ARN must be plain text, such as `ecr`"));
        }
        if !is(region, region_text, &ArnPart::Region, self.place.region.as_str(), true) {
            return Err(self.wrong(
                "the region of the ARN must be `${region}`, or empty where the resource has none: a stage acts in one region",
            ));
        }
        if !is(account, account_text, &ArnPart::Account, self.place.account.as_str(), true) {
            return Err(self.wrong(
                "the account of the ARN must be `${account}`, or empty where the resource has none: a stage acts in one \
                 account",
            ));
        }
        if resource.is_empty() && resource_text.is_empty() {
            return Err(self.wrong("the ARN names no resource"));
        }
        Ok(())
    }

    fn expand(&self, parts: &[ArnPart]) -> Result<Vec<ResourcePattern>, PolicyError> {
        let mut resolved: Vec<Vec<PatternPiece>> = vec![Vec::new()];
        let mut bytes = 0_usize;
        for (index, part) in parts.iter().enumerate() {
            let choices: Vec<PatternPiece> = match part {
                ArnPart::Text(text) => vec![PatternPiece::Text(text.clone())],
                ArnPart::Run => vec![PatternPiece::Run],
                ArnPart::One => vec![PatternPiece::One],
                ArnPart::Partition => vec![PatternPiece::Text(self.place.partition.to_string())],
                ArnPart::Region => vec![PatternPiece::Text(self.place.region.as_str().to_owned())],
                ArnPart::Account => vec![PatternPiece::Text(self.place.account.as_str().to_owned())],
                ArnPart::With(path) => {
                    let slash = !slash_follows(parts.get(index + 1..).unwrap_or_default());
                    let names = self.values(path)?.into_iter();
                    let names = names.map(|value| self.name(path, &value, slash).map(PatternPiece::Text));
                    names.chain(self.anything(path).map(Ok)).collect::<Result<_, _>>()?
                }
                ArnPart::ImageRepository(path) => {
                    let mut repositories = Vec::new();
                    for value in self.values(path)? {
                        repositories.extend(self.image_repository(path, &value)?.map(PatternPiece::Text));
                    }
                    repositories.extend(self.anything(path));
                    repositories
                }
            };
            if choices.len() * resolved.len() > MAX_RESOURCES {
                return Err(self.wrong(format!("the stage's config makes more than {MAX_RESOURCES} resources of it")));
            }
            let added: usize = choices.iter().map(PatternPiece::size).sum();
            bytes = bytes * choices.len() + added * resolved.len();
            if bytes > MAX_BYTES {
                return Err(PolicyError::TooMany { action: self.action.to_owned() });
            }
            resolved = resolved
                .iter()
                .flat_map(|before| {
                    choices.iter().map(move |choice| before.iter().cloned().chain([choice.clone()]).collect())
                })
                .collect();
        }
        let mut patterns: Vec<ResourcePattern> =
            resolved.into_iter().map(|pieces| ResourcePattern::Arns(ArnPattern::new(pieces))).collect();
        patterns.sort();
        patterns.dedup();
        Ok(patterns)
    }

    /// A template that is nothing but `${with.PATH}`: each value is a whole ARN in the stage's place.
    fn whole_arns(&self, path: &str) -> Result<Vec<ResourcePattern>, PolicyError> {
        let mut patterns = Vec::new();
        let values = self.values(path)?;
        if values.len() > MAX_RESOURCES {
            return Err(self.wrong(format!("the stage's config makes more than {MAX_RESOURCES} resources of it")));
        }
        for value in values {
            let arn = self.arn_here(path, &value)?;
            patterns.push(ResourcePattern::Arns(ArnPattern::new([PatternPiece::Text(arn.as_str().to_owned())])));
        }
        patterns.sort();
        patterns.dedup();
        Ok(patterns)
    }

    fn arn_here(&self, path: &str, value: &str) -> Result<Arn, PolicyError> {
        let arn: Arn = value.parse().map_err(|error: crate::types::InvalidName| {
            self.unfit(path, value, format!("it is not an ARN: {}", error.reason))
        })?;
        match self.place.refuses(&arn) {
            None => Ok(arn),
            Some(reason) => Err(self.unfit(path, value, reason)),
        }
    }

    /// What the config holds at `path`: nothing where it is absent.
    fn items(&self, path: &str) -> &[Value] {
        let found = path.split('.').try_fold(self.config, |value, key| value.get(key));
        match found {
            None => &[],
            Some(Value::Array(items)) => items.as_slice(),
            Some(value) => std::slice::from_ref(value),
        }
    }

    /// Every name, where a value at `path` is not known yet and may turn out to be any.
    fn anything(&self, path: &str) -> Option<PatternPiece> {
        let is_unknown = |item: &Value| item.as_str().is_some_and(|text| text.starts_with(UNKNOWN));
        let reaches = self.unknown == OfUnknown::Anything && self.items(path).iter().any(is_unknown);
        reaches.then_some(PatternPiece::Run)
    }

    /// The strings that the config holds at `path`: none where it is absent or not known yet.
    fn values(&self, path: &str) -> Result<Vec<String>, PolicyError> {
        let mut values = Vec::new();
        for item in self.items(path) {
            match item {
                Value::Null => {}
                Value::String(text) if text.starts_with(UNKNOWN) => {}
                Value::String(text) if text.len() > LONGEST_NAME => {
                    return Err(self.unfit(
                        path,
                        text,
                        format!("it has {} characters, and no ARN has as many", text.len()),
                    ));
                }
                Value::String(text) => values.push(text.clone()),
                Value::Number(number) => values.push(number.to_string()),
                Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(self.unfit(path, &item.to_string(), "it must be text or a list of texts"));
                }
            }
        }
        Ok(values)
    }

    /// The name that a config value stands for: itself, or the name in a full ARN.
    fn name(&self, path: &str, value: &str, slash: bool) -> Result<String, PolicyError> {
        let name = if value.starts_with("arn:") {
            let arn = self.arn_here(path, value)?;
            name_in(&arn).ok_or_else(|| self.unfit(path, value, "it is an ARN that names nothing"))?.to_owned()
        } else {
            value.to_owned()
        };
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.contains(':') {
            "a name must not hold `:`, which would begin another part of the ARN"
        } else if name.chars().any(is_unseen) {
            "a name must not hold control characters or invisible ones"
        } else if name.ends_with('/') {
            "a name must not end with `/`, which would reach to all that is below it"
        } else if !slash && name.contains('/') {
            "a name must not hold `/` here, where another part follows it"
        } else {
            return Ok(name);
        };
        Err(self.unfit(path, value, reason))
    }

    /// The repository of an image in the place's own registry. An image of another registry grants nothing: its
    /// repository is not the stage's to touch.
    fn image_repository(&self, path: &str, value: &str) -> Result<Option<String>, PolicyError> {
        let Some((registry, rest)) = value.split_once('/') else {
            return Ok(None);
        };
        let (account, region) = (&self.place.account, &self.place.region);
        let here = format!("{account}.dkr.ecr.{region}.{}", region.domain());
        if registry != here {
            return Ok(None);
        }
        let repository = rest.split_once('@').map_or(rest, |(name, _)| name);
        let repository = repository.split_once(':').map_or(repository, |(name, _)| name);
        let well_formed = repository.split('/').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
        });
        if well_formed {
            Ok(Some(repository.to_owned()))
        } else {
            Err(self.unfit(path, value, "its repository's name is not one that ECR allows"))
        }
    }
}

/// The name in an ARN. ECS nests names (`service/CLUSTER/SERVICE`), and the last one is the thing's own; elsewhere the
/// name is all that follows the type, because names of repositories and roles hold `/` themselves.
fn name_in(arn: &Arn) -> Option<&str> {
    let resource = arn.resource();
    let name = if arn.service() == "ecs" {
        resource.rsplit('/').next()
    } else {
        resource.split_once([':', '/']).map(|(_, name)| name)
    };
    name.filter(|name| !name.is_empty())
}

/// Whether, in the same part of the ARN, `/` follows.
fn slash_follows(parts: &[ArnPart]) -> bool {
    for part in parts {
        if let ArnPart::Text(text) = part {
            match text.find([':', '/']) {
                Some(at) => return text.get(at..).is_some_and(|rest| rest.starts_with('/')),
                None => continue,
            }
        }
    }
    false
}

fn parse(template: &str) -> Result<Vec<ArnPart>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        let part = if let Some(inner) = rest.strip_prefix("${") {
            let (expression, behind) = inner.split_once('}').ok_or("`${` is not closed by `}`")?;
            rest = behind;
            parse_expression(expression)?
        } else {
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            match c {
                '*' => ArnPart::Run,
                '?' => ArnPart::One,
                '$' => return Err("`$` must be followed by `{`".to_owned()),
                c if is_unseen(c) || c.is_whitespace() => {
                    return Err(format!("it holds the character U+{:04X}", c as u32));
                }
                c => {
                    text.push(c);
                    continue;
                }
            }
        };
        if !text.is_empty() {
            parts.push(ArnPart::Text(std::mem::take(&mut text)));
        }
        parts.push(part);
    }
    if !text.is_empty() {
        parts.push(ArnPart::Text(text));
    }
    Ok(parts)
}

fn parse_expression(expression: &str) -> Result<ArnPart, String> {
    let path = |text: &str| {
        text.strip_prefix("with.").filter(|path| path.split('.').all(|key| !key.is_empty())).map(str::to_owned)
    };
    let image = expression.strip_prefix("image-repository(").and_then(|inner| inner.strip_suffix(')'));
    match (expression, image, path(expression)) {
        ("partition", ..) => Ok(ArnPart::Partition),
        ("region", ..) => Ok(ArnPart::Region),
        ("account", ..) => Ok(ArnPart::Account),
        (_, Some(inner), _) => path(inner)
            .map(ArnPart::ImageRepository)
            .ok_or(format!("`image-repository` takes a config value, such as `with.image`, not `{inner}`")),
        (_, None, Some(path)) => Ok(ArnPart::With(path)),
        (_, None, None) => Err(format!(
            "`${{{expression}}}` is unknown; there are ${{partition}}, ${{region}}, ${{account}}, ${{with.NAME}} and \
             ${{image-repository(with.NAME)}}"
        )),
    }
}
