//! The standard plugins as machine code, compiled when this binary was built.
//!
//! The main type is [`Embedded`]. **This is the only module of kiln with `unsafe`**, and the only place where machine code comes from
//! anywhere but the compiler or the user's own private cache. `Component::deserialize` runs what it is given: whoever chooses the
//! bytes chooses what the process does. So the bytes are chosen here, by the build, and by nobody else:
//!
//! - the table is private, static, and made by `build.rs` of what `kiln-precompile` wrote of the components that the same build
//!   carries; no function takes bytes from outside,
//! - it is asked by the digest of a component, so that code can only stand for the component that it was compiled of,
//! - wasmtime compares its version, its settings and the processor's features with those that the code was made for before it takes
//!   it. Code that does not fit is refused, and the component is compiled instead.

use kiln_runner::plugin::Precompiled;
use wasmtime::component::Component;

/// What the build made of one component.
struct Carried {
    /// The digest of the component.
    digest: &'static str,
    /// What the component said of itself, as JSON.
    note: &'static [u8],
    /// Its code.
    code: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// What this binary carries.
#[derive(Debug)]
pub(crate) struct Embedded;

impl Precompiled for Embedded {
    fn note(&self, component: &str) -> Option<&'static [u8]> {
        carried(component).map(|carried| carried.note)
    }

    fn code(&self, component: &str, engine: &wasmtime::Engine) -> Option<wasmtime::Result<Component>> {
        carried(component).map(|carried| load(engine, carried))
    }
}

fn carried(component: &str) -> Option<&'static Carried> {
    CARRIED.iter().find(|carried| carried.digest == component)
}

fn load(engine: &wasmtime::Engine, carried: &'static Carried) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "wasmtime cannot know who made the code; this module does, and its head says how")]
    // SAFETY: the bytes are what `Component::serialize` answered to the build of this binary, unchanged since: `Carried` is private and
    // its only values are the static table that `build.rs` wrote. That the engine fits is checked by `deserialize` itself.
    unsafe {
        Component::deserialize(engine, carried.code)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use kiln_runner::plugin::{Engine, Plugin, standard_bytes, standard_names};

    use super::*;

    #[test]
    fn what_is_carried_of_a_plugin_is_what_it_says_of_itself() {
        let engine = Engine::new(None).unwrap();
        for name in standard_names() {
            let bytes = standard_bytes(name).unwrap();
            let asked = Plugin::open(&engine, name, bytes).unwrap();
            let carried = Plugin::open(&engine.clone().with(&Embedded), name, bytes).unwrap();
            assert_eq!(format!("{:?}", carried.description), format!("{:?}", asked.description), "{name}");
            assert_eq!(carried.imports, asked.imports, "{name}");
            assert!(
                Embedded.note(asked.digest.as_str()).is_some(),
                "{name}: it is not carried; build by `cargo xtask host`"
            );
        }
    }

    #[test]
    fn code_is_taken_by_the_engine_that_it_was_made_for() {
        let engine = Engine::new(None).unwrap();
        for carried in CARRIED {
            load(engine.wasmtime(), carried).unwrap();
        }
    }

    /// Load code as [`load`] does, of an engine of the test's own.
    fn load_own(engine: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
        #[expect(unsafe_code, reason = "as `load`")]
        // SAFETY: the test has compiled it just now.
        unsafe {
            Component::deserialize(engine, code)
        }
    }

    #[test]
    fn code_for_other_settings_is_refused() {
        let mut config = wasmtime::Config::new();
        config.consume_fuel(false);
        let other = wasmtime::Engine::new(&config).unwrap();
        for carried in CARRIED {
            assert!(load(&other, carried).is_err());
        }
    }

    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn code_for_a_processor_with_more_features_is_refused_and_what_is_carried_needs_none() {
        let component = b"\0asm\x0d\0\x01\0";
        let mut modern = wasmtime::Config::new();
        modern.target("x86_64-unknown-linux-gnu").unwrap();
        #[expect(unsafe_code, reason = "to compile for a processor, which need not be this one")]
        // SAFETY: what is compiled with it is never run.
        unsafe {
            modern.cranelift_flag_enable("has_avx512vbmi");
        }
        let mut old = wasmtime::Config::new();
        old.target("x86_64-unknown-linux-gnu").unwrap();
        #[expect(unsafe_code, reason = "to mask the features of this processor")]
        // SAFETY: a processor that is said to have less than it has is used with care, not beyond what it can.
        unsafe {
            old.detect_host_feature(|_| Some(false));
        }
        let old = wasmtime::Engine::new(&old).unwrap();
        let for_all =
            wasmtime::Engine::new(wasmtime::Config::new().target("x86_64-unknown-linux-gnu").unwrap()).unwrap();
        assert!(load_own(&old, &for_all.precompile_component(component).unwrap()).is_ok(), "code that needs nothing");
        let compiled = wasmtime::Engine::new(&modern).and_then(|engine| engine.precompile_component(component));
        // Where this processor has no such feature its engine cannot even be made, which says the same.
        if let Ok(code) = compiled {
            let refused = load_own(&old, &code).unwrap_err();
            assert!(format!("{refused:#}").contains("avx512vbmi"), "{refused:#}");
        }
        let mut masked = Engine::settings().unwrap();
        #[expect(unsafe_code, reason = "to mask the features of this processor")]
        // SAFETY: as above.
        unsafe {
            masked.detect_host_feature(|_| Some(false));
        }
        let masked = wasmtime::Engine::new(&masked).unwrap();
        for carried in CARRIED {
            load(&masked, carried).unwrap();
        }
    }
}
