//! The binary `kiln`: gives the arguments to [`kiln_runner::cli`], with what only its build knows; answers an exit code.

mod embedded;
#[cfg(test)]
mod origin;

use std::process::ExitCode;

use kiln_runner::cli::Binary;
use kiln_runner::types::Provenance;

/// musl's own asks the kernel again and again, which made a check take twice as long.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kiln_runner::cli::main(std::env::args_os(), Binary { carried: &embedded::Embedded, provenance: provenance() })
}

/// What this binary was built of: `build.rs` found it out.
fn provenance() -> Provenance {
    let said = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    Provenance {
        version: env!("CARGO_PKG_VERSION"),
        commit: said(env!("KILN_PROVENANCE_COMMIT")),
        changed: said(env!("KILN_PROVENANCE_CHANGED")).is_some(),
        date: env!("KILN_PROVENANCE_DATE").parse().ok(),
        target: env!("KILN_PROVENANCE_TARGET"),
        profile: env!("KILN_PROVENANCE_PROFILE"),
        compiler: env!("KILN_PROVENANCE_RUSTC"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_binary_knows_its_target_and_profile() {
        let built = provenance();
        assert!(built.target.starts_with(std::env::consts::ARCH), "{built:?}");
        assert!(!built.profile.is_empty() && built.compiler.starts_with("rustc "), "{built:?}");
    }
}
