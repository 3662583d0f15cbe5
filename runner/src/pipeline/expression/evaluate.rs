//! Computes what an expression is worth.
//!
//! The main method is [`Expression::evaluate`]. It is deterministic, and costs are counted, so that no expression can take
//! more than its share of time and memory.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use serde_json::{Map, Value};

use super::functions::{self, finite, mismatch};
use super::parse::{Expression, Root, path_of};
use crate::pipeline::pattern::Pattern;
use crate::pipeline::schema::{article, shortened, type_name};
use crate::steps::{Spent, Steps};

/// How many steps an expression may take: about one for each of its parts, as often as it is evaluated, and one for every 16
/// bytes that it copies.
pub(super) const EXPRESSION: u64 = 500_000;

/// The longest reason for a failure, in characters: it may repeat a value.
const LONGEST_REASON: usize = 300;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// It depends on something that is not known yet: what is to be written in its place.
    Unknown(String),
    /// It cannot be computed: why.
    Failed(String),
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found<'a> {
    /// A value. It may be large, and often only a part of it is wanted.
    Value(Cow<'a, Value>),
    /// Nothing: why.
    Absent(String),
    /// Something that is not known yet: what is to be written in its place.
    Unknown(String),
}

/// Where the values of references come from.
pub(crate) trait Lookup {
    /// What a root and its names lead to.
    fn find(&self, root: Root, names: &[&str]) -> Found<'_>;
}

impl Expression {
    /// What the expression is worth.
    pub(crate) fn evaluate(&self, lookup: &dyn Lookup, steps: &Steps) -> Result<Value, Fault> {
        let own = steps.part(EXPRESSION);
        let effort = Effort { steps: &own, patterns: BTreeMap::new() };
        let value = Evaluation { lookup, locals: Vec::new(), effort }.value(self.tree());
        // One that is spent has taken no more than there was.
        let _ = steps.join(&own);
        match value {
            Err(Fault::Failed(_)) if own.are_spent() && own.allowed() < EXPRESSION => {
                failed("with what was evaluated before it, it does too much; let a stage compute this")
            }
            Err(Fault::Failed(why)) => failed(shortened(&why, LONGEST_REASON)),
            value => value,
        }
    }
}

/// What an evaluation may still do.
pub(super) struct Effort<'a> {
    steps: &'a Steps,
    /// The patterns that were compiled, or why they are none: a pattern in a loop is compiled once.
    patterns: BTreeMap<String, Result<Pattern, String>>,
}

impl Effort<'_> {
    /// Take steps.
    pub(super) fn take(&self, steps: u64) -> Result<(), String> {
        self.steps.take(steps).map_err(|Spent| TOO_MUCH.to_owned())
    }

    /// Whether a text matches a pattern.
    pub(super) fn matches(&mut self, text: &str, pattern: &str) -> Result<bool, String> {
        if !self.patterns.contains_key(pattern) {
            let compiled = Pattern::new(pattern, self.steps).map_err(|why| {
                format!("{:?} is not a regular expression: {why}", shortened(pattern, LONGEST_REASON / 2))
            });
            self.take(0)?;
            self.patterns.insert(pattern.to_owned(), compiled);
        }
        match self.patterns.get(pattern) {
            Some(Ok(pattern)) => pattern.is_match(text, self.steps).map_err(|Spent| TOO_MUCH.to_owned()),
            Some(Err(why)) => Err(why.clone()),
            // INVARIANT: it was put there.
            None => Err(TOO_MUCH.to_owned()),
        }
    }
}

const TOO_MUCH: &str = "the expression does too much; let a stage compute this";

type Outcome = Result<Value, Fault>;

fn failed<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Failed(why.into()))
}

struct Evaluation<'a> {
    lookup: &'a dyn Lookup,
    /// Variables of comprehensions. An error is kept, as CEL does: `[error, false].all(x, x)` is false.
    locals: Vec<(&'a str, Outcome)>,
    effort: Effort<'a>,
}

impl<'a> Evaluation<'a> {
    fn value(&mut self, expression: &'a IdedExpr) -> Outcome {
        self.pay(1)?;
        if let Some((root, path, tested)) = path_of(expression) {
            self.pay(path.len() as u64)?;
            if !self.locals.iter().any(|(name, _)| *name == root) {
                return self.reference(root, &path, tested);
            }
        }
        match &expression.expr {
            Expr::Ident(name) => match self.locals.iter().rev().find(|(local, _)| local == name) {
                Some((_, Ok(value))) => {
                    self.effort.take(weight(value)).map_err(Fault::Failed)?;
                    Ok(value.clone())
                }
                Some((_, Err(fault))) => Err(fault.clone()),
                None => failed(format!("`{name}` means nothing here")),
            },
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(boolean) => Ok((*boolean.inner()).into()),
                LiteralValue::Int(integer) => Ok((*integer.inner()).into()),
                LiteralValue::UInt(integer) => Ok((*integer.inner()).into()),
                LiteralValue::Double(float) => finite(*float.inner()).map_err(Fault::Failed),
                LiteralValue::String(text) => Ok(text.inner().into()),
                LiteralValue::Null => Ok(Value::Null),
                LiteralValue::Bytes(_) => failed("bytes are not supported"),
            },
            Expr::Select(select) => {
                let of = self.value(&select.operand)?;
                let Value::Object(mut map) = of else {
                    return failed(format!("{} has no `{}`", article(type_name(&of)), select.field));
                };
                match (map.remove(&select.field), select.test) {
                    (found, true) => Ok(found.is_some().into()),
                    (Some(value), false) => Ok(value),
                    (None, false) => failed(format!("there is no `{}`", select.field)),
                }
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.elements.iter().map(|element| self.value(element)).collect::<Result<_, _>>(),
            Expr::Map(map) => {
                let mut out = Map::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else { return failed("messages are not supported") };
                    let Value::String(key) = self.value(&entry.key)? else { return failed("a key must be a string") };
                    let value = self.value(&entry.value)?;
                    if out.insert(key.clone(), value).is_some() {
                        return failed(format!("the key {key:?} is there twice"));
                    }
                }
                Ok(Value::Object(out))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) | Expr::Unspecified => failed("the expression cannot be evaluated"),
        }
    }

    fn reference(&mut self, root_name: &str, path: &[&str], tested: bool) -> Outcome {
        let Some(root) = Root::of(root_name) else { return failed(format!("`{root_name}` means nothing here")) };
        let Some((names, rest)) = path.split_at_checked(root.names()) else {
            return failed(format!("`{root_name}` is not a whole reference"));
        };
        let mut value = match self.lookup.find(root, names) {
            Found::Unknown(what) => return Err(Fault::Unknown(what)),
            Found::Absent(_) if tested && rest.is_empty() => return Ok(false.into()),
            Found::Absent(why) => return failed(why),
            Found::Value(value) => value,
        };
        for (index, name) in rest.iter().enumerate() {
            let last = index + 1 == rest.len();
            if !value.is_object() {
                return failed(format!("{} has no `{name}`", article(type_name(&value))));
            }
            let inner = match value {
                Cow::Borrowed(value) => value.get(*name).map(Cow::Borrowed),
                Cow::Owned(mut value) => value.get_mut(*name).map(Value::take).map(Cow::Owned),
            };
            value = match inner {
                found if last && tested => return Ok(found.is_some().into()),
                Some(inner) => inner,
                None => return failed(format!("there is no `{name}`")),
            };
        }
        if tested {
            return Ok(true.into());
        }
        self.pay(weight(&value))?;
        Ok(value.into_owned())
    }

    fn call(&mut self, call: &'a CallExpr) -> Outcome {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, yes, no]) => match self.value(condition)? {
                Value::Bool(true) => self.value(yes),
                Value::Bool(false) => self.value(no),
                other => {
                    failed(format!("the condition before `?` must be a boolean, not {}", article(type_name(&other))))
                }
            },
            (operators::LOGICAL_AND, [one, other]) => self.logic(one, other, false, "&&"),
            (operators::LOGICAL_OR, [one, other]) => self.logic(one, other, true, "||"),
            (operators::NOT_STRICTLY_FALSE, [value]) => {
                Ok((!matches!(self.value(value), Ok(Value::Bool(false)))).into())
            }
            (operators::LOGICAL_NOT, [value]) => match self.value(value)? {
                Value::Bool(boolean) => Ok((!boolean).into()),
                other => failed(mismatch("!", &[other])),
            },
            (operators::NEGATE, [value]) => match self.value(value)? {
                Value::Number(number) => match (number.as_i64().and_then(i64::checked_neg), number.as_f64()) {
                    (Some(integer), _) => Ok(integer.into()),
                    (None, Some(float)) => finite(-float).map_err(Fault::Failed),
                    (None, None) => failed("the number is too large"),
                },
                other => failed(mismatch("-", &[other])),
            },
            (name, [one, other]) if call.target.is_none() && functions::function(name).is_none() => {
                let (one, other) = (self.value(one)?, self.value(other)?);
                let value = binary(name, one, other).map_err(Fault::Failed)?;
                self.pay_for(value)
            }
            (name, arguments) => {
                let Some(function) = functions::function(name) else {
                    return failed(format!("there is no function `{name}`"));
                };
                let parts = call.target.as_deref().into_iter().chain(arguments);
                let values = parts.map(|part| self.value(part)).collect::<Result<Vec<_>, _>>()?;
                let value = (function.call)(&values, &mut self.effort).map_err(Fault::Failed)?;
                self.pay_for(value)
            }
        }
    }

    /// `&&` and `||`: `decides` on either side settles it, whatever the other side is, even an error or unknown.
    fn logic(&mut self, one: &'a IdedExpr, other: &'a IdedExpr, decides: bool, name: &str) -> Outcome {
        let mut sides = [Ok(Value::Null), Ok(Value::Null)];
        for (side, expression) in sides.iter_mut().zip([one, other]) {
            *side = self.value(expression);
            if matches!(side, Ok(Value::Bool(boolean)) if *boolean == decides) {
                return Ok(decides.into());
            }
        }
        let [one, other] = sides;
        match (one?, other?) {
            (Value::Bool(_), Value::Bool(_)) => Ok((!decides).into()),
            (one, other) => failed(mismatch(name, &[one, other])),
        }
    }

    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Outcome {
        let items = match self.value(&comprehension.iter_range)? {
            Value::Array(items) => items,
            Value::Object(map) => {
                let mut keys: Vec<String> = map.into_iter().map(|(key, _)| key).collect();
                keys.sort();
                keys.into_iter().map(Value::String).collect()
            }
            other => return failed(format!("{} has no items to go through", article(type_name(&other)))),
        };
        let outer = self.locals.len();
        let start = self.value(&comprehension.accu_init);
        self.locals.push((&comprehension.accu_var, start));
        for item in items {
            if self.value(&comprehension.loop_cond)? == Value::Bool(false) {
                break;
            }
            self.locals.push((&comprehension.iter_var, Ok(item)));
            let next = self.value(&comprehension.loop_step);
            self.locals.truncate(outer);
            self.pay(1)?;
            self.locals.push((&comprehension.accu_var, next));
        }
        let result = self.value(&comprehension.result);
        self.locals.truncate(outer);
        result
    }

    fn pay(&mut self, steps: u64) -> Result<(), Fault> {
        self.effort.take(steps).map_err(Fault::Failed)
    }

    fn pay_for(&mut self, value: Value) -> Outcome {
        self.pay(weight(&value))?;
        Ok(value)
    }
}

/// What a copy of a value costs. An entry of a table takes as much room as four numbers.
fn weight(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => Steps::for_text(text.len()),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Value::Object(map) => {
            1 + map.iter().map(|(key, value)| 3 + Steps::for_text(key.len()) + weight(value)).sum::<u64>()
        }
    }
}

fn binary(name: &str, one: Value, other: Value) -> Result<Value, String> {
    Ok(match name {
        operators::EQUALS => equal(&one, &other).into(),
        operators::NOT_EQUALS => (!equal(&one, &other)).into(),
        operators::LESS => (compare("<", &one, &other)? == Ordering::Less).into(),
        operators::LESS_EQUALS => (compare("<=", &one, &other)? != Ordering::Greater).into(),
        operators::GREATER => (compare(">", &one, &other)? == Ordering::Greater).into(),
        operators::GREATER_EQUALS => (compare(">=", &one, &other)? != Ordering::Less).into(),
        operators::IN => match (&one, &other) {
            (one, Value::Array(items)) => items.iter().any(|item| equal(one, item)).into(),
            (Value::String(key), Value::Object(map)) => map.contains_key(key).into(),
            (Value::String(_), Value::String(_)) => {
                return Err("`in` looks into lists; for text write text.contains(part)".to_owned());
            }
            _ => return Err(mismatch("in", &[one, other])),
        },
        operators::INDEX => index(one, &other)?,
        operators::ADD => match (one, other) {
            (Value::String(one), Value::String(other)) => (one + &other).into(),
            (Value::Array(mut one), Value::Array(other)) => {
                one.extend(other);
                one.into()
            }
            (one, other) => arithmetic("+", &one, &other, i64::checked_add, |a, b| a + b)?,
        },
        operators::SUBSTRACT => arithmetic("-", &one, &other, i64::checked_sub, |a, b| a - b)?,
        operators::MULTIPLY => arithmetic("*", &one, &other, i64::checked_mul, |a, b| a * b)?,
        operators::DIVIDE => arithmetic("/", &one, &other, i64::checked_div, |a, b| a / b)?,
        operators::MODULO => arithmetic("%", &one, &other, i64::checked_rem, |a, b| a % b)?,
        other => return Err(format!("there is no function `{other}`")),
    })
}

fn index(of: Value, at: &Value) -> Result<Value, String> {
    match (of, at) {
        (Value::Array(mut items), Value::Number(number)) => {
            let index = number.as_u64().and_then(|index| usize::try_from(index).ok());
            match index.filter(|index| *index < items.len()) {
                Some(index) => Ok(items.swap_remove(index)),
                None => Err(format!("there is no item {number} in a list of {} (the first is 0)", items.len())),
            }
        }
        (Value::Object(mut map), Value::String(key)) => map.remove(key).ok_or_else(|| format!("there is no `{key}`")),
        (of, at) => Err(mismatch("[ ]", &[of, at.clone()])),
    }
}

fn arithmetic(
    name: &str,
    one: &Value,
    other: &Value,
    integers: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, String> {
    let (Value::Number(one_number), Value::Number(other_number)) = (one, other) else {
        let mut why = mismatch(name, &[one.clone(), other.clone()]);
        if name == "+" && (one.is_string() || other.is_string()) {
            why.push_str("; string(…) makes text of a value");
        }
        return Err(why);
    };
    match (one_number.as_i64(), other_number.as_i64()) {
        (Some(_), Some(0)) if matches!(name, "/" | "%") => Err("it divides by zero".to_owned()),
        (Some(a), Some(b)) => integers(a, b).map(Value::from).ok_or_else(|| "the number is too large".to_owned()),
        _ => {
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            finite(floats(float(one_number), float(other_number)))
        }
    }
}

fn compare(name: &str, one: &Value, other: &Value) -> Result<Ordering, String> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Ok(one.cmp(other)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Ok(a.cmp(&b)),
            _ => {
                let ordering = a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b));
                ordering.ok_or_else(|| "these numbers cannot be compared".to_owned())
            }
        },
        _ => Err(mismatch(name, &[one.clone(), other.clone()])),
    }
}

/// Numbers are equal by value, whatever they are written as.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => compare("==", one, other) == Ok(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| equal(one, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct World(Value);

    impl Lookup for World {
        fn find(&self, root: Root, names: &[&str]) -> Found<'_> {
            if root == Root::Stages && names.first() == Some(&"later") {
                return Found::Unknown("(known after later)".to_owned());
            }
            let pointer = format!("/{root:?}/{}", names.join("/"));
            match self.0.pointer(&pointer) {
                Some(value) => Found::Value(Cow::Borrowed(value)),
                None => Found::Absent(format!("no {}", names.join("."))),
            }
        }
    }

    fn evaluate(text: &str) -> String {
        let world = World(json!({
            "Inputs": {"n": 3, "x": 1.5, "yes": true, "name": "Web", "empty": ""},
            "Stages": {"a-b": {"image": "i@sha256:0", "list": [3, 1, 2], "map": {"k-1": 1, "b": 2}, "found": [{"id": "CVE-1", "n": 1}]}},
        }));
        match Expression::parse(text, &Steps::of(100_000)) {
            Ok(expression) => match expression.evaluate(&world, &Steps::of(10 * EXPRESSION)) {
                Ok(value) => value.to_string(),
                Err(fault) => format!("{fault:?}"),
            },
            Err(problems) => format!("{problems:?}"),
        }
    }

    #[test]
    fn values_are_computed() {
        let cases = [
            ("stages.a-b.image", "\"i@sha256:0\""),
            ("stages['a-b'].image", "\"i@sha256:0\""),
            ("stages.a-b.list[1]", "1"),
            ("stages.a-b.map.k-1 + inputs.n", "4"),
            ("inputs.n - 1", "2"),
            ("inputs.n * 2 + 1 == 7 && !false", "true"),
            ("7 / 2", "3"),
            ("-7 % 3", "-1"),
            ("7 / 2.0", "3.5"),
            ("inputs.x > 1", "true"),
            ("1 == 1.0", "true"),
            ("1 == '1'", "false"),
            ("'a' + 'b' + string(1)", "\"ab1\""),
            ("[1] + [2, 'x']", "[1,2,\"x\"]"),
            ("{'a': 1, 'b': [inputs.n]}", "{\"a\":1,\"b\":[3]}"),
            ("2 in stages.a-b.list", "true"),
            ("'b' in stages.a-b.map", "true"),
            ("inputs.yes ? 'y' : nosuch.thing", "[ExpressionProblem"),
            ("inputs.yes ? 'y' : 'n'", "\"y\""),
            ("has(stages.a-b.image)", "true"),
            ("has(stages.a-b.other)", "false"),
            ("has(stages.a-b.map.k-1) && !has(stages.a-b.map.z)", "true"),
            ("has(inputs.zzz)", "false"),
            ("stages.a-b.list.map(x, x * 2)", "[6,2,4]"),
            ("stages.a-b.list.filter(x, x > 1)", "[3,2]"),
            ("stages.a-b.list.map(x, x > 1, x + 1)", "[4,3]"),
            ("stages.a-b.list.all(x, x > 0)", "true"),
            ("stages.a-b.list.exists(x, x == 2)", "true"),
            ("stages.a-b.list.exists_one(x, x > 2)", "true"),
            ("stages.a-b.map.map(k, k)", "[\"b\",\"k-1\"]"),
            ("stages.a-b.found.exists(f, f.id.startsWith('CVE-') && f.n == 1)", "true"),
            ("stages.a-b.found[0].id", "\"CVE-1\""),
            ("inputs.name.lowerAscii().replace('w', 'v').upperAscii()", "\"VEB\""),
            ("'a,b,c'.split(',').join('-')", "\"a-b-c\""),
            ("'release/1.2'.matches('^release/')", "true"),
            ("'abcdef'.substring(2) + 'abcdef'.substring(0, 2)", "\"cdefab\""),
            ("size('héé') + size([1, 2])", "5"),
            ("int('42') + int(2.9)", "44"),
            ("bool('true')", "true"),
            ("null == null", "true"),
        ];
        for (text, expected) in cases {
            let value = evaluate(text);
            assert!(
                value == expected || (expected == "[ExpressionProblem" && value.starts_with(expected)),
                "{text} → {value}"
            );
        }
    }

    #[test]
    fn failures_say_why() {
        insta::assert_snapshot!(
            [
                "inputs.zzz",
                "stages.a-b.list[9]",
                "1 / 0",
                "9223372036854775807 + 1",
                "'a' + 1",
                "1 < 'a'",
                "!1",
                "1 && true",
                "inputs.n.x",
                "stages.a-b.map.zzz",
                "'a' in 'abc'",
                "1 ? 2 : 3",
                "'x'.matches('(')",
                "int('x')",
                "{'a': 1, 'a': 2}",
                "{1: 2}",
                "1.map(x, x)",
                "'abc'.substring(9)",
                "bool('yes')",
                "[[1]].join()",
            ]
            .map(|text| format!("{text:32}{}", evaluate(text)))
            .join("\n"),
        );
    }

    #[test]
    fn what_is_unknown_stays_so_unless_the_rest_decides() {
        let unknown = "Unknown(\"(known after later)\")";
        assert_eq!(evaluate("stages.later.x"), unknown);
        assert_eq!(evaluate("stages.later.x == 1 && inputs.yes"), unknown);
        assert_eq!(evaluate("stages.later.x == 1 && false"), "false");
        assert_eq!(evaluate("inputs.yes || stages.later.x"), "true");
        assert_eq!(evaluate("stages.later.x || inputs.yes"), "true");
        assert_eq!(evaluate("inputs.yes ? 1 : stages.later.x"), "1");
        assert_eq!(evaluate("has(stages.later.x)"), unknown);
        assert_eq!(evaluate("[stages.later.x, 1].exists(x, x == 1)"), unknown);
    }

    #[test]
    fn errors_are_absorbed_as_in_cel() {
        assert_eq!(evaluate("1 / 0 == 1 || true"), "true");
        assert_eq!(evaluate("[2, 0].exists(e, 6 / e == 3)"), "true");
        assert_eq!(evaluate("[0, 2].exists(e, 6 / e == 3)"), "true");
        assert_eq!(evaluate("[1, 2, 3].all(e, 6 / (2 - e) == 6)"), "false");
        assert!(evaluate("[2, 1].all(e, 6 / (2 - e) == 6)").contains("divides by zero"));
    }

    #[test]
    fn bombs_are_defused() {
        let grow = ".map(x, x + x)".repeat(22);
        assert!(evaluate(&format!("['aaaaaaaaaaaaaaaa']{grow}")).contains("does too much"));
        let nest = ".map(x, [x, x])".repeat(20);
        assert!(evaluate(&format!("[1]{nest}")).contains("does too much"));
        let ten = "[1,2,3,4,5,6,7,8,9,10]";
        let loops = format!("{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, {ten}.all(e, {ten}.all(f, true))))))");
        assert!(evaluate(&loops).contains("does too much"));
        let replace = ".replace('a', 'aaaaaaaaaa')".repeat(12);
        assert!(evaluate(&format!("'a'{replace}")).contains("longer than"));
    }

    /// The crate's own evaluator, as a judge.
    fn judged(text: &str) -> Result<Value, ()> {
        fn json(value: &cel::Value) -> Result<Value, ()> {
            Ok(match value {
                cel::Value::Int(integer) => (*integer).into(),
                cel::Value::String(text) => text.as_str().into(),
                cel::Value::Bool(boolean) => (*boolean).into(),
                cel::Value::List(items) => items.iter().map(json).collect::<Result<_, _>>()?,
                cel::Value::Null => Value::Null,
                _ => return Err(()),
            })
        }
        let program = cel::Program::compile(text).map_err(|_| ())?;
        json(&program.execute(&cel::Context::default()).map_err(|_| ())?)
    }

    /// Expressions over whole numbers, text, truth and lists of them.
    fn any_expression() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            (-3_i64..12).prop_map(|n| n.to_string()),
            proptest::sample::select(vec![
                "true", "false", "'a'", "'ab'", "''", "null", "[]", "[1, 2]", "['a', 3]", "x"
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let operators = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"];
            prop_oneof![
                4 => (inner.clone(), proptest::sample::select(operators.to_vec()), inner.clone())
                    .prop_map(|(one, operator, other)| format!("({one} {operator} {other})")),
                1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
                1 => inner.clone().prop_map(|of| format!("(!{of})")),
                1 => inner.clone().prop_map(|of| format!("size({of})")),
                1 => (inner.clone(), inner.clone()).prop_map(|(of, at)| format!("{of}[{at}]")),
                1 => (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("[{one}, {other}]")),
                2 => (inner.clone(), proptest::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]), inner)
                    .prop_map(|(of, name, body)| format!("{of}.{name}(x, {body})")),
            ]
        })
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 2000, ..Default::default() })]

        #[test]
        fn the_language_is_cel(text in any_expression()) {
            if let Ok(expression) = Expression::parse(&text, &Steps::of(100_000)) {
                let own = expression.evaluate(&World(Value::Null), &Steps::of(EXPRESSION)).map_err(|_| ());
                proptest::prop_assert_eq!(own, judged(&text), "{}", text);
            }
        }
    }
}
