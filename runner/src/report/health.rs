//! What a machine has and lacks for a run, as people and scripts read it.
//!
//! The main type is [`ExaminationView`].

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value};

use super::fit;
use super::style::{Style, Tone};
use crate::harmless;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It was not looked at; the observation says why.
    Skipped,
    /// A run can use it.
    Ok,
    /// A run may do without, or something is odd.
    Warning,
    /// A run would not begin, or would fail.
    Problem,
}

impl Health {
    fn word(self) -> (&'static str, Tone) {
        match self {
            Self::Skipped => ("skipped", Tone::Faint),
            Self::Ok => ("ok", Tone::Good),
            Self::Warning => ("warning", Tone::Caution),
            Self::Problem => ("problem", Tone::Bad),
        }
    }
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// What was looked at, in one word; of an environment `environment NAME`.
    pub subject: String,
    /// How it is.
    pub health: Health,
    /// A sentence, or the part of one, about it.
    pub says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The same for scripts. Fields are only ever added.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
}

impl Observation {
    fn new(subject: impl Into<String>, health: Health, says: impl Into<String>, advice: Option<String>) -> Self {
        Self { subject: subject.into(), health, says: says.into(), advice, facts: Map::new() }
    }

    /// It is as it should be.
    pub(crate) fn ok(subject: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(subject, Health::Ok, says, None)
    }

    /// A run may do without it, or it is odd.
    pub(crate) fn warning(subject: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(subject, Health::Warning, says, Some(advice.into()))
    }

    /// A run would not begin, or would fail.
    pub(crate) fn problem(subject: impl Into<String>, says: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(subject, Health::Problem, says, Some(advice.into()))
    }

    /// It was not looked at.
    pub(crate) fn skipped(subject: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(subject, Health::Skipped, why, None)
    }

    /// With a fact for scripts.
    pub(crate) fn fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// What was found of a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExaminationView {
    /// The worst of what was found.
    pub health: Health,
    /// In the order in which they were looked at.
    pub observations: Vec<Observation>,
}

impl ExaminationView {
    /// Of `observations`.
    pub(crate) fn new(observations: Vec<Observation>) -> Self {
        let health = observations.iter().map(|seen| seen.health).max().unwrap_or(Health::Skipped);
        Self { health, observations }
    }

    fn count(&self, health: Health) -> usize {
        self.observations.iter().filter(|seen| seen.health == health).count()
    }
}

/// Write it for people: a line for each thing, what to do beneath it, and how many of each at the end.
pub(crate) fn render(view: &ExaminationView, style: Style, out: &mut impl Write) -> io::Result<()> {
    let subjects: Vec<_> = view.observations.iter().map(|seen| harmless::line(&seen.subject)).collect();
    let width = subjects.iter().map(|subject| fit::width(subject)).max().unwrap_or_default();
    for (seen, subject) in view.observations.iter().zip(subjects) {
        let (word, tone) = seen.health.word();
        let word = style.paint(tone, &format!("{word:<7}"));
        writeln!(out, "{word}  {}  {}", fit::pad(&subject, width), harmless::line(&seen.says))?;
        if let Some(advice) = &seen.advice {
            writeln!(out, "{:width$}  to do: {}", "", harmless::line(advice), width = width + 9)?;
        }
    }
    let (problems, warnings, skipped) =
        (view.count(Health::Problem), view.count(Health::Warning), view.count(Health::Skipped));
    let several = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    writeln!(out, "\n{}, {}{skipped}; nothing was written", several(problems, "problem"), several(warnings, "warning"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::harmless::hostile_tests::{HOSTILE, acts};

    fn rendered(view: &ExaminationView) -> String {
        let mut out = Vec::new();
        render(view, Style::ASCII, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_thing_has_a_line_and_what_to_do_beneath() {
        let view = ExaminationView::new(vec![
            Observation::ok("region", "us-west-2, from AWS_REGION"),
            Observation::warning("state", "it is another user's", "name another"),
            Observation::problem("environment production", "its role is not given", "ask for it"),
            Observation::skipped("clock", "AWS was not asked"),
        ]);
        assert_eq!(view.health, Health::Problem);
        insta::assert_snapshot!(rendered(&view), @r"
        ok       region                  us-west-2, from AWS_REGION
        warning  state                   it is another user's
                                         to do: name another
        problem  environment production  its role is not given
                                         to do: ask for it
        skipped  clock                   AWS was not asked

        1 problem, 1 warning, 1 skipped; nothing was written
        ");
    }

    #[test]
    fn foreign_text_cannot_act() {
        for text in HOSTILE {
            let view = ExaminationView::new(vec![Observation::problem(text, text, text)]);
            assert_eq!(acts(&rendered(&view)), None);
        }
    }
}
