//! What expressions may take, however they are made.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::evaluate::EXPRESSION;
use super::{Expression, Fault, Found, Lookup, Root};
use crate::steps::Steps;

/// One output, whatever is asked for.
struct World(Value);

impl Lookup for World {
    fn find(&self, _: Root, _: &[&str]) -> Found<'_> {
        Found::Value(Cow::Borrowed(&self.0))
    }
}

/// What an expression is worth over this output, and how many steps that took.
fn counted(text: &str, output: Value, steps: &Steps) -> Result<Value, Fault> {
    let world = World(output);
    let expression =
        Expression::parse(text, &Steps::of(100_000)).unwrap_or_else(|problems| unreachable!("{problems:?}"));
    expression.evaluate(&world, steps)
}

const TEN: &str = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]";

#[test]
fn a_pattern_in_a_loop_is_compiled_once() {
    let steps = Steps::of(10 * EXPRESSION);
    let body = r"'release/1.2'.matches('^release/[0-9.]{1,20}$')";
    let text = format!("{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, {body})))");
    assert_eq!(counted(&text, Value::Null, &steps), Ok(true.into()));
    // The pattern alone takes thousands, a thousand of them would take millions.
    assert!(steps.taken() < 200_000, "{}", steps.taken());
}

#[test]
fn many_patterns_and_large_ones_cost_what_they_take() {
    let refused = |text: &str, output: Value| {
        let steps = Steps::of(10 * EXPRESSION);
        let value = counted(text, output, &steps);
        assert!(steps.taken() <= EXPRESSION, "{}", steps.taken());
        format!("{value:?}")
    };
    let each =
        format!("{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, 'x'.matches('x?' + string(100 * a + 10 * b + c)) || true)))");
    assert!(refused(&each, Value::Null).contains("does too much"));
    let large = format!(r"{TEN}.map(a, 'x'.matches('\\pL{{90}}' + string(a)) ? 1 : 2)");
    assert!(refused(&large, Value::Null).contains("too large"));
    let slow = "stages.a.x.matches('a[ab]{200}c')";
    assert!(refused(slow, "ab".repeat(100_000).into()).contains("does too much"));
    let long = "'x'.matches(stages.a.x)";
    assert!(refused(long, "x".repeat(1_001).into()).contains("longer than 1000 characters"));
}

#[test]
fn a_part_of_a_large_output_costs_no_more_than_the_part() {
    let output = json!({"small": 1, "large": "x".repeat(200_000)});
    let steps = Steps::of(10 * EXPRESSION);
    let text = format!("{TEN}.map(a, {TEN}.map(b, stages.a.x.small))");
    assert!(counted(&text, output.clone(), &steps).is_ok());
    assert!(steps.taken() < 10_000, "{}", steps.taken());
    let whole = format!("{TEN}.map(a, {TEN}.map(b, stages.a.x.large))");
    assert!(format!("{:?}", counted(&whole, output, &steps)).contains("does too much"));
}

#[test]
fn a_text_is_not_taken_apart_into_more_than_there_is_room_for() {
    let steps = Steps::of(10 * EXPRESSION);
    assert!(
        format!("{:?}", counted("stages.a.x.split('')", "x".repeat(200_000).into(), &steps)).contains("does too much")
    );
    assert_eq!(counted("size('a,b,c'.split(','))", Value::Null, &steps), Ok(3.into()));
}

#[test]
fn expressions_that_follow_each_other_share_what_there_is() {
    let steps = Steps::of(EXPRESSION + 1_000);
    let dear = format!("{TEN}.map(a, {TEN}.map(b, {TEN}.map(c, {TEN}.map(d, {TEN}))))");
    assert!(format!("{:?}", counted(&dear, Value::Null, &steps)).contains("the expression does too much"));
    assert!(format!("{:?}", counted(&dear, Value::Null, &steps)).contains("with what was evaluated before it"));
}

#[test]
fn a_reason_does_not_repeat_a_large_value() {
    let steps = Steps::of(EXPRESSION);
    let Err(Fault::Failed(why)) = counted("int(stages.a.x)", "x".repeat(200_000).into(), &steps) else {
        unreachable!("it is no number")
    };
    assert!(why.len() < 400, "{}", why.len());
}
