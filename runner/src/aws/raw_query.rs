//! What AWS's Query protocol sends and answers, as JSON, with members that this version of the SDK does not know.
//!
//! The main type is [`RawQuery`], an interceptor for a single call: it can add fields to what the SDK serialised, and keeps what AWS
//! answered before the SDK reduces it to what it knows. XML types nothing: every value is a text.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::error::{AwsError, invalid};
use super::values::incomplete;
use crate::json::{self, DEEPEST};

/// What a form's values keep as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Sees the form and the XML of one call. Clones see the same call.
#[derive(Clone)]
pub(crate) struct RawQuery {
    added: Arc<str>,
    answer: Arc<Mutex<Option<Vec<u8>>>>,
}

/// Bodies may hold what must not be shown.
impl std::fmt::Debug for RawQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawQuery").finish_non_exhaustive()
    }
}

impl RawQuery {
    /// Keep the answer; send what the SDK sends.
    pub(crate) fn received() -> Self {
        Self { added: "".into(), answer: Arc::default() }
    }

    /// Add these members, each the text of a JSON object, to what the SDK sends.
    pub(crate) fn adding(members: &[(&str, Option<&str>)]) -> Result<Self, AwsError> {
        let mut added = String::new();
        for (name, document) in members {
            let Some(document) = document else { continue };
            let value = json::read(document.as_bytes()).map_err(|why| invalid(format_args!("{name} is {why}")))?;
            if !value.is_object() {
                return Err(invalid(format_args!("{name} is not a JSON object")));
            }
            fields(name, &value, &mut added);
        }
        Ok(Self { added: added.into(), answer: Arc::default() })
    }

    /// The items of the list `member` of the answer, in AWS's order.
    pub(crate) fn items(&self, member: &str) -> Result<Vec<Value>, AwsError> {
        Ok(match self.member(member)? {
            Some(Value::Array(items)) => items,
            Some(_) | None => Vec::new(),
        })
    }

    /// A member of the answer.
    pub(crate) fn member(&self, member: &str) -> Result<Option<Value>, AwsError> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
        let answer = read(&answer).map_err(|why| AwsError {
            code: "UnreadableAnswer".to_owned(),
            message: format!("AWS answered XML that {why}"),
            ..incomplete(member)
        })?;
        Ok(result(answer).and_then(|mut result| result.get_mut(member).map(Value::take)))
    }
}

/// The result in an answer: `<ThingResponse><ThingResult>…`.
fn result(answer: Value) -> Option<Value> {
    let Value::Object(members) = answer else { return None };
    members.into_iter().find(|(name, _)| name.ends_with("Result")).map(|(_, result)| result)
}

/// Write a value as fields of a form: `A.B=…`, `A.member.1=…`.
fn fields(path: &str, value: &Value, into: &mut String) {
    let mut put = |text: &str| {
        into.push_str(&format!("&{}={}", utf8_percent_encode(path, KEPT), utf8_percent_encode(text, KEPT)));
    };
    match value {
        Value::Null => {}
        Value::Bool(flag) => put(if *flag { "true" } else { "false" }),
        Value::Number(number) => put(&number.to_string()),
        Value::String(text) => put(text),
        // An empty list is sent as an empty value.
        Value::Array(items) if items.is_empty() => put(""),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                fields(&format!("{path}.member.{}", index + 1), item, into);
            }
        }
        Value::Object(members) => {
            // Sorted: a request is the same whatever order its document had.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            for (name, member) in members {
                fields(&format!("{path}.{name}"), member, into);
            }
        }
    }
}

/// An element whose end has not come yet.
#[derive(Default)]
struct Open {
    name: String,
    text: String,
    members: Map<String, Value>,
    items: Vec<Value>,
}

impl Open {
    /// What it was. An element that is empty may be a list, a structure or a text: nothing.
    fn value(self) -> Option<Value> {
        let text = self.text.trim();
        match (self.items.is_empty(), self.members.is_empty()) {
            (false, _) => Some(Value::Array(self.items)),
            (true, false) => Some(Value::Object(self.members)),
            (true, true) => (!text.is_empty()).then(|| Value::from(text)),
        }
    }

    fn take(&mut self, name: String, value: Value) {
        match name.as_str() {
            "member" => self.items.push(value),
            _ => {
                self.members.insert(name, value);
            }
        }
    }
}

/// A text within the innermost element.
fn said(open: &mut [Open], text: &str) {
    if let Some(open) = open.last_mut() {
        open.text.push_str(text);
    }
}

/// The root element's content.
fn read(xml: &[u8]) -> Result<Value, String> {
    let xml = std::str::from_utf8(xml).map_err(|error| format!("is none: {error}"))?;
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Open> = vec![Open::default()];
    loop {
        if open.len() > DEEPEST {
            return Err(format!("is nested more than {DEEPEST} levels deep"));
        }
        match reader.read_event().map_err(|error| format!("is none: {error}"))? {
            Event::Start(start) => {
                open.push(Open { name: start.local_name().as_ref().to_owned(), ..Open::default() });
            }
            Event::Text(text) => said(&mut open, &text),
            Event::CData(data) => said(&mut open, &data),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().map_err(|error| format!("is none: {error}"))? {
                    Some(character) => said(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => {
                        let unknown = || format!("has the unknown entity {}", &*reference);
                        said(&mut open, resolve_xml_entity(&reference).ok_or_else(unknown)?);
                    }
                }
            }
            Event::End(_) => {
                let Some(closed) = open.pop() else { return Err("ends more than it begins".to_owned()) };
                let name = closed.name.clone();
                let Some(around) = open.last_mut() else { return Err("ends more than it begins".to_owned()) };
                // An item keeps its place among the others.
                match closed.value() {
                    Some(value) => around.take(name, value),
                    None if name == "member" => around.items.push(Value::from("")),
                    None => {}
                }
            }
            Event::Eof if open.len() == 1 => break,
            Event::Eof => return Err("ends too early".to_owned()),
            Event::Empty(empty) if empty.local_name().as_ref() == "member" => {
                open.iter_mut().next_back().into_iter().for_each(|open| open.items.push(Value::from("")));
            }
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let root = open.pop().map(|root| root.members).unwrap_or_default();
    Ok(root.into_iter().next().map(|(_, root)| root).unwrap_or_default())
}

#[dyn_dispatch_hint]
impl Intercept for RawQuery {
    fn name(&self) -> &'static str {
        "RawQuery"
    }

    // Before signing, so that the signature covers what is sent. It is called for each attempt, each time with what the
    // SDK serialised.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.added.is_empty() {
            return Ok(());
        }
        let request = context.request_mut();
        let form = request.body().bytes().ok_or("the form is not there yet")?;
        let mut body = form.to_vec();
        body.extend_from_slice(self.added.as_bytes());
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }

    // Not before deserialisation: there the body has not been read from the connection yet.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response().body().bytes().map(<[u8]>::to_vec);
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_becomes_json_and_a_form_again() -> Result<(), Box<dyn std::error::Error>> {
        let xml = b"<?xml version='1.0'?><R xmlns='urn:x'><GetResult><Groups><member><Name>a &amp; b&#33;</Name><Empty/>\
            <Overrides><member><InstanceType>m5</InstanceType></member><member/></Overrides><Novel><Deep>1</Deep></Novel>\
            <Nothing></Nothing></member></Groups></GetResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></R>";
        let group = json!({ "Name": "a & b!", "Overrides": [{ "InstanceType": "m5" }, ""], "Novel": { "Deep": "1" } });
        let read = result(read(xml)?).unwrap_or_default();
        assert_eq!(read, json!({ "Groups": [group] }));
        let mut form = String::new();
        fields("G", &json!({ "b": [{ "x": "a & b" }, { "x": 2 }], "a": true, "n": null, "e": [] }), &mut form);
        assert_eq!(form, "&G.a=true&G.b.member.1.x=a%20%26%20b&G.b.member.2.x=2&G.e=");
        Ok(())
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let deep = format!("{}{}", "<a>".repeat(60), "</a>".repeat(60));
        for broken in ["<a><b></a>", "<a>", "<a>&nbsp;</a>", deep.as_str()] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert_eq!(read(b""), Ok(Value::Null));
    }

    #[test]
    fn only_objects_are_added() {
        for broken in ["[]", "1", "{", ""] {
            assert!(RawQuery::adding(&[("Preferences", Some(broken))]).is_err(), "{broken}");
        }
    }
}
