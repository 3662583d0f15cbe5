//! What a plugin implements.
//! The main type is [`Stage`].

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Permission, Plan};

/// A stage plugin. Give it to [`export!`](crate::export).
pub trait Stage {
    /// The plugin's name, as pipelines write it: lower-case letters, digits and hyphens.
    const NAME: &'static str;
    /// One sentence: what the stage does.
    const SUMMARY: &'static str;
    /// Whether [`Stage::undo`] does anything.
    const UNDOABLE: bool = false;

    /// `with`. Say `#[serde(rename_all = "kebab-case", deny_unknown_fields)]`; the doc comments become the schema's
    /// descriptions, which `kiln plugin inspect` and editors show.
    type Config: DeserializeOwned + JsonSchema;
    /// The outputs. Each field can be referenced as `${stages.NAME.FIELD}`.
    type Outputs: Serialize + JsonSchema;

    /// All the access that the plugin may ask for. A person reads and accepts it: ask for little, and say why.
    fn permissions() -> Vec<Permission>;

    /// What [`Stage::run`] would do. Reads are real; the host refuses every write.
    fn plan(config: Self::Config) -> Result<Plan, Failure>;

    /// Do it.
    fn run(config: Self::Config) -> Result<Self::Outputs, Failure>;

    /// Take back what [`Stage::run`] did, as far as it came; [`memory`](crate::memory) tells. Harmless when there is
    /// nothing to undo and when it is called again. Answers one sentence that says what was undone.
    fn undo(config: Self::Config) -> Result<String, Failure> {
        drop(config);
        Ok("there was nothing to undo".to_owned())
    }
}

/// Make a [`Stage`] the plugin that this crate is: `kiln_plugin::export!(MyStage);`, once, at the crate's root. The plugin's
/// version is the crate's.
#[macro_export]
macro_rules! export {
    ($stage:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::exported::Guest for Component {
                fn describe() -> $crate::exported::Description {
                    $crate::lifecycle::describe::<$stage>(env!("CARGO_PKG_VERSION"))
                }

                fn plan(config: String) -> Result<$crate::Plan, $crate::Failure> {
                    $crate::lifecycle::plan::<$stage>(&config)
                }

                fn run(config: String) -> Result<String, $crate::Failure> {
                    $crate::lifecycle::run::<$stage>(&config)
                }

                fn undo(config: String) -> Result<String, $crate::Failure> {
                    $crate::lifecycle::undo::<$stage>(&config)
                }
            }

    $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings);
        };
    };
}
