//! Components that were built against an older contract still run: what they import is offered under the names that it had then.

use std::path::PathBuf;

use kiln_runner::event::RunOutcome;
use kiln_runner::plugin::{Engine, Plugin, PluginError};
use kiln_tests::component::{component_of, greedy_component, released_contract};
use kiln_tests::{Guest, Still, World, repository};

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

const PIPELINE: &str = r#"
[pipeline]
name = "versions"
region = "us-west-2"

[plugins.guest]
path = "guest.wasm"

[stages.one]
plugin = "guest"
"#;

/// How a run of `component` ends, and how many requests it sends.
fn ran(engine: &Engine, component: Vec<u8>) -> (RunOutcome, u64) {
    let world = World::of("").text();
    let state = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let ended = Still { engine, pipeline: PIPELINE, world: &world, component }.run(state.path());
    (ended.result.unwrap_or_else(|error| panic!("{error}")).outcome, ended.requests)
}

#[test]
fn permissions_hold_under_every_name_that_a_service_was_offered_by() {
    let engine = Engine::new(None).unwrap_or_else(|error| panic!("{error}"));
    let allowed = Guest::harmless();
    let denied = Guest { permissions: Vec::new(), ..Guest::harmless() };
    let as_before = |guest: &Guest| {
        let text = guest.module().replace("kiln:aws-sts/sts@0.1.0", "kiln:aws/sts@0.1.0");
        assert_ne!(text, guest.module(), "it imports what it did then");
        component_of(&released_contract("0.1.0"), &text)
    };
    for build in [&Guest::build as &dyn Fn(&Guest) -> Vec<u8>, &as_before] {
        let (done, asked) = ran(&engine, build(&allowed));
        let (failed, unasked) = ran(&engine, build(&denied));
        assert_eq!((done, failed), (RunOutcome::Done, RunOutcome::Failed));
        assert_eq!(asked, unasked + 1, "what is not declared is not sent");
    }
}
