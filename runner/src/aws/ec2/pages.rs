//! Lists of EC2's, followed to their end.
//!
//! The main function is [`all`], of requests that are [`Paged`] and answers that are a [`Page`].

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::limits::{ITEMS, PAGES, too_many};

/// A request that asks for a list.
pub(super) trait Paged: Serialize {
    /// The API's name of the operation.
    const ACTION: &'static str;
    /// What it is answered.
    type Page: Page + DeserializeOwned;

    /// Ask for the page behind this token.
    fn go_on(&mut self, token: String);
}

/// A page of a list.
pub(super) trait Page {
    type Item;

    /// Its items, and the token of the next page.
    fn take(self) -> (Vec<Self::Item>, Option<String>);
}

/// The items of all pages.
pub(super) async fn all<R: Paged>(
    aws: &Clients,
    what: &str,
    mut request: R,
) -> Result<Vec<<R::Page as Page>::Item>, AwsError> {
    let mut gathered = Vec::new();
    for _ in 0..PAGES {
        let (page, _) = aws.ec2().call::<_, R::Page>(R::ACTION, &request).await?;
        let (items, token) = page.take();
        gathered.extend(items);
        match token.filter(|token| !token.is_empty()) {
            _ if gathered.len() > ITEMS => break,
            Some(token) => request.go_on(token),
            None => return Ok(gathered),
        }
    }
    Err(too_many(what))
}

/// Implement [`Paged`] and [`Page`] for a request and its answer, whose items stand in a member.
macro_rules! paged {
    ($($action:literal: $request:ident => $answer:ident.$member:ident of $item:ty;)*) => {
        $(
            impl $crate::aws::ec2::pages::Paged for $request {
                const ACTION: &'static str = $action;
                type Page = $answer;

                fn go_on(&mut self, token: String) {
                    self.next_token = Some(token);
                }
            }

            impl $crate::aws::ec2::pages::Page for $answer {
                type Item = $item;

                fn take(self) -> (Vec<$item>, Option<String>) {
                    (self.$member.item, self.next_token)
                }
            }
        )*
    };
}

pub(super) use paged;
