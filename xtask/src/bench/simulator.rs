//! The simulated account, new for each run.
//! The main type is [`Simulator`].

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::TaskError;

const READY: Duration = Duration::from_secs(30);

/// `kiln sim` as a child process, which ends with this value.
pub(super) struct Simulator {
    process: Child,
    address: String,
}

impl Simulator {
    /// Start it by `command`, which is to be told where it announces itself.
    pub(super) fn start(mut command: Command, ready: &Path) -> Result<Self, TaskError> {
        match fs::remove_file(ready) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(TaskError::File { doing: "remove", path: ready.to_path_buf(), source });
            }
            _ => {}
        }
        command.arg("--ready-file").arg(ready).stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().map_err(|source| TaskError::Start {
            program: command.get_program().to_string_lossy().into_owned(),
            help: "build it first: cargo build --release --workspace".to_owned(),
            source,
        })?;
        let mut simulator = Self { process, address: String::new() };
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            if let Some(address) =
                fs::read_to_string(ready).ok().and_then(|url| Some(url.trim().strip_prefix("http://")?.to_owned()))
            {
                simulator.address = address;
                return Ok(simulator);
            }
            if let Ok(Some(status)) = simulator.process.try_wait() {
                return Err(TaskError::other(format!("the simulator ended with {status}"), "see what it says above"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(TaskError::other("the simulator does not listen", "run `kiln sim` by hand and see what it says"))
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The actions of all writes that happened, in order.
    pub(super) fn effects(&self) -> Result<Vec<String>, TaskError> {
        let unreadable =
            |why: String| TaskError::other(format!("the simulator's effects cannot be read: {why}"), "try again");
        let mut answer = String::new();
        TcpStream::connect(&self.address)
            .and_then(|mut stream| {
                write!(stream, "GET /_kiln/effects HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
                stream.read_to_string(&mut answer)
            })
            .map_err(|error| unreadable(error.to_string()))?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        let body: Value = serde_json::from_str(body).map_err(|error| unreadable(error.to_string()))?;
        let effects = body.get("effects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let actions = effects.iter().filter_map(|effect| effect.get("action").and_then(Value::as_str));
        Ok(actions.map(str::to_owned).collect())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
