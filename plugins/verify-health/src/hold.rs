//! For how long all was well without a break.
//! The main type is [`Hold`].

use kiln_plugin::{Duration, Failure};

/// What was seen so far.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Since when all is well; none while something is not.
    well_since: Option<u64>,
    /// Since when something is not.
    ill_since: u64,
    patience: u64,
    pub(crate) breaks: u32,
}

/// What a look means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// All is well, for so many milliseconds.
    Well(u64),
    /// Something is not: for people.
    Ill(String),
}

impl Hold {
    /// Nothing was seen yet, at `now`.
    pub(crate) fn new(now: u64, patience: Duration) -> Self {
        Self { well_since: None, ill_since: now, patience: patience.as_millis(), breaks: 0 }
    }

    /// What `problems`, seen at `now`, mean. A failure where something has been otherwise for too long.
    pub(crate) fn observe(&mut self, now: u64, problems: &[String]) -> Result<Observed, Failure> {
        let Some(first) = problems.first() else {
            let since = *self.well_since.get_or_insert(now);
            return Ok(Observed::Well(now.saturating_sub(since)));
        };
        if self.well_since.take().is_some() {
            self.breaks += 1;
            self.ill_since = now;
        }
        let lasted = now.saturating_sub(self.ill_since);
        if lasted >= self.patience {
            let patience = Duration::from_secs(self.patience / 1000);
            return Err(Failure::rejected(format!("what was deployed has not been well for {patience}: {first}"))
                .help("Mend what the lines below show, or take the deployment back: `kiln undo`. `patience` gives it more time.")
                .details(problems.iter().cloned()));
        }
        Ok(Observed::Ill(match problems.len() {
            1 => first.clone(),
            count => format!("{first}; and {} more", count - 1),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ill() -> Vec<String> {
        vec!["target i-1 is unhealthy".to_owned(), "target i-2 is unhealthy".to_owned()]
    }

    #[test]
    fn a_break_begins_the_time_anew() {
        let mut hold = Hold::new(0, Duration::from_secs(60));
        let mut see = |now: u64, problems: &[String]| hold.observe(now, problems).ok();
        let told = Observed::Ill("target i-1 is unhealthy; and 1 more".to_owned());
        assert_eq!(see(10_000, &ill()), Some(told));
        assert_eq!(see(20_000, &[]), Some(Observed::Well(0)));
        assert_eq!(see(50_000, &[]), Some(Observed::Well(30_000)));
        assert!(matches!(see(55_000, &ill()), Some(Observed::Ill(_))));
        assert_eq!(see(70_000, &[]), Some(Observed::Well(0)));
        assert_eq!(hold.breaks, 1);
    }

    #[test]
    fn what_does_not_get_well_in_time_fails_with_all_that_is_wrong() {
        let mut hold = Hold::new(0, Duration::from_secs(60));
        assert!(hold.observe(59_000, &ill()).is_ok());
        let failure = hold.observe(60_000, &ill()).unwrap_err();
        assert_eq!(failure.message, "what was deployed has not been well for 1m: target i-1 is unhealthy");
        assert_eq!(failure.details, ill());
        let mut hold = Hold::new(0, Duration::from_secs(60));
        assert!(hold.observe(10_000, &[]).is_ok());
        assert!(hold.observe(100_000, &ill()).is_ok(), "it was well until a moment ago");
        assert!(hold.observe(160_000, &ill()).is_err());
    }
}
