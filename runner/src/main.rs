//! The binary `kiln`: parses arguments, calls [`kiln_runner::cli`], answers an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_runner::cli::main(std::env::args_os())
}
