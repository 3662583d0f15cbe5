//! The way to AWS: region, endpoint, proxies and certificates, as the environment says them to every AWS tool.
//!
//! The main functions are [`region`] and [`proxies`].

use std::env;

use http::Uri;

use super::examine::MachineSetup;
use crate::aws::clients::Connection;
use crate::aws::network::{self, Network, host_of, without_user};
use crate::report::health::{Health, Observation};
use crate::store::ambient_region;
use crate::types::{InvalidName, Region};

const REGION: &str = "region";
const ENDPOINT: &str = "endpoint";
const PROXY: &str = "proxy";
const CERTIFICATES: &str = "certificates";

/// The region that AWS is asked in where nobody names one.
const FALLBACK: &str = "us-east-1";

/// A variable that says something.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The region, and where it came from.
pub(super) struct FoundRegion {
    pub(super) named: Option<Region>,
    pub(super) observation: Observation,
}

impl FoundRegion {
    /// Where AWS is asked.
    pub(super) fn region(&self) -> Result<Region, InvalidName> {
        self.named.clone().map_or_else(|| FALLBACK.parse(), Ok)
    }
}

/// Which region stages would act in.
pub(super) async fn region(surroundings: &MachineSetup) -> FoundRegion {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let named = match (&surroundings.region, &surroundings.pipeline) {
        (Some(region), _) => Some((region.clone(), "--region".to_owned())),
        (None, Some(pipeline)) => Some((pipeline.region.clone(), format!("the pipeline {}", pipeline.name))),
        (None, None) => {
            let set = variables.into_iter().find(|name| variable(name).is_some());
            let profile = surroundings.profile.clone().or_else(|| variable("AWS_PROFILE"));
            let of_profile = || format!("the profile `{}`", profile.as_deref().unwrap_or("default"));
            let found = ambient_region(surroundings.profile.as_deref()).await;
            found.map(|region| (region, set.map_or_else(of_profile, str::to_owned)))
        }
    };
    let observation = match &named {
        Some((region, from)) => Observation::ok(REGION, format!("{region}, from {from}"))
            .fact("region", region.as_str())
            .fact("from", from.as_str()),
        None => Observation::warning(
            REGION,
            format!("none is set; AWS is asked in {FALLBACK}"),
            "a pipeline names its own; for a store whose address names none, set AWS_REGION or give --region",
        ),
    };
    FoundRegion { named: named.map(|(region, _)| region), observation }
}

/// Where requests go.
pub(super) fn endpoint(surroundings: &MachineSetup, connection: Option<&Connection>) -> Observation {
    let ignored =
        variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut names: Vec<String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| name.starts_with("AWS_ENDPOINT_URL") && !value.is_empty() && !ignored)
        .map(|(name, _)| name)
        .collect();
    names.sort();
    let by_flag = surroundings.endpoint_url.as_deref();
    if let Some(url) = by_flag {
        return Observation::ok(ENDPOINT, format!("{}, from --endpoint-url", without_user(url)))
            .fact("url", without_user(url));
    }
    let resolved = connection.and_then(Connection::endpoint);
    let told: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{}, from {name}", without_user(&variable(name)?))))
        .chain(resolved.filter(|_| names.is_empty()).map(|url| format!("{}, from the profile", without_user(url))))
        .collect();
    match told.is_empty() {
        true => Observation::ok(ENDPOINT, "AWS's own addresses"),
        false => Observation::warning(
            ENDPOINT,
            format!("requests go to {}", told.join("; ")),
            "right for a simulator or a VPC endpoint; otherwise remove it",
        )
        .fact("from", names),
    }
}

/// By which proxies.
pub(super) fn proxies(connection: Option<&Connection>) -> Observation {
    let network = match Network::of_environment() {
        Ok(network) => network,
        Err(error @ network::NetworkError::Proxy { .. }) => {
            return Observation::problem(PROXY, error.to_string(), error.help());
        }
        // The certificates are another observation.
        Err(_) => return Observation::skipped(PROXY, "not looked at: the certificates cannot be used"),
    };
    let [http, https] = network.proxies();
    let mut told = Vec::new();
    told.extend(https.map(|proxy| format!("https:// by {proxy}")));
    told.extend(http.map(|proxy| format!("http:// by {proxy}")));
    if told.is_empty() {
        return Observation::ok(PROXY, "none");
    }
    let exceptions = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    told.extend(exceptions.as_ref().map(|names| format!("but not what NO_PROXY names: {names}")));
    let endpoint = connection.and_then(Connection::endpoint).and_then(|url| url.parse::<Uri>().ok());
    if let Some(direct) = endpoint.filter(|endpoint| network.proxy_to(endpoint).is_none()) {
        told.push(format!(
            "{} is asked without one",
            direct.authority().map_or("the endpoint", |authority| host_of(authority.as_str()))
        ));
    }
    Observation::ok(PROXY, told.join(", ")).fact("http", http).fact("https", https).fact("exceptions", exceptions)
}

/// Whether the network can be used at all.
pub(super) fn is_usable(proxies: &Observation) -> bool {
    proxies.health != Health::Problem
}

/// Whose certificates are trusted.
pub(super) fn certificates() -> Observation {
    match network::trusted() {
        Ok((0, _)) => Observation::problem(
            CERTIFICATES,
            "this machine has none that could be trusted: no answer over HTTPS would be believed",
            "install them (`ca-certificates`), or name a file of them by AWS_CA_BUNDLE or SSL_CERT_FILE",
        ),
        Ok((count, Some(path))) => Observation::ok(
            CERTIFICATES,
            format!("the {count} of {}, from AWS_CA_BUNDLE, and no others", path.display()),
        )
        .fact("count", count),
        Ok((count, None)) => Observation::ok(CERTIFICATES, format!("the {count} of this machine")).fact("count", count),
        Err(error) => Observation::problem(CERTIFICATES, error.to_string(), error.help()),
    }
}
