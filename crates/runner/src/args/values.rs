//! Parsers of options that have a fixed list of values.

use std::{error::Error, str::FromStr};

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Returns a parser that accepts only these spellings, and lists them in `--help`.
pub fn one_of<T>(spellings: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(spellings).try_map(|spelling| spelling.parse::<T>())
}
