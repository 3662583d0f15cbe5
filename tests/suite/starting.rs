//! A machine that has never seen kiln: nothing is compiled there, nothing but the binary is needed, and whatever does not fit is
//! made anew.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kiln_runner::event::RunOutcome;
use kiln_runner::plugin::{CacheDir, Engine, Plugins, Precompiled};
use kiln_runner::rehearse::rehearse;
use kiln_runner::report::Reports;
use kiln_tests::{Account, Kiln, World, beside_the_test, binary, rehearsal, repository, web_service};

use wasmtime::component::Component;

use super::emulators::python;

type Checked = Result<(), Box<dyn std::error::Error>>;

#[test]
fn nothing_is_compiled_on_a_machine_that_has_never_seen_kiln() {
    let pipeline = repository().join("pipelines/web-service.toml").display().to_string();
    let outcome = Kiln::new(["check", &pipeline]).env("KILN_CACHE_DIR", "cache").run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
    for kept in ["code", "descriptions"] {
        let made = fs::read_dir(outcome.directory().join("cache").join(kept)).map(Iterator::count);
        assert_eq!(made.ok(), Some(0), "{kept}: the binary lacks the code of a plugin; build it by `cargo xtask host`");
    }
}

#[derive(Debug)]
struct Misfit;

impl Precompiled for Misfit {
    fn note(&self, _: &str) -> Option<&'static [u8]> {
        Some(b"{ \"of\": \"another kiln\" }")
    }

    fn code(&self, _: &str, _: &wasmtime::Engine) -> Option<wasmtime::Result<Component>> {
        Some(Err(wasmtime::Error::msg("compiled with a feature that this processor lacks")))
    }
}

#[test]
fn a_binary_whose_code_does_not_fit_compiles_its_plugins_and_runs() -> Checked {
    let cache = tempfile::tempdir()?;
    let engine = Engine::new(Some(&CacheDir::open(cache.path())?))?.with(&Misfit);
    let source = web_service();
    let world = fs::read_to_string(repository().join("pipelines/web-service.world.toml"))?;
    let quiet = Box::new(Reports::new(Vec::new()));
    let rehearsed = rehearse(rehearsal(source, &world, 1), Arc::new(Plugins::new(engine)), quiet)?;
    assert_eq!(rehearsed.outcome, RunOutcome::Done);
    assert!(fs::read_dir(cache.path().join("code"))?.count() > 0, "it was compiled");
    Ok(())
}

/// Where a wheel is installed, readable for everybody.
struct Installed {
    root: tempfile::TempDir,
}

impl Installed {
    /// The wheel of the binary that is there, in an environment of its own.
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let root = tempfile::tempdir()?;
        fs::set_permissions(root.path(), Permissions::from_mode(0o755))?;
        let wheels = root.path().join("wheels");
        let mut wheel = Command::new(beside_the_test("xtask"));
        done(wheel.args(["wheel", "--stored", "--binary"]).arg(binary()).arg("--out").arg(&wheels))?;
        let wheel = fs::read_dir(&wheels)?.next().ok_or("no wheel was made")??.path();
        let environment = root.path().join("environment");
        done(Command::new(python()).args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(environment.join("bin/python"));
        done(pip.args(["-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check"]).arg(wheel))?;
        fs::remove_dir_all(&wheels)?;
        Ok(Self { root })
    }

    /// A directory that `user` may write to, or nobody.
    fn directory(&self, name: &str, user: Option<u32>) -> std::io::Result<PathBuf> {
        let path = self.root.path().join(name);
        fs::create_dir(&path)?;
        if let Some(user) = user {
            chown(&path, Some(user), Some(user))?;
        }
        let mode = if user.is_some() { 0o700 } else { 0o555 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Run the pipeline as `user` with nothing on the PATH but the environment, an empty home and a directory that cannot be written to.
    fn run(&self, user: u32, account: &Account) -> std::io::Result<Output> {
        let home = self.directory(&format!("home-{user}"), None)?;
        let work = self.root.path().join(format!("work-{user}"));
        fs::create_dir(&work)?;
        fs::copy(repository().join("pipelines/web-service.toml"), work.join("web-service.toml"))?;
        fs::set_permissions(&work, Permissions::from_mode(0o555))?;
        let state = self.directory(&format!("state-{user}"), Some(user))?;
        let mut command = Command::new("kiln");
        command
            .args(["run", "web-service.toml", "--input", "commit=4f2a9c1", "--output", "plain", "--clock-scale", "600"])
            .args(["--endpoint-url", &account.url()])
            .env_clear()
            .env("PATH", self.root.path().join("environment/bin"))
            .env("HOME", &home)
            .env("KILN_STATE_DIR", &state)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-west-2")
            .current_dir(&work)
            .stdin(Stdio::null());
        if rustix::process::geteuid().is_root() {
            command.uid(user).gid(user);
        }
        let output = command.output()?;
        // Whom nothing is forbidden may make the cache's directories; nothing is kept there.
        assert_eq!(files_below(&home)?, Vec::<PathBuf>::new());
        Ok(output)
    }
}

fn files_below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

fn done(command: &mut Command) -> Checked {
    let output = command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {said}", output.status).into()) }
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn a_wheel_runs_the_pipeline_without_rust_a_home_or_a_directory_to_write_to() -> Checked {
    let installed = Installed::new()?;
    let bin = installed.root.path().join("environment/bin");
    let version = Command::new(bin.join("kiln")).arg("--version").env_clear().output()?;
    let pip = Command::new(bin.join("python")).args(["-m", "pip", "show", "kiln-aws"]).output()?;
    let (version, shown) = (String::from_utf8_lossy(&version.stdout), String::from_utf8_lossy(&pip.stdout));
    let number = version.split_whitespace().nth(1).unwrap_or("none");
    assert!(shown.contains(&format!("Version: {number}")), "{version}{shown}");
    // Only root can become somebody else; whoever is not has no way to write where it must not either.
    let users = if own() == 0 { vec![0, 65_534] } else { vec![own()] };
    for user in users {
        let account = Account::at_scale(&World::web_service(), 600.0);
        let output = installed.run(user, &account)?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "as {user}: {said}");
        assert_eq!(account.count("ecs:UpdateService"), 1, "as {user}: {said}");
        assert!(!said.contains("cache of compiled plugins"), "as {user}: {said}");
    }
    Ok(())
}
