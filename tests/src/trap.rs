//! A simulated account that kills whoever speaks to it, at an exact place of an exchange.
//!
//! The main type is [`Trap`]: armed with a [`Snare`], it kills a process by SIGKILL before a request has its effect, after
//! the effect and before the answer, or after the answer. Nothing in the killed process knows of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kiln_sim::{Clock, Simulator, WorldFile};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snare {
    /// As its `n`th request (from 1) arrives: it has no effect.
    Before(u64),
    /// When its `n`th request has had its effect, and is not answered.
    Between(u64),
    /// So many microseconds after its `n`th request was answered.
    After(u64, u64),
    /// So many milliseconds after its start.
    Timed(u64),
    /// Nowhere.
    None,
}

struct Inner {
    simulator: Simulator,
    snare: Mutex<Snare>,
    process: AtomicU32,
    requests: AtomicU64,
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
            snare: Mutex::new(Snare::None),
            process: AtomicU32::new(0),
            requests: AtomicU64::new(0),
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
        *self.inner.snare.lock().unwrap_or_else(PoisonError::into_inner) = snare;
    }

    /// The process that the snare is for has begun.
    pub fn watch(&self, process: u32) {
        self.inner.process.store(process, Ordering::SeqCst);
        if let Snare::Timed(after) = *self.inner.snare.lock().unwrap_or_else(PoisonError::into_inner) {
            let inner = Arc::clone(&self.inner);
            self._runtime.spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                inner.kill(process);
            });
        }
    }

    /// The process has ended: its id means nothing any more. Answers how many requests it made.
    pub fn ended(&self) -> u64 {
        self.inner.process.store(0, Ordering::SeqCst);
        self.inner.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Inner {
    /// Kill `process`, if it is still the one that is watched.
    fn kill(&self, process: u32) {
        let watched = self.process.load(Ordering::SeqCst);
        if process == 0 || watched != process {
            return;
        }
        if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
            // It is a child that was not waited for yet: the id is its own. It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
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

/// Whoever spoke is dead.
#[derive(Debug, thiserror::Error)]
#[error("the other side was killed")]
struct Killed;

async fn exchange(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Killed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Killed)?.to_bytes();
    let number = inner.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let (snare, process) =
        (*inner.snare.lock().unwrap_or_else(PoisonError::into_inner), inner.process.load(Ordering::SeqCst));
    if snare == Snare::Before(number) {
        inner.kill(process);
        return Err(Killed);
    }
    let response = inner.simulator.dispatch(Request::from_parts(parts, body)).await;
    match snare {
        Snare::Between(at) if at == number => {
            inner.kill(process);
            return Err(Killed);
        }
        Snare::After(at, micros) if at == number => {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_micros(micros)).await;
                inner.kill(process);
            });
        }
        Snare::Before(_) | Snare::Between(_) | Snare::After(..) | Snare::Timed(_) | Snare::None => {}
    }
    Ok(response.map(Full::new))
}
