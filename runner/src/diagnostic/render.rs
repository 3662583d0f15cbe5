//! Writes problems for people and for machines.
//!
//! [`render`] draws a [`Diagnostic`] with its source line; [`to_json`] lists the same facts. Both mask literal secrets, and
//! neither lets anything through that would do something to a terminal or is a command to a CI service.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::list::MORE;
use super::literal_secret::{literal_secrets, masked};
use super::problem::{Diagnostic, Label, Severity};
use super::source::SourceFile;
use crate::harmless::{breaks, is_hidden, line, symbol};

/// More than this many problems help nobody at once.
const SHOWN: usize = 100;

/// Of so many places of one problem it is shown where they are, and of no more lines than have so many bytes.
const PLACES: usize = 10;
const LONGEST_WINDOW: usize = 64 << 10;

/// So many bytes of the source are drawn in all: a line may be as long as its file, and hold every problem.
const DRAWN: usize = 1 << 20;

/// `diagnostics` as text for people, each with file, line, column, its source line and what to do.
pub fn render(diagnostics: &[Diagnostic], source: &SourceFile, colour: bool) -> String {
    let source = without_secrets(source);
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    let mut room = DRAWN;
    for diagnostic in diagnostics.iter().take(SHOWN) {
        out.push_str(&renderer.render(&[report(diagnostic, &source, &mut room)]));
        out.push_str("\n\n");
    }
    let rest = diagnostics.get(SHOWN..).unwrap_or_default();
    let (unlisted, listed): (Vec<&Diagnostic>, Vec<_>) = rest.iter().partition(|diagnostic| diagnostic.code == MORE);
    if !listed.is_empty() {
        out.push_str(&format!("and {} more like these\n", listed.len()));
    }
    for diagnostic in unlisted {
        out.push_str(&format!("{}\n", clean(&diagnostic.message)));
    }
    out
}

/// `diagnostics` as a JSON array of objects with `code`, `severity`, `message`, `file`, `line`, `column`, `end-line`,
/// `end-column`, `help` and `related`. Lines and columns count from 1 and are `null` where a problem has no place.
pub fn to_json(diagnostics: &[Diagnostic], source: &SourceFile) -> Value {
    let clean = |text: &str| clean(text).into_owned();
    let place = |span: Range<usize>| {
        let span = source.clamp(&span);
        let (start, end) = (source.position(span.start), source.position(span.end));
        json!({"line": start.0, "column": start.1, "end-line": end.0, "end-column": end.1})
    };
    let list = diagnostics.iter().map(|diagnostic| {
        let mut object = json!({
            "code": diagnostic.code,
            "severity": diagnostic.severity.to_string(),
            "message": clean(&diagnostic.message),
            "file": line(&source.name),
            "line": null, "column": null, "end-line": null, "end-column": null,
            "help": diagnostic.help.as_deref().map(clean),
        });
        let main = diagnostic.span();
        if let (Some(object), Some(Value::Object(place))) = (object.as_object_mut(), main.clone().map(place)) {
            object.extend(place);
        }
        let related = diagnostic.labels.iter().filter(|label| Some(&label.span) != main.as_ref() || !label.primary);
        let related: Vec<Value> = related
            .map(|label| {
                let mut related = place(label.span.clone());
                if let Some(related) = related.as_object_mut() {
                    related.insert("message".to_owned(), Value::String(clean(&label.text)));
                }
                related
            })
            .collect();
        if let Some(object) = object.as_object_mut() {
            object.insert("related".to_owned(), Value::Array(related));
        }
        object
    });
    Value::Array(list.collect())
}

fn report<'a>(diagnostic: &'a Diagnostic, source: &SourceFile, room: &mut usize) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(clean(&diagnostic.message)).id(diagnostic.code));
    let labels = drawn(diagnostic, source);
    match window(&labels, source, room) {
        Some(window) => {
            let annotations = labels.iter().map(|label| {
                let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                let span = window.place(&source.clamp(&label.span));
                kind.span(span).label((!label.text.is_empty()).then(|| clean(&label.text)))
            });
            let snippet = Snippet::source(window.text.clone())
                .line_start(window.first_line)
                .path(line(&source.name).into_owned())
                .annotations(annotations);
            group = group.element(snippet);
        }
        None => {
            let name = line(&source.name).into_owned();
            group = group.element(match diagnostic.span() {
                None => Origin::path(name),
                Some(span) => {
                    let (line, column) = source.position(span.start);
                    Origin::path(name).line(line).char_column(column)
                }
            });
        }
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(clean(help))),
        None => group,
    }
}

/// The lines that a diagnostic speaks of, with a symbol in the place of every hidden character.
struct Window {
    text: String,
    first_line: usize,
    /// Pairs of offsets, in the source and in `text`: from the first on, both run in step.
    offsets: Vec<(usize, usize)>,
}

impl Window {
    /// Where a span of the source is found in the window's text.
    fn place(&self, span: &Range<usize>) -> Range<usize> {
        let at = |offset: usize| {
            let passed = self.offsets.partition_point(|(source, _)| *source <= offset);
            let (source, shown) =
                passed.checked_sub(1).and_then(|last| self.offsets.get(last)).copied().unwrap_or_default();
            (shown + offset - source).min(self.text.len())
        };
        at(span.start)..at(span.end)
    }
}

/// The labels that are drawn: the first, and of the others those that are not too far from it.
fn drawn<'a>(diagnostic: &'a Diagnostic, source: &SourceFile) -> Vec<&'a Label> {
    let main = diagnostic.span().map_or(0, |span| source.clamp(&span).start);
    let near = |label: &&Label| source.clamp(&label.span).start.abs_diff(main) <= LONGEST_WINDOW / 2;
    diagnostic.labels.iter().filter(near).take(PLACES).collect()
}

fn window(labels: &[&Label], source: &SourceFile, room: &mut usize) -> Option<Window> {
    let spans: Vec<_> = labels.iter().map(|label| source.clamp(&label.span)).collect();
    let start = source.line_start(spans.iter().map(|span| span.start).min()?);
    let end = source.line_end(spans.iter().map(|span| span.end).max()?);
    *room = room.checked_sub(end - start)?;
    let (first_line, _) = source.position(start);
    let mut window = Window { text: String::with_capacity(end - start), first_line, offsets: vec![(start, 0)] };
    let raw = source.text.get(start..end)?;
    let broken = commands(raw);
    for (offset, c) in raw.char_indices() {
        if broken.contains(&offset) {
            window.text.push(' ');
            window.offsets.push((start + offset, window.text.len()));
        }
        // The end of a Windows line is no surprise to anybody.
        let ends_line = c == '\r' && matches!(raw.as_bytes().get(offset + 1), Some(b'\n') | None);
        if is_hidden(c) {
            window.text.push(if ends_line { ' ' } else { symbol(c) });
            window.offsets.push((start + offset + c.len_utf8(), window.text.len()));
        } else {
            window.text.push(c);
        }
    }
    Some(window)
}

/// Where a space must stand in a text of several lines so that no CI service finds a command in them.
fn commands(raw: &str) -> BTreeSet<usize> {
    let mut places = BTreeSet::new();
    let mut begin = 0;
    for line in raw.split_inclusive('\n') {
        places.extend(breaks(line).into_iter().map(|place| begin + place));
        begin += line.len();
    }
    places
}

fn without_secrets(source: &SourceFile) -> Cow<'_, SourceFile> {
    let secrets = literal_secrets(&source.text);
    if secrets.is_empty() {
        return Cow::Borrowed(source);
    }
    Cow::Owned(SourceFile::new(source.name.clone(), masked(&source.text, &secrets)))
}

fn clean(text: &str) -> Cow<'_, str> {
    let secrets = literal_secrets(text);
    if secrets.is_empty() {
        return line(text);
    }
    Cow::Owned(line(&masked(text, &secrets)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> SourceFile {
        SourceFile::new("pipelines/web.toml", text)
    }

    #[test]
    fn a_problem_is_shown_with_its_line_and_help() {
        let source = source("[pipeline]\nnam = \"web\"\n");
        let diagnostic = Diagnostic::error("unknown-field", "`nam` is not a field of `[pipeline]`")
            .at(11..14, "unknown field")
            .help("did you mean `name`?");
        insta::assert_snapshot!(render(&[diagnostic], &source, false), @r#"
        error[unknown-field]: `nam` is not a field of `[pipeline]`
         --> pipelines/web.toml:2:1
          |
        2 | nam = "web"
          | ^^^ unknown field
          |
          = help: did you mean `name`?
        "#);
    }

    #[test]
    fn hidden_characters_become_symbols_and_the_marks_stay_in_place() {
        let source = source("a = \"x\u{202E}\x1b[2Jy\" # end\n");
        let here = source.text.find('y').unwrap_or_default();
        let shown = render(&[Diagnostic::error("c", "bad \x1b[31m name").at(here..here + 1, "this")], &source, false);
        insta::assert_snapshot!(shown, @r#"
        error[c]: bad \u{1b}[31m name
         --> pipelines/web.toml:1:12
          |
        1 | a = "x�␛[2Jy" # end
          |            ^ this
        "#);
        assert!(!shown.contains('\x1b') && !shown.contains('\u{202E}'));
    }

    #[test]
    fn a_ci_service_finds_no_command_in_a_line_of_the_source() {
        let source = source("a = \"##vso[x]\"\n::error::y = 1\n");
        let here = source.text.find('y').unwrap_or_default();
        let shown = render(
            &[Diagnostic::error("c", "##[error]m").at(here..here + 1, "this").note_at(5..6, "t")],
            &source,
            false,
        );
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn secrets_are_masked_everywhere() {
        let source = source("key = \"AKIAIOSFODNN7EXAMPLE\"\n");
        let diagnostic = Diagnostic::error("literal-secret", "AKIAIOSFODNN7EXAMPLE is a secret").at(7..27, "here");
        let shown = render(std::slice::from_ref(&diagnostic), &source, true);
        assert!(!shown.contains("AKIA"), "{shown}");
        let json = to_json(&[diagnostic], &source).to_string();
        assert!(!json.contains("AKIA"), "{json}");
    }

    #[test]
    fn machines_get_places_in_lines_and_columns() {
        let source = source("a = 1\nb = 2\n");
        let diagnostics = [
            Diagnostic::error("one", "first").at(6..7, "here").note_at(0..1, "because of this").help("do that"),
            Diagnostic::error("two", "no place"),
        ];
        let json = to_json(&diagnostics, &source);
        assert_eq!(
            json,
            json!([
                {"code": "one", "severity": "error", "message": "first", "file": "pipelines/web.toml",
                 "line": 2, "column": 1, "end-line": 2, "end-column": 2, "help": "do that",
                 "related": [{"line": 1, "column": 1, "end-line": 1, "end-column": 2, "message": "because of this"}]},
                {"code": "two", "severity": "error", "message": "no place", "file": "pipelines/web.toml",
                 "line": null, "column": null, "end-line": null, "end-column": null, "help": null, "related": []},
            ])
        );
    }
}
