//! Pieces merged into a base world, and who is to blame where they make no world.
//!
//! The main function is [`merge_all`]. A list's thing that has the name of one that is there already changes that one: its
//! tables are merged, its other values replaced. Whatever else a list is given is added to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln_sim::{WorldError, WorldFile, WorldProblem};
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::files::read_beside;
use crate::pipeline::{Content, Document, Node, Places, did_you_mean_in};

/// Of mistakes in one piece, so many are told.
const TOLD: usize = 20;

/// A piece of a world file, and where in the scenario it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    at: Vec<String>,
    /// The top-level key.
    field: String,
    /// Whether `value` is an item of the list `field`.
    item: bool,
    value: Value,
    /// Whether it stands in the scenario as it is given to the world, so that a place in it is a place there.
    literal: bool,
    /// Whether its lists are added to those that are there.
    appends: bool,
}

impl Piece {
    /// An item of a list, made of what stands at `at`.
    pub(super) fn item(at: &[&str], list: &str, value: Value) -> Self {
        let at = at.iter().map(|&segment| segment.to_owned()).collect();
        Self { at, field: list.to_owned(), item: true, value, literal: false, appends: false }
    }

    /// Its lists are added to those that are there.
    pub(super) fn appending(self) -> Self {
        Self { appends: true, ..self }
    }

    /// The pieces of a table that has the form of a world file and stands at `at`.
    pub(super) fn literal(at: &[&str], table: &Map<String, Value>) -> Vec<Self> {
        let mut pieces = Vec::new();
        for (field, value) in table {
            let mut path: Vec<String> = at.iter().map(|&segment| segment.to_owned()).collect();
            path.push(field.clone());
            let make = |at: Vec<String>, item: bool, value: &Value| Piece {
                at,
                field: field.clone(),
                item,
                value: value.clone(),
                literal: true,
                appends: false,
            };
            match value {
                Value::Array(items) if !items.is_empty() => {
                    for (index, item) in items.iter().enumerate() {
                        let at = path.iter().cloned().chain([index.to_string()]).collect();
                        pieces.push(make(at, true, item));
                    }
                }
                other => pieces.push(make(path, false, other)),
            }
        }
        pieces
    }

    /// Put it into a world; where it is there now.
    pub(super) fn put(&self, world: &mut Map<String, Value>) -> Vec<String> {
        if !self.item {
            merge(world.entry(self.field.clone()).or_insert(Value::Null), &self.value, self.appends);
            return vec![self.field.clone()];
        }
        let home = [field(world, "account"), field(world, "region")];
        let list = world.entry(self.field.clone()).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(list) = list else { return vec![self.field.clone()] };
        let index = list.iter().position(|thing| is_same(thing, &self.value, &home)).unwrap_or(list.len());
        match list.get_mut(index) {
            Some(thing) => merge(thing, &self.value, self.appends),
            None => list.push(self.value.clone()),
        }
        vec![self.field.clone(), index.to_string()]
    }
}

/// Whether a change speaks of a thing: they have one name, in one place. A place that is not told is the world's own, `home`.
fn is_same(thing: &Value, change: &Value, home: &[Value; 2]) -> bool {
    let named = ["name", "alias"].into_iter().any(|key| change.get(key).is_some() && change.get(key) == thing.get(key));
    let [account, region] = home;
    let placed = [("account", account), ("region", region)]
        .into_iter()
        .all(|(key, home)| change.get(key).unwrap_or(home) == thing.get(key).unwrap_or(home));
    let cluster = change.get("cluster").is_none_or(|value| thing.get("cluster").is_none_or(|other| other == value));
    named && placed && cluster
}

fn field(world: &Map<String, Value>, name: &str) -> Value {
    world.get(name).cloned().unwrap_or_default()
}

fn merge(thing: &mut Value, change: &Value, appends: bool) {
    match (thing, change) {
        (Value::Object(thing), Value::Object(change)) => {
            for (key, value) in change {
                match thing.get_mut(key) {
                    Some(inner) => merge(inner, value, appends),
                    None => {
                        thing.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(thing), Value::Array(change)) if appends => thing.extend(change.iter().cloned()),
        (thing, change) => *thing = change.clone(),
    }
}

/// A world file of this content.
pub(super) fn parse(world: &Map<String, Value>) -> Result<WorldFile, WorldError> {
    WorldFile::parse(&toml(world)?).map_err(without_lines)
}

/// The lines would be those of a text that nobody has written.
fn without_lines(error: WorldError) -> WorldError {
    match error {
        WorldError::Invalid(problems) => {
            let unplaced = problems.into_iter().map(|problem| WorldProblem { line: None, ..problem });
            WorldError::Invalid(unplaced.collect())
        }
        WorldError::Syntax(message) => WorldError::Syntax(message),
    }
}

fn toml(world: &Map<String, Value>) -> Result<String, WorldError> {
    toml::to_string(world).map_err(|error| WorldError::Syntax(error.to_string()))
}

/// A template has at most this many bytes: CloudFormation takes no longer one.
const LONGEST_TEMPLATE: u64 = 1 << 20;

/// The world file of this text, which lies at a place, with the files beside it that it names.
pub fn read(place: &Path, text: &str) -> Result<WorldFile, WorldError> {
    WorldFile::parse_with(text, &|file| beside(place, file))
}

fn beside(place: &Path, file: &str) -> Result<String, String> {
    let directory = place.parent().unwrap_or(Path::new(""));
    let bytes = read_beside(directory, file, LONGEST_TEMPLATE).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

/// Put the files that a world names into it: what is changed of it lies nowhere.
fn inline(world: &mut Map<String, Value>, place: &Path) {
    let stacks = world.get_mut("stacks").and_then(Value::as_array_mut);
    for stack in stacks.into_iter().flatten().filter_map(Value::as_object_mut) {
        let file = stack.get("template-file").and_then(Value::as_str);
        if let Some(Ok(text)) = file.map(|file| beside(place, file)) {
            stack.remove("template-file");
            stack.insert("template".to_owned(), Value::from(text));
        }
    }
}

/// The world file `source` as it is, or all that is wrong with it.
pub(super) fn base(source: &SourceFile) -> Result<Map<String, Value>, Vec<Diagnostic>> {
    let opened = crate::pipeline::open(source)?;
    let mut found = Diagnostics::new();
    let place = Path::new(&source.name);
    if let Err(error) = read(place, &source.text)
        && !opened.document.damaged
    {
        let places = Places::new(source, &opened.document);
        for trouble in troubles(&error, &source.text) {
            found.push(trouble.diagnostic(&trouble.path, &places));
        }
    }
    let told = opened.told(source, found);
    match opened.document.to_json() {
        Value::Object(mut world) if told.is_empty() => {
            inline(&mut world, place);
            Ok(world)
        }
        _ => Err(told),
    }
}

/// Take things out of a world.
pub(super) fn remove(
    world: &mut Map<String, Value>,
    names: &BTreeMap<String, Vec<String>>,
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) {
    let name_of = |thing: &Value| {
        let name = thing.get("name").or_else(|| thing.get("alias")).or_else(|| thing.get("id"));
        name.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    for (list, names) in names {
        let Some(Value::Array(things)) = world.get_mut(list) else {
            let lists: Vec<String> =
                world.iter().filter(|(_, value)| value.is_array()).map(|(name, _)| name.clone()).collect();
            diagnostics.push(
                Diagnostic::error("unknown-field", format!("the world has no list `{list}`"))
                    .at(places.key(&["remove", list]), "nothing to remove")
                    .maybe_help(did_you_mean_in(
                        list,
                        lists.iter().map(String::as_str),
                        "its lists are",
                        &places.suggestions,
                    )),
            );
            continue;
        };
        let known: BTreeSet<String> = things.iter().map(name_of).collect();
        let unwanted: BTreeSet<&String> = names.iter().collect();
        things.retain(|thing| !unwanted.contains(&name_of(thing)));
        for (index, name) in names.iter().enumerate() {
            if known.contains(name) {
                continue;
            }
            let index = index.to_string();
            diagnostics.push(
                Diagnostic::error("unknown-name", format!("`{list}` of the world has no `{name}`"))
                    .at(places.value(&["remove", list, &index]), "nothing to remove")
                    .maybe_help(did_you_mean_in(name, known.iter().map(String::as_str), "it has", &places.suggestions)),
            );
        }
    }
}

/// A world with all pieces. What is wrong with a piece is told at its place; the others are still looked at.
pub(super) fn merge_all(
    mut world: Map<String, Value>,
    pieces: &[Piece],
    places: &Places<'_>,
    diagnostics: &mut Diagnostics,
) -> Map<String, Value> {
    let mut whole = world.clone();
    for piece in pieces {
        piece.put(&mut whole);
    }
    let Err(error) = parse(&whole) else { return whole };
    let before = diagnostics.len();
    // A piece may need another that stands behind it: those that fit come first.
    let mut left = Vec::new();
    for piece in pieces {
        let mut with = world.clone();
        piece.put(&mut with);
        match parse(&with) {
            Ok(_) => world = with,
            Err(_) => left.push(piece),
        }
    }
    for piece in left {
        blame(piece, &mut world, places, diagnostics);
    }
    if diagnostics.len() == before {
        let message = format!("the scenario makes no world: {}", sentence(&error.to_string()));
        diagnostics.push(Diagnostic::error("invalid-world", message));
    }
    whole
}

/// Tell all that is wrong with a piece: whatever is wrong is told and left out, until the rest fits.
fn blame(piece: &Piece, world: &mut Map<String, Value>, places: &Places<'_>, diagnostics: &mut Diagnostics) {
    let mut piece = piece.clone();
    let mut gone: Vec<String> = Vec::new();
    for _ in 0..TOLD {
        let mut with = world.clone();
        let at = piece.put(&mut with);
        let Err(error) = parse(&with) else {
            *world = with;
            return;
        };
        let text = toml(&with).unwrap_or_default();
        let mut goes_on = false;
        for trouble in troubles(&error, &text) {
            let inside = trouble.path.strip_prefix(at.as_slice()).unwrap_or_default().to_vec();
            // What was taken out is missing now, and may be what the rest needs.
            if gone.iter().any(|field| trouble.lacks(field))
                || (!gone.is_empty() && (trouble.path.is_empty() || trouble.whole))
            {
                continue;
            }
            let place =
                if piece.literal { piece.at.iter().cloned().chain(inside.clone()).collect() } else { piece.at.clone() };
            diagnostics.push(trouble.diagnostic(&place, places));
            if take(&mut piece.value, &inside) {
                gone.extend(inside.last().cloned());
                goes_on = true;
            }
        }
        if !goes_on {
            return;
        }
    }
}

/// Take out what stands at a path. Whether there was something.
fn take(value: &mut Value, path: &[String]) -> bool {
    match (path, value) {
        ([last], Value::Object(map)) => map.shift_remove(last).is_some(),
        ([next, rest @ ..], Value::Object(map)) => map.get_mut(next).is_some_and(|inner| take(inner, rest)),
        ([next, rest @ ..], Value::Array(items)) if !rest.is_empty() => {
            next.parse::<usize>().ok().and_then(|index| items.get_mut(index)).is_some_and(|inner| take(inner, rest))
        }
        _ => false,
    }
}

/// Something that is wrong with a world.
#[derive(Debug)]
struct Trouble {
    /// Where in the world; empty where that is not known.
    path: Vec<String>,
    /// What serde or the simulator says.
    message: String,
    /// Whether it is about all of what stands there, which what was taken out may have made right.
    whole: bool,
}

impl Trouble {
    /// Whether it only complains that `field` is missing.
    fn lacks(&self, field: &str) -> bool {
        self.message == format!("missing field `{field}`")
    }

    fn diagnostic(&self, place: &[String], places: &Places<'_>) -> Diagnostic {
        let path: Vec<&str> = place.iter().map(String::as_str).collect();
        let quoted: Vec<&str> = self.message.split('`').skip(1).step_by(2).collect();
        if let (true, Some((wrong, known))) = (self.message.starts_with("unknown field"), quoted.split_first()) {
            return Diagnostic::error("unknown-field", format!("the world knows no `{wrong}` here"))
                .at(places.key(&path), "unknown field")
                .maybe_help(did_you_mean_in(wrong, known.iter().copied(), "its fields are", &places.suggestions));
        }
        if let (true, Some((wrong, known))) = (self.message.starts_with("unknown variant"), quoted.split_first()) {
            // A key can be a variant too.
            let value = places.value(&path);
            let is_value = places.source.text.get(value.clone()).is_some_and(|text| text.contains(wrong));
            let span = if is_value { value } else { places.key(&path) };
            return Diagnostic::error("invalid-value", format!("the world knows no `{wrong}` here"))
                .at(span, "not one of those that there are")
                .maybe_help(did_you_mean_in(wrong, known.iter().copied(), "write one of", &places.suggestions));
        }
        if let (true, Some((field, _))) = (self.message.starts_with("missing field"), quoted.split_first()) {
            return Diagnostic::error("missing-field", format!("`{field}` is missing here"))
                .at(places.key(&path), "it is not complete")
                .help(format!("add `{field}`, as in a world file"));
        }
        Diagnostic::error("invalid-world", format!("this fits into no world: {}", self.message))
            .at(places.value(&path), "")
    }
}

fn troubles(error: &WorldError, text: &str) -> Vec<Trouble> {
    match error {
        WorldError::Invalid(problems) => {
            let path = |(table, index): (&str, usize)| vec![table.to_owned(), index.to_string()];
            let trouble = |problem: &WorldProblem| {
                let path = problem.entry.map(path).unwrap_or_default();
                Trouble { path, message: problem.message.clone(), whole: true }
            };
            problems.iter().map(trouble).collect()
        }
        WorldError::Syntax(message) => {
            let path = position(message, text).map(|offset| locate(text, offset)).unwrap_or_default();
            vec![Trouble { path, message: sentence(message), whole: false }]
        }
    }
}

/// What is wrong, without the drawing of the place: that shows a text which nobody has written.
fn sentence(message: &str) -> String {
    let drawing = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("TOML parse error")
            || line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|')
    };
    let lines: Vec<&str> = message.lines().filter(|line| !drawing(line)).collect();
    lines.join(" ")
}

/// The byte offset that a message of the TOML parser speaks of.
fn position(message: &str, text: &str) -> Option<usize> {
    let (_, place) = message.split_once("at line ")?;
    let (line, rest) = place.split_once(", column ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (line, column): (usize, usize) = (line.parse().ok()?, rest.get(..digits)?.parse().ok()?);
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let in_line = text.get(start..)?.chars().take(column.checked_sub(1)?).map(char::len_utf8).sum::<usize>();
    Some(start + in_line)
}

/// The path of the innermost part of a TOML text around an offset.
fn locate(text: &str, offset: usize) -> Vec<String> {
    let (document, _) = Document::parse(&SourceFile::new("", text));
    let mut best: Option<(usize, Vec<String>)> = None;
    if let Some(root) = document.at(&[]) {
        search(root, offset, &mut Vec::new(), &mut best);
    }
    best.map(|(_, path)| path).unwrap_or_default()
}

/// Keeps the smallest part around the offset; of equal ones the innermost.
fn search(node: &Node, offset: usize, path: &mut Vec<String>, best: &mut Option<(usize, Vec<String>)>) {
    let mut offer = |span: &std::ops::Range<usize>, path: &[String]| {
        let smaller = best.as_ref().is_none_or(|(length, _)| span.len() <= *length);
        if span.contains(&offset) && smaller {
            *best = Some((span.len(), path.to_vec()));
        }
    };
    if !path.is_empty() {
        offer(&node.span, path);
    }
    match &node.content {
        Content::Scalar(_) => {}
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                search(item, offset, path, best);
                path.pop();
            }
        }
        Content::Table(table) => {
            for entry in table.entries() {
                path.push(entry.key.clone());
                let smaller = best.as_ref().is_none_or(|(length, _)| entry.key_span.len() <= *length);
                if entry.key_span.contains(&offset) && smaller {
                    *best = Some((entry.key_span.len(), path.clone()));
                }
                search(&entry.value, offset, path, best);
                path.pop();
            }
        }
    }
}
