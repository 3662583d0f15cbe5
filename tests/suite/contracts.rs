//! Components that were built against an older contract still run: what they import is offered under the names that it had then.

use std::path::PathBuf;

use kiln_runner::plugin::{Engine, Plugin, PluginError};
use kiln_tests::component::greedy_component;
use kiln_tests::repository;

/// The contract as it is, and that of each release.
fn contracts() -> Vec<PathBuf> {
    let released = std::fs::read_dir(repository().join("tests/contract")).into_iter().flatten().flatten();
    std::iter::once(repository().join("wit")).chain(released.map(|release| release.path())).collect()
}

#[test]
fn everything_that_a_released_contract_offers_is_linked() {
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    let all = contracts();
    assert!(all.len() > 1, "{all:?}");
    for contract in all {
        let opened = Plugin::open(&engine, "greedy", &greedy_component(&contract));
        // It was linked; that it has nothing to say of itself comes after.
        assert!(matches!(opened, Err(PluginError::Describe { .. })), "{}: {opened:?}", contract.display());
    }
}
