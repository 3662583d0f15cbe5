//! Measurements of one thing.
//! The main type is [`Series`].

use serde_json::{Value, json};

/// One figure, measured again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    pub(super) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The middle, which one disturbed round does not move.
    pub(super) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let half = sorted.len() / 2;
        match (sorted.get(half), sorted.len() % 2) {
            (Some(middle), 1) => *middle,
            (Some(upper), _) => f64::midpoint(*upper, sorted.get(half.wrapping_sub(1)).copied().unwrap_or(*upper)),
            (None, _) => f64::NAN,
        }
    }

    pub(super) fn lowest(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn highest(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn rounds(&self) -> usize {
        self.0.len()
    }

    /// Each figure divided by the other's of the same round: what disturbs the machine for a while disturbs both.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }

    /// Each figure, changed.
    pub(super) fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    pub(super) fn json(&self) -> Value {
        json!({ "median": round(self.median()), "lowest": round(self.lowest()), "highest": round(self.highest()), "rounds": self.rounds() })
    }

    /// `12.3 (11.9 to 14.0)`.
    pub(super) fn text(&self) -> String {
        let median = figure(self.median());
        if self.rounds() < 2 {
            return median;
        }
        format!("{median} ({} to {})", figure(self.lowest()), figure(self.highest()))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Three digits say all that a measurement knows.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Series(vec![9.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Series(vec![9.0, 1.0, 2.0, 4.0]).median(), 3.0);
        assert!(Series::default().median().is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = Series(vec![10.0, 40.0]).over(&Series(vec![5.0, 10.0]));
        assert_eq!((ratio.lowest(), ratio.highest()), (2.0, 4.0));
    }
}
