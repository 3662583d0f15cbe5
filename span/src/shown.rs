//! Lengths of time in words. Every one that kiln shows is worded here.
//!
//! The main function is [`human`].

use std::time::Duration;

use super::UNITS;

/// In whole milliseconds, as far as there is a number for them.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Each unit that is there, the largest first, with `between` them: `1h30m`, `1h 30m`. Nothing at all is `0`.
pub fn exact(millis: u64, between: &str) -> String {
    let mut left = millis;
    let mut parts = Vec::new();
    for (unit, worth) in UNITS {
        if left >= worth {
            parts.push(format!("{}{unit}", left / worth));
            left %= worth;
        }
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join(between) }
}

/// A duration, as [`human`] has it.
pub fn duration(duration: Duration) -> String {
    human(millis(duration))
}

/// `850ms`, `12.3s`, `4m 05s`, `1h 02m 05s`, `3d 04h 12m`.
pub fn human(millis: u64) -> String {
    if millis < 1_000 { format!("{millis}ms") } else { since_start(millis) }
}

/// As [`human`], but in tenths of a second from the beginning, so that a column of instants is even.
pub fn since_start(millis: u64) -> String {
    // Rounded first: 59.96 s is a minute, not `60.0s`.
    let tenths = millis.saturating_add(50) / 100;
    if tenths < 600 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    let seconds = millis.saturating_add(500) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _) => format!("{hours}h {minutes:02}m {:02}s", seconds % 60),
        (_, _) => format!("{days}d {hours:02}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        let cases = [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (12_345, "12.3s"),
            (59_949, "59.9s"),
            (59_950, "1m 00s"),
            (245_000, "4m 05s"),
            (3_599_499, "59m 59s"),
            (3_599_500, "1h 00m 00s"),
            (3_725_000, "1h 02m 05s"),
            (86_400_000, "1d 00h 00m"),
            (274_320_000, "3d 04h 12m"),
        ];
        for (millis, expected) in cases {
            assert_eq!(human(millis), expected, "{millis} ms");
        }
        assert_eq!(since_start(850), "0.9s");
    }

    #[test]
    fn what_is_exact_leaves_nothing_out() {
        assert_eq!(exact(0, ""), "0");
        assert_eq!(exact(5_400_000, ""), "1h30m");
        assert_eq!(exact(90_061_001, " "), "1d 1h 1m 1s 1ms");
    }

    #[test]
    fn the_longest_duration_has_a_text() {
        assert_eq!(duration(Duration::MAX), "213503982334d 14h 25m");
    }
}
