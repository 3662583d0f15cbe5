//! Numbers as people read them.
//!
//! The main function is [`count`].

/// `1 stage`, `5 stages`.
pub(crate) fn count(number: impl TryInto<u64>, singular: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {singular}{plural}")
}

/// The verb that goes with so many: `is` or `are`, `was` or `were`.
pub(crate) fn verb<'a>(number: impl TryInto<u64>, of_one: &'a str, of_several: &'a str) -> &'a str {
    if number.try_into().unwrap_or(u64::MAX) == 1 { of_one } else { of_several }
}

/// `2,776`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let numbers: Vec<String> = [0, 999, 1000, 1_234_567].map(grouped).into();
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [count(0_u32, "call"), count(1_usize, "call"), count(2_u64, "call")],
            ["0 calls", "1 call", "2 calls"]
        );
        assert_eq!([verb(0_u32, "is", "are"), verb(1_u32, "is", "are")], ["are", "is"]);
    }
}
