//! The reasons why a database cannot be dumped.

use super::privilege;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    Missing,
    Excluded,
    /// A DROP DATABASE was interrupted.
    HalfDropped,
    Template,
    NoConnections,
    NoPrivilege,
    NotUtf8,
    /// The database belongs to the hosting service.
    OfTheService,
}

impl Obstacle {
    /// Returns the reason as a predicate: "database x" or "it" comes before it in messages.
    pub const fn fact(self) -> &'static str {
        match self {
            Self::Missing => "does not exist",
            Self::Excluded => "is excluded by databases.exclude",
            Self::HalfDropped => "is invalid, because a DROP DATABASE was interrupted",
            Self::Template => "is a template",
            Self::NoConnections => "does not accept connections (datallowconn is off)",
            Self::NoPrivilege => "does not grant CONNECT to the role",
            Self::NotUtf8 => "has a name that is not valid UTF-8",
            Self::OfTheService => "is a system database of the hosting provider",
        }
    }

    /// Returns a hint for the database `name` if `databases.include` contains this name.
    pub fn hint(self, name: &str) -> String {
        let remove = "or remove it from databases.include.";
        let name = privilege::quoted(name);
        match self {
            Self::Missing => "Correct the name in databases.include, or remove it.".to_owned(),
            Self::Excluded => {
                "Remove the database from databases.include, or its pattern from databases.exclude."
                    .to_owned()
            }
            Self::HalfDropped => format!("Run DROP DATABASE {name} again, {remove}"),
            Self::NoConnections => format!("Run ALTER DATABASE {name} ALLOW_CONNECTIONS true, {remove}"),
            Self::NoPrivilege => {
                format!("GRANT CONNECT ON DATABASE {name} TO {}, {remove}", privilege::ANY_ROLE)
            }
            Self::NotUtf8 => format!("Rename the database, {remove}"),
            Self::Template | Self::OfTheService => "Remove it from databases.include.".to_owned(),
        }
    }
}
