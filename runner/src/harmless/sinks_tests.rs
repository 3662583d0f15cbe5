//! Whatever shows foreign text, it shows it harmless. The rooms that keep what they show to themselves have the same test beside it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::hostile_tests::{HOSTILE, acts};
use super::{lines, sanitise};
use crate::diagnostic::{self, Diagnostic, SourceFile};
use crate::event::RunOutcome;
use crate::rehearse::Rehearsed;
use crate::report::Style;
use crate::scenario::{self, Tested, Trial, Unmet};

#[track_caller]
fn harmless(what: &str, shown: &str) {
    if let Some(why) = acts(shown) {
        panic!("{what}: {why}");
    }
}

#[test]
fn of_the_module_itself() {
    for text in HOSTILE {
        harmless("line", &super::line(text));
        harmless("lines", &lines(text).collect::<Vec<_>>().join("\n"));
        harmless("sanitise", &sanitise(text));
        for pretty in [false, true] {
            harmless("json", &super::json(&json!({ text: [text, format!("a{text}")] }), pretty).unwrap());
        }
        assert_eq!(super::line(&super::line(text)), super::line(text), "twice is as once");
    }
}

#[test]
fn of_diagnostics() {
    for text in HOSTILE {
        // Somewhere in its source there is what the problem is about.
        let source = SourceFile::new(format!("{text}.toml"), format!("a = '{text}'\n{text}\nb = 1\n"));
        let end = source.text.len() - 3;
        let problem =
            Diagnostic::error("code", format!("of {text}")).at(end..end + 1, text).note_at(1..2, text).help(text);
        let problems = [problem, Diagnostic::error("code", text)];
        harmless("render", &diagnostic::render(&problems, &source, false));
        harmless("JSON", &super::json(&diagnostic::to_json(&problems, &source), true).unwrap());
    }
}

fn tested(text: &str, result: Result<Trial, String>) -> Tested {
    Tested { name: text.to_owned(), path: PathBuf::from(text), description: text.to_owned(), result }
}

#[test]
fn of_scenarios() {
    for text in HOSTILE {
        let rehearsed = Rehearsed {
            outcome: RunOutcome::Failed,
            events: Vec::new(),
            effects: Vec::new(),
            before: Value::Null,
            after: Value::Null,
            millis: 1,
        };
        let unmet = Unmet {
            field: text.to_owned(),
            line: 1,
            expected: text.to_owned(),
            found: text.to_owned(),
            notes: vec![text.to_owned()],
        };
        let refused = Some(text.to_owned());
        let trial = Trial { rehearsed, refused, unmet: vec![unmet], wall: Duration::from_millis(1) };
        let all = [tested(text, Ok(trial)), tested(text, Err(text.to_owned()))];
        for one in &all {
            harmless("headline", &scenario::headline(one, Style::ASCII));
            harmless("failure", &scenario::failure(one, Style::ASCII));
        }
        harmless("summary", &scenario::summary(&all, Duration::ZERO, Style::ASCII));
        harmless("JSON", &super::json(&scenario::json(text, &all, Duration::ZERO), true).unwrap());
        harmless("JUnit", &scenario::junit(text, &all, Duration::ZERO).unwrap().0);
    }
}
