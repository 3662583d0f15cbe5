//! Reads a pipeline file and the plugins that it names, and shows all that is wrong with them.
//!
//! The main type is [`PipelineFile`].

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use kiln_sim::WorldFile;

use super::dispatch::Global;
use super::document::write_json;
use super::exit::Exit;
use super::say::{complain, note, say};
use crate::diagnostic::{self, Diagnostic, SourceFile};
use crate::files::{self, Kept};
use crate::harmless::line;
use crate::pipeline::{self, Pipeline, PluginSource, Values};
use crate::plugin::{CacheDir, Engine, Plugins};
use crate::report::Output;
use crate::run::RunSource;
use crate::scenario;
use crate::types::Region;

/// A pipeline file has at most this many bytes; `pipeline` refuses a longer one.
pub(super) const LONGEST_FILE: u64 = 1 << 20;

/// A world file has at most this many bytes.
const LONGEST_WORLD: u64 = 4 << 20;

/// Which pipeline, with which inputs.
#[derive(Debug, Args)]
pub(super) struct PipelineFile {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pub(super) path: PathBuf,
    /// An input of the pipeline; may be given again
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE", value_parser = parse_input)]
    inputs: Vec<(String, String)>,
}

fn parse_input(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// A pipeline that was loaded, and what it was loaded from.
pub(super) struct Loaded {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) plugins: Arc<Plugins>,
    pub(super) source: RunSource,
}

impl PipelineFile {
    /// A file without inputs.
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, inputs: Vec::new() }
    }

    /// The inputs, as they were given.
    pub(super) fn inputs(&self) -> BTreeMap<String, String> {
        self.inputs.iter().cloned().collect()
    }

    /// This process's environment, as far as it is text.
    pub(super) fn environment() -> BTreeMap<String, String> {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Read and check the file with the inputs, in `region` where that is given; what is wrong is shown.
    pub(super) fn load(&self, global: &Global, region: Option<&Region>) -> Result<Loaded, Exit> {
        let (source, plugins) = self.read(global)?;
        let values = Values { inputs: self.inputs(), env: Self::environment(), region: region.cloned() };
        let pipeline = pipeline::load(&source, plugins.as_ref(), &values)
            .map_err(|problems| show(&problems, &source, global.output))?;
        let source = RunSource { file: source.name, text: source.text };
        Ok(Loaded { pipeline: Arc::new(pipeline), plugins, source })
    }

    /// Read and check the file without values for its inputs.
    pub(super) fn check(&self, global: &Global) -> Result<Pipeline, Exit> {
        self.check_with_plugins(global).map(|(pipeline, _)| pipeline)
    }

    /// As [`Self::check`], with the plugins that it names.
    pub(super) fn check_with_plugins(&self, global: &Global) -> Result<(Pipeline, Arc<Plugins>), Exit> {
        let (source, plugins) = self.read(global)?;
        let pipeline =
            pipeline::check(&source, plugins.as_ref()).map_err(|problems| show(&problems, &source, global.output))?;
        Ok((pipeline, plugins))
    }

    /// Read and check the file without values for its inputs, by `plugins` that are open already.
    pub(super) fn check_by(&self, plugins: &Plugins, global: &Global) -> Result<Pipeline, Exit> {
        let source = self.source(global)?;
        pipeline::check(&source, plugins).map_err(|problems| show(&problems, &source, global.output))
    }

    /// Read the file, and open the plugins.
    pub(super) fn read(&self, global: &Global) -> Result<(SourceFile, Arc<Plugins>), Exit> {
        let plugins = open_plugins(global)?;
        Ok((self.source(global)?, plugins))
    }

    /// Read the file.
    fn source(&self, global: &Global) -> Result<SourceFile, Exit> {
        let path = self.path.display().to_string();
        if path == "-" {
            let help = "write it into a file: a run names its pipeline, and its plugins are found from there";
            return Err(complain("kiln reads no pipeline from its standard input", Some(help), Exit::Input));
        }
        // One byte beyond the limit is enough for the check that refuses the file to see it.
        let bytes = files::read_at_most(&self.path, LONGEST_FILE + 1)
            .map_err(|error| complain(&format!("cannot read {path}: {error}"), error.help(), Exit::Input))?;
        match SourceFile::from_bytes(path.as_str(), bytes) {
            Ok(source) => Ok(source),
            Err(refused) => Err(show(&[refused.0], &refused.1, global.output)),
        }
    }
}

/// What a command that works with this pipeline must not replace by what it writes.
pub(super) fn kept(global: &Global, file: &Path, pipeline: &Pipeline) -> Kept {
    let kept = Kept::default().file("the pipeline file", file).directory("the state directory", &global.state_dir);
    let kept = cache_dir(global).into_iter().fold(kept, |kept, cache| kept.directory("the cache", cache));
    let beside = file.parent().unwrap_or(Path::new(""));
    let kept = pipeline
        .files
        .keys()
        .fold(kept, |kept, path| kept.file(format!("the pipeline's file {}", line(path)), beside.join(path)));
    pipeline.stages.iter().fold(kept, |kept, stage| match &stage.plugin {
        PluginSource::File { name, path, .. } => kept.file(format!("the component of the plugin `{name}`"), path),
        PluginSource::Standard(_) => kept,
    })
}

/// The engine and the plugins.
pub(super) fn open_plugins(global: &Global) -> Result<Arc<Plugins>, Exit> {
    Ok(Arc::new(Plugins::new(engine(global)?)))
}

/// The engine.
pub(super) fn engine(global: &Global) -> Result<Engine, Exit> {
    let cache = cache_dir(global).and_then(|path| match CacheDir::open(&path) {
        Ok(cache) => Some(cache),
        Err(error) => {
            note(&format!("the cache of compiled plugins is not used: {error}; {}", error.help()));
            None
        }
    });
    engine_in(global, cache.as_ref())
}

/// The engine, which neither reads from a cache nor writes to one.
pub(super) fn engine_without_cache(global: &Global) -> Result<Engine, Exit> {
    engine_in(global, None)
}

fn engine_in(global: &Global, cache: Option<&CacheDir>) -> Result<Engine, Exit> {
    global.engine(cache).map_err(|error| complain(&error.to_string(), error.help().as_deref(), Exit::Environment))
}

/// Where compiled plugins are cached, if they are. Where it is the user's own cache directory, it is made.
fn cache_dir(global: &Global) -> Option<PathBuf> {
    let path = cache_path(global)?;
    if global.cache_dir.is_none() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent()?).ok()?;
    }
    Some(path)
}

/// Where they would be cached, whether or not it is there.
pub(super) fn cache_path(global: &Global) -> Option<PathBuf> {
    std::path::absolute(global.cache_dir.clone().or_else(user_cache)?).ok()
}

/// The user's cache directory by the XDG rules. Where there is none (a build machine without a home), nothing is cached.
fn user_cache() -> Option<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(base.join("kiln").join("components"))
}

/// The account that a world file describes; `help` says what to do where it cannot be read.
pub(super) fn world(path: &Path, help: Option<&str>) -> Result<WorldFile, Exit> {
    let text = files::read_text(path, LONGEST_WORLD).map_err(|error| {
        complain(&format!("cannot read {}: {error}", path.display()), error.help().or(help), Exit::Input)
    })?;
    scenario::read_world(path, &text)
        .map_err(|error| complain(&format!("{}: {error}", path.display()), None, Exit::Input))
}

/// Show what is wrong with a file.
pub(super) fn show(problems: &[Diagnostic], source: &SourceFile, output: Output) -> Exit {
    if output == Output::Json {
        return write_json(Exit::Input, &diagnostic::to_json(problems, source));
    }
    say(&diagnostic::render(problems, source, coloured()));
    Exit::Input
}

/// Whether diagnostics on stderr have colours.
pub(super) fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A path as messages show it.
pub(super) fn shown(path: &Path) -> String {
    line(&path.display().to_string()).into_owned()
}
