//! REST JSON: the operation in method and path, parts of the input in path and query, the rest in a body of JSON.
//!
//! The main type is [`Route`]; [`input`] puts the parts of an input together again.

use http::Method;
use percent_encoding::percent_decode_str;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::json;
use crate::error::AwsError;

/// Where an operation is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// `/schedules/{Name}`, in which a member stands for a part of the path.
    pub(crate) path: &'static str,
    /// What the query calls a member, where that is not the member's own name.
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// The status of its answer.
    pub(crate) status: u16,
}

impl Route {
    /// The members that stand in the path, where the request is one of this operation.
    pub(crate) fn matches(&self, method: &Method, path: &str) -> Option<Vec<(&'static str, String)>> {
        if method.as_str() != self.method {
            return None;
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let template = self.path.strip_suffix('/').unwrap_or(self.path);
        let (mut given, mut wanted) = (path.split('/'), template.split('/'));
        let mut members = Vec::new();
        loop {
            match (given.next(), wanted.next()) {
                (None, None) => return Some(members),
                (Some(given), Some(wanted)) => {
                    match wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}')) {
                        Some(member) => {
                            members.push((member, percent_decode_str(given).decode_utf8_lossy().into_owned()));
                        }
                        None if given == wanted => {}
                        None => return None,
                    }
                }
                (Some(_), None) | (None, Some(_)) => return None,
            }
        }
    }
}

/// The input of a request: members of the body, the query and the path.
pub(crate) fn input(
    route: &Route,
    of_path: Vec<(&'static str, String)>,
    query: Option<&str>,
    body: &[u8],
) -> Result<Value, AwsError> {
    let mut members = match json::read(body)? {
        Value::Object(members) => members,
        other => return Err(AwsError::new("SerializationException", format!("{other} is no object"))),
    };
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query.unwrap_or_default())
        .map_err(|error| AwsError::new("SerializationException", error.to_string()))?;
    for (name, value) in pairs {
        let member = route.query.iter().find(|(in_query, _)| *in_query == name).map(|(_, member)| *member);
        members.insert(member.map_or(name, str::to_owned), Value::from(value));
    }
    members.extend(of_path.into_iter().map(|(member, value)| (member.to_owned(), Value::from(value))));
    Ok(Value::Object(members))
}

/// An answer's body: empty for an operation that answers nothing.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        value => json::write(value),
    }
}

/// An error's body. Its code stands in a header.
pub(crate) fn write_error(error: &AwsError) -> Vec<u8> {
    let mut members = Map::new();
    members.insert(error.text.unwrap_or("message").to_owned(), Value::from(error.message.as_str()));
    members.extend(error.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    json::write(&Value::Object(members))
}

/// A number that stands in a query, where everything is text.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(D::Error::custom),
        Some(other) => {
            let number = other.as_u64().and_then(|number| usize::try_from(number).ok());
            number.map(Some).ok_or_else(|| D::Error::custom(format!("{other} is no number")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: Route =
        Route { method: "GET", path: "/schedules/{Name}", query: &[("groupName", "GroupName")], status: 200 };

    #[test]
    fn the_parts_of_a_path_are_members() {
        let found = |method: Method, path: &str| ROUTE.matches(&method, path);
        assert_eq!(found(Method::GET, "/schedules/a%3Ab"), Some(vec![("Name", "a:b".to_owned())]));
        assert_eq!(found(Method::POST, "/schedules/a"), None);
        assert_eq!(found(Method::GET, "/schedules"), None);
        assert_eq!(found(Method::GET, "/schedules/a/b"), None);
        assert_eq!(found(Method::GET, "/schedule/a"), None);
    }

    #[test]
    fn path_query_and_body_make_one_input() {
        let of_path = vec![("Name", "nightly".to_owned())];
        let read = input(&ROUTE, of_path, Some("groupName=a%20b&MaxResults=5"), br#"{"State":"ENABLED"}"#);
        let expected = serde_json::json!({
            "State": "ENABLED", "GroupName": "a b", "MaxResults": "5", "Name": "nightly",
        });
        assert_eq!(read, Ok(expected));
        assert!(input(&ROUTE, Vec::new(), None, b"[]").is_err());
    }
}
