//! The way of all requests: by a proxy or not, and whose certificates are trusted, as the environment says it to every AWS tool.
//!
//! The main type is [`Network`], the one HTTP client; [`advice`] is what to look at where AWS does not answer.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::heard::{Heard, Listener};
use crate::files::{self, ReadError};

/// A bundle of certificates has at most this many bytes.
const LARGEST_BUNDLE: u64 = 16 << 20;

/// The variable that names a bundle of certificates.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// Why there is no way to AWS.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A proxy cannot be used.
    #[error("{variable} is {shown:?}, which names no proxy that kiln can use: {reason}")]
    Proxy {
        /// The environment variable.
        variable: &'static str,
        /// What it says, without a password.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates cannot be read.
    #[error("cannot read {}, which AWS_CA_BUNDLE names: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ReadError,
    },
    /// They are none.
    #[error("{}, which AWS_CA_BUNDLE names, holds {reason}", path.display())]
    NoBundle {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        reason: String,
    },
}

impl NetworkError {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Proxy { variable, .. } => {
                format!("write it as http://HOST:PORT (or http://USER:PASSWORD@HOST:PORT), or remove {variable}")
            }
            Self::Unread { .. } | Self::NoBundle { .. } => {
                "name a file of certificates in PEM (`-----BEGIN CERTIFICATE-----`), or remove AWS_CA_BUNDLE".to_owned()
            }
        }
    }
}

/// Where requests go, and how: clones share what is open.
#[derive(Clone)]
pub(crate) struct Network {
    inner: Arc<Ways>,
}

/// A client for each way, made when first used: plain HTTP needs no certificates, and loading them is the slowest part of a
/// warm start.
struct Ways {
    plain: SharedHttpClient,
    secure: SharedHttpClient,
    /// The way of `http://`, if it is by a proxy.
    http: Option<Proxy>,
    /// The way of `https://`, if it is by a proxy.
    https: Option<Proxy>,
    exceptions: Exceptions,
    /// Hears what time it is where answers come from.
    listener: Listener,
}

struct Proxy {
    /// Its address, without a password.
    shown: String,
    client: SharedHttpClient,
}

impl Network {
    /// As the variables say that `variable` finds.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Self, NetworkError> {
        let trust = trust(&variable)?;
        // What a web server makes of a header `Proxy:` is no wish of whoever started it.
        let by_server = variable("REQUEST_METHOD").is_some() && variable("http_proxy").is_none();
        let http = if by_server { None } else { proxy("HTTP_PROXY", &variable, &trust, false)? };
        let https = proxy("HTTPS_PROXY", &variable, &trust, true)?;
        let exceptions = Exceptions::new(&either(&variable, "NO_PROXY").unwrap_or_default(), &variable);
        let (plain, secure) = (client(None, None), client(Some(trust), None));
        let ways = Ways { plain, secure, http, https, exceptions, listener: Listener::default() };
        Ok(Self { inner: Arc::new(ways) })
    }

    /// As this process's environment says.
    pub(crate) fn of_environment() -> Result<Self, NetworkError> {
        Self::new(|name| std::env::var(name).ok())
    }

    /// By no proxy, with the machine's own certificates.
    pub(crate) fn direct() -> Self {
        let (plain, secure) = (client(None, None), client(Some(Trust::Machine), None));
        let exceptions = Exceptions::new("", &|_| None);
        let ways = Ways { plain, secure, http: None, https: None, exceptions, listener: Listener::default() };
        Self { inner: Arc::new(ways) }
    }

    /// What time it is where the last answer came from.
    pub(crate) fn heard(&self) -> Option<Heard> {
        self.inner.listener.last()
    }

    /// The proxy by which an address is asked, if it is by one: without a password.
    pub(crate) fn proxy_to(&self, uri: &Uri) -> Option<&str> {
        self.inner.to(uri).1.map(|proxy| proxy.shown.as_str())
    }

    /// The proxies of `http://` and of `https://`, without passwords.
    pub(crate) fn proxies(&self) -> [Option<&str>; 2] {
        [&self.inner.http, &self.inner.https].map(|proxy| proxy.as_ref().map(|proxy| proxy.shown.as_str()))
    }
}

impl Ways {
    /// The client for an address, and the proxy that it goes by.
    fn to(&self, uri: &Uri) -> (&SharedHttpClient, Option<&Proxy>) {
        let secure = uri.scheme_str() == Some("https");
        let (direct, proxy) = if secure { (&self.secure, &self.https) } else { (&self.plain, &self.http) };
        match proxy.as_ref().filter(|_| !self.exceptions.has(uri)) {
            Some(proxy) => (&proxy.client, Some(proxy)),
            None => (direct, None),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

/// What one of a variable's two spellings says. The lower-case one goes first, and says by nothing that there is none, as it is with the
/// AWS CLI.
fn either(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    variable(&name.to_ascii_lowercase()).or_else(|| variable(name)).filter(|value| !value.trim().is_empty())
}

/// What to look at where AWS does not answer.
pub(crate) fn advice() -> String {
    let set = |name: &&str| either(&|name: &str| std::env::var(name).ok(), name).is_some();
    let set: Vec<&str> = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", BUNDLE].into_iter().filter(set).collect();
    let set = if set.is_empty() { "none is set".to_owned() } else { format!("set: {}", set.join(", ")) };
    format!(
        "check the network, the region, `--endpoint-url` or AWS_ENDPOINT_URL if one is set, and proxies: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, \
         and AWS_CA_BUNDLE for a proxy that shows certificates of its own ({set})"
    )
}

/// An address without the user and the password that it may have.
pub(crate) fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |end| rest.split_at(end));
            format!("{scheme}://{}{path}", host_of(authority))
        }
        None => url.to_owned(),
    }
}

/// The host and the port of an authority.
pub(crate) fn host_of(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn proxy(
    name: &'static str,
    variable: &impl Fn(&str) -> Option<String>,
    trust: &Trust,
    secure: bool,
) -> Result<Option<Proxy>, NetworkError> {
    let Some(given) = either(variable, name) else { return Ok(None) };
    let given = given.trim();
    let address = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let shown = format!("{scheme}://{}", host_of(rest).trim_end_matches('/'));
    let config = ProxyConfig::all(address.as_str()).map_err(|error| NetworkError::Proxy {
        variable: name,
        shown: shown.clone(),
        reason: error.to_string(),
    })?;
    let trust = (secure || scheme.eq_ignore_ascii_case("https")).then(|| trust.clone());
    Ok(Some(Proxy { shown, client: client(trust, Some(config)) }))
}

/// A client that keeps connections: with TLS where there is something to trust.
fn client(trust: Option<Trust>, proxy: Option<ProxyConfig>) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder: ConnectorBuilder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.set_proxy_config(proxy.clone());
        match &trust {
            Some(trust) => {
                let provider = tls::Provider::Rustls(CryptoMode::AwsLc);
                builder.tls_provider(provider).tls_context(trust.context()).build()
            }
            None => builder.build_http(),
        }
    })
}

/// How many certificates are trusted, and the file that AWS_CA_BUNDLE names, where they are its own alone.
pub(crate) fn trusted() -> Result<(usize, Option<PathBuf>), NetworkError> {
    let Some(path) = std::env::var(BUNDLE).ok().filter(|path| !path.is_empty()).map(PathBuf::from) else {
        let usable = |certificate| rustls::RootCertStore::empty().add(certificate).is_ok();
        let found = rustls_native_certs::load_native_certs().certs;
        return Ok((found.into_iter().filter(|certificate| usable(certificate.clone())).count(), None));
    };
    let usable = certificates(&path, &bundle(&path)?)?;
    let count = CertificateDer::pem_slice_iter(&usable).filter(Result::is_ok).count();
    Ok((count, Some(path)))
}

fn bundle(path: &Path) -> Result<Vec<u8>, NetworkError> {
    files::read(path, LARGEST_BUNDLE).map_err(|source| NetworkError::Unread { path: path.to_owned(), source })
}

/// Whose certificates are trusted.
#[derive(Debug, Clone)]
enum Trust {
    /// The machine's own, which are read when they are needed: that is the slowest part of a start.
    Machine,
    /// Those of AWS_CA_BUNDLE alone.
    Bundle(TlsContext),
}

impl Trust {
    fn context(&self) -> TlsContext {
        match self {
            Self::Machine => TlsContext::default(),
            Self::Bundle(context) => context.clone(),
        }
    }
}

/// Whose certificates are trusted: those of AWS_CA_BUNDLE alone, where it is set.
fn trust(variable: &impl Fn(&str) -> Option<String>) -> Result<Trust, NetworkError> {
    let Some(path) = variable(BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(Trust::Machine);
    };
    let certificates = certificates(&path, &bundle(&path)?)?;
    let store = TrustStore::empty().with_pem_certificate(certificates);
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map(Trust::Bundle)
        .map_err(|error| NetworkError::NoBundle { path, reason: error.to_string() })
}

/// The certificates of a bundle that can be used, in PEM. The client panics over one that cannot; a machine's own bundle may hold
/// some, which nobody needs.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<u8>, NetworkError> {
    let refused = |reason: String| NetworkError::NoBundle { path: path.to_owned(), reason };
    let mut usable = String::new();
    let mut odd = None;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| refused(format!("no PEM of certificates: {error}")))?;
        let encoded = encoded(&certificate);
        match rustls::RootCertStore::empty().add(certificate) {
            Ok(()) => usable.push_str(&encoded),
            Err(error) => odd = Some(error),
        }
    }
    match (usable.is_empty(), odd) {
        (false, _) => Ok(usable.into_bytes()),
        (true, Some(error)) => Err(refused(format!("no certificate that can be used: {error}"))),
        (true, None) => Err(refused("no certificate in PEM".to_owned())),
    }
}

fn encoded(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = behind;
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// What no proxy is asked for: what NO_PROXY names, and what gives credentials to this machine alone.
struct Exceptions {
    /// There is no proxy for anything: `*`.
    everything: bool,
    named: Matcher,
    /// Hosts with a port.
    ports: Vec<(Matcher, u16)>,
    /// The authorities of this machine's sources of credentials.
    sources: Vec<String>,
}

/// An address that stands for any proxy: only whether there is one is asked.
const ANY: &str = "http://proxy.invalid";

/// Who gives credentials to a container or a machine, where it is not who does by default.
const SOURCES: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];

impl Exceptions {
    fn new(names: &str, variable: &impl Fn(&str) -> Option<String>) -> Self {
        let (mut plain, mut ports) = (Vec::new(), Vec::new());
        for name in names.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()) {
            match name.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
                // An address of IPv6 has more colons, but where it stands in brackets.
                Some((host, Ok(port))) if !host.contains(':') || host.ends_with(']') => {
                    ports.push((matcher(host.trim_matches(['[', ']'])), port));
                }
                _ => plain.push(name.trim_matches(['[', ']'])),
            }
        }
        let authority = |name: &&str| Some(variable(name)?.parse::<Uri>().ok()?.authority()?.as_str().to_owned());
        let everything = plain.contains(&"*");
        Self {
            everything,
            named: matcher(&plain.join(",")),
            ports,
            sources: SOURCES.iter().filter_map(authority).collect(),
        }
    }

    fn has(&self, uri: &Uri) -> bool {
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        self.everything
            || is_of_this_machine(host)
            || uri.authority().is_some_and(|authority| self.sources.iter().any(|source| source == authority.as_str()))
            || self.named.intercept(uri).is_none()
            || self.ports.iter().any(|(hosts, named)| *named == port && hosts.intercept(uri).is_none())
    }
}

fn matcher(names: &str) -> Matcher {
    Matcher::builder().all(ANY).no(names).build()
}

/// Whether an address is one of those by which containers and machines are told about themselves: no proxy knows what they would say.
fn is_of_this_machine(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || address.segments().starts_with(&[0xfd00, 0x0ec2]),
        Err(_) => false,
    }
}

impl HttpClient for Network {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let (network, settings, components) = (self.clone(), settings.clone(), components.clone());
        SharedHttpConnector::new(Way { network, settings, components })
    }
}

/// One client of the SDK on its way.
#[derive(Debug)]
struct Way {
    network: Network,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Way {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: Uri = match request.uri().parse() {
            Ok(uri) => uri,
            Err(error) => {
                let error = Unreached { to: request.uri().to_owned(), by: None, source: Box::new(error) };
                return HttpConnectorFuture::ready(Err(ConnectorError::user(Box::new(error))));
            }
        };
        let (client, proxy) = self.network.inner.to(&uri);
        let to = uri.authority().map(|authority| host_of(authority.as_str()).to_owned()).unwrap_or_default();
        let by = proxy.map(|proxy| proxy.shown.clone());
        let answer = client.http_connector(&self.settings, &self.components).call(request);
        let listener = self.network.inner.listener.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| named(error, &to, by.as_ref()))?;
            listener.note(answer.headers().get("date"));
            match (answer.status().as_u16(), &by) {
                (407, Some(proxy)) => {
                    let refused = format!("it wants a user and a password: http://USER:PASSWORD@{}", host(proxy));
                    let source = Unreached { to, by: by.clone(), source: refused.into() };
                    Err(ConnectorError::user(Box::new(source)))
                }
                _ => Ok(answer),
            }
        })
    }
}

fn host(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, host)| host)
}

/// The same error, which says what was asked and by which way.
fn named(error: ConnectorError, to: &str, by: Option<&String>) -> ConnectorError {
    let (timeout, user, io, kind) = (error.is_timeout(), error.is_user(), error.is_io(), error.as_other());
    let connection = error.connection_metadata().cloned();
    let source = Box::new(Unreached { to: to.to_owned(), by: by.cloned(), source: error.into_source() });
    let error = match (timeout, user, io) {
        (true, _, _) => ConnectorError::timeout(source),
        (_, true, _) => ConnectorError::user(source),
        (_, _, true) => ConnectorError::io(source),
        _ => ConnectorError::other(source, kind),
    };
    match connection {
        Some(connection) => error.with_connection(connection),
        None => error,
    }
}

/// A request without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{to} does not answer{}", by.as_ref().map(|by| format!(" by way of the proxy {by}")).unwrap_or_default())]
struct Unreached {
    to: String,
    by: Option<String>,
    source: BoxError,
}
