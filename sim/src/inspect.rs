//! Pages under `/_kiln/` that show the simulator itself.
//!
//! The main function is [`answer`].

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::simulator::Simulator;
use crate::wire::json::plain;

/// The page of this name, in JSON.
pub(crate) fn answer(simulator: &Simulator, page: &str) -> Response<Bytes> {
    let found = match page {
        "operations" => Some(json!({ "operations": simulator.operations() })),
        "effects" => {
            let effects = simulator.effects();
            Some(json!({ "count": effects.len(), "effects": effects }))
        }
        "inputs" => Some(simulator.inputs()),
        "state" => Some(simulator.state()),
        "clock" => Some(clock(simulator)),
        _ => None,
    };
    let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let pages = json!({ "pages": ["operations", "inputs", "effects", "state", "clock"] });
    let mut response = Response::new(Bytes::from(plain(&found.unwrap_or(pages)).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn clock(simulator: &Simulator) -> Value {
    let next_due = simulator.advance();
    let now = simulator.clock().now();
    json!({
        "now": now.to_string(),
        "now-milliseconds": now.0,
        "scale": simulator.clock().scale(),
        "next-due": next_due.map(|due| due.to_string()),
        "next-due-milliseconds": next_due.map(|due| due.0),
    })
}
