//! The whole way from a scenario file to a scenario that can be rehearsed.
//!
//! The main types are [`Scenario`] and its [`Problems`]; the main function is [`load`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use kiln_sim::{Clock, Simulator, WorldError, WorldFile};
use serde_json::{Map, Value};

use super::expectation::{Claim, claims};
use super::file::{File, json_schema};
use super::find::{beside, name};
use super::outcomes::{AtShare, expand};
use super::world::{self, Piece};
use crate::diagnostic::{self, Diagnostic, Diagnostics, SourceFile};
use crate::files::{self, Kept};
use crate::pipeline::{Pipeline, Places, open, read_as};
use crate::rehearse::{Rehearsal, START};

/// A scenario file has at most this many bytes; the check of its text says so of a longer one.
const LONGEST_FILE: u64 = (1 << 20) + 1;

/// What a scenario must know of its pipeline.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// The names of its stages.
    pub stages: Vec<String>,
    /// The names of their outputs, where it is known which there are.
    pub outputs: BTreeMap<String, Vec<String>>,
}

impl Knowledge {
    /// Of a checked pipeline.
    pub fn of(pipeline: &Pipeline) -> Self {
        let stages = pipeline.stages.iter();
        let outputs = stages.clone().filter_map(|stage| Some((stage.name.to_string(), stage.output_names()?)));
        Self { outputs: outputs.collect(), stages: stages.map(|stage| stage.name.to_string()).collect() }
    }
}

/// A scenario in which nothing is wrong by itself.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its file's name without the ending.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What it shows.
    pub description: String,
    /// What chance begins from.
    pub seed: u64,
    /// When the run starts: milliseconds since the Unix epoch.
    pub start: u64,
    /// The pipeline's inputs.
    pub inputs: BTreeMap<String, String>,
    /// The environment variables of the run.
    pub env: BTreeMap<String, String>,
    /// The file that the account at the start is described in.
    pub(super) world_file: PathBuf,
    pub(super) world: Map<String, Value>,
    pub(super) shares: Vec<AtShare>,
    pub(super) claims: Vec<Claim>,
}

impl Scenario {
    /// `kept`, and what the scenario was read from.
    pub fn keep(&self, kept: Kept) -> Kept {
        kept.file("a scenario", &self.path).file("the world file", &self.world_file)
    }

    /// The account at the start.
    pub(super) fn world_with(&self, steps: &[Piece]) -> Result<WorldFile, WorldError> {
        let mut world = self.world.clone();
        for step in steps {
            step.put(&mut world);
        }
        world.insert("seed".to_owned(), Value::from(self.seed));
        world::parse(&world)
    }

    /// Its rehearsal of a pipeline, on a world.
    pub(super) fn rehearsal(&self, pipeline: &SourceFile, world: WorldFile) -> Rehearsal {
        Rehearsal {
            source: pipeline.clone(),
            inputs: self.inputs.clone(),
            env: self.env.clone(),
            world,
            seed: self.seed,
            start: self.start,
            max_parallel: None,
        }
    }
}

/// All that is wrong with a scenario, by the files that it is wrong in.
#[derive(Debug)]
pub struct Problems(pub Vec<(SourceFile, Vec<Diagnostic>)>);

impl Problems {
    fn one(source: SourceFile, diagnostics: Vec<Diagnostic>) -> Self {
        Self(vec![(source, diagnostics)])
    }

    /// For people.
    pub fn render(&self, colour: bool) -> String {
        self.0.iter().map(|(source, diagnostics)| diagnostic::render(diagnostics, source, colour)).collect()
    }

    /// For machines: one list over all files.
    pub fn to_json(&self) -> Vec<Value> {
        let lists = self.0.iter().map(|(source, diagnostics)| diagnostic::to_json(diagnostics, source));
        lists.filter_map(|list| list.as_array().cloned()).flatten().collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// The scenario of a file, for a pipeline.
///
/// # Errors
/// All that is wrong with the file, or with the world that it starts from.
pub fn load(path: &Path, pipeline: &Path, known: &Knowledge) -> Result<Scenario, Problems> {
    let source = read(path).map_err(|refused| Problems(vec![refused]))?;
    let opened = open(&source).map_err(|told| Problems::one(source.clone(), told))?;
    let places = Places::new(&source, &opened.document);
    let mut found = Diagnostics::new();
    let file: File = read_as(json_schema(), &places, &mut found);

    let mut problems = Vec::new();
    let named = file.world.as_ref().map(|world| path.with_file_name("").join(world));
    let is_named = named.is_some();
    let world_file = named.unwrap_or_else(|| beside(pipeline, "world.toml"));
    let base = match base(&world_file, is_named, &places, &mut found) {
        Ok(base) => base,
        Err(wrong) => {
            problems.extend(wrong);
            None
        }
    };
    let start = file.start.as_deref().and_then(|text| start(text, &places, &mut found));
    let mut expanded = Default::default();
    let world = base.map(|mut world| {
        world::remove(&mut world, &file.remove, &places, &mut found);
        let mut pieces = Piece::literal(&["change"], &file.change);
        let faults: Value = file.faults.iter().cloned().map(Value::Object).collect();
        pieces.extend(Piece::literal(&[], &Map::from_iter([("faults".to_owned(), faults)])));
        // What the short forms name may be there only by a change.
        let mut changed = world.clone();
        for piece in &pieces {
            piece.put(&mut changed);
        }
        let short = expand(&file.outcomes, &changed, &places, &mut found);
        pieces.extend(short.pieces.iter().cloned());
        expanded = short;
        world::merge_all(world, &pieces, &places, &mut found)
    });
    let expect = file.expect.unwrap_or_default();
    let claims = claims(&expect, known, &writes(), &places, &mut found);

    let told = opened.told(&source, found);
    if !told.is_empty() {
        problems.insert(0, (source, told));
    }
    let Some(world) = world.filter(|_| problems.is_empty()) else { return Err(Problems(problems)) };
    let number = |key: &str| world.get(key).and_then(Value::as_u64);
    let of_world = world::parse(&world).ok().and_then(|world| world.start());
    Ok(Scenario {
        name: name(path),
        path: path.to_owned(),
        description: file.description.unwrap_or_default(),
        seed: file.seed.or_else(|| number("seed")).unwrap_or_default(),
        start: start.or(of_world).unwrap_or(START),
        inputs: file.inputs,
        env: file.env,
        shares: expanded.shares,
        world_file,
        world,
        claims,
    })
}

/// The text of a file, or why there is none.
fn read(path: &Path) -> Result<SourceFile, (SourceFile, Vec<Diagnostic>)> {
    let name = path.display().to_string();
    match files::read_at_most(path, LONGEST_FILE) {
        Ok(bytes) => SourceFile::from_bytes(name, bytes).map_err(|refused| (refused.1, vec![refused.0])),
        Err(error) => {
            let diagnostic = Diagnostic::error("unreadable", format!("the file cannot be read: {error}"));
            let diagnostic = error.help().into_iter().fold(diagnostic, |diagnostic, help| diagnostic.help(help));
            Err((SourceFile::new(name, ""), vec![diagnostic]))
        }
    }
}

type Wrong = (SourceFile, Vec<Diagnostic>);

/// The world that the scenario starts from. None where the scenario itself is to blame, which is told.
fn base(
    place: &Path,
    is_named: bool,
    places: &Places<'_>,
    found: &mut Diagnostics,
) -> Result<Option<Map<String, Value>>, Option<Wrong>> {
    if !place.exists() {
        let diagnostic = Diagnostic::error("no-world", format!("there is no world file {}", place.display()));
        found.push(match is_named {
            true => diagnostic.at(places.value(&["world"]), "relative to the scenario"),
            false => diagnostic.help("write it, or name another by `world = \"PATH\"`, relative to the scenario"),
        });
        return Ok(None);
    }
    let source = read(place).map_err(Some)?;
    match world::base(&source) {
        Ok(world) => Ok(Some(world)),
        Err(told) => Err(Some((source, told))),
    }
}

fn start(text: &str, places: &Places<'_>, found: &mut Diagnostics) -> Option<u64> {
    let instant = text.parse::<jiff::Timestamp>().ok().and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
    if instant.is_none() {
        found.push(
            Diagnostic::error("invalid-value", format!("{text:?} is not an instant since 1970"))
                .at(places.value(&["start"]), "")
                .help("write it as `\"2026-11-23T09:00:00Z\"`"),
        );
    }
    instant
}

/// The IAM actions that the simulator can count effects of.
fn writes() -> Vec<String> {
    // What a simulator offers does not depend on its world.
    let empty = "account = \"111111111111\"\nregion = \"us-east-1\"\n";
    let operations = WorldFile::parse(empty).map(|world| Simulator::new(world, Clock::manual(0)).operations());
    let writes = operations.unwrap_or_default().into_iter().filter(|operation| operation.write);
    writes.map(|operation| operation.action).collect()
}
