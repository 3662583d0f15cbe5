//! Bounds on what a call asks and on what it brings back, so that no request is malformed and no answer fills the memory.
//!
//! [`batch`] checks a request's list, [`gather`] and [`first`] follow an answer's
//! pages, [`Pages`] those that are asked for one by one.

use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::error::{AwsError, ErrorKind, from_sdk, invalid};

/// The most items that the pages of one call may bring.
pub(crate) const ITEMS: usize = 100_000;

/// The most pages of one call: AWS may send empty ones, and an endless row of them must end too.
pub(super) const PAGES: usize = 10_000;

/// Refuse a list of `what` that is empty or longer than AWS takes. An empty list often means *all* to AWS, which no
/// permission would have been checked for.
pub(crate) fn batch<T>(what: &str, list: &[T], most: usize) -> Result<(), AwsError> {
    match list.len() {
        0 => Err(invalid(format_args!("the list of {what} is empty; it takes 1 to {most}"))),
        length if length > most => {
            Err(invalid(format_args!("the list of {what} has {length} entries; it takes 1 to {most}")))
        }
        _ => Ok(()),
    }
}

/// Follow pages to their end.
pub(crate) async fn gather<P, E, T>(
    what: &str,
    pages: PaginationStream<Result<P, SdkError<E, Response>>>,
    items: impl FnMut(P) -> Vec<T>,
) -> Result<Vec<T>, AwsError>
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
{
    match follow(ITEMS + 1, pages, items).await? {
        (gathered, true) if gathered.len() <= ITEMS => Ok(gathered),
        _ => Err(too_many(what)),
    }
}

/// Follow pages until there are `limit` items.
pub(crate) async fn first<P, E, T>(
    limit: usize,
    pages: PaginationStream<Result<P, SdkError<E, Response>>>,
    items: impl FnMut(P) -> Vec<T>,
) -> Result<Vec<T>, AwsError>
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
{
    let (mut gathered, _) = follow(limit, pages, items).await?;
    gathered.truncate(limit);
    Ok(gathered)
}

/// Follow pages until there are `enough` items; also answers whether the pages were followed as far as that, or to their
/// end.
async fn follow<P, E, T>(
    enough: usize,
    mut pages: PaginationStream<Result<P, SdkError<E, Response>>>,
    mut items: impl FnMut(P) -> Vec<T>,
) -> Result<(Vec<T>, bool), AwsError>
where
    E: ProvideErrorMetadata + RequestId + std::error::Error + Send + Sync + 'static,
{
    let mut gathered = Vec::new();
    for _ in 0..PAGES {
        let Some(page) = pages.next().await else { return Ok((gathered, true)) };
        gathered.extend(items(page.map_err(from_sdk)?));
        if gathered.len() >= enough {
            return Ok((gathered, true));
        }
    }
    Ok((gathered, false))
}

/// Pages that are asked for one by one, each by the token that the one before it told.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    what: &'static str,
    gathered: Vec<T>,
    asked: usize,
    token: Option<String>,
}

impl<T> Pages<T> {
    /// Pages of `what`, none of which was asked for.
    pub(crate) fn of(what: &'static str) -> Self {
        Self { what, gathered: Vec::new(), asked: 0, token: None }
    }

    /// The token by which to ask for the next page, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Option<String>>, AwsError> {
        if self.asked > PAGES || self.gathered.len() > ITEMS {
            return Err(too_many(self.what));
        }
        let token = self.token.take();
        Ok((self.asked == 0 || token.is_some()).then_some(token))
    }

    /// A page: its items, and the token of the next one.
    pub(crate) fn add(&mut self, items: Vec<T>, next: Option<String>) {
        self.asked += 1;
        self.gathered.extend(items);
        self.token = next.filter(|next| !next.is_empty());
    }

    /// How many items there are so far.
    pub(crate) fn count(&self) -> usize {
        self.gathered.len()
    }

    /// All of them.
    pub(crate) fn all(self) -> Vec<T> {
        self.gathered
    }
}

/// The error of a list that does not end.
pub(super) fn too_many(what: &str) -> AwsError {
    AwsError {
        kind: ErrorKind::Limit,
        code: "TooManyItems".to_owned(),
        message: format!("there are more than {ITEMS} {what}, more than kiln reads in one call; ask for fewer"),
        operation: String::new(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_async::future::pagination_stream::fn_stream::FnStream;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_runtime_api::http::Response;

    use super::*;

    type Page = Result<Vec<u8>, SdkError<aws_sdk_ecr::operation::describe_images::DescribeImagesError, Response>>;

    /// Pages of `size` items, without end.
    fn endless(size: usize) -> PaginationStream<Page> {
        PaginationStream::new(FnStream::new(move |sender| {
            Box::pin(async move { while sender.send(Ok(vec![0; size])).await.is_ok() {} })
        }))
    }

    #[tokio::test]
    async fn pages_without_end_are_an_error_that_says_so() {
        for size in [0, 1000] {
            let error = gather("images", endless(size), |page| page).await.err();
            let error = error.map(|error| (error.kind, error.message));
            assert_eq!(
                error,
                Some((
                    ErrorKind::Limit,
                    "there are more than 100000 images, more than kiln reads in one call; ask for fewer".to_owned()
                ))
            );
        }
    }

    #[test]
    fn pages_that_are_asked_for_one_by_one_end_too() {
        for size in [0, 1000] {
            let mut pages = Pages::of("images");
            let end = loop {
                match pages.next() {
                    Ok(Some(_)) => pages.add(vec![0; size], Some("again".to_owned())),
                    end => break end,
                }
            };
            assert_eq!(end.map_err(|error| error.kind), Err(ErrorKind::Limit));
        }
        let mut pages = Pages::of("images");
        assert_eq!(pages.next().ok(), Some(Some(None)));
        pages.add(vec![1], Some("two".to_owned()));
        assert_eq!(pages.next().ok(), Some(Some(Some("two".to_owned()))));
        pages.add(vec![2], Some(String::new()));
        assert_eq!(pages.next().ok(), Some(None));
        assert_eq!(pages.all(), [1, 2]);
    }

    #[test]
    fn lists_are_neither_empty_nor_too_long() {
        assert!(batch("images", &[1], 1).is_ok());
        assert_eq!(
            batch::<u8>("images", &[], 100).map_err(|error| error.message),
            Err("the list of images is empty; it takes 1 to 100".to_owned())
        );
        assert_eq!(
            batch("images", &[1, 2], 1).map_err(|error| (error.kind, error.message)),
            Err((ErrorKind::Invalid, "the list of images has 2 entries; it takes 1 to 1".to_owned()))
        );
    }
}
