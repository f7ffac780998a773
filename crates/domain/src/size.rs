//! Formats sizes for people.

/// Formats a number of bytes with a binary unit and up to three digits, for example `1.21 GiB`, `874 KiB` or
/// `12 B`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // A float is precise enough for three digits.
    #[expect(clippy::cast_precision_loss, reason = "the value is rounded to three digits")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_shown_with_three_digits_and_binary_unit() {
        for (bytes, wanted) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_235, "10.0 KiB"),
            (894_976, "874 KiB"),
            (1_023_900, "0.98 MiB"),
            (1_299_227_607, "1.21 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human(bytes), wanted, "{bytes}");
        }
    }
}
