//! AWS Query: forms like `Tags.member.1.Key=a` in, XML out, instants in ISO 8601.
//!
//! The main type is [`Form`], which serde reads typed inputs from. EC2 speaks an older dialect of it ([`Dialect`]): lists are
//! `Tag.1.Key=a`, and answers have neither a result of their own nor metadata.

use std::collections::BTreeMap;

use quick_xml::escape::escape;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::value::{Marked, look};
use crate::error::AwsError;

/// A field's name has at most so many parts. AWS's deepest inputs have a dozen; whatever walks the tree, and drops it, needs
/// room on the stack for each level.
const DEEPEST: usize = 32;

/// Which Query a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The one of most services.
    Common,
    /// EC2's own.
    Ec2,
}

/// A form's fields as a tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    Text(String),
    Node(BTreeMap<String, Form>),
}

impl Form {
    /// Read a body; `Action` and `Version` are left out of the tree.
    pub(crate) fn parse(body: &[u8]) -> Result<(Option<String>, Form), AwsError> {
        let malformed = |reason: String| AwsError::new("MalformedQueryString", reason);
        let fields: Vec<(String, String)> =
            serde_urlencoded::from_bytes(body).map_err(|error| malformed(error.to_string()))?;
        let mut action = None;
        let mut root = Form::Node(BTreeMap::new());
        for (name, text) in fields {
            match name.as_str() {
                "Action" => action = Some(text),
                "Version" => {}
                path if path.split('.').nth(DEEPEST).is_some() => {
                    return Err(malformed(format!("a field's name has more than {DEEPEST} parts")));
                }
                path => root
                    .insert(path, text)
                    .map_err(|()| malformed(format!("the field {path} is both a value and a structure")))?,
            }
        }
        Ok((action, root))
    }

    /// A form of EC2's dialect, written as the other one has it: what has numbers below it is a list, and no structure of EC2's has
    /// members that are numbers.
    pub(crate) fn with_named_lists(self) -> Form {
        match self {
            Form::Text(text) => Form::Text(text),
            Form::Node(children) => {
                let is_list =
                    !children.is_empty() && children.keys().all(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
                let children: BTreeMap<String, Form> =
                    children.into_iter().map(|(name, child)| (name, child.with_named_lists())).collect();
                match is_list {
                    true => Form::Node(BTreeMap::from([("member".to_owned(), Form::Node(children))])),
                    false => Form::Node(children),
                }
            }
        }
    }

    fn insert(&mut self, path: &str, text: String) -> Result<(), ()> {
        let Form::Node(children) = self else { return Err(()) };
        match path.split_once('.') {
            None => match children.insert(path.to_owned(), Form::Text(text)) {
                Some(Form::Node(_)) => Err(()),
                Some(Form::Text(_)) | None => Ok(()),
            },
            Some((head, rest)) => {
                children.entry(head.to_owned()).or_insert_with(|| Form::Node(BTreeMap::new())).insert(rest, text)
            }
        }
    }

    /// The typed input.
    pub(crate) fn to<T: DeserializeOwned>(&self) -> Result<T, de::value::Error> {
        T::deserialize(Field(self))
    }

    /// As JSON, to compare two requests.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Form::Text(text) => Value::from(text.as_str()),
            Form::Node(children) => {
                Value::Object(children.iter().map(|(name, child)| (name.clone(), child.to_value())).collect())
            }
        }
    }
}

/// One field, as serde reads it: everything is text until a number is wanted.
#[derive(Clone, Copy)]
struct Field<'a>(&'a Form);

impl<'a> Field<'a> {
    fn text(self) -> Result<&'a str, de::value::Error> {
        match self.0 {
            Form::Text(text) => Ok(text),
            Form::Node(_) => Err(de::Error::custom("a structure stands where a value should")),
        }
    }

    /// The items of a list, `member.1`, `member.2`, …, in the order of their numbers.
    fn items(self) -> Result<Vec<Field<'a>>, de::value::Error> {
        let children = match self.0 {
            // An empty list is sent as an empty value.
            Form::Text(text) if text.is_empty() => return Ok(Vec::new()),
            Form::Text(_) => return Err(de::Error::custom("a value stands where a list should")),
            Form::Node(children) => children,
        };
        let Some(Form::Node(members)) = children.get("member").or_else(|| children.get("entry")) else {
            return Err(de::Error::custom("a list has members named `member.N`"));
        };
        let mut items = Vec::new();
        for (number, item) in members {
            // Rust takes `+1` for a number, too.
            let digits = Some(number.as_str()).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse::<u32>().ok());
            let number = number.ok_or_else(|| de::Error::custom("a list's members are numbered"))?;
            items.push((number, Field(item)));
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }
}

impl<'a> IntoDeserializer<'a, de::value::Error> for Field<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            let text = self.text()?;
            let value: $type = text
                .parse()
                .map_err(|_| de::Error::custom(format!("{text:?} is not a {}", stringify!($type))))?;
            visitor.$visit(value)
        }
    )*};
}

impl<'a> Deserializer<'a> for Field<'a> {
    type Error = de::value::Error;

    parsed! {
        deserialize_bool visit_bool bool,
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64, deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0 {
            Form::Text(text) => visitor.visit_borrowed_str(text),
            Form::Node(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(SeqDeserializer::new(self.items()?.into_iter()))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Form::Text(text) if text.is_empty() => {
                visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, Field<'a>)>()))
            }
            Form::Text(_) => Err(de::Error::custom("a value stands where a structure should")),
            Form::Node(children) => visitor
                .visit_map(MapDeserializer::new(children.iter().map(|(name, child)| (name.as_str(), Field(child))))),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        char str string bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// An answer's body, without a result where the operation has none.
pub(crate) fn write(dialect: Dialect, operation: &str, namespace: &str, request_id: &str, value: &Value) -> Vec<u8> {
    let mut xml = format!("<{operation}Response xmlns=\"{}\">", escape(namespace));
    match dialect {
        Dialect::Common => {
            if !value.is_null() {
                element(&mut xml, dialect, &format!("{operation}Result"), value);
            }
            let metadata = Value::Object(Map::from_iter([("RequestId".to_owned(), Value::from(request_id))]));
            element(&mut xml, dialect, "ResponseMetadata", &metadata);
        }
        Dialect::Ec2 => {
            element(&mut xml, dialect, "requestId", &Value::from(request_id));
            match value {
                Value::Object(members) => {
                    members.iter().for_each(|(name, member)| element(&mut xml, dialect, name, member));
                }
                // EC2 says so where the model has nothing.
                _ => element(&mut xml, dialect, "return", &Value::from(true)),
            }
        }
    }
    xml.push_str(&format!("</{operation}Response>"));
    xml.into_bytes()
}

/// An error's body.
pub(crate) fn write_error(dialect: Dialect, namespace: &str, request_id: &str, error: &AwsError) -> Vec<u8> {
    let mut members = Map::new();
    if dialect == Dialect::Common {
        members.insert("Type".to_owned(), Value::from(if error.is_server_fault() { "Receiver" } else { "Sender" }));
    }
    members.insert("Code".to_owned(), Value::from(error.code.as_ref()));
    members.insert("Message".to_owned(), Value::from(error.message.as_str()));
    let mut xml = String::new();
    match dialect {
        Dialect::Common => {
            xml.push_str(&format!("<ErrorResponse xmlns=\"{}\">", escape(namespace)));
            element(&mut xml, dialect, "Error", &Value::Object(members));
            element(&mut xml, dialect, "RequestId", &Value::from(request_id));
            xml.push_str("</ErrorResponse>");
        }
        Dialect::Ec2 => {
            xml.push_str("<Response><Errors>");
            element(&mut xml, dialect, "Error", &Value::Object(members));
            xml.push_str("</Errors>");
            element(&mut xml, dialect, "RequestID", &Value::from(request_id));
            xml.push_str("</Response>");
        }
    }
    xml.into_bytes()
}

fn element(xml: &mut String, dialect: Dialect, name: &str, value: &Value) {
    let item = match dialect {
        Dialect::Common => "member",
        Dialect::Ec2 => "item",
    };
    xml.push_str(&format!("<{name}>"));
    match look(value) {
        Marked::Timestamp(instant) => xml.push_str(&instant.to_string()),
        Marked::Blob(base64) => xml.push_str(base64),
        Marked::Plain(Value::Null) => {}
        Marked::Plain(Value::Bool(flag)) => xml.push_str(if *flag { "true" } else { "false" }),
        Marked::Plain(Value::Number(number)) => xml.push_str(&number.to_string()),
        Marked::Plain(Value::String(text)) => xml.push_str(&escape(text.as_str())),
        Marked::Plain(Value::Array(items)) => items.iter().for_each(|each| element(xml, dialect, item, each)),
        Marked::Plain(Value::Object(members)) => {
            for (name, member) in members {
                match (name.strip_suffix("[]"), member) {
                    // A list whose items have a name of their own: they stand side by side.
                    (Some(name), Value::Array(items)) => {
                        items.iter().for_each(|each| element(xml, dialect, name, each));
                    }
                    (Some(_) | None, _) => element(xml, dialect, name, member),
                }
            }
        }
    }
    xml.push_str(&format!("</{name}>"));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Input {
        name: String,
        seconds: Option<i64>,
        threshold: Option<f64>,
        enabled: Option<bool>,
        #[serde(default)]
        tags: Vec<Tag>,
        #[serde(default)]
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Tag {
        key: String,
        value: String,
    }

    #[test]
    fn a_form_becomes_a_typed_input() -> Result<(), Box<dyn std::error::Error>> {
        let body = b"Action=Put&Version=1&Name=a%20b&Seconds=900&Threshold=1.5&Enabled=true&Names=\
            &Tags.member.2.Key=k2&Tags.member.2.Value=v2&Tags.member.1.Key=k1&Tags.member.1.Value=";
        let (action, form) = Form::parse(body).map_err(|error| error.message)?;
        let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
        assert_eq!(action.as_deref(), Some("Put"));
        assert_eq!(
            form.to::<Input>()?,
            Input {
                name: "a b".into(),
                seconds: Some(900),
                threshold: Some(1.5),
                enabled: Some(true),
                tags: vec![tag("k1", ""), tag("k2", "v2")],
                names: vec![],
            }
        );
        Ok(())
    }

    #[test]
    fn bottomless_nesting_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let nested = |levels: usize| format!("Action=Put&{}x=1", "a.".repeat(levels - 1));
        let (_, form) = Form::parse(nested(DEEPEST).as_bytes()).map_err(|error| error.message)?;
        assert!(form.to_value().pointer(&format!("{}/x", "/a".repeat(DEEPEST - 1))).is_some());
        for levels in [DEEPEST + 1, 20_000, 2_000_000] {
            let refused = Form::parse(nested(levels).as_bytes()).map_err(|error| error.code.into_owned());
            assert_eq!(refused.map(|_| ()), Err("MalformedQueryString".to_owned()), "{levels} levels");
        }
        Ok(())
    }

    #[test]
    fn the_members_of_a_list_are_numbered_by_digits() {
        let (_, form) = Form::parse(b"Name=a&Names.member.+1=b").unwrap_or((None, Form::Text(String::new())));
        let (_, signed) = Form::parse(b"Name=a&Names.member.%2B1=b").unwrap_or((None, Form::Text(String::new())));
        assert!(form.to::<Input>().is_err() && signed.to::<Input>().is_err());
    }

    #[test]
    fn an_answer_becomes_xml() {
        let xml = write(Dialect::Common, "Get", "urn:x", "id-1", &json!({ "A": ["<1>", 2], "B": { "C": true } }));
        assert_eq!(
            String::from_utf8_lossy(&xml),
            "<GetResponse xmlns=\"urn:x\"><GetResult><A><member>&lt;1&gt;</member><member>2</member></A>\
             <B><C>true</C></B></GetResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></GetResponse>"
        );
        let nothing = write(Dialect::Common, "Put", "urn:x", "id-2", &Value::Null);
        assert_eq!(
            String::from_utf8_lossy(&nothing),
            "<PutResponse xmlns=\"urn:x\"><ResponseMetadata><RequestId>id-2</RequestId></ResponseMetadata></PutResponse>"
        );
    }

    #[test]
    fn a_form_of_ec2_becomes_a_typed_input() -> Result<(), Box<dyn std::error::Error>> {
        let body = b"Action=Put&Name=a&Tags.2.Key=k2&Tags.2.Value=&Tags.10.Key=k10&Tags.10.Value=v&Names.1=x";
        let (_, form) = Form::parse(body).map_err(|error| error.message)?;
        assert!(form.to::<Input>().is_err(), "other services have other lists");
        let input = form.with_named_lists().to::<Input>()?;
        let keys: Vec<&str> = input.tags.iter().map(|tag| tag.key.as_str()).collect();
        assert_eq!((keys, input.names), (vec!["k2", "k10"], vec!["x".to_owned()]));
        Ok(())
    }

    #[test]
    fn an_answer_of_ec2_has_neither_a_result_nor_metadata() {
        let text = |xml: Vec<u8>| String::from_utf8_lossy(&xml).into_owned();
        assert_eq!(
            text(write(Dialect::Ec2, "Get", "urn:x", "id-1", &json!({ "aSet": [{ "b": 1 }, { "b": 2 }] }))),
            "<GetResponse xmlns=\"urn:x\"><requestId>id-1</requestId><aSet><item><b>1</b></item><item><b>2</b></item></aSet>\
             </GetResponse>"
        );
        assert_eq!(
            text(write(Dialect::Ec2, "Put", "urn:x", "id-2", &Value::Null)),
            "<PutResponse xmlns=\"urn:x\"><requestId>id-2</requestId><return>true</return></PutResponse>"
        );
        assert_eq!(
            text(write_error(Dialect::Ec2, "urn:x", "id-3", &AwsError::new("InvalidAMIID.NotFound", "no <ami>"))),
            "<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>no &lt;ami&gt;</Message></Error></Errors>\
             <RequestID>id-3</RequestID></Response>"
        );
    }
}
