//! A pipeline file as a tree that knows where each of its parts stands.
//!
//! The main type is [`Document`]. It keeps the file's order, and gives the parts as JSON to whoever needs only the values.

use std::num::IntErrorKind;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::inspect::{hidden_in, hidden_in_key};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};

/// Syntax errors beyond this number are not told.
const MOST_REPORTED: usize = 50;

/// Behind the first syntax error so many bytes are read: each of them may be one more, which takes room.
const READ_ON: usize = 32 << 10;

/// The longest key, in bytes. The place of whatever lies below it repeats it.
const LONGEST_KEY: usize = 256;

/// A parsed TOML file.
#[derive(Debug)]
pub(crate) struct Document {
    root: Node,
    /// Whether the parser had to guess: what is missing may only be hidden behind a syntax error.
    pub(crate) damaged: bool,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) content: Content,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Text, a number, a truth value. Dates and times are text here: JSON has none.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(TomlTable),
}

/// Entries in the order of the file, found by their keys: a pipeline has thousands of stages, each looked up many times.
#[derive(Debug, Clone)]
pub(crate) struct TomlTable {
    entries: Vec<TableEntry>,
    /// Positions in `entries`, sorted by key.
    by_key: Vec<usize>,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct TableEntry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Document {
    /// Parse a text, as far as it can be parsed.
    pub(crate) fn parse(source: &SourceFile) -> (Self, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let mut damaged = false;
        let (table, errors) = match DeTable::parse(&source.text) {
            Ok(table) => (table, Vec::new()),
            Err(first) => {
                let read = readable(&source.text, &first);
                damaged = read.len() < source.text.len();
                DeTable::parse_recoverable(read)
            }
        };
        // Where a table's header stands a second time, its keys do as well: the header's own error says it all.
        let mut repeated_table = 0..0;
        for error in errors.iter().take(MOST_REPORTED) {
            let duplicate = error.message() == "duplicate key";
            damaged |= !duplicate;
            if let Some(span) = error.span().filter(|_| duplicate) {
                if repeated_table.contains(&span.start) {
                    continue;
                }
                let line = source.text.get(source.line_start(span.start)..).unwrap_or_default();
                if line.trim_start().starts_with('[') {
                    let rest = source.text.get(span.end..).unwrap_or_default();
                    repeated_table = span.end..span.end + rest.find("\n[").unwrap_or(rest.len());
                }
            }
            diagnostics.push(syntax_error(error, source));
        }
        damaged |= errors.len() > MOST_REPORTED;
        let root = Node { span: 0..source.text.len(), content: convert_table(table.get_ref(), &mut diagnostics) };
        (Self { root, damaged }, diagnostics)
    }

    /// The values, as JSON. Numbers that JSON does not have are left out.
    pub(crate) fn to_json(&self) -> Value {
        self.root.to_json()
    }

    /// The value at a path.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, segment| node.child(segment))
    }

    /// Where the value at a path stands; the nearest thing around it where it does not.
    pub(crate) fn span(&self, path: &[&str]) -> Range<usize> {
        self.walk(path).1
    }

    /// Where the key at the end of a path stands; the nearest thing around it where it does not.
    pub(crate) fn key_span(&self, path: &[&str]) -> Range<usize> {
        self.walk(path).0
    }

    /// The keys of the table at a path, in the order of the file.
    pub(crate) fn keys(&self, path: &[&str]) -> impl Iterator<Item = &str> {
        let entries = match self.at(path).map(|node| &node.content) {
            Some(Content::Table(table)) => table.entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|entry| entry.key.as_str())
    }

    /// The spans of the key and of the value at a path.
    fn walk(&self, path: &[&str]) -> (Range<usize>, Range<usize>) {
        let mut node = &self.root;
        let mut spans = (0..0, 0..0);
        for segment in path {
            match &node.content {
                Content::Table(table) => match table.entry(segment) {
                    Some(entry) => {
                        node = &entry.value;
                        // A table of a header spans the header alone, and one that is only implied spans nothing of
                        // its own: the key says more.
                        let whole = match &node.content {
                            Content::Table(_) => entry.key_span.clone(),
                            Content::Scalar(_) | Content::List(_) => node.span.clone(),
                        };
                        spans = (entry.key_span.clone(), whole);
                    }
                    None => return (spans.0.clone(), spans.0),
                },
                Content::List(_) => match node.child(segment) {
                    Some(child) => {
                        node = child;
                        spans = (child.span.clone(), child.span.clone());
                    }
                    None => return spans,
                },
                Content::Scalar(_) => return spans,
            }
        }
        spans
    }
}

impl TomlTable {
    fn new(entries: Vec<TableEntry>) -> Self {
        let mut by_key: Vec<(&str, usize)> =
            entries.iter().enumerate().map(|(position, entry)| (entry.key.as_str(), position)).collect();
        by_key.sort_unstable();
        let by_key = by_key.into_iter().map(|(_, position)| position).collect();
        Self { entries, by_key }
    }

    /// All entries, in the order of the file.
    pub(crate) fn entries(&self) -> &[TableEntry] {
        &self.entries
    }

    fn entry(&self, key: &str) -> Option<&TableEntry> {
        let key_at = |position: &usize| self.entries.get(*position).map(|entry| entry.key.as_str());
        let found = self.by_key.binary_search_by(|position| key_at(position).cmp(&Some(key))).ok()?;
        self.entries.get(*self.by_key.get(found)?)
    }
}

impl Node {
    /// The member of a table or list.
    pub(crate) fn child(&self, segment: &str) -> Option<&Node> {
        match &self.content {
            Content::Table(table) => table.entry(segment).map(|entry| &entry.value),
            Content::List(items) => segment.parse::<usize>().ok().and_then(|index| items.get(index)),
            Content::Scalar(_) => None,
        }
    }

    /// Whether it is a table without anything in it.
    pub(crate) fn is_empty_table(&self) -> bool {
        matches!(&self.content, Content::Table(table) if table.entries.is_empty())
    }

    /// The value, as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Table(table) => {
                let mut map = Map::new();
                for entry in table.entries() {
                    // A number that JSON does not have became null, and was reported.
                    if !matches!(entry.value.content, Content::Scalar(Value::Null)) {
                        map.insert(entry.key.clone(), entry.value.to_json());
                    }
                }
                Value::Object(map)
            }
        }
    }
}

/// As much of a text as is read where it has an error: up to the end of a line.
fn readable<'a>(text: &'a str, first: &toml::de::Error) -> &'a str {
    let enough = first.span().map_or(0, |span| span.start).saturating_add(READ_ON);
    match text.get(text.ceil_char_boundary(enough.min(text.len()))..).and_then(|rest| rest.find('\n')) {
        Some(line) => text.get(..text.ceil_char_boundary(enough) + line + 1).unwrap_or(text),
        None => text,
    }
}

fn syntax_error(error: &toml::de::Error, source: &SourceFile) -> Diagnostic {
    let span = source.clamp(&error.span().unwrap_or(source.text.len()..source.text.len()));
    if error.message() == "duplicate key" {
        let key = source.text.get(span.clone()).unwrap_or_default();
        return Diagnostic::error("duplicate-key", format!("`{key}` is defined a second time"))
            .at(span, "second definition")
            .help("a key stands once in a table, and a table has one header: remove or rename one of them");
    }
    if error.message().starts_with("unexpected leading zero") {
        return leading_zero(span.start, source);
    }
    Diagnostic::error("syntax", format!("this is not TOML: {}", error.message())).at(span, "")
}

/// A number with a zero before it, at `start` or right before: an account's number, most likely, which is a text.
fn leading_zero(start: usize, source: &SourceFile) -> Diagnostic {
    let is_part = |c: char| c.is_ascii_digit() || c == '_';
    let (before, behind) = source.text.split_at_checked(start).unwrap_or((&source.text, ""));
    let begin = before.trim_end_matches(is_part).len();
    let end = start + (behind.len() - behind.trim_start_matches(is_part).len());
    let number = source.text.get(begin..end).unwrap_or_default();
    let line = source.text.get(source.line_start(begin)..begin).unwrap_or_default();
    // What else stands before it in its line is a key, or belongs to another.
    let key = line.rsplit(['{', ',']).next().and_then(|entry| entry.trim().strip_suffix('=')).map(str::trim_end);
    let quoted = key.map_or_else(|| format!("\"{number}\""), |key| format!("{key} = \"{number}\""));
    Diagnostic::error("syntax", "this is not TOML: a number does not begin with 0")
        .at(begin..end, "")
        .help(format!("put it in quotes: `{quoted}`; or leave the 0 out, where it is a number"))
}

fn convert_table(table: &DeTable<'_>, diagnostics: &mut Diagnostics) -> Content {
    let mut entries: Vec<TableEntry> = table
        .iter()
        .filter_map(|(key, value)| {
            let name = key.get_ref().as_ref();
            if name.len() > LONGEST_KEY {
                diagnostics.push(
                    Diagnostic::error("invalid-name", format!("a key has {} bytes", name.len()))
                        .at(key.span(), "")
                        .help(format!("name it with at most {LONGEST_KEY} letters, digits and `-`")),
                );
                return None;
            }
            if let Some(hidden) = hidden_in_key(name) {
                diagnostics.push(
                    Diagnostic::error(
                        "control-character",
                        format!("the key {name:?} holds the hidden character {hidden}"),
                    )
                    .at(key.span(), "a key must be readable")
                    .help("name it with letters, digits and `-`"),
                );
            } else if name.is_empty() {
                diagnostics.push(
                    Diagnostic::error("invalid-name", "a key is empty")
                        .at(key.span(), "an empty name")
                        .help("name it with letters, digits and `-`"),
                );
            }
            let value = convert(value.get_ref(), value.span(), diagnostics);
            Some(TableEntry { key: name.to_owned(), key_span: key.span(), value })
        })
        .collect();
    // The parser's table is sorted by name; a pipeline is read in the order in which it is written.
    entries.sort_by_key(|entry| entry.key_span.start);
    Content::Table(TomlTable::new(entries))
}

fn convert(value: &DeValue<'_>, span: Range<usize>, diagnostics: &mut Diagnostics) -> Node {
    let content = match value {
        DeValue::String(text) => {
            if let Some(hidden) = hidden_in(text) {
                diagnostics.push(
                    Diagnostic::error("control-character", format!("the text holds the hidden character {hidden}"))
                        .at(span.clone(), "it comes from an escape in this text")
                        .help("remove the escape; text in a pipeline must be readable"),
                );
            }
            Content::Scalar(Value::String(text.as_ref().to_owned()))
        }
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Content::Scalar(Value::Number(integer.into())),
            // What is no number at all was told as such when the file was parsed.
            Err(error) if !matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => {
                Content::Scalar(Value::Null)
            }
            Err(_) => {
                diagnostics.push(
                    Diagnostic::error("invalid-number", "the number is too large")
                        .at(span.clone(), "more than 64 bits")
                        .help("numbers go from -9223372036854775808 to 9223372036854775807; put longer ones in quotes"),
                );
                Content::Scalar(Value::Null)
            }
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => Content::Scalar(Value::Number(number)),
            None => {
                diagnostics.push(
                    Diagnostic::error("invalid-number", format!("`{}` is not a finite number", float.as_str()))
                        .at(span.clone(), "neither `nan` nor `inf` means anything in a pipeline")
                        .help("write a number, or leave the field out where it should have no limit"),
                );
                Content::Scalar(Value::Null)
            }
        },
        DeValue::Boolean(boolean) => Content::Scalar(Value::Bool(*boolean)),
        DeValue::Datetime(datetime) => Content::Scalar(Value::String(datetime.to_string())),
        DeValue::Array(items) => {
            Content::List(items.iter().map(|item| convert(item.get_ref(), item.span(), diagnostics)).collect())
        }
        DeValue::Table(table) => convert_table(table, diagnostics),
    };
    Node { span, content }
}

/// A JSON pointer's segments.
pub(crate) fn segments(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect()
}

/// A JSON pointer one step further.
pub(crate) fn join(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_where_they_stand() {
        let source = SourceFile::new("p.toml", "[b]\nx = [1, { y = 'z' }]\n[a.c]\nd = 1979-05-27\n");
        let (document, diagnostics) = Document::parse(&source);
        assert_eq!(diagnostics.len(), 0);
        assert_eq!(document.keys(&[]).collect::<Vec<_>>(), ["b", "a"]);
        let text = |span: Range<usize>| source.text.get(span).unwrap_or_default().to_owned();
        assert_eq!(text(document.span(&["b", "x", "1", "y"])), "'z'");
        assert_eq!(text(document.key_span(&["b", "x"])), "x");
        assert_eq!(text(document.span(&["a", "c", "missing"])), "c");
        assert_eq!(
            document.to_json(),
            serde_json::json!({"b": {"x": [1, {"y": "z"}]}, "a": {"c": {"d": "1979-05-27"}}})
        );
    }

    #[test]
    fn behind_an_error_only_some_of_a_file_is_read() {
        let errors = |text: &str| {
            let (document, diagnostics) = Document::parse(&SourceFile::new("p.toml", text));
            (document.damaged, diagnostics.len(), document.keys(&[]).count())
        };
        assert_eq!(errors(&format!("a = 1\nb = \n{}c = 2\n", "# more\n".repeat(100))), (true, 1, 3));
        // The last key is too far behind, and half of a line is never read.
        assert_eq!(errors(&format!("a = 1\nb = \n{}c = 2\n", "# ñññ more\n".repeat(10_000))), (true, 1, 2));
        let (damaged, told, _) = errors(&"=\n".repeat(500_000));
        assert!(damaged && told <= 51, "{told}");
    }

    #[test]
    fn a_key_as_long_as_its_file_is_refused() {
        let (document, diagnostics) =
            Document::parse(&SourceFile::new("p.toml", format!("{} = 1\nb = 2\n", "a".repeat(257))));
        assert_eq!((diagnostics.len(), document.keys(&[]).collect::<Vec<_>>()), (1, vec!["b"]));
    }

    #[test]
    fn pointers_are_taken_apart_and_put_together() {
        assert_eq!(segments("/a~1b/0/c~0d"), ["a/b", "0", "c~d"]);
        assert_eq!(join(&join("", "a/b"), "c~d"), "/a~1b/c~0d");
        assert!(segments("").is_empty());
    }
}
