//! `kiln test`: try the scenarios of a pipeline.

use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::Value;

use super::dispatch::Global;
use super::document::{write, write_json};
use super::exit::Exit;
use super::load::{self, PipelineFile, coloured, show};
use super::page;
use super::say::{complain, note, say};
use crate::pipeline;
use crate::report::{Output, Style};
use crate::scenario::{self, Knowledge, Problems, Scenario, Tally};
use crate::words::count;

const AFTER_HELP: &str = "\
A scenario says what happens to the pipeline in a simulated account and what is expected of it. Those of `web.toml` are the
files `web.scenarios/*.toml`; each is rehearsed in virtual time, and nothing is asked of AWS.

Exit codes: 0 where all passed, 1 where one failed, 2 where a file is wrong or there is nothing to try.";

/// Try the scenarios of a pipeline.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Test {
    /// The pipeline file
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    /// Only scenarios whose names contain this
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Where the scenarios are [default: PIPELINE.scenarios beside the pipeline]
    #[arg(long, value_name = "DIR")]
    scenario_dir: Option<PathBuf>,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Try all with this seed, whatever they say
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Test {
    pub(super) fn execute(self, global: &Global) -> Exit {
        match self.test(global) {
            Ok(exit) | Err(exit) => exit,
        }
    }

    fn test(self, global: &Global) -> Result<Exit, Exit> {
        let begin = Instant::now();
        let file = PipelineFile::at(self.pipeline.clone());
        let (source, plugins) = file.read(global)?;
        let pipeline =
            pipeline::check(&source, plugins.as_ref()).map_err(|problems| show(&problems, &source, global.output))?;
        let scenarios = self.scenarios(&Knowledge::of(&pipeline), global.output)?;
        let kept = scenarios.iter().fold(load::kept(global, &self.pipeline, &pipeline), |kept, one| one.keep(kept));
        let junit = self.junit.as_deref().map(|path| page::destination("the results", path, kept)).transpose()?;
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let tested = scenario::try_all(&scenarios, &source, &plugins, workers, |tested| {
            if global.output != Output::Json {
                write(Exit::Done, |out| writeln!(out, "{}", scenario::headline(tested, Style::of_stdout())));
            }
        });
        let wall = begin.elapsed();
        let name = self.pipeline.display().to_string();
        if let Some(junit) = &junit {
            let wrong = |message: &str, help| complain(message, help, Exit::Environment);
            let (xml, left_out) =
                scenario::junit(&name, &tested, wall).map_err(|error| wrong(&error.to_string(), None))?;
            let path = junit.path().display();
            junit
                .write(xml.as_bytes())
                .map_err(|error| wrong(&format!("cannot write the results to {path}: {error}"), Some(error.help())))?;
            if left_out > 0 {
                note(&format!("{path}: {} had no room in the report", count(left_out, "passed scenario")));
            }
        }
        let tally = Tally::of(&tested);
        let exit = match (tally.failed, tally.broken) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Environment,
            (_, _) => Exit::Failed,
        };
        if global.output == Output::Json {
            return Ok(write_json(exit, &scenario::json(&name, &tested, wall)));
        }
        Ok(write(exit, |out| {
            let style = Style::of_stdout();
            for tested in tested.iter().filter(|tested| !tested.passed()) {
                write!(out, "\n{}", scenario::failure(tested, style))?;
            }
            writeln!(out, "\n{}", scenario::summary(&tested, wall, style))
        }))
    }

    /// The scenarios, or all that is wrong with their files.
    fn scenarios(&self, known: &Knowledge, output: Output) -> Result<Vec<Scenario>, Exit> {
        let directory = self.scenario_dir.clone().unwrap_or_else(|| scenario::default_directory(&self.pipeline));
        let files = scenario::find(&directory, self.filter.as_deref()).map_err(|error| {
            let help = "write scenarios there, or name another directory by --scenario-dir";
            complain(&format!("cannot look for scenarios in {}: {error}", directory.display()), Some(help), Exit::Input)
        })?;
        if files.is_empty() {
            let which = self.filter.as_ref().map(|filter| format!(" with `{filter}` in its name")).unwrap_or_default();
            return Err(complain(&format!("no scenario{which} in {}", directory.display()), None, Exit::Input));
        }
        let (mut scenarios, mut problems) = (Vec::new(), Problems(Vec::new()));
        for file in files {
            match scenario::load(&file, &self.pipeline, known) {
                Ok(mut scenario) => {
                    scenario.seed = self.seed.unwrap_or(scenario.seed);
                    scenarios.push(scenario);
                }
                Err(wrong) => problems.0.extend(wrong.0),
            }
        }
        // A world file that several scenarios start from is wrong once.
        problems.0.dedup_by(|later, earlier| later == earlier);
        if problems.0.is_empty() {
            return Ok(scenarios);
        }
        if output == Output::Json {
            return Err(write_json(Exit::Input, &Value::from(problems.to_json())));
        }
        say(&problems.render(coloured()));
        Err(Exit::Input)
    }
}
