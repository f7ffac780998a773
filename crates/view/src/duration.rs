//! Formats durations for people.

use jiff::SignedDuration;

/// Formats a duration with at most two units, for example `3 d 4 h` or `12 min`. A duration below a minute,
/// or a negative one, is `less than a minute`.
pub fn human(duration: SignedDuration) -> String {
    let minutes = duration.as_mins().max(0);
    let units = [("d", minutes / 1440), ("h", minutes / 60 % 24), ("min", minutes % 60)];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(2);
    let shown = units.iter().skip(first).take(2).filter(|(_, count)| *count > 0);
    let shown: Vec<String> = shown.map(|(unit, count)| format!("{count} {unit}")).collect();
    if shown.is_empty() { "less than a minute".to_owned() } else { shown.join(" ") }
}

/// Formats the time until something happens, for example `in 3 d 4 h`; `due now` if the duration is negative.
pub fn until(duration: SignedDuration) -> String {
    if duration.is_negative() { "due now".to_owned() } else { format!("in {}", human(duration)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_shown_with_at_most_two_units() {
        for (minutes, wanted) in [
            (-5, "less than a minute"),
            (0, "less than a minute"),
            (7, "7 min"),
            (61, "1 h 1 min"),
            (120, "2 h"),
            (1445, "1 d"),
            (4500, "3 d 3 h"),
        ] {
            assert_eq!(human(SignedDuration::from_mins(minutes)), wanted, "{minutes}");
        }
    }

    #[test]
    fn time_in_the_past_is_shown_as_due_now() {
        assert_eq!(until(SignedDuration::from_mins(125)), "in 2 h 5 min");
        assert_eq!(until(SignedDuration::from_secs(-1)), "due now");
    }
}
