//! Validates the image and the databases of backups.

use api::{checks::postgres as check, policy::Databases};

use super::field::{Invalid, characters, entries, in_limits, invalid, require};

/// The image in which backups run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresImage {
    /// The image of a major version in the operator's configured repository.
    Version(u32),
    /// The image with this name.
    Named(String),
}

/// Validates `postgres.version` and `postgres.image`, of which exactly one must be set.
pub fn image(version: Option<u32>, image: Option<&str>) -> Result<PostgresImage, Invalid> {
    match (version, image) {
        (Some(version), None) => {
            in_limits("postgres.version", &version, 13..=99)?;
            Ok(PostgresImage::Version(version))
        }
        (None, Some(image)) => {
            let is_image = (1..=512).contains(&image.len()) && !image.contains(char::is_whitespace);
            require("postgres.image", check::IMAGE, is_image)?;
            Ok(PostgresImage::Named(image.to_owned()))
        }
        _ => Err(invalid("postgres", check::VERSION_OR_IMAGE.message)),
    }
}

/// Validates `postgres.databases`.
pub fn databases(databases: &Databases) -> Result<Databases, Invalid> {
    let Databases { include, exclude, retired } = databases;
    let is_included = |name: &String| include.contains(name);
    require("postgres.databases", check::INCLUDED_AND_EXCLUDED, !exclude.iter().any(is_included))?;
    require("postgres.databases", check::INCLUDED_AND_RETIRED, !retired.iter().any(is_included))?;
    for (field, names, least) in [
        ("postgres.databases.include", include, 1),
        ("postgres.databases.exclude", exclude, 0),
        ("postgres.databases.retired", retired, 0),
    ] {
        entries(field, names.len(), least..=100)?;
        names.iter().try_for_each(|name| characters(field, name, 1..=63))?;
    }
    let is_pattern = |name: &String| name.contains(['*', '?']);
    require("postgres.databases.retired", check::RETIRED_NAME, !retired.iter().any(is_pattern))?;
    Ok(databases.clone())
}
