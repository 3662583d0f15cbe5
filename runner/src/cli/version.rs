//! `kiln version`: what this binary is.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use serde::Serialize;

use super::dispatch::{Binary, Global};
use super::document::{write, write_json};
use super::exit::Exit;
use crate::contract::standard_digests;
use crate::host;
use crate::journal::{FORMAT, OLDEST_FORMAT};
use crate::report::Output;
use crate::types::Provenance;

/// Say what this binary is: its version; with `--verbose` also its commit, target, plugins, and what it understands.
#[derive(Debug, Args)]
#[command(after_help = "\
The commit is that of the clone that the binary was built in, of the archive that git made, or what KILN_COMMIT said at the build; \
otherwise it is `unknown`. The date is SOURCE_DATE_EPOCH, or when the commit was made: never when it was built.")]
pub(super) struct Version {}

/// What this binary is. Part of what scripts read: fields are only ever added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct VersionView {
    version: &'static str,
    commit: Option<&'static str>,
    /// Whether it was built from something else than that commit.
    changed: bool,
    /// In RFC 3339.
    date: Option<String>,
    target: &'static str,
    profile: &'static str,
    compiler: &'static str,
    plugins: Vec<CarriedPlugin>,
    /// The packages that a plugin may import.
    contract: BTreeSet<String>,
    journal: JournalFormats,
}

#[derive(Debug, Serialize)]
struct CarriedPlugin {
    name: &'static str,
    digest: &'static str,
    /// Whether the binary carries its code, too; otherwise it is compiled when it is needed.
    compiled: bool,
}

#[derive(Debug, Serialize)]
struct JournalFormats {
    /// All that it reads.
    reads: Vec<u32>,
    writes: u32,
}

impl Version {
    pub(super) fn execute(&self, global: &Global) -> Exit {
        match (global.output, global.verbose) {
            (Output::Json, _) => write_json(Exit::Done, &VersionView::of(global.binary)),
            (Output::Auto | Output::Plain, 0) => {
                write(Exit::Done, |out| writeln!(out, "kiln {}", global.binary.provenance.version))
            }
            (Output::Auto | Output::Plain, _) => write(Exit::Done, |out| VersionView::of(global.binary).render(out)),
        }
    }
}

impl VersionView {
    fn of(binary: Binary) -> Self {
        let Provenance { version, commit, changed, date, target, profile, compiler } = binary.provenance;
        let date = date.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).map(|date| date.to_string());
        let plugins = standard_digests().map(|(name, digest)| CarriedPlugin {
            name,
            digest,
            compiled: binary.carried.note(digest).is_some(),
        });
        let plugins = plugins.collect();
        let journal = JournalFormats { reads: (OLDEST_FORMAT..=FORMAT).collect(), writes: FORMAT };
        Self { version, commit, changed, date, target, profile, compiler, plugins, contract: packages(), journal }
    }

    fn render(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let changed = if self.changed { ", with changes that it does not have" } else { "" };
        writeln!(out, "kiln {}\n", self.version)?;
        writeln!(out, "commit    {}{changed}", self.commit.unwrap_or("unknown"))?;
        writeln!(out, "date      {}", self.date.as_deref().unwrap_or("unknown"))?;
        writeln!(out, "target    {}", self.target)?;
        writeln!(out, "profile   {}, by {}", self.profile, self.compiler)?;
        let carried = self.plugins.iter().map(|CarriedPlugin { name, digest, compiled }| {
            let code = if *compiled { "" } else { ", to be compiled" };
            format!("{name:<16} {digest}{code}")
        });
        listed(out, "plugins", carried.collect())?;
        listed(out, "contract", self.contract.iter().cloned().collect())?;
        let reads: Vec<String> = self.journal.reads.iter().map(u32::to_string).collect();
        writeln!(out, "journal   reads format {}, writes {}", reads.join(" and "), self.journal.writes)
    }
}

/// The packages of what may be imported: `kiln:aws-ecr@0.1.0` has `kiln:aws-ecr/ecr@0.1.0`.
fn packages() -> BTreeSet<String> {
    let package = |interface: String| {
        let (package, rest) = interface.split_once('/')?;
        Some(format!("{package}@{}", rest.split_once('@')?.1))
    };
    host::offered().into_iter().filter_map(package).collect()
}

/// Lines under one label.
fn listed(out: &mut Vec<u8>, label: &str, lines: Vec<String>) -> io::Result<()> {
    let lines = if lines.is_empty() { "none".to_owned() } else { lines.join("\n          ") };
    writeln!(out, "{label:<9} {lines}")
}
