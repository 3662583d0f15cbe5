//! The bytes of layers, which are got from an address of their own.
//!
//! The main function is [`answer`].

use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use hyper::body::Bytes;

/// Answer whoever asks for a layer with all of it, or with the part that is asked for; or with a status, where there is none for him.
pub(crate) fn answer(headers: &HeaderMap, found: Result<Bytes, u16>) -> Response<Bytes> {
    let whole = match found {
        Ok(whole) => whole,
        Err(status) => return with(StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND), Bytes::new()),
    };
    let asked = headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let Some(asked) = asked else { return with(StatusCode::OK, whole) };
    let range = asked.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let Some((first, last)) = range.filter(|(first, last)| first <= last && *first < whole.len()) else {
        return with(StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new());
    };
    let end = usize::min(last + 1, whole.len());
    let mut response = with(StatusCode::PARTIAL_CONTENT, whole.slice(first..end));
    let range = format!("bytes {first}-{}/{}", end - 1, whole.len());
    if let Ok(range) = HeaderValue::from_str(&range) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

fn with(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_was_asked_for() {
        let part = |range: &'static str| {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            let answer = answer(&headers, Ok(Bytes::from_static(b"0123456789")));
            (answer.status().as_u16(), answer.into_body())
        };
        assert_eq!(part("bytes=2-4"), (206, Bytes::from_static(b"234")));
        assert_eq!(part("bytes=8-99"), (206, Bytes::from_static(b"89")));
        assert_eq!(part("bytes=10-11").0, 416);
        assert_eq!(part("bytes=4-2").0, 416);
        let whole = answer(&HeaderMap::new(), Ok(Bytes::from_static(b"0123456789")));
        assert_eq!((whole.status().as_u16(), whole.body().len()), (200, 10));
        assert_eq!(answer(&HeaderMap::new(), Err(403)).status().as_u16(), 403);
    }
}
