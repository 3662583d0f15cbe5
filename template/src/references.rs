//! What a value refers to.
//!
//! The main type is [`Reference`]; [`references`] finds them all.

use crate::finding::Position;
use crate::node::{Content, Node};

/// A reference to something of the template, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where.
    pub at: Position,
    /// To what.
    pub target: Target,
}

/// What is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A parameter, a resource or a pseudo parameter, by `Ref` or `${Name}`.
    Named(String),
    /// An attribute of a resource, by `Fn::GetAtt` or `${Name.Attribute}`.
    Attribute(String, String),
    /// A condition, by `Fn::If` or `Condition`.
    Condition(String),
    /// A mapping, by `Fn::FindInMap`, with its keys where they are told.
    Mapping(String, Option<String>, Option<String>),
}

/// Everything that a value refers to, in its order. What cannot be read is left out: the checks tell it.
pub fn references(node: &Node) -> Vec<Reference> {
    let mut found = Vec::new();
    walk(node, &mut found);
    found
}

fn walk(node: &Node, found: &mut Vec<Reference>) {
    let at = node.at;
    if let Some((function, argument)) = node.call() {
        let first = argument.items().and_then(<[Node]>::first).and_then(Node::as_text);
        match (function, argument.as_text()) {
            ("Ref", Some(name)) => found.push(Reference { at, target: Target::Named(name.to_owned()) }),
            ("Condition", Some(name)) => found.push(Reference { at, target: Target::Condition(name.to_owned()) }),
            ("Fn::GetAtt", text) => {
                if let Some((of, attribute)) = attribute(argument, text) {
                    found.push(Reference { at, target: Target::Attribute(of, attribute) });
                }
            }
            ("Fn::If", None) => {
                let condition = first.map(|name| Target::Condition(name.to_owned()));
                found.extend(condition.map(|target| Reference { at, target }));
            }
            ("Fn::Sub", Some(text)) => substituted(text, at, &[], found),
            ("Fn::Sub", None) => {
                let own: Vec<&str> = argument
                    .items()
                    .and_then(|items| items.get(1))
                    .and_then(Node::entries)
                    .map_or_else(Vec::new, |entries| entries.iter().map(|entry| entry.key.as_str()).collect());
                if let Some(text) = first {
                    substituted(text, at, &own, found);
                }
            }
            ("Fn::FindInMap", None) => {
                if let Some(name) = first {
                    let key = |index: usize| argument.items()?.get(index).and_then(Node::scalar);
                    found.push(Reference { at, target: Target::Mapping(name.to_owned(), key(1), key(2)) });
                }
            }
            _ => {}
        }
    }
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| walk(item, found)),
        Content::Map(entries) => entries.iter().for_each(|entry| walk(&entry.value, found)),
        Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
    }
}

/// The resource and the attribute of a `Fn::GetAtt`, where both are told.
pub(crate) fn attribute(argument: &Node, text: Option<&str>) -> Option<(String, String)> {
    if let Some((of, attribute)) = text.and_then(|text| text.split_once('.')) {
        return Some((of.to_owned(), attribute.to_owned()));
    }
    let [of, attribute @ ..] = argument.items()? else { return None };
    let parts: Option<Vec<String>> = attribute.iter().map(Node::scalar).collect();
    let joined = parts?.join(".");
    (!joined.is_empty()).then_some(())?;
    Some((of.as_text()?.to_owned(), joined))
}

/// The references of a text for `Fn::Sub`, but for its `own` variables.
fn substituted(text: &str, at: Position, own: &[&str], found: &mut Vec<Reference>) {
    for name in variables(text) {
        if own.contains(&name) {
            continue;
        }
        let target = match name.split_once('.') {
            Some((of, attribute)) => Target::Attribute(of.to_owned(), attribute.to_owned()),
            None => Target::Named(name.to_owned()),
        };
        found.push(Reference { at, target });
    }
}

/// The names between `${` and `}`, but for `${!Literal}`.
pub(crate) fn variables(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Variable(name) => Some(name),
        Piece::Text(_) => None,
    })
}

/// A part of a text for `Fn::Sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// A text for `Fn::Sub` in its parts; `${!Literal}` is the text `${Literal}`.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        match name.strip_prefix('!') {
            Some(literal) => pieces.extend([Piece::Text("${"), Piece::Text(literal), Piece::Text("}")]),
            None => pieces.push(Piece::Variable(name.trim())),
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}
