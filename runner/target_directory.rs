//! Where cargo builds: of use to build scripts.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the target directory that `out` is in, wherever it is: cargo marks it with `CACHEDIR.TAG`. What is built for a target
/// that is named lies in a directory of that name below, which cargo marks as well.
pub(crate) fn target_directory(out: &Path) -> Result<PathBuf, String> {
    let marked = |directory: &Path| directory.join("CACHEDIR.TAG").is_file();
    let inner = out
        .ancestors()
        .find(|ancestor| marked(ancestor))
        .ok_or_else(|| format!("none of the directories above {} is a cargo target directory", out.display()))?;
    let outer = inner.parent().filter(|outer| marked(outer) && inner.file_name() == env::var_os("TARGET").as_deref());
    Ok(outer.unwrap_or(inner).to_path_buf())
}
