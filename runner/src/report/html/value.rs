//! JSON for people: outputs of stages and what an account holds.
//!
//! The main function is [`value`].

use maud::{Markup, html};
use serde_json::Value;

use crate::harmless;
use crate::report::fit;
use crate::report::style::Style;

/// Of more items, the first are shown.
const ITEMS: usize = 100;
/// Of a longer text, the beginning is shown.
const COLUMNS: usize = 2_000;
/// Of more lines of JSON, the first are shown.
const LINES: usize = 400;
/// What a value in a few words may take.
const SHORT: usize = 96;
/// Members whose names come first in few words: they tell most.
const TELLING: [&str; 16] = [
    "tags",
    "status",
    "buildStatus",
    "rollout",
    "state",
    "severity",
    "message",
    "reason",
    "task-definition",
    "image",
    "desired",
    "size",
    "revision",
    "sourceVersion",
    "role",
    "text",
];

/// A value in full: a list line by line, a record as names and values.
pub(super) fn value(value: &Value) -> Markup {
    match value {
        Value::Array(items) if items.is_empty() => html! { span.none { "none" } },
        Value::Array(items) => html! {
            ul.values {
                @for item in items.iter().take(ITEMS) { li { (line(item)) } }
                @if items.len() > ITEMS { li.none { (fit::count((items.len() - ITEMS) as u64, "more item")) } }
            }
        },
        Value::Object(members) if members.is_empty() => html! { span.none { "none" } },
        Value::Object(members) => html! {
            ul.values {
                @for (name, member) in members.iter().take(ITEMS) {
                    li { span.key { (harmless::line(name)) } " " (line(member)) }
                }
                @if members.len() > ITEMS { li.none { (fit::count((members.len() - ITEMS) as u64, "more member")) } }
            }
        },
        scalar => line(scalar),
    }
}

/// A value on one line; lines break where they must.
pub(super) fn line(value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.none { "none" } },
        Value::Object(members) => html! {
            @for (index, (name, member)) in members.iter().take(ITEMS).enumerate() {
                @if index > 0 { ", " }
                span.key { (harmless::line(name)) } " " code { (words(member)) }
            }
        },
        other => html! { code { (words(other)) } },
    }
}

/// A scalar as itself, everything else as JSON.
pub(super) fn words(value: &Value) -> String {
    let words = match value {
        Value::String(string) => string.clone(),
        other => other.to_string(),
    };
    fit::cut(&harmless::line(&words), COLUMNS, Style::UNICODE).into_owned()
}

/// A thing in a few words: of its members those that tell most, then the others, as far as there is room. Its name stands
/// before them.
pub(super) fn in_short(thing: &str, value: &Value, instant: impl Fn(&Value) -> Option<String>) -> Markup {
    let Value::Object(members) = value else { return html! { code { (cut(&words(value))) } } };
    let mut shown: Vec<(&str, String)> = Vec::new();
    let mut room = SHORT;
    let telling = TELLING.iter().filter_map(|name| members.get_key_value(*name));
    let others = members.iter().filter(|(name, _)| !TELLING.contains(&name.as_str()) && !is_identity(name));
    for (name, member) in telling.chain(others) {
        let Some(said) = instant(member).or_else(|| short(member)).filter(|said| said != thing) else { continue };
        let columns = fit::width(name) + fit::width(&said) + 3;
        if columns > room && !shown.is_empty() {
            continue;
        }
        room = room.saturating_sub(columns);
        shown.push((name, said));
        if room < 12 || shown.len() == 5 {
            break;
        }
    }
    html! {
        @for (index, (name, said)) in shown.iter().enumerate() {
            @if index > 0 { " · " }
            span.key { (harmless::line(name)) } " " code { (said) }
        }
    }
}

/// The JSON of a value, indented.
pub(super) fn json(value: &Value) -> String {
    let json = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("it cannot be written: {error}"));
    let mut lines: Vec<String> =
        harmless::lines(&json).take(LINES).map(|line| fit::cut(&line, COLUMNS, Style::UNICODE).into_owned()).collect();
    let all = json.lines().count();
    if all > lines.len() {
        lines.push(format!("… {} more", fit::count((all - lines.len()) as u64, "line")));
    }
    lines.join("\n")
}

/// What the heading says already, or nobody reads.
fn is_identity(name: &str) -> bool {
    matches!(name, "arn" | "id" | "name" | "digest" | "family" | "key")
        || name.ends_with("-arn")
        || name.ends_with("Arn")
        || name.ends_with("media-type")
}

fn short(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) | Value::Bool(false) => None,
        Value::String(string) if string.is_empty() => None,
        Value::Array(items) => {
            let scalars: Option<Vec<String>> =
                items.iter().map(|item| (!item.is_object() && !item.is_array()).then(|| words(item))).collect();
            let scalars = scalars.filter(|scalars| !scalars.is_empty())?;
            Some(cut(&scalars.join(", ")))
        }
        scalar => Some(cut(&words(scalar))),
    }
}

fn cut(string: &str) -> String {
    // Of an ARN, the end of the resource tells; a digest is known by its beginning.
    let string = match string.rsplit_once("sha256:") {
        Some((before, hex)) if hex.len() == 64 => {
            let name = before.rsplit('/').next().unwrap_or(before);
            format!("{name}{}", hex.get(..12).unwrap_or(hex))
        }
        _ if string.starts_with("arn:") => string.rsplit('/').next().unwrap_or(string).to_owned(),
        _ => string.to_owned(),
    };
    fit::cut(&string, SHORT, Style::UNICODE).into_owned()
}
