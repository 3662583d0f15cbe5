//! The static binary: built so that two builds of the same sources are the same bytes, wherever they are made.
//! The main function is [`build`].

use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, elf};

use crate::embed;
use crate::error::TaskError;
use crate::layout::Layout;
use crate::plugins;
use crate::step::{Terminal, cargo, succeeds_quietly};

/// What to build for: musl, whose static binaries need nothing of a system, where there are its standard library and its C compiler;
/// else the GNU C library, linked statically, which finds names by files and DNS by itself and leaves out what a system adds to them.
pub(super) fn target(terminal: &Terminal) -> Result<String, TaskError> {
    if !cfg!(target_os = "linux") {
        return Err(TaskError::other("releases are built on Linux", "name another target by --target"));
    }
    let architecture = std::env::consts::ARCH;
    let (musl, gnu) = (format!("{architecture}-unknown-linux-musl"), format!("{architecture}-unknown-linux-gnu"));
    let compiler = ["musl-gcc".to_owned(), format!("{architecture}-linux-musl-gcc")];
    let has_compiler = compiler.iter().any(|name| succeeds_quietly(Command::new(name).arg("--version")));
    match (plugins::has_target(&musl), has_compiler) {
        (true, true) => Ok(musl),
        (std, _) => {
            let missing = if std { "a C compiler for it (Debian: musl-tools)" } else { "`rustup target add` of it" };
            terminal.line(format_args!("{musl} needs {missing}: building for {gnu}, linked statically"));
            Ok(gnu)
        }
    }
}

/// Build it, with the code of the plugins in it.
pub(super) fn build(layout: &Layout, terminal: &Terminal, target: &str) -> Result<PathBuf, TaskError> {
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--target", target, "--package", "kiln", "--package", "kiln-runner"]);
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(plugins::remapped(layout)?.into_iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")));
    build.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    // Of the C in the cryptography, whose assertions name their files.
    let c_flags = plugins::remapped(layout)?.into_iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}"));
    build.env("CFLAGS", c_flags.collect::<Vec<_>>().join(" "));
    embed::build(layout, terminal, build, &layout.target.join(target).join("release"))
}

/// What a binary needs of a system.
#[derive(Debug)]
pub(super) struct Form {
    /// Such as `x86_64`.
    pub(super) architecture: &'static str,
    needed: Vec<String>,
}

impl Form {
    /// What the headers of an ELF binary say.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self, TaskError> {
        let odd = |reason: String| {
            TaskError::other(format!("{} is no 64-bit ELF binary: {reason}", path.display()), "give one for Linux")
        };
        let file = ElfFile64::<Endianness>::parse(bytes).map_err(|error| odd(error.to_string()))?;
        let architecture = match file.architecture() {
            object::Architecture::X86_64 => "x86_64",
            object::Architecture::Aarch64 => "aarch64",
            other => return Err(odd(format!("of {other:?}"))),
        };
        let endian = file.endian();
        let header = file.elf_header();
        let mut needed = Vec::new();
        for segment in header.program_headers(endian, bytes).map_err(|error| odd(error.to_string()))? {
            if let Ok(Some(interpreter)) = segment.interpreter(endian, bytes) {
                needed.push(String::from_utf8_lossy(interpreter).into_owned());
            }
            let dynamic = segment.dynamic(endian, bytes).map_err(|error| odd(error.to_string()))?.unwrap_or_default();
            let libraries = dynamic.iter().filter(|entry| entry.tag32(endian).map(i64::from) == Some(elf::DT_NEEDED));
            needed.extend(libraries.map(|_| "a shared library".to_owned()));
        }
        Ok(Self { architecture, needed })
    }

    /// Whether there is nothing to load beside it.
    pub(super) fn is_static(&self) -> bool {
        self.needed.is_empty()
    }

    /// What is loaded beside it.
    pub(super) fn needed(&self) -> &[String] {
        &self.needed
    }
}
