//! A simulated account that ends whoever speaks to it, at an exact place of an exchange, or while it waits.
//!
//! The main type is [`Trap`]: armed with a [`Snare`], it sends a process SIGKILL or SIGTERM before a request has its effect,
//! after the effect and before the answer, after the answer, or when the process has asked for nothing for a while. Nothing in
//! a killed process knows of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kiln_sim::{Clock, Disturbance, Simulator, WorldFile};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Where a process is ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snare {
    /// Where.
    pub place: Place,
    /// How.
    pub by: By,
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By SIGKILL. What it asked for is not answered.
    Kill,
    /// By SIGTERM. What it asked for is answered.
    Stop,
}

/// Where a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As its `n`th request (from 1) arrives: where it is killed, that has no effect.
    Before(u64),
    /// When its `n`th request has had its effect, and is not answered.
    Between(u64),
    /// So many milliseconds after its `n`th request arrived: while it waits for the answer, where that takes long.
    During(u64, u64),
    /// So many milliseconds after its first request for this operation, such as `PutImage`, arrived.
    Asked(&'static str, u64),
    /// So many microseconds after its `n`th request was answered.
    After(u64, u64),
    /// So many milliseconds after it began its `n`th wait (from 1): a rest, a timer, a poll, or whatever else it is that it
    /// asks for nothing.
    Waiting(u64, u64),
    /// So many milliseconds after its start.
    Timed(u64),
    /// Nowhere.
    Nowhere,
}

impl Snare {
    /// None.
    pub const NONE: Self = Self { place: Place::Nowhere, by: By::Kill };

    /// SIGKILL there.
    pub fn kill(place: Place) -> Self {
        Self { place, by: By::Kill }
    }

    /// SIGTERM there.
    pub fn stop(place: Place) -> Self {
        Self { place, by: By::Stop }
    }
}

/// Whoever asks for nothing for so long waits: longer than anything that kiln does between two requests.
const WAITS: Duration = Duration::from_millis(15);

/// What a process did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// How many requests it made.
    pub requests: u64,
    /// How often it waited.
    pub waits: u64,
    /// When it made the first.
    pub first: Option<Instant>,
    /// When the snare closed.
    pub caught: Option<Instant>,
    /// Whether it was killed because it came to no end.
    pub endless: bool,
}

struct Inner {
    simulator: Simulator,
    snare: Mutex<Snare>,
    process: AtomicU32,
    requests: AtomicU64,
    /// Requests that are not answered yet.
    open: AtomicU64,
    /// Whether the operation of [`Place::Asked`] was asked for.
    asked: AtomicBool,
    traffic: Mutex<Traffic>,
}

/// A simulated account with a trap.
pub struct Trap {
    inner: Arc<Inner>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
    // Dropped last: it ends the tasks.
    _runtime: Runtime,
}

impl Trap {
    /// The account of a world, with a clock that goes `scale` times as fast as the world's.
    pub fn of(world: &str, scale: f64) -> Self {
        let file = WorldFile::parse(world).unwrap_or_else(|error| panic!("the test's world: {error}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("a runtime: {error}"));
        let (listener, simulator) = runtime.block_on(async {
            let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await;
            (listener, Simulator::new(file, Clock::new(now, scale)))
        });
        let listener = listener.unwrap_or_else(|error| panic!("a port on loopback: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
        let inner = Arc::new(Inner {
            simulator,
            snare: Mutex::new(Snare::NONE),
            process: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            open: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            traffic: Mutex::default(),
        });
        let accepting = runtime.spawn(accept(listener, Arc::clone(&inner)));
        Self { inner, address, accepting, _runtime: runtime }
    }

    /// The address of the simulated AWS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account.
    pub fn simulator(&self) -> &Simulator {
        &self.inner.simulator
    }

    /// Lay `snare` for the next process.
    pub fn arm(&self, snare: Snare) {
        self.inner.process.store(0, Ordering::SeqCst);
        self.inner.requests.store(0, Ordering::SeqCst);
        self.inner.open.store(0, Ordering::SeqCst);
        self.inner.asked.store(false, Ordering::SeqCst);
        *self.inner.traffic() = Traffic::default();
        *self.inner.snare.lock().unwrap_or_else(PoisonError::into_inner) = snare;
    }

    /// The process that the snare is for has begun. It is killed where it has not come to its end after `patience`.
    pub fn watch(&self, process: u32, patience: Duration) {
        self.inner.process.store(process, Ordering::SeqCst);
        if let Snare { place: Place::Timed(after), by } = self.inner.snare() {
            let inner = Arc::clone(&self.inner);
            self._runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                inner.end(process, by);
            });
        }
        let inner = Arc::clone(&self.inner);
        self._runtime.spawn(async move {
            tokio::time::sleep(patience).await;
            if inner.process.load(Ordering::SeqCst) == process {
                inner.traffic().endless = true;
                inner.end(process, By::Kill);
            }
        });
    }

    /// The process has ended: its id means nothing any more. Answers what it did.
    pub fn ended(&self) -> Traffic {
        self.inner.process.store(0, Ordering::SeqCst);
        Traffic { requests: self.inner.requests.load(Ordering::SeqCst), ..*self.inner.traffic() }
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Inner {
    fn snare(&self) -> Snare {
        *self.snare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// End `process`, if it is still the one that is watched.
    fn end(&self, process: u32, by: By) {
        let watched = self.process.load(Ordering::SeqCst);
        if process == 0 || watched != process {
            return;
        }
        self.traffic().caught.get_or_insert(Instant::now());
        if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
            let signal = match by {
                By::Kill => Signal::KILL,
                By::Stop => Signal::TERM,
            };
            // It is a child that was not waited for yet: the id is its own. It may have ended by itself.
            let _ = kill_process(pid, signal);
        }
    }

    /// `process` was answered its request `number`: what it waits for from here on, if it waits.
    async fn await_next(&self, process: u32, number: u64) {
        let is_quiet = || {
            let asked = self.requests.load(Ordering::SeqCst);
            asked == number && self.open.load(Ordering::SeqCst) == 0 && self.process.load(Ordering::SeqCst) == process
        };
        tokio::time::sleep(WAITS).await;
        if !is_quiet() {
            return;
        }
        let wait = {
            let mut traffic = self.traffic();
            traffic.waits += 1;
            traffic.waits
        };
        if let Snare { place: Place::Waiting(at, after), by } = self.snare()
            && at == wait
        {
            tokio::time::sleep(Duration::from_millis(after)).await;
            self.end(process, by);
        }
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&inner)));
        }
    }
}

async fn converse(stream: TcpStream, inner: Arc<Inner>) {
    // Small answers must not wait for each other.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange(Arc::clone(&inner), request));
    // A connection ends with the process that was killed.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Whoever spoke is dead, or is not to hear the answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection ends here")]
struct Ended;

/// So much later than its effect comes the answer for a process that was told to end in between.
const LATE: Duration = Duration::from_millis(20);

/// A request that is not answered yet.
struct Open {
    inner: Arc<Inner>,
    process: u32,
    number: u64,
}

impl Open {
    fn of(inner: &Arc<Inner>, number: u64) -> Self {
        inner.open.fetch_add(1, Ordering::SeqCst);
        inner.traffic().first.get_or_insert(Instant::now());
        Self { inner: Arc::clone(inner), process: inner.process.load(Ordering::SeqCst), number }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Nobody counts for a process that has ended.
        let open = |open: u64| open.checked_sub(1);
        let _ = self.inner.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, open);
        let (inner, process, number) = (Arc::clone(&self.inner), self.process, self.number);
        // There is none where the trap itself is taken down.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { inner.await_next(process, number).await });
        }
    }
}

async fn exchange(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Ended> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Ended)?.to_bytes();
    let number = inner.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let _open = Open::of(&inner, number);
    let (Snare { place, by }, process) = (inner.snare(), inner.process.load(Ordering::SeqCst));
    if place == Place::Before(number) {
        inner.end(process, by);
        if by == By::Kill {
            return Err(Ended);
        }
    }
    let due = match place {
        Place::During(at, after) => (at == number).then_some(after),
        Place::Asked(operation, after) => {
            let asked = |target: &str| target.rsplit('.').next() == Some(operation);
            let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
            let first = target.is_some_and(asked) && !inner.asked.swap(true, Ordering::SeqCst);
            first.then_some(after)
        }
        _ => None,
    };
    if let Some(after) = due {
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(after)).await;
            inner.end(process, by);
        });
    }
    let mut response = inner.simulator.dispatch(Request::from_parts(parts, body)).await;
    match place {
        Place::Between(at) if at == number => {
            inner.end(process, by);
            if by == By::Kill {
                return Err(Ended);
            }
            tokio::time::sleep(LATE).await;
        }
        Place::After(at, micros) if at == number => {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(micros)).await;
                inner.end(process, by);
            });
        }
        _ => {}
    }
    match response.extensions_mut().remove::<Disturbance>() {
        Some(Disturbance::Reset | Disturbance::Truncated) => Err(Ended),
        None => Ok(response.map(Full::new)),
    }
}
