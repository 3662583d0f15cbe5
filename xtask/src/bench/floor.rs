//! What calls take with nothing around them: plain HTTP on one open connection, unsigned and unread.
//! The main function is [`calls`].

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::simulator::Simulator;
use crate::error::TaskError;

/// How long so many calls take one after the other, in milliseconds. Below that no client of this simulator can come.
pub(super) fn calls(simulator: &Simulator, count: u32) -> Result<f64, TaskError> {
    let failed =
        |error: std::io::Error| TaskError::other(format!("the simulator does not answer: {error}"), "try again");
    let mut stream = TcpStream::connect(simulator.address()).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=kiln-bench/20260101/us-west-2/sts/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
        simulator.address(),
        body.len()
    );
    let began = Instant::now();
    for _ in 0..count {
        stream.write_all(request.as_bytes()).map_err(failed)?;
        answer(&mut stream).map_err(failed)?;
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// Read one answer to its end, whatever it says.
fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read.extend(piece.iter().take(count));
        if length(&read).is_some_and(|length| read.len() >= length) {
            return Ok(());
        }
    }
}

/// How long the answer is, headers and all, as soon as its headers are there.
fn length(read: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(read);
    let (headers, _) = text.split_once("\r\n\r\n")?;
    let header = |line: &str| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.trim().parse().unwrap_or(0))
    };
    Some(headers.len() + 4 + headers.lines().find_map(header).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_body() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"), Some(43));
        assert_eq!(length(b"HTTP/1.1 204 No Content\r\n\r\n"), Some(27));
    }
}
