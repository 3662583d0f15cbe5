//! What a plugin says of a config before a run.
//! The main type is [`Checked`], which [`Checks::check`] answers.

use serde_json::Value;

use crate::Stage;
pub use crate::checker_bindings::exports::kiln::checks::checks::{FilePlace, Problem};

/// What was found in a config.
#[derive(Debug, Default)]
pub struct Checked {
    /// All that cannot work.
    pub problems: Vec<Problem>,
    /// JSON Schema of the outputs that a stage with this config has, where that is more than [`Stage::Outputs`] says.
    pub outputs: Option<Value>,
}

/// A stage that looks at its configs before a run. Give it to [`export_checks!`](crate::export_checks), too.
pub trait Checks: Stage {
    /// Look at a config, as far as the pipeline says it without an expression: at the JSON pointers `unknown` stand texts in the place of
    /// values. It may be no config at all: its schema is checked beside this. Files that it names can be read; nothing else can be asked.
    fn check(config: &Value, unknown: &[String]) -> Checked;
}

impl Problem {
    /// A problem of the part of the config at a JSON pointer: one sentence.
    pub fn new(config: impl Into<String>, message: impl Into<String>) -> Self {
        Self { config: config.into(), place: None, message: message.into(), help: None }
    }

    /// In a file that the config names, at a line and a column, both from 1.
    #[must_use]
    pub fn at(mut self, path: &str, line: usize, column: usize) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.place = Some(FilePlace { path: path.to_owned(), line: number(line), column: number(column) });
        self
    }

    /// What to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What the host is answered. [`export_checks!`](crate::export_checks) is the only caller.
#[doc(hidden)]
pub fn answer<S: Checks>(config: &str, unknown: &[String]) -> crate::exported::CheckedRecord {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let Checked { problems, outputs } = S::check(&config, unknown);
    crate::exported::CheckedRecord { problems, output_schema: outputs.map(|schema| schema.to_string()) }
}

/// Let a [`Checks`] look at configs before a run: `kiln_plugin::export_checks!(MyStage);`, once, beside [`export!`](crate::export).
#[macro_export]
macro_rules! export_checks {
    ($stage:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Checker;

            impl $crate::exported::CheckGuest for Checker {
                fn check(config: String, unknown: Vec<String>) -> $crate::exported::CheckedRecord {
                    $crate::check::answer::<$stage>(&config, &unknown)
                }
            }

    $crate::checker_bindings::export_checker!(Checker with_types_in $crate::checker_bindings);
        };
    };
}
