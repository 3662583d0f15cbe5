//! Rehearsals in the test's own process: what `kiln rehearse` and `kiln test` do, with values in the place of arguments and of the
//! environment.
//!
//! The main function is [`rehearsal`].

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_runner::diagnostic::SourceFile;
use kiln_runner::plugin::{CacheDir, Engine, Plugins};
use kiln_runner::rehearse::{Rehearsal, START};
use kiln_sim::WorldFile;

use crate::kiln::{cache, repository};

/// The plugins, compiled once for all tests of a build.
pub fn plugins() -> Arc<Plugins> {
    let cache = CacheDir::open(&cache()).unwrap_or_else(|error| panic!("the cache of the tests: {error}"));
    Arc::new(Plugins::new(Engine::new(Some(&cache)).unwrap_or_else(|error| panic!("{error}"))))
}

/// The plugins, for pipelines beside which these files lie.
pub fn plugins_with(files: &[(&str, &str)]) -> Arc<Plugins> {
    let cache = CacheDir::open(&cache()).unwrap_or_else(|error| panic!("the cache of the tests: {error}"));
    let engine = Engine::new(Some(&cache)).unwrap_or_else(|error| panic!("{error}"));
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes()))).collect();
    Arc::new(Plugins::new(engine).with_files(files))
}

/// The pipeline of the README, as its file has it.
pub fn web_service() -> SourceFile {
    let path = repository().join("pipelines/web-service.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    SourceFile::new(path.display().to_string(), text)
}

/// A rehearsal of the pipeline `source` of a commit in the account that the text `world` describes.
pub fn rehearsal(source: SourceFile, world: &str, seed: u64) -> Rehearsal {
    Rehearsal {
        source,
        inputs: BTreeMap::from([("commit".to_owned(), "4f2a9c1".to_owned())]),
        env: BTreeMap::new(),
        world: WorldFile::parse(world).unwrap_or_else(|error| panic!("{error}")),
        seed,
        start: START,
        max_parallel: None,
    }
}
