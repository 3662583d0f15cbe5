//! Which members of an input are read, so that one that is given and not read is refused and never ignored.
//!
//! The main type is [`Members`]; [`of`] asks the input's own type, by serde: it is handed a path of members, and what it wants to find at
//! the end of it is what it reads there.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::http::Body;
use super::query::Form;

/// Inputs that hold themselves are followed so far.
const DEEPEST: usize = 10;

/// What a type reads of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Members {
    /// All of it: a plain value, or a document that is kept as it is.
    Whole,
    /// These members of a structure.
    Structure(BTreeMap<&'static str, Members>),
    List(Box<Members>),
    Map(Box<Members>),
}

/// What a type reads.
pub(crate) fn of<T: DeserializeOwned>() -> Members {
    below::<T>(&mut Vec::new())
}

fn below<T: DeserializeOwned>(path: &mut Vec<Step>) -> Members {
    if path.len() > DEEPEST {
        return Members::Whole;
    }
    let found = Cell::new(None);
    // It is an error in any case: there is nothing to read.
    let _nothing = T::deserialize(Tracer { path, found: &found }).err();
    let mut at = |step: Step| {
        path.push(step);
        let members = below::<T>(path);
        path.pop();
        members
    };
    match found.take() {
        Some(Wanted::Structure(names)) => {
            Members::Structure(names.iter().map(|name| (*name, at(Step::Member(name)))).collect())
        }
        Some(Wanted::List) => Members::List(Box::new(at(Step::Item))),
        Some(Wanted::Map) => Members::Map(Box::new(at(Step::Item))),
        Some(Wanted::Value) | None => Members::Whole,
    }
}

impl Members {
    /// The paths of the members that are given and not read: `metrics[].label`.
    pub(crate) fn unread(&self, body: &Body) -> Vec<String> {
        let mut unread = Vec::new();
        match body {
            Body::Document(value) => self.walk(value, "", &mut unread),
            Body::Form(form) => self.walk_form(form, "", &mut unread),
        }
        unread
    }

    /// The value without what is not read of it: for calls that the simulator makes itself, of properties that AWS has and it has not.
    pub(crate) fn pruned(&self, value: Value) -> Value {
        match (self, value) {
            (Members::Structure(members), Value::Object(given)) => {
                let kept = given.into_iter().filter_map(|(name, value)| {
                    let member = members.get(name.as_str())?;
                    Some((name, member.pruned(value)))
                });
                Value::Object(kept.collect())
            }
            (Members::List(item), Value::Array(items)) => items.into_iter().map(|value| item.pruned(value)).collect(),
            (Members::Map(item), Value::Object(entries)) => {
                Value::Object(entries.into_iter().map(|(name, value)| (name, item.pruned(value))).collect())
            }
            (_, value) => value,
        }
    }

    fn walk(&self, value: &Value, path: &str, unread: &mut Vec<String>) {
        match (self, value) {
            (Members::Structure(members), Value::Object(given)) => {
                for (name, value) in given {
                    match members.get(name.as_str()) {
                        Some(member) => member.walk(value, &join(path, name), unread),
                        None => unread.push(join(path, name)),
                    }
                }
            }
            (Members::List(item), Value::Array(items)) => {
                items.iter().for_each(|value| item.walk(value, &format!("{path}[]"), unread));
            }
            (Members::Map(item), Value::Object(entries)) => {
                entries.values().for_each(|value| item.walk(value, &format!("{path}{{}}"), unread));
            }
            _ => {}
        }
    }

    fn walk_form(&self, form: &Form, path: &str, unread: &mut Vec<String>) {
        let Form::Node(given) = form else { return };
        match self {
            Members::Structure(members) => {
                for (name, form) in given {
                    match members.get(name.as_str()) {
                        Some(member) => member.walk_form(form, &join(path, name), unread),
                        None => unread.push(join(path, name)),
                    }
                }
            }
            Members::List(item) => {
                if let Some(Form::Node(items)) = given.get("member").or_else(|| given.get("entry")) {
                    items.values().for_each(|form| item.walk_form(form, &format!("{path}[]"), unread));
                }
            }
            Members::Map(_) | Members::Whole => {}
        }
    }

    /// Every path that is read, and whether all below it is.
    pub(crate) fn paths(&self) -> BTreeMap<String, bool> {
        let mut paths = BTreeMap::new();
        self.list("", &mut paths);
        paths
    }

    fn list(&self, path: &str, paths: &mut BTreeMap<String, bool>) {
        match self {
            Members::Whole => {
                paths.insert(path.to_owned(), true);
            }
            Members::Structure(members) => {
                paths.insert(path.to_owned(), false);
                members.iter().for_each(|(name, member)| member.list(&join(path, name), paths));
            }
            Members::List(item) => {
                paths.insert(path.to_owned(), false);
                item.list(&format!("{path}[]"), paths);
            }
            Members::Map(item) => {
                paths.insert(path.to_owned(), false);
                item.list(&format!("{path}{{}}"), paths);
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A step into a value.
#[derive(Debug, Clone, Copy)]
enum Step {
    Member(&'static str),
    /// Of a list or a map.
    Item,
}

/// What a type wants to find.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Value,
    Structure(&'static [&'static str]),
    List,
    Map,
}

/// A value of which nothing is known but the way to it.
#[derive(Clone, Copy)]
struct Tracer<'a> {
    path: &'a [Step],
    found: &'a Cell<Option<Wanted>>,
}

impl<'a> Tracer<'a> {
    /// The way ends here, at something that wants this.
    fn ends<T>(self, wanted: Wanted) -> Result<T, Error> {
        self.found.set(Some(wanted));
        Err(Error::custom("the way ends here"))
    }

    fn next(self) -> Option<(Step, Tracer<'a>)> {
        let (step, path) = self.path.split_first()?;
        Some((*step, Tracer { path, ..self }))
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        self.ends(Wanted::Value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next() {
            None => self.ends(Wanted::List),
            Some((_, rest)) => visitor.visit_seq(One { name: None, rest: Some(rest) }),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.next() {
            None => self.ends(Wanted::Map),
            Some((_, rest)) => visitor.visit_map(One { name: Some("key"), rest: Some(rest) }),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.next() {
            Some((Step::Member(name), rest)) => visitor.visit_map(One { name: Some(name), rest: Some(rest) }),
            Some((Step::Item, _)) | None => self.ends(Wanted::Structure(fields)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

/// A list of one item, or a structure or map of one member.
struct One<'a> {
    name: Option<&'static str>,
    rest: Option<Tracer<'a>>,
}

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.rest.take().map(|rest| seed.deserialize(rest)).transpose()
    }
}

impl<'de> MapAccess<'de> for One<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let name = self.name.take();
        name.map(|name| seed.deserialize::<StrDeserializer<'_, Error>>(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.rest.take() {
            Some(rest) => seed.deserialize(rest),
            None => Err(Error::custom("there is one member only")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its form counts")]
    struct Input {
        #[serde(rename = "OKActions", default)]
        actions: Vec<String>,
        queries: Option<Vec<Query>>,
        tags: BTreeMap<String, Query>,
        document: serde_json::Map<String, Value>,
        kind: Kind,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its form counts")]
    struct Query {
        id: u64,
        inner: Option<Box<Query>>,
    }

    #[derive(Deserialize)]
    enum Kind {
        One,
    }

    #[test]
    fn what_a_type_reads_is_told_by_the_type() {
        let paths = of::<Input>().paths();
        for read in ["OKActions[]", "queries[].id", "queries[].inner.id", "tags{}.inner.inner.id", "kind"] {
            assert_eq!(paths.get(read), Some(&true), "{read} in {paths:?}");
        }
        assert!(!paths.contains_key("actions"), "{paths:?}");
    }

    #[test]
    fn what_is_given_and_not_read_is_found_wherever_it_stands() {
        let members = of::<Input>();
        let input = json!({
            "OKActions": ["a"], "Nothing": 1, "kind": "Two", "document": { "whatever": 1 },
            "queries": [{ "id": 1, "label": "l" }], "tags": { "a": { "inner": { "odd": {} } } },
        });
        let mut unread = members.unread(&Body::Document(input));
        unread.sort();
        assert_eq!(unread, ["Nothing", "queries[].label", "tags{}.inner.odd"]);
        let form = Form::parse(b"Action=Do&OKActions.member.1=a&queries.member.1.id=1&queries.member.1.label=l&Odd=1");
        let unread = form.map(|(_, form)| members.unread(&Body::Form(form)));
        assert_eq!(unread, Ok(vec!["Odd".to_owned(), "queries[].label".to_owned()]));
    }
}
