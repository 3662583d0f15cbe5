//! The whole way from a file's text to a checked pipeline.
//!
//! The main functions are [`load`], for a run, and [`check`], for a look at the file alone.

use std::collections::BTreeMap;
use std::ops::Range;

use super::attached::Files;
use super::declarations::declarations;
use super::inputs::inputs;
use super::places::Places;
use super::stages::stages;
use super::structure;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::pipeline::catalog::{Catalog, Contracts};
use crate::pipeline::config::{EvaluationPhase, Scope};
use crate::pipeline::document::{Document, Node};
use crate::pipeline::inspect::inspect;
use crate::pipeline::model::Pipeline;
use crate::types::{Digest, Region};

/// What a run is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// `--input NAME=VALUE`.
    pub inputs: BTreeMap<String, String>,
    /// The environment variables.
    pub env: BTreeMap<String, String>,
    /// The region, where it is another than the file's.
    pub region: Option<Region>,
}

/// A pipeline with the values of a run.
///
/// # Errors
/// All that is wrong with the file or the values, in the order of the file.
pub fn load(source: &SourceFile, catalog: &dyn Catalog, values: &Values) -> Result<Pipeline, Vec<Diagnostic>> {
    read(source, catalog, Some(values))
}

/// A pipeline without the values of a run: inputs without a plain default are not known.
///
/// # Errors
/// All that is wrong with the file, in its order.
pub fn check(source: &SourceFile, catalog: &dyn Catalog) -> Result<Pipeline, Vec<Diagnostic>> {
    read(source, catalog, None)
}

fn read(source: &SourceFile, catalog: &dyn Catalog, values: Option<&Values>) -> Result<Pipeline, Vec<Diagnostic>> {
    let opened = open(source)?;
    let mut found = Diagnostics::new();
    let pipeline = build(source, &opened.document, catalog, values, &mut found);
    let mut diagnostics = opened.told(source, found);
    match pipeline {
        Some(pipeline) if diagnostics.is_empty() => Ok(pipeline),
        _ => {
            if diagnostics.is_empty() {
                // INVARIANT: whatever keeps a pipeline from being built was reported.
                diagnostics.push(
                    Diagnostic::error("internal", "the pipeline cannot be built")
                        .help("this is a defect of kiln: report it"),
                );
            }
            Err(diagnostics)
        }
    }
}

/// A file that was parsed as far as it can be, and what is wrong with its text.
pub(crate) struct Opened {
    pub(crate) document: Document,
    diagnostics: Diagnostics,
    /// Where the parser had to guess.
    damage: Vec<Range<usize>>,
}

/// Look through a text and parse it.
///
/// # Errors
/// What is wrong with a text that must not be parsed.
pub(crate) fn open(source: &SourceFile) -> Result<Opened, Vec<Diagnostic>> {
    let inspection = inspect(source);
    let mut diagnostics = inspection.diagnostics;
    if !inspection.parseable {
        return Err(sorted(diagnostics));
    }
    let (document, mut syntax) = Document::parse(source);
    // The parser stumbles over what was just explained in better words.
    let explained: Vec<Range<usize>> = diagnostics.iter().filter_map(Diagnostic::span).collect();
    syntax.retain(|found| {
        !found.span().is_some_and(|span| explained.iter().any(|known| known.start < span.end && span.start < known.end))
    });
    let damage = syntax.iter().filter(|found| found.code == "syntax").filter_map(Diagnostic::span).collect();
    diagnostics.append(syntax);
    Ok(Opened { document, diagnostics, damage })
}

impl Opened {
    /// All that is to be told, in the order of the file: of the text, and of what was `found` in it since.
    pub(crate) fn told(&self, source: &SourceFile, mut found: Diagnostics) -> Vec<Diagnostic> {
        if self.document.damaged {
            found.retain(|diagnostic| survives_damage(diagnostic, &self.damage, source));
        }
        let mut diagnostics = self.diagnostics.clone();
        diagnostics.append(found);
        sorted(diagnostics)
    }
}

fn build(
    source: &SourceFile,
    document: &Document,
    catalog: &dyn Catalog,
    values: Option<&Values>,
    diagnostics: &mut Diagnostics,
) -> Option<Pipeline> {
    let places = Places::new(source, document);
    let file = structure::read(&places, diagnostics);
    let standard = catalog.standard_names();
    let declarations =
        declarations(&file, &standard, values.and_then(|values| values.region.as_ref()), &places, diagnostics);
    let before = diagnostics.len();
    let inputs = inputs(&file.inputs, values, declarations.region.as_ref(), &places, diagnostics);
    if document.at(&["stages"]).is_some_and(Node::is_empty_table) {
        diagnostics.push(
            Diagnostic::error("no-stages", "the pipeline has no stages")
                .at(places.key(&["stages"]), "")
                .help("add one: `[stages.NAME]` with `plugin = \"…\"`"),
        );
    }
    let nothing = BTreeMap::new();
    let (outputs, outcomes) = (BTreeMap::new(), BTreeMap::new());
    // Where an input has no value, the values that use it are left alone: its own problem says enough.
    let phase =
        if values.is_some() && diagnostics.len() == before { EvaluationPhase::Plan } else { EvaluationPhase::Check };
    let all_variables = values.map_or(&nothing, |values| &values.env);
    // What was refused is replaced by something else, so that the stages are still looked at.
    let name = declarations.name.clone().or_else(|| "unknown".parse().ok())?;
    let region = declarations.region.clone().or_else(|| "us-east-1".parse().ok())?;
    let scope = Scope {
        inputs: &inputs,
        env: all_variables,
        pipeline: &name,
        run: None,
        region: &region,
        account: None,
        outputs: &outputs,
        outcomes: &outcomes,
        phase,
    };
    let mut contracts = Contracts::new(catalog);
    let mut files = Files::new();
    let (stages, variables) =
        stages(&file, &declarations, &scope, &standard, (&mut contracts, &mut files), &places, diagnostics);
    let env = all_variables.iter().filter(|(name, _)| variables.contains(*name));
    let env = env.map(|(name, value)| (name.clone(), value.clone())).collect();
    let table = file.pipeline?;
    Some(Pipeline {
        name: declarations.name?,
        region: declarations.region?,
        description: table.description,
        source_digest: Digest::of(source.text.as_bytes()),
        inputs,
        env,
        secrets: declarations.secrets.into_iter().filter_map(|(name, secret)| Some((name, secret?))).collect(),
        environments: declarations.environments.into_values().flatten().collect(),
        stages,
        max_parallel: table.max_parallel,
        store: declarations.store,
        files,
    })
}

/// What a syntax error leaves in doubt is not told: what it hides seems to be missing, and its own line is a guess.
fn survives_damage(diagnostic: &Diagnostic, damage: &[Range<usize>], source: &SourceFile) -> bool {
    let in_doubt = diagnostic.code.starts_with("missing-")
        || (diagnostic.code.starts_with("unknown-") && !matches!(diagnostic.code, "unknown-field" | "unknown-plugin"))
        || diagnostic.code == "no-stages"
        || diagnostic.labels.is_empty();
    let Some(span) = diagnostic.span() else { return !in_doubt };
    let line = source.line_start(span.start);
    !in_doubt && !damage.iter().any(|damage| source.line_start(damage.start) == line)
}

/// In the order of the file; what has no place comes last.
fn sorted(diagnostics: Diagnostics) -> Vec<Diagnostic> {
    diagnostics.sorted(|diagnostic| diagnostic.span().map_or((usize::MAX, 0), |span| (span.start, span.end)))
}
