//! JSON as a validator sees it: every look costs a step, and when there are none left there is nothing more to see.
//!
//! The main type is [`Metered`]. A validator cannot be stopped, but whatever it does, it does by looking at the value that it
//! validates: one that has become empty is soon done with. What it says then means nothing.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, cmp};
use jsonschema::types::JsonType;
use serde_json::{Map, Number, Value};

use crate::steps::{Spent, Steps};

/// What an error about a value costs beside the value itself: its places, its message, a pattern.
const ERROR: u64 = 100;

/// JSON whose reader pays.
pub(super) struct Metered;

/// A value, or the name of a property.
#[derive(Debug, Clone, Copy)]
enum ValueOrName<'a> {
    Value(&'a Value),
    Name(&'a str),
}

/// Something that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    part: ValueOrName<'a>,
    /// How many bytes the pointer to it has.
    place: usize,
    steps: &'a Steps,
    /// What 16 bytes of a property's name cost: the more, the more patterns it is compared with.
    name: u64,
}

impl<'a> Seen<'a> {
    /// The whole value.
    pub(super) fn new(value: &'a Value, steps: &'a Steps, name: u64) -> Self {
        Self { part: ValueOrName::Value(value), place: 0, steps, name }
    }

    /// Pay for what is done with it.
    pub(super) fn take(&self, steps: u64) -> Result<(), Spent> {
        self.steps.take(steps)
    }

    /// What is there, for a step.
    fn look(&self) -> Option<ValueOrName<'a>> {
        self.steps.take(1).ok().map(|()| self.part)
    }

    fn inner(&self, value: &'a Value, place: usize) -> Self {
        Self { part: ValueOrName::Value(value), place: self.place + place + 1, ..*self }
    }
}

impl Json for Metered {
    type Node<'a> = Seen<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    // JSON is a tree.
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Seen<'_>) -> T) -> T {
        // Names are handed out by `try_for_each_name_node`, which knows what steps are left. This is for nobody, and costs
        // no more than it is given.
        let steps = Steps::of(ERROR);
        f(Seen { part: ValueOrName::Name(string), place: 0, steps: &steps, name: 1 })
    }
}

impl<'a> Node<'a, Metered> for Seen<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        match self.look()? {
            ValueOrName::Value(Value::Object(map)) => Some(Members { of: *self, map }),
            ValueOrName::Value(_) | ValueOrName::Name(_) => None,
        }
    }

    fn as_array(&self) -> Option<Items<'a>> {
        match self.look()? {
            ValueOrName::Value(Value::Array(items)) => Some(Items { of: *self, items }),
            ValueOrName::Value(_) | ValueOrName::Name(_) => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let (ValueOrName::Value(Value::String(_)) | ValueOrName::Name(_)) = self.look()? else { return None };
        let text = match self.part {
            ValueOrName::Value(value) => value.as_str().unwrap_or_default(),
            ValueOrName::Name(name) => name,
        };
        self.steps.take(Steps::for_text(text.len())).ok()?;
        Some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.look()? {
            ValueOrName::Value(Value::Number(number)) => Some(number),
            ValueOrName::Value(_) | ValueOrName::Name(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self.look()? {
            ValueOrName::Value(value) => value.as_bool(),
            ValueOrName::Name(_) => None,
        }
    }

    fn is_null(&self) -> bool {
        self.json_type() == JsonType::Null
    }

    fn json_type(&self) -> JsonType {
        match self.look() {
            None | Some(ValueOrName::Value(Value::Null)) => JsonType::Null,
            Some(ValueOrName::Value(Value::Bool(_))) => JsonType::Boolean,
            Some(ValueOrName::Value(Value::Number(_))) => JsonType::Number,
            Some(ValueOrName::Value(Value::String(_)) | ValueOrName::Name(_)) => JsonType::String,
            Some(ValueOrName::Value(Value::Array(_))) => JsonType::Array,
            Some(ValueOrName::Value(Value::Object(_))) => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        self.as_string().map(|text| text.chars().count() as u64)
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.look(), expected) {
            (Some(ValueOrName::Value(value)), expected) => equal(value, expected, self.steps).unwrap_or_default(),
            (Some(ValueOrName::Name(name)), Value::String(expected)) => name == expected,
            (Some(ValueOrName::Name(_)) | None, _) => false,
        }
    }

    // Only errors ask for it.
    fn to_value(&self) -> Cow<'a, Value> {
        let value = match self.part {
            ValueOrName::Value(value) => Cow::Borrowed(value),
            ValueOrName::Name(name) => Cow::Owned(Value::String(name.to_owned())),
        };
        let paid = self.steps.take(ERROR + Steps::for_text(self.place)).and_then(|()| weigh(&value, self.steps));
        match paid {
            Ok(()) => value,
            Err(Spent) => Cow::Owned(Value::Null),
        }
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(match self.part {
            ValueOrName::Value(value) => NodeIdentity::new(std::ptr::from_ref(value) as usize),
            ValueOrName::Name(name) => NodeIdentity::tagged(name.as_ptr() as usize, 1),
        })
    }
}

/// The properties of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Members<'a> {
    of: Seen<'a>,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a, Metered> for Members<'a> {
    type Node = Seen<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.map.len()
    }

    fn get(&self, key: &String) -> Option<Seen<'a>> {
        self.of.steps.take(Steps::for_text(key.len())).ok()?;
        self.map.get(key).map(|value| self.of.inner(value, key.len()))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { of: self.of, rest: self.map.iter() }
    }

    fn try_for_each_name_node<B>(&self, (): &mut (), mut f: impl FnMut(Seen<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
        for (name, _) in self.members() {
            if let ControlFlow::Break(value) = f(Seen { part: ValueOrName::Name(name), ..self.of }) {
                return ControlFlow::Break(value);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The properties of an object, one after the other.
#[derive(Debug)]
pub(super) struct MembersIter<'a> {
    of: Seen<'a>,
    rest: serde_json::map::Iter<'a>,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Seen<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.rest.next()?;
        self.of.steps.take(Steps::for_text(name.len()).saturating_mul(self.of.name)).ok()?;
        Some((name, self.of.inner(value, name.len())))
    }
}

/// The items of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items<'a> {
    of: Seen<'a>,
    items: &'a [Value],
}

impl<'a> Array<'a, Metered> for Items<'a> {
    type Node = Seen<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { of: self.of, rest: self.items.iter() }
    }

    // The crate's own way compares every two that hash alike, and lists of nothing but lists all do.
    fn is_unique(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.items.len());
        self.items.iter().all(|item| {
            let mut key = String::new();
            write_key(item, &mut key, self.of.steps).is_ok() && seen.insert(key)
        })
    }
}

/// The items of a list, one after the other.
#[derive(Debug)]
pub(super) struct ItemsIter<'a> {
    of: Seen<'a>,
    rest: std::slice::Iter<'a, Value>,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.rest.next()?;
        self.of.steps.take(1).ok()?;
        // Its index has as many digits.
        Some(self.of.inner(item, 5))
    }
}

/// Pay for a copy of a value.
fn weigh(value: &Value, steps: &Steps) -> Result<(), Spent> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => steps.take(2),
        Value::String(text) => steps.take(2 + Steps::for_text(text.len())),
        Value::Array(items) => {
            steps.take(2)?;
            items.iter().try_for_each(|item| weigh(item, steps))
        }
        Value::Object(map) => {
            steps.take(8)?;
            map.iter().try_for_each(|(name, value)| {
                steps.take(8 + Steps::for_text(name.len()))?;
                weigh(value, steps)
            })
        }
    }
}

/// Whether two values are the same to JSON Schema: numbers by their value, objects whatever their order.
fn equal(one: &Value, other: &Value, steps: &Steps) -> Result<bool, Spent> {
    steps.take(1)?;
    Ok(match (one, other) {
        (Value::String(one), Value::String(other)) => {
            if one.len() == other.len() {
                steps.take(Steps::for_text(one.len()))?;
            }
            one == other
        }
        (Value::Array(one), Value::Array(other)) => {
            let mut same = one.len() == other.len();
            for (one, other) in one.iter().zip(other) {
                same = same && equal(one, other, steps)?;
            }
            same
        }
        (Value::Object(one), Value::Object(other)) => {
            let mut same = one.len() == other.len();
            for (name, one) in one {
                same = same
                    && match other.get(name) {
                        Some(other) => equal(one, other, steps)?,
                        None => false,
                    };
            }
            same
        }
        (one, other) => cmp::equal(one, other),
    })
}

/// Write what two values have in common exactly where they are equal.
fn write_key(value: &Value, key: &mut String, steps: &Steps) -> Result<(), Spent> {
    steps.take(1)?;
    match value {
        Value::Null => key.push('n'),
        Value::Bool(true) => key.push('t'),
        Value::Bool(false) => key.push('f'),
        Value::Number(number) => key.push_str(&number_key(number)),
        Value::String(text) => write_text_key(text, key, steps)?,
        Value::Array(items) => {
            key.push('[');
            for item in items {
                write_key(item, key, steps)?;
            }
            key.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<(&String, &Value)> = map.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            key.push('{');
            for (name, value) in members {
                write_text_key(name, key, steps)?;
                write_key(value, key, steps)?;
            }
            key.push('}');
        }
    }
    Ok(())
}

/// With its length before it, no text can be taken for something else.
fn write_text_key(text: &str, key: &mut String, steps: &Steps) -> Result<(), Spent> {
    steps.take(Steps::for_text(text.len()))?;
    key.push('s');
    key.push_str(&text.len().to_string());
    key.push(':');
    key.push_str(text);
    Ok(())
}

fn number_key(number: &Number) -> String {
    const WHOLE: f64 = 18_446_744_073_709_551_616.0;
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => format!("i{integer}"),
        (None, Some(integer), _) => format!("i{integer}"),
        // A whole number that is written with a point is that number. The casts are exact: the ranges were checked.
        (None, None, Some(float)) if float.fract() == 0.0 && (0.0..WHOLE).contains(&float) => {
            format!("i{}", float as u64)
        }
        (None, None, Some(float)) if float.fract() == 0.0 && (-WHOLE / 2.0..0.0).contains(&float) => {
            format!("i{}", float as i64)
        }
        (None, None, Some(float)) => format!("d{:x}", float.to_bits()),
        (None, None, None) => format!("?{number}"),
    }
}

#[cfg(test)]
mod tests {
    use jsonschema::json::SerdeJson;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn metered(schema: &Value, value: &Value, steps: &Steps) -> Option<bool> {
        let validator = jsonschema::options_for::<Metered>().offline().build(schema).ok()?;
        Some(validator.is_valid(Seen::new(value, steps, 1)))
    }

    fn plain(schema: &Value, value: &Value) -> Option<bool> {
        let validator = jsonschema::options_for::<SerdeJson>().offline().build(schema).ok()?;
        Some(validator.is_valid(value))
    }

    #[test]
    fn numbers_are_unique_by_their_value() {
        let unique = |items: Value| metered(&json!({"uniqueItems": true}), &items, &Steps::of(1_000));
        assert_eq!(unique(json!([1, 2, "1", [1], {"1": 1}, true, null])), Some(true));
        assert_eq!(unique(json!([1, 1.0])), Some(false));
        assert_eq!(unique(json!([0.0, -0.0])), Some(false));
        assert_eq!(unique(json!([-3, -3.0])), Some(false));
        assert_eq!(unique(json!([18_446_744_073_709_551_615_u64, 18_446_744_073_709_551_616.0])), Some(true));
        assert_eq!(unique(json!([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}])), Some(false));
        assert_eq!(unique(json!(["s1:a", ["a"], ["", "a"], ["a", ""]])), Some(true));
    }

    #[test]
    fn what_has_cost_too_much_is_empty() {
        let steps = Steps::of(50);
        let value = json!({"list": (0..1_000).collect::<Vec<_>>()});
        let schema = json!({"properties": {"list": {"items": {"type": "integer"}}}});
        assert!(metered(&schema, &value, &steps).is_some());
        assert!(steps.are_spent());
        let blank = Seen::new(&value, &steps, 1);
        assert!(blank.as_object().is_none() && blank.is_null() && blank.to_value().is_null());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2_i64..3).prop_map(Value::from),
            (-2_i64..3).prop_map(|n| Value::from(n as f64)),
            Just(json!(0.5)),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec(("[abc]", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn any_schema() -> impl Strategy<Value = Value> {
        let types = ["null", "boolean", "integer", "number", "string", "array", "object"];
        let leaf = prop_oneof![
            proptest::sample::select(types.to_vec()).prop_map(|name| json!({"type": name})),
            any_json().prop_map(|value| json!({"const": value})),
            proptest::collection::vec(any_json(), 1..4).prop_map(|values| json!({"enum": values})),
            Just(json!({"minLength": 1, "maxLength": 1})),
            Just(json!({"pattern": "^a"})),
            Just(json!({"minimum": 0, "multipleOf": 0.5})),
            Just(json!({"uniqueItems": true, "minItems": 1})),
            Just(json!({"required": ["a"], "maxProperties": 2})),
            any::<bool>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            let list = proptest::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                (proptest::sample::select(vec!["anyOf", "oneOf", "allOf"]), list.clone())
                    .prop_map(|(name, list)| json!({name: list})),
                (
                    proptest::sample::select(vec!["not", "items", "additionalProperties", "propertyNames", "contains"]),
                    inner.clone()
                )
                    .prop_map(|(name, inner)| json!({name: inner})),
                (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(one, two, three)| json!({"if": one, "then": two, "else": three})),
                (inner.clone(), inner.clone())
                    .prop_map(|(one, two)| json!({"properties": {"a": one}, "patternProperties": {"^[ab]": two}})),
                list.prop_map(|list| json!({"prefixItems": list})),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn whoever_pays_sees_what_is_there(schema in any_schema(), value in any_json()) {
            let steps = Steps::of(1_000_000);
            prop_assert_eq!(metered(&schema, &value, &steps), plain(&schema, &value));
            prop_assert!(!steps.are_spent());
        }
    }
}
