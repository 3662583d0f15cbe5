//! Unrolls the loops of the language extensions.
//!
//! The main function is [`expand`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluate::collection;
use crate::finding::Finding;
use crate::node::{Content, Entry, Node};
use crate::template::Template;

/// So often may a loop run.
pub(crate) const MOST_TURNS: usize = 500;

/// So many values may come of all loops.
const MOST: usize = 200_000;

const LOOP: &str = "Fn::ForEach::";

/// The tree with each `Fn::ForEach` unrolled over `values`, those of parameters and pseudo parameters. Without the transform
/// `AWS::LanguageExtensions` it is as it was.
pub fn expand(root: &Node, values: &BTreeMap<String, Value>) -> Result<Node, Finding> {
    let (template, _) = Template::of(root);
    if !template.is_extended() {
        return Ok(root.clone());
    }
    Expansion { template, values, made: 0 }.node(root, &[])
}

struct Expansion<'v> {
    template: Template,
    values: &'v BTreeMap<String, Value>,
    made: usize,
}

/// The variables of the loops around, the innermost last.
type Turn = (String, String);

impl Expansion<'_> {
    fn node(&mut self, node: &Node, turns: &[Turn]) -> Result<Node, Finding> {
        self.made += 1;
        if self.made > MOST {
            return Err(Finding::new(node.at, "", format!("the loops of the template make more than {MOST} values")));
        }
        let content = match &node.content {
            Content::Text(text) => Content::Text(filled(text, turns)),
            Content::List(items) => {
                Content::List(items.iter().map(|item| self.node(item, turns)).collect::<Result<_, _>>()?)
            }
            Content::Map(entries) => {
                // The variable of a loop is read by `Ref`, too.
                if let [Entry { key, value, .. }] = entries.as_slice()
                    && key == "Ref"
                    && let Some((_, item)) = turns.iter().rev().find(|(name, _)| value.as_text() == Some(name))
                {
                    return Ok(Node::text(node.at, item));
                }
                // What is text once the variables are in it may name a resource, which dependencies are found by.
                if let [Entry { key, value, .. }] = entries.as_slice()
                    && key == "Fn::Sub"
                    && let Some(text) = value.as_text()
                    && !filled(text, turns).contains("${")
                {
                    return Ok(Node::text(node.at, filled(text, turns)));
                }
                let mut all = Vec::with_capacity(entries.len());
                for entry in entries {
                    match entry.key.starts_with(LOOP) {
                        true => self.unroll(entry, turns, &mut all)?,
                        false => {
                            let value = self.node(&entry.value, turns)?;
                            all.push(Entry { key: filled(&entry.key, turns), at: entry.at, value });
                        }
                    }
                }
                Content::Map(all)
            }
            Content::Null | Content::Bool(_) | Content::Number(_) => node.content.clone(),
        };
        Ok(Node { at: node.at, content })
    }

    fn unroll(&mut self, entry: &Entry, turns: &[Turn], all: &mut Vec<Entry>) -> Result<(), Finding> {
        let wrong = |message: &str| Finding::new(entry.at, &entry.key, message);
        let [variable, list, body] = entry.value.items().unwrap_or_default() else {
            return Err(wrong("Fn::ForEach takes a variable, a list and what is repeated"));
        };
        let variable = variable.as_text().ok_or_else(|| wrong("the variable of Fn::ForEach is a name"))?;
        let body = body.entries().ok_or_else(|| wrong("what Fn::ForEach repeats is a structure"))?;
        let list = self.node(list, turns)?;
        for item in collection(&self.template, self.values, &list)? {
            let mut inner = turns.to_vec();
            inner.push((variable.to_owned(), item));
            for entry in body {
                if entry.key.starts_with(LOOP) {
                    self.unroll(entry, &inner, all)?;
                    continue;
                }
                let (key, value) = (filled(&entry.key, &inner), self.node(&entry.value, &inner)?);
                if all.iter().any(|known| known.key == key) {
                    return Err(wrong("its turns make one name twice").help(format!("{key:?} is there already")));
                }
                all.push(Entry { key, at: entry.at, value });
            }
        }
        Ok(())
    }
}

/// Text with the variables of loops in it: `${Name}`, and `&{Name}` without what is no letter or digit.
fn filled(text: &str, turns: &[Turn]) -> String {
    let mut text = text.to_owned();
    for (name, item) in turns {
        if text.contains('{') {
            let plain: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
            text = text.replace(&format!("${{{name}}}"), item).replace(&format!("&{{{name}}}"), &plain);
        }
    }
    text
}
