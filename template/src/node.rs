//! A template's text as a tree, in which everything knows where it stands.
//!
//! The main type is [`Node`].

use serde_json::{Map, Number, Value};

use crate::finding::Position;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A structure, in the order in which it was written.
    Map(Vec<Entry>),
}

/// A member of a structure.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub at: Position,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Text at a place.
    pub fn text(at: Position, text: impl Into<String>) -> Self {
        Self { at, content: Content::Text(text.into()) }
    }

    /// A structure of one member.
    pub fn single(at: Position, key: impl Into<String>, value: Node) -> Self {
        Self { at, content: Content::Map(vec![Entry { key: key.into(), at, value }]) }
    }

    /// A structure without members.
    pub fn empty(at: Position) -> Self {
        Self { at, content: Content::Map(Vec::new()) }
    }

    /// The members, of a structure.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    /// The member of this name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// What is written, where it is text, a number or a truth: CloudFormation takes each for the other.
    pub fn scalar(&self) -> Option<String> {
        match &self.content {
            Content::Bool(truth) => Some(truth.to_string()),
            Content::Number(text) | Content::Text(text) => Some(text.clone()),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The text, of text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The function and its argument, where it is a call of a function.
    pub fn call(&self) -> Option<(&str, &Node)> {
        let [entry] = self.entries()? else { return None };
        let is_call = entry.key.starts_with("Fn::") || entry.key == "Ref" || entry.key == "Condition";
        is_call.then_some((entry.key.as_str(), &entry.value))
    }

    /// In a word.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a truth",
            Content::Number(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a structure",
        }
    }

    /// As JSON, functions in their long form.
    pub fn json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(truth) => Value::Bool(*truth),
            Content::Number(text) => text.parse::<Number>().map_or_else(|_| Value::String(text.clone()), Value::Number),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Node::json).collect()),
            Content::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.json())).collect::<Map<_, _>>(),
            ),
        }
    }
}
