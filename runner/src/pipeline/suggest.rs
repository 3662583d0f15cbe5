//! Did you mean: the nearest of several names.
//!
//! The main function is [`did_you_mean`].

/// The candidate that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A wrong name can be as long as its file; the distance to it costs its length times the candidate's.
    if wrong.len() > 100 {
        return None;
    }
    let folded = fold(wrong);
    candidates
        .into_iter()
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
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(wrong, candidates.iter().copied()) {
        Some(candidate) => Some(format!("did you mean `{candidate}`?")),
        None if candidates.is_empty() => None,
        None if candidates.len() <= 24 => {
            let list: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
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
        let meant = |wrong| nearest(wrong, fields);
        assert_eq!(meant("plugn"), Some("plugin"));
        assert_eq!(meant("on_failure"), Some("on-failure"));
        assert_eq!(meant("timout"), Some("timeout"));
        assert_eq!(meant("env"), Some("environment"));
        assert_eq!(meant("Retry"), Some("retry"));
        assert_eq!(meant("colour"), None);
        assert_eq!(nearest("image", ["image-digest", "repository"]), Some("image-digest"));
    }
}
