//! The causes of an error.

use std::{error::Error, io};

/// An error and its sources. An I/O error hides the error that it wraps from `source()`.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// The last cause, which says what happened; those before it are about retries and durations.
pub fn last_cause(error: &object_store::Error) -> String {
    let last = causes(error).last().map(ToString::to_string).unwrap_or_default();
    // An answer without a body ends with a colon.
    without_error_number(&last).trim_end_matches([':', ' ']).to_owned()
}

/// `Connection refused (os error 111)` without the number.
pub fn without_error_number(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(text, _)| text)
}
