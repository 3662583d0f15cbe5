//! Small servers on loopback: one that answers as it is told, a proxy, and TLS before another server.
//!
//! The main types are [`Loopback`], [`Proxy`] and [`Secured`]. They work until the test's process ends.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What a server was asked: a request's head and body as they came.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers each request as a function says, and keeps what it was asked.
pub struct Loopback {
    address: SocketAddr,
    asked: Asked,
}

impl Loopback {
    /// Answer each request with what `answer` makes of it: a status and a body.
    pub fn new(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::with_head("", answer)
    }

    /// The same, with lines of head in each answer, such as `Date: …\r\n`.
    pub fn with_head(head: &str, answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let head = head.to_owned();
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        let address = listen(move |mut stream| {
            let request = text(&request(&mut stream)?);
            let (status, body) = answer(&request);
            keep(&kept, request);
            let length = body.len();
            write!(stream, "HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n{head}Connection: close\r\n\r\n{body}")
        });
        Self { address, asked }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        taken(&self.asked)
    }
}

/// A proxy that brings whatever is asked for to one server, whatever its name: by absolute form or by CONNECT.
pub struct Proxy {
    address: SocketAddr,
    asked: Asked,
}

impl Proxy {
    /// In front of the server at an address such as `http://127.0.0.1:1234`.
    pub fn to(server: &str) -> Self {
        let server: SocketAddr =
            server.rsplit("://").next().and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{server}"));
        let asked = Asked::default();
        let kept = Arc::clone(&asked);
        let address = listen(move |mut stream| {
            let request = request(&mut stream)?;
            let mut behind = TcpStream::connect(server)?;
            keep(&kept, text(&request));
            match request.starts_with(b"CONNECT ") {
                true => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?,
                false => behind.write_all(&closing(&request))?,
            }
            let (forth, back) = (stream.try_clone()?, behind.try_clone()?);
            let there = std::thread::spawn(move || carry(forth, behind));
            carry(back, stream);
            // It ends with the connection.
            drop(there);
            Ok(())
        });
        Self { address, asked }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        taken(&self.asked)
    }
}

/// The same request, after which the server closes the connection: whoever asks again is kept, too.
fn closing(request: &[u8]) -> Vec<u8> {
    let line = request.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (line, rest) = request.split_at(line);
    [line, b"Connection: close\r\n", rest].concat()
}

fn text(request: &[u8]) -> String {
    String::from_utf8_lossy(request).into_owned()
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    // Either end may go first.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// TLS in front of a server, by a CA that nobody knows.
pub struct Secured {
    address: SocketAddr,
    authority: String,
    _runtime: Runtime,
}

impl Secured {
    /// In front of the server at an address such as `http://127.0.0.1:1234`, with a certificate for `names`.
    pub fn before(server: &str, names: &[&str]) -> Self {
        let server: SocketAddr =
            server.rsplit("://").next().and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{server}"));
        let (authority, config) = certified(names).unwrap_or_else(|error| panic!("certificates: {error}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("a runtime: {error}"));
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.unwrap_or_else(|error| panic!("a server on loopback: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut behind = tokio::net::TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut behind).await
                });
            }
        });
        Self { address, authority, _runtime: runtime }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its CA's certificate, in PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

/// A new CA's certificate, and a server's configuration with a certificate of it.
fn certified(names: &[&str]) -> Result<(String, ServerConfig), Box<dyn std::error::Error>> {
    // Each CA has a name of its own.
    let key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, format!("{:?}", key.public_key_raw()));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate()?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;
    Ok((pem, config))
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|error| panic!("a server: {error}"));
    let address = listener.local_addr().unwrap_or_else(|error| panic!("its address: {error}"));
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // A client may go away whenever it likes.
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    address
}

/// A request's head, and its body where its length is told.
fn request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = text(bytes.get(..end).unwrap_or_default());
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(bytes);
            }
        }
        match stream.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend(room.iter().take(read)),
        }
    }
}

fn keep(asked: &Asked, request: String) {
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
}

fn taken(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
