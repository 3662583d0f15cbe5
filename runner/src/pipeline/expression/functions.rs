//! The functions and operators of expressions: all pure, none able to make much out of little.
//!
//! The main table is [`FUNCTIONS`].

use std::ops::RangeInclusive;

use cel::common::ast::operators;
use serde_json::{Number, Value};

use super::evaluate::Effort;
use super::typing::Kind;
use crate::pipeline::schema::{article, type_name};
use crate::pipeline::suggest::did_you_mean;
use crate::words::count;

/// A function.
pub(super) struct Function {
    pub(super) name: &'static str,
    form: CallForm,
    /// How many arguments it takes; the value that a method is called on counts.
    arguments: RangeInclusive<usize>,
    /// The type of what it gives.
    pub(super) gives: Kind,
    pub(super) call: fn(&[Value], &mut Effort<'_>) -> Result<Value, String>,
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq)]
enum CallForm {
    /// `name(value)`
    Global,
    /// `value.name()`
    Method,
    /// Either.
    Both,
}

/// All of them.
pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "size", form: CallForm::Both, arguments: 1..=1, gives: Kind::Integer, call: size },
    Function { name: "string", form: CallForm::Global, arguments: 1..=1, gives: Kind::String, call: string },
    Function { name: "int", form: CallForm::Global, arguments: 1..=1, gives: Kind::Integer, call: int },
    Function { name: "double", form: CallForm::Global, arguments: 1..=1, gives: Kind::Number, call: double },
    Function { name: "bool", form: CallForm::Global, arguments: 1..=1, gives: Kind::Boolean, call: boolean },
    Function { name: "contains", form: CallForm::Method, arguments: 2..=2, gives: Kind::Boolean, call: contains },
    Function { name: "startsWith", form: CallForm::Method, arguments: 2..=2, gives: Kind::Boolean, call: starts_with },
    Function { name: "endsWith", form: CallForm::Method, arguments: 2..=2, gives: Kind::Boolean, call: ends_with },
    Function { name: "matches", form: CallForm::Both, arguments: 2..=2, gives: Kind::Boolean, call: matches_pattern },
    Function { name: "lowerAscii", form: CallForm::Method, arguments: 1..=1, gives: Kind::String, call: lower },
    Function { name: "upperAscii", form: CallForm::Method, arguments: 1..=1, gives: Kind::String, call: upper },
    Function { name: "trim", form: CallForm::Method, arguments: 1..=1, gives: Kind::String, call: trim },
    Function { name: "replace", form: CallForm::Method, arguments: 3..=3, gives: Kind::String, call: replace },
    Function { name: "split", form: CallForm::Method, arguments: 2..=2, gives: Kind::Array, call: split },
    Function { name: "join", form: CallForm::Method, arguments: 1..=2, gives: Kind::String, call: join },
    Function { name: "substring", form: CallForm::Method, arguments: 2..=3, gives: Kind::String, call: substring },
];

/// Names that the parser makes macros of where the number of arguments is right.
const MACROS: [&str; 7] = ["has", "all", "exists", "exists_one", "existsOne", "map", "filter"];

/// The operators, as the parser names them.
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

/// The function of a name.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Whether a call can be made at all; else what is wrong, and what to do.
pub(super) fn check_call(name: &str, on_value: bool, arguments: usize) -> Result<(), (String, Option<String>)> {
    if !on_value && (OPERATORS.contains(&name) || name == operators::NOT_STRICTLY_FALSE) {
        return Ok(());
    }
    if MACROS.contains(&name) {
        let help = match name {
            "has" => "write has(stages.NAME.OUTPUT)",
            _ => "write list.map(item, …), list.filter(item, …), list.all(item, …) or list.exists(item, …)",
        };
        return Err((format!("`{name}` is not used like this"), Some(help.to_owned())));
    }
    let Some(function) = function(name) else {
        let names = FUNCTIONS.iter().map(|function| function.name).chain(MACROS);
        return Err((format!("there is no function `{name}`"), did_you_mean(name, names, "functions are")));
    };
    let given = arguments + usize::from(on_value);
    let right_form = match function.form {
        CallForm::Both => true,
        CallForm::Global => !on_value,
        CallForm::Method => on_value,
    };
    if right_form && function.arguments.contains(&given) {
        return Ok(());
    }
    let own = function.arguments.end() - 1;
    let arguments = ["…", "…, …"].get(own.saturating_sub(1)).copied().filter(|_| own > 0).unwrap_or_default();
    let help = match function.form {
        CallForm::Global => format!("write {name}(value)"),
        CallForm::Method | CallForm::Both => format!("write value.{name}({arguments})"),
    };
    Err((format!("`{name}` is not called like this"), Some(help)))
}

fn size(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    let size = match arguments {
        [Value::String(text)] => text.chars().count(),
        [Value::Array(list)] => list.len(),
        [Value::Object(map)] => map.len(),
        _ => return Err(mismatch("size", arguments)),
    };
    Ok(size.into())
}

fn string(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    match arguments {
        [value] => to_text(value).map(Value::String).ok_or_else(|| mismatch("string", arguments)),
        _ => Err(mismatch("string", arguments)),
    }
}

/// A scalar as text.
pub(crate) fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn int(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    match arguments {
        [Value::String(text)] => {
            text.trim().parse::<i64>().map(Value::from).map_err(|_| format!("{text:?} is not a whole number"))
        }
        [Value::Number(number)] => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(integer.into()),
            // The cast is exact enough: the range was checked.
            (None, Some(float)) if float.abs() < 9.0e18 => Ok((float as i64).into()),
            _ => Err(format!("{number} is too large for a whole number")),
        },
        _ => Err(mismatch("int", arguments)),
    }
}

fn double(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    let float = match arguments {
        [Value::String(text)] => text.trim().parse::<f64>().map_err(|_| format!("{text:?} is not a number"))?,
        [Value::Number(number)] => number.as_f64().unwrap_or(f64::NAN),
        _ => return Err(mismatch("double", arguments)),
    };
    finite(float)
}

/// A finite number as JSON.
pub(super) fn finite(float: f64) -> Result<Value, String> {
    Number::from_f64(float).map(Value::Number).ok_or_else(|| "the number is not finite".to_owned())
}

fn boolean(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    match arguments {
        [Value::Bool(boolean)] => Ok((*boolean).into()),
        [Value::String(text)] => match text.as_str() {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err(format!("{text:?} is neither `true` nor `false`")),
        },
        _ => Err(mismatch("bool", arguments)),
    }
}

fn contains(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    texts("contains", arguments, |text, part| Ok(text.contains(part).into()))
}

fn starts_with(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    texts("startsWith", arguments, |text, part| Ok(text.starts_with(part).into()))
}

fn ends_with(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    texts("endsWith", arguments, |text, part| Ok(text.ends_with(part).into()))
}

fn matches_pattern(arguments: &[Value], effort: &mut Effort<'_>) -> Result<Value, String> {
    texts("matches", arguments, |text, pattern| Ok(effort.matches(text, pattern)?.into()))
}

fn lower(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    text("lowerAscii", arguments, |text| text.to_ascii_lowercase())
}

fn upper(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    text("upperAscii", arguments, |text| text.to_ascii_uppercase())
}

fn trim(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    text("trim", arguments, |text| text.trim().to_owned())
}

/// The longest text that an expression may make.
const LONGEST: usize = 1 << 16;

fn replace(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    let [Value::String(text), Value::String(from), Value::String(to)] = arguments else {
        return Err(mismatch("replace", arguments));
    };
    let grown = text.matches(from.as_str()).count().saturating_mul(to.len());
    if grown.saturating_add(text.len()) > LONGEST {
        return Err(format!("the text would become longer than {LONGEST} characters"));
    }
    Ok(text.replace(from.as_str(), to).into())
}

fn split(arguments: &[Value], effort: &mut Effort<'_>) -> Result<Value, String> {
    texts("split", arguments, |text, separator| {
        // Each part takes room of its own, however short it is.
        let parts = if separator.is_empty() { text.len() } else { text.matches(separator).count() + 1 };
        effort.take(4 * parts as u64)?;
        if separator.is_empty() {
            return Ok(text.chars().map(|c| c.to_string()).collect());
        }
        Ok(text.split(separator).collect())
    })
}

fn join(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    let (list, separator) = match arguments {
        [Value::Array(list)] => (list, ""),
        [Value::Array(list), Value::String(separator)] => (list, separator.as_str()),
        _ => return Err(mismatch("join", arguments)),
    };
    let parts: Option<Vec<String>> = list.iter().map(to_text).collect();
    let parts = parts.ok_or("the list holds lists or tables, which cannot be joined")?;
    let length: usize = parts.iter().map(|part| part.len() + separator.len()).sum();
    if length > LONGEST {
        return Err(format!("the text would become longer than {LONGEST} characters"));
    }
    Ok(parts.join(separator).into())
}

fn substring(arguments: &[Value], _: &mut Effort<'_>) -> Result<Value, String> {
    let (text, from, to) = match arguments {
        [Value::String(text), Value::Number(from)] => (text, from, None),
        [Value::String(text), Value::Number(from), Value::Number(to)] => (text, from, Some(to)),
        _ => return Err(mismatch("substring", arguments)),
    };
    let length = text.chars().count();
    let index = |number: &Number| number.as_u64().and_then(|number| usize::try_from(number).ok());
    let from = index(from).filter(|from| *from <= length);
    let to = to.map_or(Some(length), index).filter(|to| *to <= length);
    match (from, to) {
        (Some(from), Some(to)) if from <= to => Ok(text.chars().skip(from).take(to - from).collect::<String>().into()),
        _ => Err(format!("the text has {}; that part of it does not exist", count(length, "character"))),
    }
}

fn text(name: &str, arguments: &[Value], make: fn(&str) -> String) -> Result<Value, String> {
    match arguments {
        [Value::String(text)] => Ok(make(text).into()),
        _ => Err(mismatch(name, arguments)),
    }
}

fn texts(
    name: &str,
    arguments: &[Value],
    make: impl FnOnce(&str, &str) -> Result<Value, String>,
) -> Result<Value, String> {
    match arguments {
        [Value::String(one), Value::String(other)] => make(one, other),
        _ => Err(mismatch(name, arguments)),
    }
}

/// What is wrong with the types of a call's arguments.
pub(super) fn mismatch(name: &str, arguments: &[Value]) -> String {
    let kinds: Vec<&str> = arguments.iter().map(|argument| article(type_name(argument))).collect();
    format!("`{name}` does not work on {}", kinds.join(" and "))
}
