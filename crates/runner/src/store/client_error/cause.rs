//! The chain of causes of an error.

use std::{error::Error, io};

/// Iterates over an error and its causes. It also unwraps I/O errors, whose `source()` skips the error that
/// they wrap.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

/// Returns the text of the last cause, which describes what happened. The causes before it are about retries
/// and durations.
pub fn last_cause(error: &object_store::Error) -> String {
    let last = causes(error).last().map(ToString::to_string).unwrap_or_default();
    // The error of a response without a body ends with a colon.
    without_error_number(&last).trim_end_matches([':', ' ']).to_owned()
}

/// Removes the number from a text such as `Connection refused (os error 111)`.
pub fn without_error_number(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(text, _)| text)
}
