//! Pagination.
//!
//! The main function is [`cut`]. A token names the last item that was given, so that a page goes on at the right place
//! even where items went away meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A token that the service did not hand out for this list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidToken;

/// The page behind `token` of at most `size` items, and the token of the next page. `list` tells lists apart; `key` gives
/// an item's unique name.
pub(crate) fn cut<T>(
    list: &str,
    items: Vec<T>,
    size: usize,
    token: Option<&str>,
    key: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), InvalidToken> {
    let start = match token {
        None => 0,
        Some(token) => {
            let (position, last) = read(list, token).ok_or(InvalidToken)?;
            items.iter().position(|item| key(item) == last).map_or(position, |found| found + 1)
        }
    };
    let total = items.len();
    let end = start.saturating_add(size.max(1)).min(total);
    let page: Vec<T> = items.into_iter().take(end).skip(start).collect();
    let next = match page.last() {
        Some(last) if end < total => Some(URL_SAFE_NO_PAD.encode(format!("{list}\n{end}\n{}", key(last)))),
        Some(_) | None => None,
    };
    Ok((page, next))
}

fn read(list: &str, token: &str) -> Option<(usize, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (position, last) = text.strip_prefix(list)?.strip_prefix('\n')?.split_once('\n')?;
    Some((position.parse().ok()?, last.to_owned()))
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole_list_even_where_an_item_goes_away() {
        let mut items: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let first = cut("letters", items.clone(), 2, None, |item| item);
        let Ok((page, Some(token))) = first else { panic!("a page and a token") };
        assert_eq!(page, ["a", "b"]);
        items.remove(0);
        let rest = cut("letters", items.clone(), 9, Some(&token), |item| item);
        assert_eq!(rest, Ok((["c", "d", "e"].map(str::to_owned).into(), None)));
        assert_eq!(cut("digits", items, 9, Some(&token), |item| item), Err(InvalidToken));
    }
}
