//! Conditions, as DynamoDB writes them: `attribute_not_exists(#k) AND #n = :v`.
//!
//! The main type is [`ItemCondition`]; [`Words`] are the names and values that a request gives its placeholders.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attribute::{begins_with, compare, equal};
use super::state::{Item, invalid};
use crate::error::AwsError;

/// An expression has at most so many bytes, as with DynamoDB: it also bounds how many conditions it joins.
const LONGEST: usize = 4096;
/// Parentheses and negations within each other.
const DEEPEST: usize = 64;

/// What a request's placeholders stand for.
#[derive(Debug, Default)]
pub(super) struct Words {
    names: BTreeMap<String, String>,
    values: BTreeMap<String, Value>,
    used: RefCell<BTreeSet<String>>,
}

/// A condition on an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ItemCondition {
    Exists(String),
    Absent(String),
    BeginsWith(Operand, Operand),
    Compare(Operand, Operator, Operand),
    Between(Operand, Operand, Operand),
    Not(Box<ItemCondition>),
    And(Box<ItemCondition>, Box<ItemCondition>),
    Or(Box<ItemCondition>, Box<ItemCondition>),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Name(String),
    Value(Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Words {
    pub(super) fn new(names: Option<BTreeMap<String, String>>, values: Option<BTreeMap<String, Value>>) -> Self {
        Self { names: names.unwrap_or_default(), values: values.unwrap_or_default(), used: RefCell::default() }
    }

    /// Refuse placeholders that nothing uses, as DynamoDB does.
    pub(super) fn check_used(&self) -> Result<(), AwsError> {
        let used = self.used.borrow();
        let unused = |kind: &str, all: Vec<&String>| {
            let left: Vec<&str> = all.into_iter().filter(|one| !used.contains(*one)).map(String::as_str).collect();
            if left.is_empty() {
                return Ok(());
            }
            Err(invalid(format!("Value provided in {kind} unused in expressions: keys: {{{}}}", left.join(", "))))
        };
        unused("ExpressionAttributeNames", self.names.keys().collect())?;
        unused("ExpressionAttributeValues", self.values.keys().collect())
    }

    fn name(&self, word: &str) -> Result<String, AwsError> {
        if !word.starts_with('#') {
            return Ok(word.to_owned());
        }
        self.used.borrow_mut().insert(word.to_owned());
        self.names.get(word).cloned().ok_or_else(|| {
            invalid(format!(
                "An expression attribute name used in the document path is not defined; attribute name: {word}"
            ))
        })
    }

    fn operand(&self, word: &str) -> Result<Operand, AwsError> {
        if !word.starts_with(':') {
            return self.name(word).map(Operand::Name);
        }
        self.used.borrow_mut().insert(word.to_owned());
        self.values.get(word).cloned().map(Operand::Value).ok_or_else(|| {
            invalid(format!("An expression attribute value used in expression is not defined; attribute value: {word}"))
        })
    }
}

impl ItemCondition {
    /// Read an expression.
    pub(super) fn parse(text: &str, words: &Words) -> Result<Self, AwsError> {
        if text.len() > LONGEST {
            return Err(invalid("Invalid expression: Expression size has exceeded the maximum allowed size"));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, words };
        let condition = parser.or(0)?;
        match parser.tokens.first() {
            None => Ok(condition),
            Some(token) => Err(invalid(format!("Invalid expression: Syntax error; token: \"{token}\""))),
        }
    }

    /// Whether it holds for an item; for none where there is none.
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        let get = |operand: &Operand| match operand {
            Operand::Name(name) => item.and_then(|item| item.get(name)).cloned(),
            Operand::Value(value) => Some(value.clone()),
        };
        match self {
            Self::Exists(name) => item.is_some_and(|item| item.contains_key(name)),
            Self::Absent(name) => !item.is_some_and(|item| item.contains_key(name)),
            Self::BeginsWith(value, prefix) => match (get(value), get(prefix)) {
                (Some(value), Some(prefix)) => begins_with(&value, &prefix),
                _ => false,
            },
            Self::Compare(one, comparison, other) => match (get(one), get(other)) {
                (Some(one), Some(other)) => comparison.holds(&one, &other),
                _ => false,
            },
            Self::Between(value, low, high) => match (get(value), get(low), get(high)) {
                (Some(value), Some(low), Some(high)) => {
                    Operator::AtLeast.holds(&value, &low) && Operator::AtMost.holds(&value, &high)
                }
                _ => false,
            },
            Self::Not(condition) => !condition.holds(item),
            Self::And(one, other) => one.holds(item) && other.holds(item),
            Self::Or(one, other) => one.holds(item) || other.holds(item),
        }
    }

    /// The value that a key condition asks of the attribute `name` to be equal to.
    pub(super) fn equal_to(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Compare(Operand::Name(one), Operator::Equal, Operand::Value(value)) if one == name => Some(value),
            Self::And(one, other) => one.equal_to(name).or_else(|| other.equal_to(name)),
            Self::Exists(_)
            | Self::Absent(_)
            | Self::BeginsWith(..)
            | Self::Compare(..)
            | Self::Between(..)
            | Self::Not(_)
            | Self::Or(..) => None,
        }
    }
}

impl Operator {
    fn holds(self, one: &Value, other: &Value) -> bool {
        match self {
            Self::Equal => equal(one, other),
            Self::Unequal => !equal(one, other),
            Self::Less => compare(one, other) == Some(Ordering::Less),
            Self::AtMost => matches!(compare(one, other), Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => compare(one, other) == Some(Ordering::Greater),
            Self::AtLeast => matches!(compare(one, other), Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// Names, placeholders, signs.
fn tokens(text: &str) -> Result<Vec<String>, AwsError> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut token = String::from(first);
        match first {
            '(' | ')' | ',' | '=' => {}
            '<' | '>' => {
                if let Some(second) = rest.next_if(|second| *second == '=' || (first == '<' && *second == '>')) {
                    token.push(second);
                }
            }
            _ if first.is_alphanumeric() || ['#', ':', '_'].contains(&first) => {
                while let Some(more) = rest.next_if(|more| more.is_alphanumeric() || *more == '_') {
                    token.push(more);
                }
            }
            _ => return Err(invalid(format!("Invalid expression: Syntax error; token: \"{first}\""))),
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [String],
    words: &'a Words,
}

impl Parser<'_> {
    fn next(&mut self) -> Result<&str, AwsError> {
        let (first, rest) =
            self.tokens.split_first().ok_or_else(|| invalid("Invalid expression: Syntax error; it ends early"))?;
        self.tokens = rest;
        Ok(first)
    }

    fn accept(&mut self, word: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(word) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), AwsError> {
        if self.accept(word) {
            return Ok(());
        }
        let found = self.tokens.first().map_or("<end>", String::as_str);
        Err(invalid(format!("Invalid expression: Syntax error; token: \"{found}\", near: \"{word}\"")))
    }

    fn or(&mut self, depth: usize) -> Result<ItemCondition, AwsError> {
        let mut condition = self.and(depth)?;
        while self.accept("OR") {
            condition = ItemCondition::Or(Box::new(condition), Box::new(self.and(depth)?));
        }
        Ok(condition)
    }

    fn and(&mut self, depth: usize) -> Result<ItemCondition, AwsError> {
        let mut condition = self.not(depth)?;
        while self.accept("AND") {
            condition = ItemCondition::And(Box::new(condition), Box::new(self.not(depth)?));
        }
        Ok(condition)
    }

    fn not(&mut self, depth: usize) -> Result<ItemCondition, AwsError> {
        if depth > DEEPEST {
            return Err(invalid("Invalid expression: it is nested too deeply"));
        }
        if self.accept("NOT") {
            return Ok(ItemCondition::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.accept("(") {
            let condition = self.or(depth + 1)?;
            self.expect(")")?;
            return Ok(condition);
        }
        self.term()
    }

    fn term(&mut self) -> Result<ItemCondition, AwsError> {
        let first = self.next()?.to_owned();
        let function = self.tokens.first().is_some_and(|next| next == "(");
        match (first.as_str(), function) {
            ("attribute_exists" | "attribute_not_exists", true) => {
                self.expect("(")?;
                let words = self.words;
                let name = words.name(self.next()?)?;
                self.expect(")")?;
                Ok(if first == "attribute_exists" { ItemCondition::Exists(name) } else { ItemCondition::Absent(name) })
            }
            ("begins_with", true) => {
                self.expect("(")?;
                let words = self.words;
                let value = words.operand(self.next()?)?;
                self.expect(",")?;
                let prefix = words.operand(self.next()?)?;
                self.expect(")")?;
                Ok(ItemCondition::BeginsWith(value, prefix))
            }
            (_, true) => Err(invalid(format!("Invalid expression: Invalid function name; function: {first}"))),
            (_, false) => self.comparison(&first),
        }
    }

    fn comparison(&mut self, first: &str) -> Result<ItemCondition, AwsError> {
        let words = self.words;
        let one = words.operand(first)?;
        if self.accept("BETWEEN") {
            let low = words.operand(self.next()?)?;
            self.expect("AND")?;
            return Ok(ItemCondition::Between(one, low, words.operand(self.next()?)?));
        }
        let comparison = match self.next()? {
            "=" => Operator::Equal,
            "<>" => Operator::Unequal,
            "<" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" => Operator::Greater,
            ">=" => Operator::AtLeast,
            other => return Err(invalid(format!("Invalid expression: Syntax error; token: \"{other}\""))),
        };
        Ok(ItemCondition::Compare(one, comparison, words.operand(self.next()?)?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words() -> Words {
        Words::new(
            Some(BTreeMap::from([("#n".to_owned(), "nonce".to_owned())])),
            Some(BTreeMap::from([(":v".to_owned(), json!({"S": "a"})), (":f".to_owned(), json!({"N": "7"}))])),
        )
    }

    fn holds(text: &str, item: Option<Value>) -> bool {
        let item = item.and_then(|item| item.as_object().cloned());
        ItemCondition::parse(text, &words()).is_ok_and(|condition| condition.holds(item.as_ref()))
    }

    #[test]
    fn conditions_hold_or_do_not() {
        let item = || Some(json!({"nonce": {"S": "a"}, "fence": {"N": "10"}}));
        assert!(holds("attribute_not_exists(pk)", None));
        assert!(!holds("attribute_not_exists(nonce)", item()));
        assert!(holds("#n = :v AND fence > :f", item()));
        assert!(!holds("#n = :v AND NOT (fence > :f OR fence = :f)", item()));
        assert!(holds("begins_with(#n, :v) and fence BETWEEN :f AND fence", item()));
        assert!(!holds("#n = :v", None), "what is not there equals nothing");
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        let within = |opening: &str, times: usize, closing: &str| {
            format!("{}#n = :v{}", opening.repeat(times), closing.repeat(times))
        };
        let joined = |times: usize| format!("{}#n = :v", "#n = :v AND ".repeat(times));
        assert!(ItemCondition::parse(&within("(", DEEPEST, ")"), &words()).is_ok());
        assert!(ItemCondition::parse(&joined(300), &words()).is_ok(), "as long as they may be, all are read");
        for text in [within("(", 2_000, ")"), within("NOT ", 1_000, ""), within("(", 1 << 20, ")"), joined(1 << 20)] {
            let refused = ItemCondition::parse(&text, &words());
            assert!(refused.is_err_and(|error| error.code == "ValidationException"), "{text:.40}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["", "#n", "#n =", "#n = :v )", "size(#n) > :f", "#x = :v", "#n = :w", "#n ! :v"] {
            let refused = ItemCondition::parse(text, &words());
            assert!(refused.is_err_and(|error| error.code == "ValidationException"), "{text}");
        }
        let words = words();
        assert!(ItemCondition::parse("#n = :v", &words).is_ok());
        let unused = words.check_used().map_err(|error| error.message);
        assert_eq!(
            unused,
            Err("Value provided in ExpressionAttributeValues unused in expressions: keys: {:f}".to_owned())
        );
    }
}
