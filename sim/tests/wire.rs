//! What callers see whatever the service: faults, unknown operations, refused signatures, and the same ids again.

#![expect(clippy::indexing_slicing, reason = "an answer that lacks what is looked at has failed the test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{Request, Response};
use kiln_sim::{Bytes, Clock, Disturbance, Simulator, WorldError, WorldFile, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HEAD: &str = "account = '111111111111'\nregion = 'us-west-2'\n[[keys]]\nalias = 'web'\n";
const EPOCH: u64 = 1_767_603_600_000;

fn simulator(faults: &str) -> Result<Simulator, WorldError> {
    Ok(Simulator::new(WorldFile::parse(&format!("{HEAD}{faults}"))?, Clock::manual(EPOCH)))
}

fn fault(kind: &str) -> String {
    format!("[[faults]]\noperation = 'kms:CreateKey'\nkind = '{kind}'\n")
}

fn signed(service: &str) -> http::request::Builder {
    let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260105/us-west-2/{service}/aws4_request, Signature=0");
    Request::post("/").header("authorization", scope)
}

fn kms(operation: &str, input: &Value) -> Result<Request<Bytes>, http::Error> {
    signed("kms").header("x-amz-target", format!("TrentService.{operation}")).body(Bytes::from(input.to_string()))
}

fn body(response: &Response<Bytes>) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(response.body())
}

#[tokio::test]
async fn a_throttled_call_does_nothing_and_the_next_one_is_served() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = simulator(&fault("throttle"))?;
    let refused = simulator.dispatch(kms("CreateKey", &json!({}))?).await;
    assert_eq!(refused.status(), 400);
    assert_eq!(
        body(&refused)?,
        json!({
            "__type": "ThrottlingException",
            "message": "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        })
    );
    assert!(simulator.effects().is_empty());
    assert_eq!(simulator.dispatch(kms("CreateKey", &json!({}))?).await.status(), 200);
    assert_eq!(simulator.effects().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_reset_before_does_nothing_and_a_reset_after_happens() -> Result<(), Box<dyn std::error::Error>> {
    for (kind, disturbance, effects) in [
        ("reset", Disturbance::Reset, 0),
        ("reset-after", Disturbance::Reset, 1),
        ("truncated", Disturbance::Truncated, 1),
    ] {
        let simulator = simulator(&fault(kind))?;
        let response = simulator.dispatch(kms("CreateKey", &json!({}))?).await;
        assert_eq!(response.extensions().get(), Some(&disturbance), "{kind}");
        assert_eq!(simulator.effects().len(), effects, "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_without_a_body_breaks_off_by_a_reset() -> Result<(), Box<dyn std::error::Error>> {
    let fault = "[[faults]]\noperation = 'cloudwatch:EnableAlarmActions'\nkind = 'truncated'\n";
    let simulator = simulator(fault)?;
    let enable = || {
        signed("monitoring")
            .uri("/service/GraniteServiceVersion20100801/operation/EnableAlarmActions")
            .header("smithy-protocol", "rpc-v2-cbor")
            .body(Bytes::from_static(b"\xa1\x6aAlarmNames\x80"))
    };
    let broken = simulator.dispatch(enable()?).await;
    assert_eq!(broken.extensions().get(), Some(&Disturbance::Reset), "half of nothing is the whole answer");
    let whole = simulator.dispatch(enable()?).await;
    assert_eq!((whole.status().as_u16(), whole.body().len()), (200, 0), "an operation without an output has no body");
    assert_eq!(whole.headers().get("content-type"), None);
    Ok(())
}

#[tokio::test]
async fn a_delay_passes_on_the_worlds_clock() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = simulator(&format!("{}delay = '90s'", fault("delay")))?;
    let answer = simulator.dispatch(kms("CreateKey", &json!({}))?).await;
    assert_eq!(body(&answer)?["KeyMetadata"]["CreationDate"], json!((EPOCH + 90_000) as f64 / 1000.0));
    Ok(())
}

#[tokio::test]
async fn the_same_requests_to_the_same_world_are_answered_byte_for_byte() -> Result<(), Box<dyn std::error::Error>> {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let simulator = simulator("")?;
        let key = simulator.dispatch(kms("CreateKey", &json!({}))?).await;
        simulator.clock().advance(Duration::from_secs(5));
        let input = json!({ "KeyId": "alias/web", "Plaintext": "aGVsbG8=" });
        let sealed = simulator.dispatch(kms("Encrypt", &input)?).await;
        answers.push((key.headers().clone(), key.into_body(), sealed.into_body(), simulator.state()));
    }
    assert_eq!(answers.first(), answers.last());
    Ok(())
}

#[tokio::test]
async fn what_is_not_offered_or_not_signed_is_refused_in_awss_words() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = simulator("")?;
    let unknown = simulator.dispatch(kms("ReplicateKey", &json!({}))?).await;
    assert_eq!(body(&unknown)?["__type"], "UnknownOperationException");
    assert_eq!(simulator.state()["unknown-operations"], json!(["kms:ReplicateKey"]));
    let missing = simulator.dispatch(kms("DescribeKey", &json!({}))?).await;
    assert_eq!(body(&missing)?["__type"], "ValidationException");
    assert!(body(&missing)?["message"].as_str().is_some_and(|message| message.contains("'KeyId'")));
    let unsigned = Request::post("/").header("x-amz-target", "TrentService.ListKeys").body(Bytes::new())?;
    assert_eq!(simulator.dispatch(unsigned).await.status(), 403);
    let query = signed("sts").body(Bytes::from("Action=GetNothing&Version=2011-06-15"))?;
    let answer = simulator.dispatch(query).await;
    assert!(String::from_utf8_lossy(answer.body()).contains("<Code>InvalidAction</Code>"));
    Ok(())
}

#[tokio::test]
async fn the_server_breaks_connections_as_told_and_stops() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = simulator(&[fault("reset"), fault("truncated")].concat())?;
    let server = serve(simulator, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = server.url().replace("http://", "");
    let ask = async || -> std::io::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(&address).await?;
        let request = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\
            x-amz-target: TrentService.CreateKey\r\n\
            authorization: AWS4-HMAC-SHA256 Credential=t/1/us-west-2/kms/aws4_request\r\n\r\n{}";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        // A broken connection may show as an error or as an early end.
        let _ = stream.read_to_end(&mut answer).await;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let announced = |answer: &str| -> Option<usize> {
        answer.to_ascii_lowercase().split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()
    };
    let received = |answer: &str| answer.split_once("\r\n\r\n").map(|(_, body)| body.len());
    assert_eq!(ask().await?, "", "reset");
    let whole = ask().await?;
    assert!(whole.starts_with("HTTP/1.1 200") && announced(&whole) == received(&whole), "{whole}");
    server.shutdown().await;
    assert!(ask().await.is_err(), "nobody listens any more");
    Ok(())
}

#[tokio::test]
async fn a_truncated_answer_ends_half_way() -> Result<(), Box<dyn std::error::Error>> {
    let server = serve(simulator(&fault("truncated"))?, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let mut stream = tokio::net::TcpStream::connect(server.url().replace("http://", "")).await?;
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nx-amz-target: TrentService.CreateKey\r\n\
        authorization: AWS4-HMAC-SHA256 Credential=t/1/us-west-2/kms/aws4_request\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("headers")?;
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).ok_or("a length")?;
    assert!(head.starts_with("http/1.1 200") && body.len() == length.parse::<usize>()? / 2, "{answer}");
    server.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn bottomless_nesting_is_refused_in_every_protocol() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = simulator("")?;
    for levels in [200, 20_000, 1_000_000] {
        let json = [br#"{"KeyId":"#.as_slice(), &b"[".repeat(levels)].concat();
        let json = signed("kms").header("x-amz-target", "TrentService.DescribeKey").body(Bytes::from(json))?;
        let cbor = signed("monitoring").uri("/service/GraniteServiceVersion20100801/operation/DescribeAlarms");
        let cbor = cbor.header("smithy-protocol", "rpc-v2-cbor").body(Bytes::from([0x9f].repeat(levels)))?;
        let query = format!("Action=DescribeAlarms&{}x=1", "a.".repeat(levels));
        let query = signed("monitoring").body(Bytes::from(query))?;
        for (protocol, request) in [("JSON", json), ("CBOR", cbor), ("Query", query)] {
            let answer = simulator.dispatch(request).await;
            assert_eq!(answer.status(), 400, "{protocol}, {levels} levels");
        }
    }
    assert_eq!(simulator.dispatch(kms("CreateKey", &json!({}))?).await.status(), 200, "it answers as before");
    Ok(())
}
