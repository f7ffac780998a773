//! The choice whether backups contain roles and tablespaces.

use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// The choice whether backups contain roles and tablespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Globals {
    /// Backups contain roles and tablespaces, without password hashes.
    #[default]
    WithoutPasswords,
    /// Backups contain roles, their password hashes, and tablespaces.
    WithPasswords,
    /// Backups contain neither roles nor tablespaces.
    None,
}

impl Globals {
    /// Returns all choices, the default first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the spelling in arguments, for example `without-passwords`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
