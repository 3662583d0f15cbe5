//! Keeps the ratios in docs/benchmarks.md what the last measurement found.
//! The main function is [`write`].

use std::fs;
use std::path::Path;

use crate::error::TaskError;

/// What stands between these lines is written here and nowhere else.
const BEGIN: &str = "<!-- figures: cargo xtask bench writes what follows -->\n";
const END: &str = "<!-- figures end -->\n";

/// Put `block` into its place in the page at `path`.
pub(super) fn write(path: &Path, block: &str) -> Result<(), TaskError> {
    let page = fs::read_to_string(path).map_err(TaskError::file("read", path))?;
    let changed = replace(&page, block).ok_or_else(|| {
        TaskError::other(
            format!("{} has no place for the figures", path.display()),
            format!("put these two lines where they belong: {}, {}", BEGIN.trim_end(), END.trim_end()),
        )
    })?;
    fs::write(path, changed).map_err(TaskError::file("write", path))
}

fn replace(page: &str, block: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", block.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_lines_is_replaced() {
        let page = format!("# kiln\n{BEGIN}old\n{END}more\n");
        let new = format!("# kiln\n{BEGIN}\n| new |\n\n{END}more\n");
        assert_eq!(replace(&page, "| new |\n").as_deref(), Some(new.as_str()));
        assert_eq!(replace(&new, "| new |\n").as_deref(), Some(new.as_str()));
        assert_eq!(replace("# kiln\n", "| new |\n"), None);
    }
}
