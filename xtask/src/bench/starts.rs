//! How long it takes to begin: until a program has said something, and until its first request to AWS is on its way. The AWS CLI and
//! boto3 begin in the same run.
//! The main function is [`measure`].

use std::io::{ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Extent;
use super::alone::Figure;
use super::series::Series;
use super::simulator::Simulator;
use super::workbench::{Workbench, text};
use crate::error::TaskError;
use crate::step::Terminal;

/// What makes a client of boto3, and asks who it is.
const BOTO3: &str =
    "import boto3, sys; boto3.client('sts', endpoint_url=sys.argv[1], region_name='us-west-2').get_caller_identity()";

/// Measure it all, round by round: each of them once a round.
pub(super) fn measure(bench: &Workbench, terminal: &Terminal, extent: Extent) -> Result<Vec<Figure>, TaskError> {
    let simulator = bench.simulator(&bench.root.join("bench/web-service.world.toml"), 0)?;
    let mut figures: Vec<Figure> =
        Beginning::ALL.iter().map(|one| Figure { name: one.name(), unit: "ms", series: Series::default() }).collect();
    for round in 0..=extent.rounds {
        for (beginning, figure) in Beginning::ALL.into_iter().zip(&mut figures) {
            let took = beginning.take(bench, &simulator)?;
            // The first fills the page cache, for all alike.
            if round > 0 {
                figure.series.push(took);
            }
        }
    }
    for figure in &figures {
        terminal.line(format_args!("{}: {} {}", figure.name, figure.series.text(), figure.unit));
    }
    Ok(figures)
}

/// A way to begin.
#[derive(Debug, Clone, Copy)]
enum Beginning {
    Version,
    ColdCheck,
    WarmCheck,
    ColdPlan,
    WarmPlan,
    ColdRun,
    WarmRun,
    CliVersion,
    CliRequest,
    Boto3Request,
}

impl Beginning {
    const ALL: [Self; 10] = [
        Self::Version,
        Self::ColdCheck,
        Self::WarmCheck,
        Self::ColdPlan,
        Self::WarmPlan,
        Self::ColdRun,
        Self::WarmRun,
        Self::CliVersion,
        Self::CliRequest,
        Self::Boto3Request,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Version => "`kiln --version`",
            Self::ColdCheck => "`kiln check` of the benchmark's pipeline where kiln was never run",
            Self::WarmCheck => "`kiln check` of the benchmark's pipeline again",
            Self::ColdPlan => "`kiln plan` of it where kiln was never run, at 0 ms a call",
            Self::WarmPlan => "`kiln plan` of it again, at 0 ms a call",
            Self::ColdRun => "`kiln run` of it where kiln was never run, until its first request is sent",
            Self::WarmRun => "`kiln run` of it again, until its first request is sent",
            Self::CliVersion => "`aws --version`",
            Self::CliRequest => "`aws sts get-caller-identity`, until its request is sent",
            Self::Boto3Request => "boto3 in a new process, until its first request is sent",
        }
    }

    /// Begin once: how long it took, in milliseconds.
    fn take(self, bench: &Workbench, simulator: &Simulator) -> Result<f64, TaskError> {
        let kiln = text(&bench.kiln);
        let pipeline = text(&bench.root.join("bench/web-service.toml"));
        let url = simulator.url();
        // A machine that has never seen kiln: no cache, no state.
        let cold = matches!(self, Self::ColdCheck | Self::ColdPlan | Self::ColdRun);
        let cache = if cold { bench.empty("empty-cache")? } else { bench.scratch("cache") };
        let cache: [(&str, &Path); 1] = [("KILN_CACHE_DIR", &cache)];
        let state = text(&bench.empty("state")?);
        let ended = |command: &[&str]| Ok(bench.measure_with(command, &cache)?.wall);
        match self {
            Self::Version => ended(&[&kiln, "--version"]),
            Self::ColdCheck | Self::WarmCheck => ended(&[&kiln, "check", &pipeline]),
            Self::ColdPlan | Self::WarmPlan => {
                ended(&[&kiln, "plan", &pipeline, "--endpoint-url", &url, "--input", "commit=4f1c2d7"])
            }
            Self::ColdRun | Self::WarmRun => until_first_request(bench, &cache, |url| {
                let run = ["run", &pipeline, "--endpoint-url", url, "--input", "commit=4f1c2d7"];
                [&[kiln.as_str()], &run[..], &["--state-dir", &state]].concat().into_iter().map(str::to_owned).collect()
            }),
            Self::CliVersion => ended(&["aws", "--version"]),
            Self::CliRequest => until_first_request(bench, &[], |url| {
                ["aws", "sts", "get-caller-identity", "--endpoint-url", url].map(str::to_owned).into()
            }),
            Self::Boto3Request => until_first_request(bench, &[], |url| {
                [text(&bench.python).as_str(), "-c", BOTO3, url].map(str::to_owned).into()
            }),
        }
    }
}

/// How long it takes from the start of a command until it sends its first request to `url`, in milliseconds. Nobody answers it there.
fn until_first_request(
    bench: &Workbench,
    environment: &[(&str, &Path)],
    command: impl FnOnce(&str) -> Vec<String>,
) -> Result<f64, TaskError> {
    let failed = |error: std::io::Error| TaskError::other(format!("nobody can be listened to: {error}"), "try again");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let words = command(&format!("http://{}", listener.local_addr().map_err(failed)?));
    let spelt = words.join(" ");
    let mut words = words.into_iter();
    let mut begun = Command::new(words.next().unwrap_or_default());
    bench.surround(&mut begun);
    begun.args(words).envs(environment.iter().map(|(name, value)| (*name, value.as_os_str())));
    begun.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = begun
        .spawn()
        .map_err(|error| TaskError::other(format!("`{spelt}` cannot be started: {error}"), "run it by hand"))?;
    let heard = hear(&listener, &mut child, start);
    // What it would do without an answer is of no interest.
    let _ = child.kill();
    let _ = child.wait();
    heard.map_err(|reason| TaskError::other(format!("`{spelt}` {reason}"), "run it by hand"))
}

/// Wait for the first bytes of a request.
fn hear(listener: &TcpListener, child: &mut Child, start: Instant) -> Result<f64, String> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let mut stream: Option<TcpStream> = None;
    while start.elapsed() < PATIENCE {
        let came = match &mut stream {
            None => listener.accept().map(|(accepted, _)| {
                // It would block, or not: it is asked again and again either way.
                let _ = accepted.set_nonblocking(true);
                stream = Some(accepted);
                false
            }),
            Some(stream) => stream.read(&mut [0]).map(|count| count > 0),
        };
        match came {
            Ok(true) => return Ok(start.elapsed().as_secs_f64() * 1000.0),
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_micros(100)),
            Err(error) => return Err(format!("is not heard: {error}")),
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("ended with {status} before it sent a request"));
        }
    }
    Err("sent no request in a minute".to_owned())
}
