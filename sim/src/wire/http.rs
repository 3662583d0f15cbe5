//! HTTP requests to calls, and answers to HTTP responses, whatever the protocol.
//!
//! The main functions are [`read`] and [`write`].

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::query::{Dialect, Form};
use super::value::{canonical, without_nulls};
use super::{cbor, json, objects, query, rest};
use crate::access::Signature;
use crate::error::AwsError;
use crate::service::Service;

/// What a server or connector must do to a response instead of sending it whole: found among its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// End the connection without an answer.
    Reset,
    /// Send the headers and half of the body, then end the connection.
    Truncated,
}

/// How the caller speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json {
        content_type: HeaderValue,
    },
    Query(Dialect),
    Cbor,
    /// With the status of the operation's answer.
    Rest {
        status: u16,
    },
    /// S3's own.
    Objects,
}

/// An input, before it is typed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Document(Value),
    Form(Form),
}

impl Body {
    /// The typed input; `invalid` is the service's code for a missing member.
    pub(crate) fn to<T: DeserializeOwned>(&self, invalid: &'static str) -> Result<T, AwsError> {
        let read = match self {
            Body::Document(value) => {
                T::deserialize(value).map_err(|error| ("SerializationException", error.to_string()))
            }
            Body::Form(form) => form.to().map_err(|error| ("MalformedInput", error.to_string())),
        };
        read.map_err(|(malformed, reason)| {
            let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            match missing {
                Some(member) => AwsError::new(
                    invalid,
                    format!(
                        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
                         Member must not be null"
                    ),
                ),
                None => AwsError::new(malformed, reason),
            }
        })
    }

    /// The input as JSON, whatever the protocol: texts only, where it came as a form.
    pub(crate) fn value(&self) -> Value {
        match self {
            Body::Document(value) => canonical(value),
            Body::Form(form) => canonical(&form.to_value()),
        }
    }
}

/// A call of an operation.
pub(crate) struct Call<'s> {
    pub(crate) service: &'s Service,
    pub(crate) operation: String,
    pub(crate) signature: Signature,
    pub(crate) protocol: Protocol,
    pub(crate) body: Body,
    /// Scheme and host, as the caller reached the simulator.
    pub(crate) origin: String,
}

/// A request that is no call.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) protocol: Protocol,
    pub(crate) error: AwsError,
}

/// The call that a request makes.
pub(crate) fn read<'s>(services: &'s [Service], request: &http::Request<Bytes>) -> Result<Call<'s>, Refusal> {
    let headers = request.headers();
    let protocol = protocol(request);
    let refuse = |error| Refusal { protocol: protocol.clone(), error };
    let signature = Signature::read(headers).map_err(refuse)?;
    let Some(service) = services.iter().find(|service| service.signing_name == signature.service) else {
        let message = format!("the simulator does not offer the service {}", signature.service);
        return Err(refuse(AwsError::new("UnknownOperationException", message).status(404)));
    };
    let protocol = match protocol {
        Protocol::Query(_) => Protocol::Query(service.dialect),
        other => other,
    };
    let refuse = |error| Refusal { protocol: protocol.clone(), error };
    let unknown = |what: &str| refuse(AwsError::new("UnknownOperationException", what));
    if service.objects {
        let Some((operation, input)) = objects::read(request) else {
            let error =
                AwsError::new("MethodNotAllowed", "The simulator does nothing of S3 but to put and to read objects");
            return Err(Refusal { protocol: Protocol::Objects, error: error.status(405) });
        };
        let (operation, body) = (operation.to_owned(), Body::Document(input));
        return Ok(Call { service, operation, signature, protocol: Protocol::Objects, body, origin: origin(request) });
    }
    if let Protocol::Rest { .. } = protocol {
        return read_rest(service, request, signature);
    }
    let (operation, body) = match &protocol {
        Protocol::Rest { .. } | Protocol::Objects => return Err(unknown("the path names no operation")),
        Protocol::Json { .. } => {
            let target = header(headers, "x-amz-target").unwrap_or_default();
            let operation = target
                .strip_prefix(service.target)
                .and_then(|rest| rest.strip_prefix('.'))
                .ok_or_else(|| unknown(&format!("{target} is no operation of {}", service.name)))?;
            let body = json::read(request.body()).map_err(refuse)?;
            (operation.to_owned(), Body::Document(without_nulls(body)))
        }
        Protocol::Cbor => {
            let operation = request.uri().path().rsplit_once("/operation/").map(|(_, operation)| operation);
            let operation = operation.ok_or_else(|| unknown("the path names no operation"))?;
            let body = cbor::read(request.body()).map_err(refuse)?;
            (operation.to_owned(), Body::Document(without_nulls(body)))
        }
        Protocol::Query(dialect) => {
            let (action, form) = Form::parse(request.body()).map_err(refuse)?;
            let action = action.ok_or_else(|| {
                refuse(AwsError::new("MissingAction", "The request is missing an action or a required parameter."))
            })?;
            let form = match dialect {
                Dialect::Common => form,
                Dialect::Ec2 => form.with_named_lists(),
            };
            (action, Body::Form(form))
        }
    };
    Ok(Call { service, operation, signature, protocol, body, origin: origin(request) })
}

/// Scheme and host, as the caller reached the simulator: one in its process asks AWS's own addresses.
fn origin(request: &http::Request<Bytes>) -> String {
    let uri = request.uri();
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| header(request.headers(), "host"));
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), host.unwrap_or("localhost"))
}

/// The call of a request whose method and path name the operation.
fn read_rest<'s>(
    service: &'s Service,
    request: &http::Request<Bytes>,
    signature: Signature,
) -> Result<Call<'s>, Refusal> {
    let (method, path) = (request.method(), request.uri().path());
    let found = service.operations.iter().find_map(|operation| {
        let route = operation.route?;
        Some((operation, route, route.matches(method, path)?))
    });
    let Some((operation, route, of_path)) = found else {
        let message = format!("{method} {path} is no operation of {}", service.name);
        let error = AwsError::new("UnknownOperationException", message).status(404);
        return Err(Refusal { protocol: Protocol::Rest { status: 200 }, error });
    };
    let protocol = Protocol::Rest { status: route.status };
    let input = rest::input(&route, of_path, request.uri().query(), request.body());
    let body = match input {
        Ok(input) => Body::Document(without_nulls(input)),
        Err(error) => return Err(Refusal { protocol, error }),
    };
    Ok(Call { service, operation: operation.name.to_owned(), signature, protocol, body, origin: origin(request) })
}

/// The response that an outcome makes.
pub(crate) fn write(
    protocol: &Protocol,
    operation: &str,
    namespace: &str,
    request_id: &str,
    outcome: Result<Value, AwsError>,
) -> Response<Bytes> {
    let outcome = outcome.map(without_nulls);
    let status = match (&outcome, protocol) {
        (Ok(_), Protocol::Rest { status }) => StatusCode::from_u16(*status).unwrap_or(StatusCode::OK),
        (Ok(_), Protocol::Json { .. } | Protocol::Query(_) | Protocol::Cbor | Protocol::Objects) => StatusCode::OK,
        (Err(error), _) => StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST),
    };
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    let body = match protocol {
        Protocol::Json { content_type } => {
            headers.insert(CONTENT_TYPE, content_type.clone());
            match &outcome {
                Ok(Value::Null) => b"{}".to_vec(),
                Ok(output) => json::write(output),
                Err(error) => {
                    if !namespace.is_empty() {
                        query_code(&mut headers, error);
                    }
                    json::write_error(error)
                }
            }
        }
        Protocol::Cbor => {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            if !matches!(outcome, Ok(Value::Null)) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
            }
            match &outcome {
                Ok(Value::Null) => Vec::new(),
                Ok(output) => cbor::write(output),
                Err(error) => {
                    query_code(&mut headers, error);
                    cbor::write_error(error)
                }
            }
        }
        Protocol::Rest { .. } => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            match &outcome {
                Ok(output) => rest::write(output),
                Err(error) => {
                    if let Ok(code) = HeaderValue::from_str(error.shape.unwrap_or(&error.code)) {
                        headers.insert("x-amzn-errortype", code);
                    }
                    rest::write_error(error)
                }
            }
        }
        Protocol::Objects => match &outcome {
            Ok(output) => objects::write(output, &mut headers),
            Err(error) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                objects::write_error(request_id, error)
            }
        },
        Protocol::Query(dialect) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
            match &outcome {
                Ok(output) => query::write(*dialect, operation, namespace, request_id, output),
                Err(error) => query::write_error(*dialect, namespace, request_id, error),
            }
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The code that an error has in Query, for the clients of a service that once spoke that only: it is not always the name of
/// the error's shape.
fn query_code(headers: &mut HeaderMap, error: &AwsError) {
    let side = if error.is_server_fault() { "Receiver" } else { "Sender" };
    if let Ok(code) = HeaderValue::from_str(&format!("{};{side}", error.code)) {
        headers.insert("x-amzn-query-error", code);
    }
}

fn protocol(request: &http::Request<Bytes>) -> Protocol {
    let headers = request.headers();
    if header(headers, "smithy-protocol") == Some("rpc-v2-cbor") {
        return Protocol::Cbor;
    }
    if headers.contains_key("x-amz-target") {
        let json = HeaderValue::from_static("application/x-amz-json-1.1");
        return Protocol::Json { content_type: headers.get(CONTENT_TYPE).cloned().unwrap_or(json) };
    }
    // The others have a path of nothing.
    if request.uri().path() != "/" {
        return Protocol::Rest { status: 200 };
    }
    Protocol::Query(Dialect::Common)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
