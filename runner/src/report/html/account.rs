//! The account before and after the run: what was added, removed and changed, thing by thing.
//!
//! The main function is [`account`].

use std::collections::HashSet;

use kiln_span::since_start;
use maud::{Markup, html};
use serde_json::Value;

use super::difference::{AccountDifference, Change, PathStep, differences};
use super::page;
use super::recording::ShownRun;
use super::value;
use super::write::Comparison;
use crate::harmless;
use crate::report::fit;
use crate::report::style::Style;

/// Of more differences, the first are shown.
const SHOWN: usize = 2_000;
/// More things than this, added to or removed from one collection, are folded.
const FOLDED: usize = 6;
/// More things than this of one collection are folded, each, where they changed.
const OPEN: usize = 2;
/// Things within things within things are shown as values of the second.
const NESTED: usize = 2;
/// What a changed value may take; the whole of it is in the account.
const VALUE_COLUMNS: usize = 320;
/// What a simulator keeps of itself; no account has it.
const BOOKKEEPING: [&str; 4] = ["now", "home", "effects", "unknown-operations"];

/// The section, where there is something to compare.
pub(super) fn account(recording: &ShownRun, comparison: &Comparison) -> Markup {
    let all = differences(&comparison.before, &comparison.after);
    let all: Vec<&AccountDifference<'_>> = all.iter().filter(|found| !is_bookkeeping(found)).collect();
    let (added, removed) = (count(&all, Sign::Added), count(&all, Sign::Removed));
    let changed = count(&all, Sign::Changed);
    let instants = Instants::of(recording);
    let services = services(all.get(..SHOWN).unwrap_or(&all));
    html! {
        section #account {
            h2 { "Account before and after" }
            @if all.is_empty() {
                p.none { "Nothing was added, removed or changed." }
            } @else {
                p.note {
                    span.plus { (added) " added" } ", " span.minus { (removed) " removed" } ", "
                    span.delta { (fit::count(changed as u64, "value") + " changed") }
                    @if all.len() > SHOWN { "; the first " (SHOWN) " are shown" }
                }
                @for service in &services {
                    section.of-service {
                        h3 { (harmless::line(&service.name)) }
                        @let (many, few): (Vec<&Group<'_>>, Vec<&Group<'_>>) =
                            service.groups.iter().partition(|group| is_one_of_many(group, &service.groups));
                        @for group in few {
                            div.thing {
                                @if !group.path.is_empty() { h4 { (way(group.path)) } }
                                (changes(group, &instants))
                            }
                        }
                        @for group in many {
                            details.thing { summary { (way(group.path)) " " (gist(group)) } (changes(group, &instants)) }
                        }
                    }
                }
            }
        }
    }
}

fn is_bookkeeping(found: &AccountDifference<'_>) -> bool {
    matches!(found.path.first(), Some(PathStep::Field(name)) if BOOKKEEPING.contains(&name.as_str()))
}

/// What belongs to one service of AWS.
struct Service<'a> {
    name: String,
    groups: Vec<Group<'a>>,
}

/// What differs in one thing, such as a service of ECS.
struct Group<'a> {
    /// The way to it.
    path: &'a [PathStep],
    changed: Vec<(&'a [PathStep], &'a Value, &'a Value)>,
    /// By their collection.
    things: Vec<(&'a [PathStep], Vec<Thing<'a>>)>,
}

/// A thing that came or went.
struct Thing<'a> {
    sign: Sign,
    name: &'a str,
    value: &'a Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Added,
    Removed,
    Changed,
}

fn sign(change: &Change<'_>) -> Sign {
    match change {
        Change::Added(_) => Sign::Added,
        Change::Removed(_) => Sign::Removed,
        Change::Changed { .. } => Sign::Changed,
    }
}

fn count(all: &[&AccountDifference<'_>], wanted: Sign) -> usize {
    all.iter().filter(|found| sign(&found.change) == wanted).count()
}

static NOTHING: Value = Value::Null;

fn services<'a>(all: &[&'a AccountDifference<'a>]) -> Vec<Service<'a>> {
    let mut services: Vec<Service<'a>> = Vec::new();
    let place = |found: &&'a AccountDifference<'a>| match found.path.as_slice() {
        [PathStep::Field(places), PathStep::Thing(place), ..] if places == "places" => Some(place),
        _ => None,
    };
    let places: HashSet<&String> = all.iter().filter_map(place).collect();
    let several = places.len() > 1;
    for found in all {
        let (place, path) = match found.path.as_slice() {
            [PathStep::Field(places), PathStep::Thing(place), path @ ..] if places == "places" => (Some(place), path),
            path => (None, path),
        };
        let (name, path) = match path {
            [PathStep::Field(service) | PathStep::Thing(service), path @ ..] => (service.as_str(), path),
            [] => ("account", path),
        };
        // The same service of another region is another section.
        let name = match place {
            Some(place) if several => format!("{name} in {place}"),
            Some(_) | None => name.to_owned(),
        };
        let index = services.iter().position(|service| service.name == name).unwrap_or_else(|| {
            services.push(Service { name, groups: Vec::new() });
            services.len() - 1
        });
        let Some(service) = services.get_mut(index) else { continue };
        put(&mut service.groups, path, &found.change);
    }
    services
}

fn put<'a>(groups: &mut Vec<Group<'a>>, path: &'a [PathStep], change: &Change<'a>) {
    let is_thing = |step: &PathStep| matches!(step, PathStep::Thing(_));
    let came_or_went = match (path, change) {
        ([inner @ .., PathStep::Thing(name)], Change::Added(value)) => Some((inner, Sign::Added, name, *value)),
        ([inner @ .., PathStep::Thing(name)], Change::Removed(value)) => Some((inner, Sign::Removed, name, *value)),
        _ => None,
    };
    let within = came_or_went.map_or(path, |(inner, ..)| inner);
    let things = within.iter().enumerate().filter(|(_, step)| is_thing(step));
    let owner = things.take(NESTED).last().map_or(0, |(last, _)| last + 1);
    let (owner, rest) = within.split_at(owner);
    let index = groups.iter().position(|group| group.path == owner).unwrap_or_else(|| {
        groups.push(Group { path: owner, changed: Vec::new(), things: Vec::new() });
        groups.len() - 1
    });
    let Some(group) = groups.get_mut(index) else { return };
    match (came_or_went, change) {
        (Some((_, sign, name, value)), _) => {
            let index = group.things.iter().position(|(collection, _)| *collection == rest).unwrap_or_else(|| {
                group.things.push((rest, Vec::new()));
                group.things.len() - 1
            });
            if let Some((_, things)) = group.things.get_mut(index) {
                things.push(Thing { sign, name, value });
            }
        }
        (None, Change::Added(value)) => group.changed.push((rest, &NOTHING, value)),
        (None, Change::Removed(value)) => group.changed.push((rest, value, &NOTHING)),
        (None, Change::Changed { before, after }) => group.changed.push((rest, before, after)),
    }
}

/// Whether many of the same collection changed: the tasks of a service, say.
fn is_one_of_many(group: &Group<'_>, all: &[Group<'_>]) -> bool {
    let Some((_, collection)) = group.path.split_last() else { return false };
    let is_sibling = |other: &&Group<'_>| other.path.split_last().is_some_and(|(_, of)| of == collection);
    group.path.len() > NESTED && all.iter().filter(is_sibling).take(OPEN + 1).count() > OPEN
}

/// What changed in a folded thing, in a few words: the first value that says what it was and what it is.
fn gist(group: &Group<'_>) -> Markup {
    let telling = group.changed.iter().find(|(_, before, after)| before.is_string() && after.is_string());
    let values = group.changed.len();
    html! {
        span.note {
            @if let Some((field, before, after)) = telling {
                (fields(field)) " " (value::words(before)) " → " (value::words(after))
                @if values > 1 { ", and " (fit::count((values - 1) as u64, "more value")) }
            } @else {
                (fit::count(values as u64, "value"))
            }
        }
    }
}

fn changes(group: &Group<'_>, instants: &Instants) -> Markup {
    html! {
            ul.changes {
                @for (field, before, after) in &group.changed {
                    li.delta {
                        span.key { (fields(field)) } " "
                        (scalar(before, instants, true)) " " span.arrow aria-label="becomes" { "→" } " "
                        (scalar(after, instants, false))
                    }
                }
                @for (collection, things) in &group.things {
                    @for sign in [Sign::Added, Sign::Removed] {
                        @let of_sign: Vec<&Thing<'_>> = things.iter().filter(|thing| thing.sign == sign).collect();
                        @if of_sign.len() > FOLDED {
                            li {
                                details {
                                    summary class=(class(sign)) {
                                        (of_sign.len()) " " (fields(collection)) " " (word(sign))
                                    }
                                    ul.changes { @for thing in of_sign { (came_or_went(collection, thing, instants)) } }
                                }
                            }
                        } @else {
                            @for thing in of_sign { (came_or_went(collection, thing, instants)) }
                        }
                    }
                }
            }
    }
}

fn came_or_went(collection: &[PathStep], thing: &Thing<'_>, instants: &Instants) -> Markup {
    html! {
        li {
            details {
                summary class=(class(thing.sign)) {
                    span.what { (kind(collection)) } " " strong { (name(thing.name)) }
                    span.sr { " " (word(thing.sign)) }
                    " " span.short { (value::in_short(thing.name, thing.value, |value| instants.of_value(value))) }
                }
                pre tabindex="0" { (value::json(thing.value)) }
            }
        }
    }
}

fn class(sign: Sign) -> &'static str {
    match sign {
        Sign::Added => "plus",
        Sign::Removed => "minus",
        Sign::Changed => "delta",
    }
}

fn word(sign: Sign) -> &'static str {
    match sign {
        Sign::Added => "added",
        Sign::Removed => "removed",
        Sign::Changed => "changed",
    }
}

fn scalar(value: &Value, instants: &Instants, gone: bool) -> Markup {
    let words = instants.of_value(value).unwrap_or_else(|| match value {
        Value::Null => "none".to_owned(),
        other => fit::cut(&value::words(other), VALUE_COLUMNS, Style::UNICODE).into_owned(),
    });
    html! { @if gone { del { (words) } } @else { ins { (words) } } }
}

/// `cluster web › service web`.
fn way(path: &[PathStep]) -> Markup {
    let mut parts = Vec::new();
    let mut collection = String::new();
    for step in path {
        match step {
            PathStep::Field(field) => collection = singular(field),
            PathStep::Thing(thing) => parts.push((std::mem::take(&mut collection), name(thing))),
        }
    }
    html! {
        @for (index, (kind, name)) in parts.iter().enumerate() {
            @if index > 0 { span.arrow { " › " } }
            span.what { (harmless::line(kind)) } " " (name)
        }
    }
}

fn fields(path: &[PathStep]) -> String {
    let words: Vec<_> = path
        .iter()
        .map(|step| match step {
            PathStep::Field(name) | PathStep::Thing(name) => harmless::line(name),
        })
        .collect();
    words.join(".")
}

fn kind(collection: &[PathStep]) -> String {
    match collection.last() {
        Some(PathStep::Field(name) | PathStep::Thing(name)) => harmless::line(&singular(name)).into_owned(),
        None => String::new(),
    }
}

fn singular(plural: &str) -> String {
    if plural == "aliases" {
        return "alias".to_owned();
    }
    match (plural.strip_suffix("ies"), plural.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => plural.to_owned(),
    }
}

/// A name as people know it: the end of an ARN, the beginning of a digest.
fn name(name: &str) -> String {
    let short = match name.strip_prefix("sha256:") {
        Some(hex) => hex.get(..12).unwrap_or(hex),
        None if name.starts_with("arn:") => name.rsplit('/').next().unwrap_or(name),
        None => name,
    };
    harmless::line(short).into_owned()
}

/// Numbers that are instants, in words.
struct Instants {
    start: u64,
    span: u64,
}

impl Instants {
    fn of(recording: &ShownRun) -> Self {
        Self { start: recording.start.as_ref().map_or(0, |start| start.at), span: recording.span() }
    }

    /// AWS writes instants as seconds since the epoch with a fraction; no other number of an account is one of that size.
    fn of_value(&self, value: &Value) -> Option<String> {
        let seconds = value.as_number().filter(|number| number.is_f64())?.as_f64()?;
        if !(1.0e9..4.0e9).contains(&seconds) {
            return None;
        }
        let millis = (seconds * 1_000.0) as u64;
        Some(match millis.checked_sub(self.start) {
            Some(since) if since <= self.span => format!("at {}", since_start(since)),
            _ => page::date(millis),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_those_that_people_know() {
        let digest = format!("sha256:{}", "3f1c9a2b7d10".repeat(6));
        assert_eq!(name(digest.get(..71).unwrap_or_default()), "3f1c9a2b7d10");
        assert_eq!(name("arn:aws:ecs:us-west-2:111111111111:service-deployment/web/web/Kq3"), "Kq3");
        assert_eq!(name("ecs-svc/77"), "ecs-svc/77");
        assert_eq!(
            ["repositories", "services", "aliases", "ecs"].map(singular),
            ["repository", "service", "alias", "ec"]
        );
    }

    #[test]
    fn instants_are_told_from_numbers() {
        let instants = Instants { start: 1_795_458_440_369, span: 600_000 };
        assert_eq!(instants.of_value(&json!(1_795_458_500.369)), Some("at 1m 00s".to_owned()));
        assert_eq!(instants.of_value(&json!(1_790_447_222.266)), Some("2026-09-26 18:27:02 UTC".to_owned()));
        assert_eq!(instants.of_value(&json!(1_795_458_500)), None);
        assert_eq!(instants.of_value(&json!(10.0)), None);
    }
}
