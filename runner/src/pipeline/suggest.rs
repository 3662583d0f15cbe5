//! Did you mean: the nearest of several names.
//!
//! The main function is [`did_you_mean`].

use super::schema::shortened;
use crate::steps::Steps;

/// A name that is longer than this, in bytes, is compared with nothing, and not repeated whole.
const LONGEST: usize = 100;

/// So many names are listed, where none of them is near.
const FEW: usize = 24;

/// How many steps it takes at most where nobody counts them for a whole file.
const ALONE: u64 = 100_000;

/// The candidate that `wrong` was probably meant to be, of as many as there are steps to compare it with.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    steps: &Steps,
) -> Option<&'a str> {
    // A wrong name can be as long as its file; the distance to it costs its length times the candidate's.
    if wrong.len() > LONGEST {
        return None;
    }
    let folded = fold(wrong);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .take_while(|candidate| steps.take(1 + (wrong.len() * candidate.len() / 8) as u64).is_ok())
        .map(|candidate| {
            let other = fold(candidate);
            let nearness = if !folded.is_empty() && (other.starts_with(&folded) || folded.starts_with(&other)) {
                strsim::jaro_winkler(&folded, &other).max(0.85)
            } else {
                // Unrestricted Damerau-Levenshtein would find hardly more, at several times the cost.
                let longest = folded.chars().count().max(other.chars().count()).max(1);
                1.0 - strsim::osa_distance(&folded, &other) as f64 / longest as f64
            };
            (candidate, nearness)
        })
        .filter(|(candidate, nearness)| *nearness >= 0.6 && *candidate != wrong)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

/// Advice for a name that is none of `candidates`: the nearest one, or all where there are few.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    did_you_mean_in(wrong, candidates, what, &Steps::of(ALONE))
}

/// The same, for one of many names that a file may have wrong.
pub(crate) fn did_you_mean_in<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    what: &str,
    steps: &Steps,
) -> Option<String> {
    let mut rest = candidates.into_iter();
    let first: Vec<&str> = rest.by_ref().take(FEW + 1).collect();
    match nearest(wrong, first.iter().copied().chain(rest), steps) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if first.is_empty() => None,
        None if first.len() <= FEW => {
            let list: Vec<String> =
                first.iter().map(|candidate| format!("`{}`", shortened(candidate, LONGEST))).collect();
            Some(format!("{what}: {}", list.join(", ")))
        }
        None => None,
    }
}

/// Differences of case and between `-` and `_` are the commonest slips, and count for nothing here.
fn fold(text: &str) -> String {
    text.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood() {
        let fields = ["plugin", "with", "environment", "after", "when", "timeout", "retry", "on-failure", "reveal"];
        let meant = |wrong| nearest(wrong, fields, &Steps::of(ALONE));
        assert_eq!(meant("plugn"), Some("plugin"));
        assert_eq!(meant("on_failure"), Some("on-failure"));
        assert_eq!(meant("timout"), Some("timeout"));
        assert_eq!(meant("env"), Some("environment"));
        assert_eq!(meant("Retry"), Some("retry"));
        assert_eq!(meant("colour"), None);
        let names = ["image-digest", "repository"];
        assert_eq!(nearest("image", names, &Steps::of(ALONE)), Some("image-digest"));
        assert_eq!(nearest(&"image".repeat(100), names, &Steps::of(ALONE)), None);
    }
    #[test]
    fn names_are_compared_as_long_as_there_are_steps() {
        let names: Vec<String> = (0..6_000).map(|number| format!("stage-number-{number}-of-many-others")).collect();
        let steps = Steps::of(1_000_000);
        let meant = |wrong: &str| nearest(wrong, names.iter().map(String::as_str), &steps).map(str::to_owned);
        assert_eq!(meant("stage-nunber-10-of-many-others").as_deref(), Some("stage-number-10-of-many-others"));
        for _ in 0..6_000 {
            let _ = meant("stage-nunber-10-of-many-others");
        }
        assert!(steps.are_spent());
        assert_eq!(meant("stage-nunber-10-of-many-others"), None);
    }
}
