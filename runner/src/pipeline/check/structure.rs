//! Checks a file against the schema of pipeline files, and reads what is sound of it.
//!
//! The main function is [`read`].

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::places::{Places, table_name};
use super::with::is_there;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::pipeline::document::segments;
use crate::pipeline::file::{RootTable, json_schema};
use crate::pipeline::findings::{Finding, Problem};
use crate::pipeline::schema::{Schema, article, one_of, types};
use crate::pipeline::suggest::{did_you_mean_in, nearest};

/// The pipeline file without whatever breaks its schema, which is reported.
pub(super) fn read(places: &Places<'_>, diagnostics: &mut Diagnostics) -> RootTable {
    read_as(json_schema(), places, diagnostics)
}

/// A file of any schema, without whatever breaks the schema, which is reported.
pub(crate) fn read_as<T: DeserializeOwned + Default>(
    schema: Value,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> T {
    let mut json = places.document.to_json();
    let schema = match Schema::new(schema) {
        Ok(schema) => schema,
        Err(error) => {
            diagnostics.push(defect(&error));
            return T::default();
        }
    };
    let findings = match schema.check_within(STRUCTURE, &json, &[], &places.steps) {
        Ok(findings) => findings,
        Err(costly) => {
            diagnostics.push(too_much(&costly.to_string()));
            return T::default();
        }
    };
    let list = &findings.list;
    for finding in list.iter().filter(|finding| !is_there(finding, &segments(&finding.pointer), places, list)) {
        diagnostics.push(describe(finding, places));
    }
    if !findings.complete {
        diagnostics
            .push(Diagnostic::error("more-problems", "there are more problems of this sort, which are not told"));
        // What is not known to be unsound cannot be left out.
        return T::default();
    }
    for finding in list {
        prune(&mut json, finding);
    }
    match serde_json::from_value(json) {
        Ok(file) => file,
        // What the schema accepts can be read; a text too long for its type would be one more finding.
        Err(error) => {
            diagnostics.push(defect(&error.to_string()));
            T::default()
        }
    }
}

/// How many steps the check of a file against its own schema may take.
const STRUCTURE: u64 = 10_000_000;

/// A file asks for more than is done for one.
pub(super) fn too_much(why: &str) -> Diagnostic {
    Diagnostic::error("too-much-work", format!("the file is too much: {why}"))
        .help("split it, or let a stage compute a part of it and refer to its outputs")
}

fn defect(error: &str) -> Diagnostic {
    Diagnostic::error("internal", format!("kiln cannot read the file: {error}"))
        .help("this is a defect of kiln: report it")
}

fn describe(finding: &Finding, places: &Places<'_>) -> Diagnostic {
    let path = segments(&finding.pointer);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (field, table) = match path.split_last() {
        Some((field, table)) => (*field, table_name(table)),
        None => ("", table_name(&[])),
    };
    let description = finding.description.as_ref().map(|text| format!("`{field}`: {text}"));
    match &finding.problem {
        Problem::Unknown { key, known } => {
            let inner: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            Diagnostic::error("unknown-field", format!("`{key}` is not a field of {}", table_name(&path)))
                .at(places.key(&inner), "unknown field")
                .maybe_help(did_you_mean_in(
                    key,
                    known.iter().map(String::as_str),
                    "its fields are",
                    &places.suggestions,
                ))
        }
        Problem::Missing { key, description } => {
            let what = description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
            let help = match (path.as_slice(), key.as_str()) {
                ([], "pipeline") => "begin the file with `[pipeline]`, `name = \"…\"` and `region = \"…\"`".to_owned(),
                ([], "stages") => "add a stage: `[stages.NAME]` with `plugin = \"…\"`".to_owned(),
                _ => format!("add `{key}`{what}"),
            };
            let diagnostic = Diagnostic::error("missing-field", format!("{} has no `{key}`", table_name(&path)));
            let diagnostic = match path.as_slice() {
                [] => diagnostic,
                path => diagnostic.at(places.key(path), format!("`{key}` is missing here")),
            };
            diagnostic.help(help)
        }
        Problem::Type { expected, found } => {
            let span = places.value(&path);
            let raw = places.source.text.get(span.clone()).unwrap_or_default();
            let short = (raw.len() <= 40 && !raw.contains('\n')).then_some(raw);
            let wants = |kind: &str| expected.iter().any(|expected| expected == kind);
            let help = match (*found, short) {
                ("integer", Some(raw))
                    if matches!(
                        field,
                        "timeout" | "backoff" | "max-backoff" | "at-most" | "at-least" | "crash-after"
                    ) =>
                {
                    Some(format!("write a duration with its unit, in quotes: `{field} = \"{raw}s\"`"))
                }
                ("integer" | "number" | "boolean", Some(raw)) if wants("string") => {
                    Some(format!("put it in quotes: `{field} = \"{raw}\"`"))
                }
                ("string", Some(raw)) if wants("integer") || wants("number") || wants("boolean") => {
                    Some(format!("write it without quotes: `{field} = {}`", raw.trim_matches(['"', '\''])))
                }
                ("string", Some(raw)) if wants("array") => Some(format!("write a list: `{field} = [{raw}]`")),
                ("array", _) if wants("object") => Some(format!("write `[{field}.NAME]`, with one pair of brackets")),
                _ => description,
            };
            let message = format!("`{field}` of {table} must be {}, not {}", types(expected), article(found));
            Diagnostic::error("wrong-type", message).at(span, format!("this is {}", article(found))).maybe_help(help)
        }
        Problem::NotOneOf { options } => {
            let given = places.document.at(&path).map(|node| node.to_json());
            let given = given.as_ref().and_then(Value::as_str).unwrap_or_default();
            let meant = nearest(given, options.iter().map(String::as_str), &places.suggestions)
                .map(|meant| format!("did you mean `{meant}`?"));
            Diagnostic::error("invalid-value", format!("`{field}` of {table} must be {}", one_of(options)))
                .at(places.value(&path), "not one of them")
                .maybe_help(meant.or(description))
        }
        Problem::Pattern { pattern } => {
            Diagnostic::error("invalid-value", format!("`{field}` of {table} does not match the pattern {pattern}"))
                .at(places.value(&path), "")
                .maybe_help(description)
        }
        Problem::Other { sentence } if path.is_empty() => {
            Diagnostic::error("invalid-value", format!("the file is not valid: {sentence}")).maybe_help(description)
        }
        Problem::Other { sentence } => {
            Diagnostic::error("invalid-value", format!("`{field}` of {table} is not valid: {sentence}"))
                .at(places.value(&path), "")
                .maybe_help(description)
        }
    }
}

/// Take out what breaks the schema. A list goes as a whole: without one of its items it would mean something else.
fn prune(json: &mut Value, finding: &Finding) {
    let mut path = segments(&finding.pointer);
    match &finding.problem {
        Problem::Missing { .. } => return,
        Problem::Unknown { key, .. } => path.push(key.clone()),
        Problem::Type { .. } | Problem::NotOneOf { .. } | Problem::Pattern { .. } | Problem::Other { .. } => {}
    }
    let mut here = json;
    for (index, segment) in path.iter().enumerate() {
        let last = index + 1 == path.len();
        let Value::Object(map) = here else { return };
        if last || map.get(segment).is_some_and(Value::is_array) {
            map.remove(segment);
            return;
        }
        match map.get_mut(segment) {
            Some(inner) => here = inner,
            None => return,
        }
    }
}
