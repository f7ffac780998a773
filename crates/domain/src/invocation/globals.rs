//! Whether backups contain roles and tablespaces.

use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// Whether backups contain roles and tablespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Globals {
    /// Roles and tablespaces without password hashes.
    #[default]
    WithoutPasswords,
    /// Roles with password hashes, and tablespaces.
    WithPasswords,
    /// Neither roles nor tablespaces.
    None,
}

impl Globals {
    /// All choices, the default first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The spelling in arguments: `without-passwords`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
