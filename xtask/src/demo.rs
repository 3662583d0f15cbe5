//! The demo: the real pipeline, by the real AWS SDK over HTTP, on the simulator.
//! The main function is [`run`].

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::TaskError;
use crate::layout::Layout;
use crate::step::{Terminal, status};
use crate::{pictures, plugins, test};

/// How many times as fast as the world the simulated account and the run live.
const SCALE: &str = "60";
/// How long the simulator may take to listen.
const READY: Duration = Duration::from_secs(30);

/// Build everything, then run the pipeline. The exit code is the run's.
pub(crate) fn run(layout: &Layout, terminal: &Terminal) -> Result<ExitCode, TaskError> {
    plugins::build(layout, terminal, false)?;
    test::build_host(layout, terminal)?;

    terminal.heading("demo: start the simulated AWS account");
    let ready = layout.target.join("demo-simulator-url");
    let mut simulator = Simulator::start(layout, &ready)?;
    let url = simulator.url(&ready)?;
    terminal.line(format_args!("it listens on {url}, {SCALE} times as fast as the world"));

    terminal.heading("demo: kiln run pipelines/web-service.toml");
    let mut command = kiln(layout);
    command.args(["run", "pipelines/web-service.toml", "--input"]).arg(format!("commit={}", commit(layout)));
    let page = layout.target.join("demo/page.html");
    fs::create_dir_all(layout.target.join("demo")).map_err(TaskError::file("make", layout.target.join("demo")))?;
    command.args(["--endpoint-url", &url, "--clock-scale", SCALE]).arg("--report").arg(&page);
    let run = status(&mut command, "build it first: cargo build --workspace")?;

    terminal.heading("demo: kiln show (the journal of that run)");
    let show = status(kiln(layout).arg("show"), "build it first: cargo build --workspace")?;
    terminal.line(format_args!("the page about the run: {}", page.display()));
    pictures::draw(layout, terminal, &layout.target.join("demo"))?;
    match pictures::stale(layout)?.as_slice() {
        [] => terminal.line("those of the README are the same"),
        stale => terminal.line(format_args!("{} in docs/pictures: stale; cargo xtask pictures", stale.join(", "))),
    }
    Ok(code(if run.success() { show } else { run }))
}

/// `kiln` with credentials that are good for nothing but the simulator, and nothing of the caller's own.
fn kiln(layout: &Layout) -> Command {
    let mut command = Command::new(layout.kiln());
    command.current_dir(&layout.root);
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL"]
    {
        command.env_remove(name);
    }
    command
        .env("AWS_ACCESS_KEY_ID", "kiln-demo")
        .env("AWS_SECRET_ACCESS_KEY", "kiln-demo")
        .env("AWS_REGION", "us-west-2")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("NO_PROXY", "127.0.0.1,localhost");
    command
}

/// The commit that is checked out, as a build would be given it.
fn commit(layout: &Layout) -> String {
    let asked =
        Command::new("git").current_dir(&layout.root).args(["rev-parse", "HEAD"]).stderr(Stdio::null()).output();
    let commit = asked.ok().filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    // Outside a clone of the repository any tag will do: nothing is fetched.
    commit.filter(|commit| !commit.is_empty()).unwrap_or_else(|| "demo".to_owned())
}

/// The exit code of a command, passed on.
fn code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The simulator as a child process, which ends with the demo however that ends.
struct Simulator(Child);

impl Simulator {
    fn start(layout: &Layout, ready: &Path) -> Result<Self, TaskError> {
        match fs::remove_file(ready) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(TaskError::File { doing: "remove", path: ready.to_path_buf(), source });
            }
            _ => {}
        }
        let mut command = kiln(layout);
        command.args(["sim", "--world", "pipelines/web-service.world.toml", "--scale", SCALE, "--port", "0"]);
        command.arg("--ready-file").arg(ready).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Self).map_err(|source| TaskError::Start {
            program: layout.kiln().display().to_string(),
            help: "build it first: cargo build --workspace".to_owned(),
            source,
        })
    }

    /// Its address, once it listens.
    fn url(&mut self, ready: &Path) -> Result<String, TaskError> {
        let deadline = Instant::now() + READY;
        loop {
            if let Ok(url) = fs::read_to_string(ready)
                && url.trim().starts_with("http")
            {
                return Ok(url.trim().to_owned());
            }
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(TaskError::other(format!("the simulator ended with {status}"), "see what it says above"));
            }
            if Instant::now() > deadline {
                return Err(TaskError::other(
                    format!("the simulator does not listen after {} s", READY.as_secs()),
                    format!("run `kiln sim` by hand; it should write its address to {}", ready.display()),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
