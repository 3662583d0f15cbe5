//! An AWS that answers what a test tells it to, and remembers what it was asked.
//!
//! The main type is [`Canned`]; [`hermetic`] runs a test that asks it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a fixture that fails is a failed test")]

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::aws::clients::{Clients, Connection};
use crate::aws::error::{AwsError, ErrorKind};
use crate::aws::look::{Authority, Look, denied};
use crate::aws::operation::{Fate, Operation, Read, Token, Unanswered, Write};
use crate::aws::secretsmanager::GetSecretValueRequest;
use crate::types::{Arn, Place};

/// The client token of every operation that [`Canned::send`] sends.
pub(crate) const TOKEN: &str = "00000000-1111-2222-3333-444444444444";

/// When the calls were sent whose [`fate`] is asked for: in seconds since the Unix epoch, as AWS's answers have it.
pub(crate) const SENT: u64 = 1_764_000_000;

/// Where test stages act.
pub(crate) fn here() -> Place {
    Place {
        partition: "aws".to_owned(),
        region: "us-west-2".parse().unwrap(),
        account: "111111111111".parse().unwrap(),
    }
}

/// Run `test` on a runtime of its own. Nothing of the developer's own AWS configuration is read: see [`Canned::with`].
pub(crate) fn hermetic(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// One answer.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    hang_up: bool,
}

impl Answer {
    /// What the JSON protocols answer.
    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// An error of the JSON protocols.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::json(status, json!({ "__type": format!("com.amazonaws.any#{code}"), "message": "because" }))
    }

    fn json(status: u16, body: Value) -> Self {
        let headers = vec![("content-type", "application/x-amz-json-1.1".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes(), hang_up: false }
    }

    /// What EC2 answers: these members of the answer to any operation, in XML.
    pub(crate) fn ec2(members: &str) -> Self {
        let head = "<R xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>request-1</requestId>";
        Self::xml(200, &format!("{head}{members}</R>"))
    }

    /// An error of EC2's.
    pub(crate) fn ec2_error(status: u16, code: &str) -> Self {
        let error = format!("<Code>{code}</Code><Message>because</Message>");
        Self::xml(
            status,
            &format!("<Response><Errors><Error>{error}</Error></Errors><RequestID>r-1</RequestID></Response>"),
        )
    }

    fn xml(status: u16, body: &str) -> Self {
        let headers = vec![("content-type", "text/xml;charset=UTF-8".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec(), hang_up: false }
    }

    /// What the protocol Query answers: the result of `operation`, members as XML.
    pub(crate) fn query(operation: &str, result: &str) -> Self {
        let body = format!(
            "<{operation}Response xmlns=\"urn:x\"><{operation}Result>{result}</{operation}Result>\
             <ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></{operation}Response>"
        );
        Self {
            headers: vec![("content-type", "text/xml".to_owned())],
            body: body.into_bytes(),
            ..Self::ok(Value::Null)
        }
    }

    /// An error of the protocol Query.
    pub(crate) fn query_error(status: u16, code: &str) -> Self {
        let body = format!(
            "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>{code}</Code><Message>because</Message></Error>\
             <RequestId>request-1</RequestId></ErrorResponse>"
        );
        Self { status, body: body.into_bytes(), ..Self::query("", "") }
    }

    /// What the protocol Query answers, whole.
    pub(crate) fn query_body(status: u16, body: &str) -> Self {
        Self { status, body: body.as_bytes().to_vec(), ..Self::query("", "") }
    }

    /// The same answer with another header.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The connection ends where the answer should begin.
    pub(crate) fn hang_up() -> Self {
        Self { hang_up: true, ..Self::ok(Value::Null) }
    }

    /// What CloudWatch's protocol answers. An instant is written `{"epoch": SECONDS}`.
    pub(crate) fn cbor(status: u16, body: &Value) -> Self {
        let headers = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
        let mut bytes = Vec::new();
        encode(body, &mut bytes);
        Self {
            status,
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            body: bytes,
            hang_up: false,
        }
    }
}

/// Encode `value` as CBOR (RFC 8949).
fn encode(value: &Value, into: &mut Vec<u8>) {
    let head = |major: u8, length: usize, into: &mut Vec<u8>| {
        into.push(major << 5 | 26);
        into.extend(u32::try_from(length).unwrap().to_be_bytes());
    };
    match value {
        Value::Null => into.push(0xf6),
        Value::Bool(truth) => into.push(if *truth { 0xf5 } else { 0xf4 }),
        Value::Number(number) => {
            into.push(0xfb);
            into.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Value::String(text) => {
            head(3, text.len(), into);
            into.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len(), into);
            items.iter().for_each(|item| encode(item, into));
        }
        Value::Object(fields) if fields.contains_key("epoch") => {
            into.push(0xc1);
            encode(&fields["epoch"], into);
        }
        Value::Object(fields) => {
            head(5, fields.len(), into);
            for (name, field) in fields {
                encode(&json!(name), into);
                encode(field, into);
            }
        }
    }
}

/// What AWS was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The operation, without the service: `DescribeImages`.
    pub(crate) operation: String,
    /// The body, byte for byte.
    pub(crate) text: String,
}

impl Asked {
    /// The body.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// May do everything, and remembers what it was asked for.
#[derive(Debug, Default)]
struct Everything(Mutex<Vec<String>>);

impl Authority for Everything {
    fn allows(&self, action: &'static str, resources: &[Arn]) -> bool {
        let on: Vec<&str> = resources.iter().map(Arn::as_str).collect();
        self.0.lock().unwrap().push(format!("{action} {}", on.join(" ")));
        true
    }
}

/// May do nothing.
#[derive(Debug)]
struct Nothing;

impl Authority for Nothing {
    fn allows(&self, _: &'static str, _: &[Arn]) -> bool {
        false
    }
}

/// What can be sent: a read, or a write with its token.
pub(crate) trait Sendable: Operation {
    async fn put(&self, aws: &Clients) -> Result<Self::Output, AwsError>;
}

macro_rules! sendable {
    ($($(#[$doc:meta])* $interface:ident in $package:ident by $sdk:ident {
        $($access:ident $function:ident($request:ident),)*
    })*) => {
        $($(sendable!($access crate::contract::bindings::kiln::$package::$interface::$request);)*)*
    };
    (read $request:ty) => {
        impl Sendable for $request {
            async fn put(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
                self.send(aws).await
            }
        }
    };
    (write $request:ty) => {
        impl Sendable for $request {
            async fn put(&self, aws: &Clients) -> Result<Self::Output, AwsError> {
                self.send(aws, &Token::new(TOKEN.to_owned())).await
            }
        }
    };
}

crate::aws::services!(sendable);
sendable!(read GetSecretValueRequest);

/// An AWS with answers in store.
pub(crate) struct Canned {
    clients: Arc<Clients>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Canned {
    /// An AWS that gives `answers`, one a request, in this order. Beyond them it is broken.
    pub(crate) async fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(accept(listener, answers, asked.clone()));
        let Place { region, .. } = here();
        let clients = Connection::to_simulator(&region, &endpoint).clients(&region, None).await;
        Self { clients: Arc::new(clients), asked }
    }

    /// Send `operation` as the call path does.
    pub(crate) async fn send<O: Sendable>(&self, operation: &O) -> Result<O::Output, AwsError> {
        operation.put(&self.clients).await
    }

    /// Looks for a write of type `W`, on behalf of a stage that may do everything.
    fn look<W: Write>(&self) -> Look {
        Look::of::<W>(self.clients.clone(), here(), Arc::new(Everything::default()))
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Send `operation` to an AWS with `answers`, expecting success; also answers what AWS was asked.
pub(crate) async fn sent<O: Sendable>(
    operation: &O,
    answers: impl IntoIterator<Item = Answer>,
) -> (O::Output, Vec<Asked>) {
    let aws = Canned::with(answers).await;
    match aws.send(operation).await {
        Ok(output) => (output, aws.asked()),
        Err(error) => panic!("{error:?} after {:?}", aws.asked()),
    }
}

/// The kind and code of the error that `answer` makes of `operation`.
pub(crate) async fn failed<O: Sendable>(operation: &O, answer: Answer) -> Option<(ErrorKind, String)> {
    let aws = Canned::with([answer]).await;
    aws.send(operation).await.err().map(|error| (error.kind, error.code))
}

/// The message with which `operation` is refused before anything is sent.
pub(crate) async fn refused<O: Sendable>(operation: &O) -> String {
    let aws = Canned::with([]).await;
    let error = aws.send(operation).await.unwrap_err();
    assert!(aws.asked().is_empty(), "it was sent: {:?}", aws.asked());
    assert_eq!(error.kind, ErrorKind::Invalid);
    error.message
}

/// What becomes of `operation`, which was sent at [`SENT`], when it is looked for `later` seconds after that. `before` is
/// what was seen before it was sent. AWS must be asked for each of `answers`, and only by reads.
pub(crate) async fn fate<O: Write>(
    operation: &O,
    before: Option<&Value>,
    later: u64,
    answers: impl IntoIterator<Item = Answer>,
) -> Fate<O::Output> {
    fate_of(operation, before, Duration::from_secs(later), false, answers).await
}

/// The same for one that is given up: it is not sent again, whatever is found.
pub(crate) async fn fate_given_up<O: Write>(
    operation: &O,
    later: u64,
    answers: impl IntoIterator<Item = Answer>,
) -> Fate<O::Output> {
    fate_of(operation, None, Duration::from_secs(later), true, answers).await
}

async fn fate_of<O: Write>(
    operation: &O,
    before: Option<&Value>,
    age: Duration,
    given_up: bool,
    answers: impl IntoIterator<Item = Answer>,
) -> Fate<O::Output> {
    let answers: Vec<Answer> = answers.into_iter().collect();
    let expected = answers.len();
    let aws = Canned::with(answers).await;
    let token = Token::new(TOKEN.to_owned());
    let unanswered = Unanswered { age, given_up, ..unanswered(&token, before) };
    let fate = operation.fate(&aws.look::<O>(), &unanswered).await;
    only_reads(&aws, expected);
    fate.unwrap_or_else(|error| panic!("{error:?}"))
}

/// What `operation` keeps of the world before it is sent. AWS must be asked for each of `answers`, and only by reads.
pub(crate) async fn before<O: Write>(operation: &O, answers: impl IntoIterator<Item = Answer>) -> Value {
    let answers: Vec<Answer> = answers.into_iter().collect();
    let expected = answers.len();
    let aws = Canned::with(answers).await;
    let before = operation.before(&aws.look::<O>()).await;
    only_reads(&aws, expected);
    before.unwrap_or_else(|error| panic!("{error:?}")).unwrap()
}

/// What the fate of `operation` is looked up by: each action, and what the permission is checked against.
pub(crate) async fn looked_at<W: Write>(
    operation: &W,
    before: &Value,
    answers: impl IntoIterator<Item = Answer>,
) -> Vec<String> {
    let (aws, everything) = (Canned::with(answers).await, Arc::new(Everything::default()));
    let look = Look::of::<W>(aws.clients.clone(), here(), everything.clone());
    operation.fate(&look, &unanswered(&Token::new(TOKEN.to_owned()), Some(before))).await.unwrap();
    everything.0.lock().unwrap().clone()
}

/// The action for want of which nothing can be looked up, by a stage that may do nothing. AWS must not be asked.
pub(crate) async fn denied_look<W: Write>(operation: &W) -> Option<String> {
    let aws = Canned::with([]).await;
    let look = Look::of::<W>(aws.clients.clone(), here(), Arc::new(Nothing));
    let error = operation.fate(&look, &unanswered(&Token::new(TOKEN.to_owned()), None)).await.unwrap_err();
    only_reads(&aws, 0);
    denied(&error).map(str::to_owned)
}

fn unanswered<'a>(token: &'a Token, before: Option<&'a Value>) -> Unanswered<'a> {
    Unanswered { token, before, sent: SENT * 1000, age: Duration::from_secs(60), given_up: false }
}

fn only_reads(aws: &Canned, expected: usize) {
    let asked: Vec<String> = aws.asked().into_iter().map(|asked| asked.operation).collect();
    assert_eq!(asked.len(), expected, "{asked:?}");
    // `scans` is what Inspector's path of the list of its scans ends in.
    let reads = ["Describe", "List", "BatchGet", "Get", "scans"];
    assert!(asked.iter().all(|operation| reads.iter().any(|read| operation.starts_with(read))), "{asked:?}");
}

/// A fate in a few words, and the answer that it tells of.
pub(crate) fn in_words<T>(fate: Fate<T>) -> (String, Option<T>) {
    match fate {
        Fate::Happened { output, evidence } => (format!("happened: {evidence}"), Some(output)),
        Fate::NotHappened { evidence } => (format!("not happened: {evidence}"), None),
        Fate::SendAgain => ("send again".to_owned(), None),
        Fate::Unknown { evidence, check, likely } => (format!("unknown: {evidence}; {check}"), likely),
    }
}

async fn accept(listener: TcpListener, answers: Arc<Mutex<VecDeque<Answer>>>, asked: Arc<Mutex<Vec<Asked>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (answers, asked) = (answers.clone(), asked.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, answers.clone(), asked.clone()));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let text = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
    // The JSON protocols name the operation in a header, CBOR at the end of the path, Query in the form.
    let operation = match head.headers.get("x-amz-target") {
        Some(target) => target.to_str().unwrap().rsplit('.').next().unwrap().to_owned(),
        None if text.starts_with("Action=") => text["Action=".len()..].split('&').next().unwrap().to_owned(),
        None => head.uri.path().rsplit('/').next().unwrap().to_owned(),
    };
    asked.lock().unwrap().push(Asked { operation, text });
    let answer = answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or_else(|| Answer::error(400, "NoAnswerLeft"));
    if answer.hang_up {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let mut response = Response::builder().status(answer.status).header("x-amzn-requestid", "request-1");
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(answer.body))).unwrap())
}
