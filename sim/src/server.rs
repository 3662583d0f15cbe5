//! A simulator on loopback HTTP.
//!
//! The main type is [`Server`], which stops when it is shut down or dropped.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::simulator::Simulator;
use crate::wire::http::Disturbance;

/// Beyond any request that AWS accepts.
const LARGEST_REQUEST: usize = 32 << 20;

/// How long nobody is let in after that failed: without file descriptors it would fail again at once, and again.
const BACK_OFF: Duration = Duration::from_millis(100);

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Serve a simulator. Port 0 takes a free one.
pub async fn serve(simulator: Simulator, address: SocketAddr) -> io::Result<Server> {
    serve_from_afar(simulator, address, Duration::ZERO).await
}

/// Serve a simulator as if it were far away: each request takes `latency` longer, on the wall clock however fast the
/// simulated one goes.
pub async fn serve_from_afar(simulator: Simulator, address: SocketAddr, latency: Duration) -> io::Result<Server> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(accept(simulator, latency, listener, stopped));
    Ok(Server { address, stop: Some(stop), task })
}

impl Server {
    /// What clients take as their endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stop listening, end all connections, and wait until that is done.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the simulator's server ended badly");
        }
    }
}

async fn accept(simulator: Simulator, latency: Duration, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
    // Dropped with this function, which ends the connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(simulator.clone(), latency, stream));
                }
                // Whoever called hung up again: the next one did not.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::select! {
                        _ = &mut stopped => return,
                        () = tokio::time::sleep(BACK_OFF) => {}
                    }
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(simulator: Simulator, latency: Duration, stream: TcpStream) {
    // Small answers must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let simulator = simulator.clone();
        async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            exchange(simulator, request).await
        }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn exchange(simulator: Simulator, request: Request<Incoming>) -> Result<Response<Answer>, ConnectionEnds> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_REQUEST).collect().await.map_err(|_| ConnectionEnds)?;
    let response = simulator.dispatch(Request::from_parts(parts, body.to_bytes())).await;
    let (mut parts, body) = response.into_parts();
    match parts.extensions.remove::<Disturbance>() {
        None => Ok(Response::from_parts(parts, Answer::new(body, false))),
        Some(Disturbance::Reset) => Err(ConnectionEnds),
        Some(Disturbance::Truncated) => {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let half = body.slice(..body.len() / 2);
            Ok(Response::from_parts(parts, Answer::new(half, true)))
        }
    }
}

/// The connection is ended on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the connection is ended")]
struct ConnectionEnds;

impl From<Infallible> for ConnectionEnds {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// A response's body, which may break off.
struct Answer {
    data: Option<Bytes>,
    broken: bool,
    /// Whether the data had a moment to leave before the break.
    flushed: bool,
}

impl Answer {
    fn new(data: Bytes, broken: bool) -> Self {
        Self { data: Some(data), broken, flushed: false }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = ConnectionEnds;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionEnds>>> {
        if self.data.is_none() && self.broken && !self.flushed {
            // An error at once would throw away what hyper has not sent yet; it sends while the body makes it wait.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(match self.data.take() {
            Some(data) => Some(Ok(Frame::data(data))),
            None if self.broken => Some(Err(ConnectionEnds)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, self.broken) {
            (Some(data), false) => SizeHint::with_exact(data.len() as u64),
            (Some(_), true) | (None, _) => SizeHint::default(),
        }
    }
}
