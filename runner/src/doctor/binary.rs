//! The binary itself and the plugins that it carries.
//!
//! The main function is [`plugins`].

use crate::contract::standard_names;
use crate::pipeline::PluginSource;
use crate::plugin::Plugins;
use crate::report::health::Observation;
use crate::types::Provenance;

const PLUGINS: &str = "plugins";

/// What this binary is.
pub(super) fn itself(of: &Provenance) -> Observation {
    let Provenance { version, commit, target, profile, .. } = *of;
    let built = commit.map(|commit| format!(" of commit {}", commit.get(..12).unwrap_or(commit))).unwrap_or_default();
    Observation::ok("binary", format!("kiln {version}{built} for {target} ({profile})"))
        .fact("version", version)
        .fact("commit", commit)
        .fact("target", target)
}

/// Whether the plugins that it carries can be used here.
pub(super) fn plugins(plugins: &Plugins) -> Observation {
    let names = standard_names();
    if names.is_empty() {
        return Observation::warning(
            PLUGINS,
            "this binary carries none",
            "build it with `cargo xtask plugins` first, or name components of your own in [plugins]",
        );
    }
    for name in &names {
        let source = PluginSource::Standard((*name).to_owned());
        let ready = plugins.load(&source).and_then(|plugin| plugin.ready(plugins.engine()).map(|_| ()));
        if let Err(error) = ready {
            let help = error.help().unwrap_or_else(|| "take another build of kiln for this machine".to_owned());
            return Observation::problem(PLUGINS, format!("{name} cannot be used: {error}"), help);
        }
    }
    Observation::ok(PLUGINS, format!("all {} that the binary carries can be used: {}", names.len(), names.join(", ")))
        .fact("names", names)
}

/// That looking at them came to no end.
pub(super) fn unopened(why: &str) -> Observation {
    Observation::problem(PLUGINS, format!("they could not be looked at: {why}"), "this is a defect of kiln; tell us")
}
