//! `kiln sim` among callers that mean harm: it answers the next one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_tests::{Kiln, Running};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// A `kiln sim`, ended with the test.
struct Sim {
    running: Option<Running>,
    process: Pid,
    address: String,
}

impl Sim {
    fn start() -> Self {
        let running = Kiln::new(["sim", "--port", "0", "--ready-file", "address"]).start();
        let process = Pid::from_raw(running.id() as i32).unwrap_or_else(|| panic!("a process has an id"));
        let ready = running.directory().join("address");
        let mut sim = Self { running: Some(running), process, address: String::new() };
        let deadline = Instant::now() + Duration::from_secs(60);
        while sim.address.is_empty() {
            assert!(Instant::now() < deadline, "it does not come up");
            std::thread::sleep(Duration::from_millis(20));
            let url = std::fs::read_to_string(&ready).unwrap_or_default();
            url.trim_start_matches("http://").clone_into(&mut sim.address);
        }
        sim
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap_or_else(|error| panic!("{}: {error}", self.address));
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap_or_else(|error| panic!("{error}"));
        stream
    }

    /// What is answered to a Query request of CloudWatch's.
    fn ask(&self, body: &str) -> std::io::Result<String> {
        let mut stream = self.connect();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=t/20260105/us-east-1/monitoring/aws4_request, Signature=0\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn answers(&self) {
        let answer = self.ask("Action=DescribeAlarms&Version=2010-08-01").unwrap_or_else(|error| panic!("{error}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// How much of a processor it has taken so far.
    fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.as_raw_nonzero());
        let stat = std::fs::read_to_string(Path::new(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        // Behind the name, which may hold anything: user and system time are the 12th and 13th, in hundredths.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It is a child that was not waited for yet: the id is its own.
        let _ = kill_process(self.process, Signal::KILL);
        drop(self.running.take().map(Running::end));
    }
}

#[test]
fn a_request_nested_without_end_is_refused_and_the_next_one_is_answered() {
    let sim = Sim::start();
    for levels in [40, 20_000, 1_000_000] {
        let body = format!("Action=DescribeAlarms&{}x=1", "a.".repeat(levels));
        let answer = sim.ask(&body).unwrap_or_else(|error| panic!("{levels} levels: {error}"));
        assert!(answer.contains("MalformedQueryString"), "{levels} levels: {answer}");
        sim.answers();
    }
}

#[test]
fn without_file_descriptors_it_waits_instead_of_spinning() {
    let sim = Sim::start();
    let few = Rlimit { current: Some(24), maximum: Some(24) };
    prlimit(Some(sim.process), Resource::Nofile, few).unwrap_or_else(|error| panic!("{error}"));
    let callers: Vec<TcpStream> = (0..64).map(|_| sim.connect()).collect();
    std::thread::sleep(Duration::from_secs(1));
    let before = sim.processor_time();
    std::thread::sleep(Duration::from_secs(2));
    let taken = sim.processor_time() - before;
    assert!(taken < Duration::from_millis(400), "it took {taken:?} of two seconds");
    drop(callers);
    sim.answers();
}
