//! Filters, by which EC2's lists are cut down.
//!
//! The main type is [`Filter`]; [`keep`] applies them, by a table of what a list can be filtered by.

use serde::Deserialize;

use super::errors::invalid;
use crate::error::AwsError;
use crate::tags::Tags;

/// A filter: a thing is kept where it has one of the values. `*` and `?` stand for any text and any character.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter {
    name: String,
    #[serde(default, rename = "Value")]
    values: Vec<String>,
}

/// What a list can be filtered by: a filter's name, and the values that a thing has of it.
pub(super) type FilterBy<T> = (&'static str, fn(&T) -> Vec<String>);

/// Those of `things` that pass all filters. One that EC2 does not know, or that the simulator does not do, is refused.
pub(super) fn keep<T>(
    things: Vec<T>,
    filters: &[Filter],
    known: &[FilterBy<T>],
    tags: fn(&T) -> &Tags,
) -> Result<Vec<T>, AwsError> {
    for filter in filters {
        let is_tag = filter.name == "tag-key" || filter.name.starts_with("tag:");
        if !is_tag && !known.iter().any(|(name, _)| *name == filter.name) {
            return Err(invalid(format!("The filter '{}' is invalid", filter.name)));
        }
    }
    let passes = |thing: &T| {
        filters.iter().all(|filter| {
            let values: Vec<String> = match (filter.name.strip_prefix("tag:"), filter.name.as_str()) {
                (Some(key), _) => tags(thing).get(key).cloned().into_iter().collect(),
                (None, "tag-key") => tags(thing).keys().cloned().collect(),
                (None, name) => {
                    known.iter().find(|(each, _)| *each == name).map(|(_, values)| values(thing)).unwrap_or_default()
                }
            };
            values.iter().any(|value| filter.values.iter().any(|pattern| matches(pattern, value)))
        })
    };
    Ok(things.into_iter().filter(passes).collect())
}

/// Whether a text is as a pattern has it.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how much of the text it takes so far.
    let mut star: Option<(usize, usize)> = None;
    while let Some(wanted) = text.get(seen) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(found) if *found == '?' || found == wanted => (at, seen) = (at + 1, seen + 1),
            Some(_) | None => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    (at, seen) = (place + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_what_they_should() {
        let cases = [
            ("web-*", "web-12", true),
            ("web-*", "api-12", false),
            ("*", "", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("*-a-*", "x-a-a-y", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
            ("web", "web", true),
            ("", "web", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
