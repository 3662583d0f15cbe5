//! Reads a template's text, YAML or JSON, into a tree.
//!
//! The main function is [`read`]. What it reads may be anybody's: size, depth and number of values are bounded, and aliases refused.

use std::borrow::Cow;
use std::collections::BTreeSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::finding::{Finding, Position};
use crate::node::{Content, Entry, Node};

/// The most bytes: what CloudFormation takes from S3.
pub const LARGEST: usize = 1024 * 1024;

/// So deep may a template be; AWS's deepest properties have a dozen levels.
const DEEPEST: usize = 64;

/// So many values.
const MOST: usize = 200_000;

/// Read a template. What is wrong is its form alone; see [`check`](crate::check()) for what it says.
pub fn read(text: &str) -> Result<Node, Finding> {
    if text.len() > LARGEST {
        let message = format!("the template has {} bytes, CloudFormation takes {LARGEST} at most", text.len());
        return Err(Finding::new(Position { line: 1, column: 1 }, "", message).help("split it into nested stacks"));
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), values: 0 };
    reader.document()
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    values: usize,
}

/// A list or a structure that is still open.
struct Open {
    node: Node,
    tag: Option<String>,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
    keys: BTreeSet<String>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Node, Finding> {
        let mut open: Vec<Open> = Vec::new();
        let mut root: Option<Node> = None;
        loop {
            let (event, span) = self.next()?;
            let at = position(span);
            let complete = match event {
                Event::StreamEnd => {
                    return root.ok_or_else(|| wrong(at, "the template is empty"));
                }
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(wrong(at, "a template is one YAML document; here another one begins"));
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => continue,
                Event::Scalar(text, style, _, tag) => {
                    self.count(at)?;
                    let tag = tag.as_deref().map(|tag| named(tag, at)).transpose()?.flatten();
                    let content = match tag {
                        None => scalar(&text, style),
                        Some(_) => Content::Text(text.into_owned()),
                    };
                    tagged(Node { at, content }, tag)?
                }
                Event::Alias(_) => {
                    return Err(wrong(at, "CloudFormation takes no aliases (`*name`)").help("write the value out"));
                }
                Event::SequenceStart(_, tag) => {
                    open.push(self.begin(at, Content::List(Vec::new()), tag, open.len())?);
                    continue;
                }
                Event::MappingStart(_, tag) => {
                    open.push(self.begin(at, Content::Map(Vec::new()), tag, open.len())?);
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(done) = open.pop() else { continue };
                    tagged(done.node, done.tag)?
                }
            };
            match open.last_mut() {
                Some(parent) => put(parent, complete)?,
                None => root = Some(complete),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Finding> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = Position { line: error.marker().line(), column: error.marker().col() + 1 };
                Err(wrong(at, format!("this is no YAML: {}", error.info())))
            }
            None => Err(wrong(Position { line: 1, column: 1 }, "the template ends before it began")),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        content: Content,
        tag: Option<Cow<'_, Tag>>,
        depth: usize,
    ) -> Result<Open, Finding> {
        self.count(at)?;
        if depth >= DEEPEST {
            return Err(wrong(at, format!("the template is more than {DEEPEST} levels deep")));
        }
        let tag = tag.as_deref().map(|tag| named(tag, at)).transpose()?.flatten();
        Ok(Open { node: Node { at, content }, tag, key: None, keys: BTreeSet::new() })
    }

    fn count(&mut self, at: Position) -> Result<(), Finding> {
        self.values += 1;
        if self.values > MOST {
            return Err(wrong(at, format!("the template has more than {MOST} values")));
        }
        Ok(())
    }
}

fn position(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn wrong(at: Position, message: impl Into<String>) -> Finding {
    Finding::new(at, "", message)
}

/// Add a value to the list or the structure that it belongs to.
fn put(parent: &mut Open, value: Node) -> Result<(), Finding> {
    match &mut parent.node.content {
        Content::List(items) => items.push(value),
        Content::Map(entries) => match parent.key.take() {
            Some((key, at)) => entries.push(Entry { key, at, value }),
            None => {
                let at = value.at;
                let key = value.scalar().ok_or_else(|| wrong(at, format!("a name is text, not {}", value.kind())))?;
                if key == "<<" {
                    return Err(wrong(at, "CloudFormation does not merge by `<<`").help("write the members out"));
                }
                if !parent.keys.insert(key.clone()) {
                    return Err(wrong(at, format!("{key:?} stands here twice")).help("take one of them away"));
                }
                parent.key = Some((key, at));
            }
        },
        // INVARIANT: only lists and structures are opened.
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
    }
    Ok(())
}

/// What a scalar without a tag is, by YAML's core schema.
fn scalar(text: &str, style: ScalarStyle) -> Content {
    if style != ScalarStyle::Plain {
        return Content::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" => Content::Bool(true),
        "false" | "False" | "FALSE" => Content::Bool(false),
        // As JSON writes numbers: `010` and `1_000` stay text, as an account with a zero before it must.
        _ if text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && text.parse::<serde_json::Number>().is_ok() =>
        {
            Content::Number(text.to_owned())
        }
        _ => Content::Text(text.to_owned()),
    }
}

/// The short forms of functions.
const SHORT: &[&str] = &[
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// The function that a tag is short for, if it is none of YAML's own.
fn named(tag: &Tag, at: Position) -> Result<Option<String>, Finding> {
    if tag.is_yaml_core_schema() {
        return match tag.suffix.as_str() {
            "binary" | "omap" | "pairs" | "set" | "timestamp" => {
                Err(wrong(at, format!("CloudFormation does not take YAML's `!!{}`", tag.suffix)))
            }
            _ => Ok(None),
        };
    }
    let name = tag.suffix.as_str();
    match name {
        "Ref" | "Condition" => Ok(Some(name.to_owned())),
        _ if SHORT.contains(&name) => Ok(Some(format!("Fn::{name}"))),
        _ => {
            let finding = wrong(at, format!("there is no function `!{name}`"));
            Err(finding.meant(name, SHORT.iter().copied().chain(["Ref", "Condition"])))
        }
    }
}

/// A value with the function that its tag is short for.
fn tagged(node: Node, tag: Option<String>) -> Result<Node, Finding> {
    let Some(function) = tag else { return Ok(node) };
    let at = node.at;
    let argument = match (function.as_str(), node.as_text()) {
        ("Fn::GetAtt", Some(text)) => {
            let (of, attribute) = text.split_once('.').ok_or_else(|| {
                wrong(at, format!("`!GetAtt {text}` names no attribute")).help("write `!GetAtt LogicalId.Attribute`")
            })?;
            Node { at, content: Content::List(vec![Node::text(at, of), Node::text(at, attribute)]) }
        }
        _ => node,
    };
    Ok(Node::single(at, function, argument))
}
