//! Text with expressions in it: `"web-${inputs.name}"`.
//!
//! The main type is [`Template`].

use std::fmt;
use std::ops::Range;

use serde_json::Value;

use super::expression::{Expression, ExpressionProblem, Fault, Lookup, TOO_MANY, end_of_expression, to_text};
use crate::steps::Steps;

/// Of the problems of one text so many are told.
const MOST_REPORTED: usize = 100;

/// The longest text that is made, in bytes.
const LONGEST: usize = 512 << 10;

/// Text with expressions in it.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<TemplatePart>,
}

/// A part of a template.
#[derive(Debug, Clone)]
pub(crate) enum TemplatePart {
    /// Literal text.
    Text(String),
    /// An expression.
    Expression(Slot),
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) expression: Expression,
    /// From `$` to `}`, in the template's text.
    pub(crate) span: Range<usize>,
}

impl Slot {
    /// Where a part of the expression stands in the template's text.
    pub(crate) fn place(&self, inner: &Range<usize>) -> Range<usize> {
        self.span.start + 2 + inner.start..self.span.start + 2 + inner.end
    }
}

impl Template {
    /// Read a text. Spans of problems are offsets into it.
    pub(crate) fn parse(text: &str, steps: &Steps) -> Result<Self, Vec<ExpressionProblem>> {
        let (mut parts, mut problems, mut literal, mut at) = (Vec::new(), Vec::new(), String::new(), 0);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(behind) = rest.strip_prefix("$${") {
                literal.push_str("${");
                at = text.len() - behind.len();
            } else if rest.starts_with("${") {
                let start = at;
                let Some(end) = end_of_expression(text, start + 2) else {
                    problems.push(ExpressionProblem {
                        code: "expression-syntax",
                        span: start..text.len(),
                        message: "an expression is not closed".to_owned(),
                        help: Some("add the closing `}`, or write `$${` for a literal `${`".to_owned()),
                    });
                    break;
                };
                match Expression::parse(text.get(start + 2..end).unwrap_or_default(), steps) {
                    Ok(expression) => {
                        if !literal.is_empty() {
                            parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
                        }
                        parts.push(TemplatePart::Expression(Slot { expression, span: start..end + 1 }));
                    }
                    Err(found) => problems.extend(found.into_iter().map(|problem| {
                        // An empty place would not be seen: the whole expression is shown instead.
                        let inner = problem.span.start + start + 2..problem.span.end + start + 2;
                        let span = if inner.is_empty() { start..end + 1 } else { inner };
                        ExpressionProblem { span, ..problem }
                    })),
                }
                if problems.len() >= MOST_REPORTED || problems.last().is_some_and(|problem| problem.code == TOO_MANY) {
                    break;
                }
                at = end + 1;
            } else {
                // Up to the next dollar; one that stands here begins nothing.
                let next = rest.char_indices().skip(1).find(|(_, c)| *c == '$');
                let length = next.map_or(rest.len(), |(next, _)| next);
                literal.push_str(rest.get(..length).unwrap_or_default());
                at += length;
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if !literal.is_empty() {
            parts.push(TemplatePart::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The expressions in it.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Expression(slot) => Some(slot),
            TemplatePart::Text(_) => None,
        })
    }

    /// The text, where it has no expressions.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [TemplatePart::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression, where it is nothing but one: then it keeps its type.
    pub(crate) fn lone(&self) -> Option<&Slot> {
        match self.parts.as_slice() {
            [TemplatePart::Expression(slot)] => Some(slot),
            _ => None,
        }
    }

    /// What it is worth: any value where it is nothing but an expression, text otherwise. An error names the slot.
    pub(crate) fn evaluate(&self, lookup: &dyn Lookup, steps: &Steps) -> Result<Value, (Fault, &Slot)> {
        if let Some(slot) = self.lone() {
            return slot.expression.evaluate(lookup, steps).map_err(|fault| (fault, slot));
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => out.push_str(text),
                TemplatePart::Expression(slot) => {
                    let value = slot.expression.evaluate(lookup, steps).map_err(|fault| (fault, slot))?;
                    match to_text(&value) {
                        Some(text) if out.len() + text.len() > LONGEST => {
                            let why = format!("the text would become longer than {LONGEST} characters");
                            return Err((Fault::Failed(why), slot));
                        }
                        Some(text) => out.push_str(&text),
                        None => {
                            let kind = super::schema::article(super::schema::type_name(&value));
                            let why = format!(
                                "{kind} cannot be put into text; let the expression stand alone, or use .join(…)"
                            );
                            return Err((Fault::Failed(why), slot));
                        }
                    }
                }
            }
        }
        Ok(Value::String(out))
    }
}

/// As it is written in a pipeline.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            TemplatePart::Text(text) => f.write_str(&escape(text)),
            TemplatePart::Expression(slot) => write!(f, "${{{}}}", slot.expression.text()),
        })
    }
}

/// A template that is nothing but `text`.
pub(crate) fn escape(text: &str) -> String {
    text.replace("${", "$${")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::borrow::Cow;

    use super::*;
    use crate::pipeline::expression::{Found, Root};

    struct Nothing;

    impl Lookup for Nothing {
        fn find(&self, _: Root, names: &[&str]) -> Found<'_> {
            Found::Value(Cow::Owned(Value::String(names.concat())))
        }
    }

    fn parse(text: &str) -> Result<Template, Vec<ExpressionProblem>> {
        Template::parse(text, &Steps::of(1_000_000))
    }

    fn worth(text: &str) -> String {
        match parse(text) {
            Ok(template) => match template.evaluate(&Nothing, &Steps::of(1_000_000)) {
                Ok(value) => value.to_string(),
                Err((fault, _)) => format!("{fault:?}"),
            },
            Err(problems) => {
                problems.into_iter().map(|problem| format!("{} at {:?}", problem.message, problem.span)).collect()
            }
        }
    }

    #[test]
    fn a_lone_expression_keeps_its_type_and_text_around_it_makes_text() {
        assert_eq!(worth("${1 + 1}"), "2");
        assert_eq!(worth("${[1]}"), "[1]");
        assert_eq!(worth(" ${1 + 1}"), "\" 2\"");
        assert_eq!(worth("a ${inputs.x}-${true}."), "\"a x-true.\"");
        assert_eq!(worth("${{'}': 1}['}']}"), "1");
        assert_eq!(worth(""), "\"\"");
        assert!(worth("x${[1]}").contains("cannot be put into text"));
    }

    #[test]
    fn dollars_are_only_special_before_a_brace() {
        assert_eq!(worth("$${x} $$ $5 $"), "\"${x} $$ $5 $\"");
        assert_eq!(worth("$$${1}"), "\"$${1}\"");
        assert_eq!(worth("ñ$ñ${1}ñ"), "\"ñ$ñ1ñ\"");
    }

    #[test]
    fn problems_know_their_place() {
        assert_eq!(worth("ab ${inputs.x"), "an expression is not closed at 3..13");
        assert_eq!(worth("ab ${nosuch} ${}"), "`nosuch` means nothing here at 5..11the expression is empty at 13..16");
    }

    proptest! {
        #[test]
        fn any_text_can_be_written_as_a_template(text in "[a${}\\\\\"ñ ]{0,20}|.*") {
            let template = parse(&escape(&text)).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(template.literal().map(str::to_owned), Some(text.clone()));
            prop_assert_eq!(template.to_string(), escape(&text));
        }

        #[test]
        fn templates_are_read_as_they_are_written(text in "([a$ ]|\\$\\{ ?(inputs\\.a-b|1 \\+ 2|'\\}') ?\\}|\\$\\$\\{){0,8}") {
            let template = parse(&text).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            let written = template.to_string();
            let again = parse(&written).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
            prop_assert_eq!(again.to_string(), written);
            prop_assert_eq!(again.evaluate(&Nothing, &Steps::of(1_000_000)).ok(), template.evaluate(&Nothing, &Steps::of(1_000_000)).ok());
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[\\$\\{\\}a-c.'\"`()\\[\\]?:&|!=<>+*/%0-9 \\-,]{0,40}|.*") {
            let _ = parse(&text).map(|template| template.evaluate(&Nothing, &Steps::of(1_000_000)).is_ok());
        }
    }
}
