//! The binary `kiln`: gives the arguments, and the code that it carries, to [`kiln_runner::cli`]; answers an exit code.

mod embedded;

use std::process::ExitCode;

fn main() -> ExitCode {
    kiln_runner::cli::main(std::env::args_os(), &embedded::Embedded)
}
