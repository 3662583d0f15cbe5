//! Where a commit and its date are found when kiln is built.
//!
//! The main type is [`Origin`]. In this order: `KILN_COMMIT`, what an archive of git says of itself, the clone that is built in. Where
//! none of them says anything, the commit is unknown, and that is no error.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of, below the root of the workspace: a change elsewhere makes no other binary.
pub(crate) const MADE_OF: [&str; 8] = ["Cargo.lock", "Cargo.toml", "kiln", "plugins", "runner", "sim", "span", "wit"];

/// What is known of what is built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) commit: Option<String>,
    /// Whether what the binary is made of differs from the commit.
    pub(crate) changed: bool,
    /// In seconds since the Unix epoch: `SOURCE_DATE_EPOCH`, or when the commit was made. Never when it was built.
    pub(crate) date: Option<u64>,
    /// Whether a clone said so.
    pub(crate) by_git: bool,
    /// The files that change with the commit.
    pub(crate) watched: Vec<PathBuf>,
}

impl Origin {
    /// What is known of the workspace at `root`.
    pub(crate) fn find(root: &Path, variable: impl Fn(&str) -> Option<String>) -> Self {
        let told = variable("KILN_COMMIT").filter(|commit| is_commit(commit));
        let found = match told {
            Some(commit) => Self { commit: Some(commit), ..Self::default() },
            None => archived(root).or_else(|| cloned(root)).unwrap_or_default(),
        };
        let told = variable("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.trim().parse().ok());
        Self { date: told.or(found.date), ..found }
    }
}

/// Whether a text can be the name of a commit.
fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What `git archive` wrote into the file that it was told to: the commit and its time.
fn archived(root: &Path) -> Option<Origin> {
    let text = fs::read_to_string(root.join("kiln/archived.txt")).ok()?;
    let (commit, date) = text.trim().split_once(' ')?;
    is_commit(commit).then(|| Origin { commit: Some(commit.to_owned()), date: date.parse().ok(), ..Origin::default() })
}

/// What git says of the clone whose root this is. A tree that merely lies in another repository is none of its commits.
fn cloned(root: &Path) -> Option<Origin> {
    let top = git(root, ["rev-parse", "--show-toplevel"])?;
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    let head = git(root, ["log", "-1", "--no-show-signature", "--format=%H %ct"])?;
    let (commit, date) = head.split_once(' ')?;
    let status = ["status", "--porcelain", "--"].into_iter().chain(MADE_OF);
    let changed = git(root, status).is_none_or(|changes| !changes.is_empty());
    let branch = git(root, ["symbolic-ref", "--quiet", "HEAD"]);
    let names = ["HEAD", "logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref());
    // What is not there cargo takes for changed each time.
    let watched = names
        .filter_map(|name| git(root, ["rev-parse", "--git-path", name]))
        .map(|path| root.join(path))
        .filter(|path| path.exists());
    Some(Origin {
        commit: is_commit(commit).then(|| commit.to_owned()),
        changed,
        date: date.parse().ok(),
        by_git: true,
        watched: watched.collect(),
    })
}

/// What git answers, if it does. Without the locks that asking takes, and by no repository that the environment names.
fn git<A: AsRef<OsStr>>(root: &Path, arguments: impl IntoIterator<Item = A>) -> Option<String> {
    let mut command = Command::new("git");
    command.current_dir(root).arg("--no-optional-locks").args(arguments);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;

    const FIRST: u64 = 1_767_225_600;

    /// A clone with one commit.
    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for part in ["runner", "kiln", "docs"] {
            fs::create_dir(directory.path().join(part)).unwrap();
            fs::write(directory.path().join(part).join("file"), "one").unwrap();
        }
        fs::write(directory.path().join("kiln/archived.txt"), "$Format:%H %ct$\n").unwrap();
        fs::write(directory.path().join(".gitattributes"), "kiln/archived.txt export-subst\n").unwrap();
        run(directory.path(), &["init", "--quiet", "--initial-branch=main"]);
        commit(directory.path(), FIRST);
        directory
    }

    fn commit(root: &Path, at: u64) {
        run(root, &["add", "--all"]);
        let at = format!("@{at} +0000");
        let mut command = quiet(root);
        command.args(["commit", "--quiet", "--message=x"]).env("GIT_COMMITTER_DATE", &at).env("GIT_AUTHOR_DATE", &at);
        assert!(command.status().unwrap().success());
    }

    fn quiet(root: &Path) -> Command {
        let mut command = Command::new("git");
        command.current_dir(root).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for (name, value) in [("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@example.com")] {
            command.env(name, value).env(name.replace("AUTHOR", "COMMITTER"), value);
        }
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        command
    }

    fn run(root: &Path, arguments: &[&str]) {
        assert!(quiet(root).args(arguments).status().unwrap().success(), "git {arguments:?}");
    }

    fn found(root: &Path) -> Origin {
        Origin::find(root, |_| None)
    }

    #[test]
    fn a_clone_says_its_commit_and_whether_what_is_built_differs() {
        let directory = repository();
        let root = directory.path();
        let first = found(root);
        assert!(first.by_git && !first.changed && first.date == Some(FIRST), "{first:?}");
        assert!(first.commit.as_deref().is_some_and(is_commit), "{first:?}");
        assert!(first.watched.iter().any(|path| path.ends_with("refs/heads/main")), "{first:?}");
        assert!(first.watched.iter().all(|path| path.exists()), "cargo would build each time: {first:?}");

        fs::write(root.join("docs/file"), "two").unwrap();
        assert!(!found(root).changed, "the binary is not made of it");
        fs::write(root.join("runner/new"), "two").unwrap();
        assert!(found(root).changed, "a new file is a change");
        commit(root, FIRST + 60);
        let second = found(root);
        assert!(!second.changed && second.date == Some(FIRST + 60) && second.commit != first.commit, "{second:?}");
        // A commit changes a file that is watched.
        let branch = second.watched.iter().find(|path| path.ends_with("refs/heads/main")).unwrap();
        assert_eq!(Some(fs::read_to_string(branch).unwrap().trim().to_owned()), second.commit);

        // A branch that is packed lies in one file with others; a commit without a branch is in HEAD itself.
        run(root, &["pack-refs", "--all"]);
        assert!(found(root).watched.iter().any(|path| path.ends_with("packed-refs")), "{:?}", found(root));
        run(root, &["checkout", "--quiet", "--detach"]);
        assert_eq!(found(root).commit, second.commit);
    }

    #[test]
    fn an_archive_says_its_commit_without_git() {
        let directory = repository();
        let commit = found(directory.path()).commit;
        let archive = tempfile::tempdir().unwrap();
        let tar = archive.path().join("kiln.tar");
        run(directory.path(), &["archive", "--output", tar.to_str().unwrap(), "HEAD"]);
        let unpacked = Command::new("tar").arg("-xf").arg(&tar).current_dir(archive.path()).status().unwrap();
        assert!(unpacked.success());
        let origin = found(archive.path());
        assert_eq!((origin.commit, origin.date, origin.by_git), (commit, Some(FIRST), false));
    }

    #[test]
    fn a_tree_in_another_repository_is_none_of_its_commits() {
        let directory = repository();
        let inner = directory.path().join("vendor/kiln");
        fs::create_dir_all(inner.join("kiln")).unwrap();
        assert_eq!(found(&inner), Origin::default());
        assert_eq!(found(tempfile::tempdir().unwrap().path()), Origin::default());
    }

    #[test]
    fn what_the_environment_says_goes_first_where_it_makes_sense() {
        let directory = repository();
        let by_git = found(directory.path()).commit;
        let with = |commit: &'static str, date: &'static str| {
            Origin::find(directory.path(), move |name| {
                Some(if name == "KILN_COMMIT" { commit } else { date }.to_owned())
            })
        };
        let told = with("0123456789abcdef0123456789abcdef01234567", "1700000000");
        assert_eq!(told.commit.as_deref(), Some("0123456789abcdef0123456789abcdef01234567"));
        assert_eq!((told.date, told.by_git), (Some(1_700_000_000), false));
        for nonsense in ["", "main", "0123", "; rm"] {
            let origin = with(nonsense, "soon");
            assert_eq!((origin.commit, origin.date), (by_git.clone(), Some(FIRST)), "{nonsense}");
        }
    }
}
