//! The operations that a policy schedules (backup, scrub), and [`PerOperation`], a value for each of them.
//! Each operation has a CronJob of its own.
//!
//! Code that treats all operations alike loops over [`PerOperation`]. Code that treats one operation
//! differently matches [`Operation`] or destructures [`PerOperation`] without `..`. So a new operation is one
//! line below, and every place that must handle it then fails to compile.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $variant:ident $field:ident,)+) => {
        /// The operation that a run performs.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumIter,
            EnumString, IntoStaticStr,
        )]
        #[serde(rename_all = "camelCase")]
        #[strum(serialize_all = "camelCase")]
        pub enum Operation { $($(#[doc = $doc])+ $variant,)+ }

        /// The number of operations.
        const COUNT: usize = [$(Operation::$variant),+].len();

        /// One value for each operation. `T` is an `Option` where a policy can lack an operation.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct PerOperation<T> {
            $(
                #[doc = concat!("The value of [`Operation::", stringify!($variant), "`].")]
                #[serde(default)]
                pub $field: T,
            )+
        }

        impl<T> PerOperation<T> {
            /// Creates the values by calling `value` for each operation.
            pub fn from_fn(mut value: impl FnMut(Operation) -> T) -> Self {
                Self { $($field: value(Operation::$variant),)+ }
            }

            /// Returns the value of one operation.
            pub const fn get(&self, operation: Operation) -> &T {
                match operation { $(Operation::$variant => &self.$field,)+ }
            }

            /// Returns a mutable reference to the value of one operation.
            pub const fn get_mut(&mut self, operation: Operation) -> &mut T {
                match operation { $(Operation::$variant => &mut self.$field,)+ }
            }

            /// Converts to a `PerOperation` of references.
            pub const fn as_ref(&self) -> PerOperation<&T> {
                PerOperation { $($field: &self.$field,)+ }
            }

            /// Converts each value with `change`.
            pub fn map<U>(self, mut change: impl FnMut(Operation, T) -> U) -> PerOperation<U> {
                PerOperation { $($field: change(Operation::$variant, self.$field),)+ }
            }

            /// Iterates over mutable references to the values, in the operations' order.
            pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
                [$(&mut self.$field),+].into_iter()
            }
        }

        impl<T> IntoIterator for PerOperation<T> {
            type Item = (Operation, T);
            type IntoIter = std::array::IntoIter<Self::Item, COUNT>;

            fn into_iter(self) -> Self::IntoIter {
                [$((Operation::$variant, self.$field)),+].into_iter()
            }
        }
    };
}

operations! {
    /// Stores a new backup.
    Backup backup,
    /// Reads stored backups back and compares them with their manifests.
    Scrub scrub,
}

impl Operation {
    /// Returns all operations in the order of their declaration.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Returns the name in CronJob names, labels and metrics, for example `backup`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether a run connects to the PostgreSQL server, so that its pod needs the server's address
    /// and credentials.
    pub const fn connects_to_server(self) -> bool {
        match self {
            Self::Backup => true,
            Self::Scrub => false,
        }
    }

    /// Returns whether a run removes backups, so that its pod needs the credentials for removals.
    pub const fn removes_backups(self) -> bool {
        match self {
            Self::Backup => true,
            Self::Scrub => false,
        }
    }
}

impl<T> PerOperation<T> {
    /// Iterates over the operations and their values.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &T)> {
        Operation::all().map(|operation| (operation, self.get(operation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_operation_values_iterate_in_operation_order() {
        let values = PerOperation::from_fn(Operation::as_str);
        assert!(values.iter().map(|(operation, _)| operation).eq(Operation::all()));
        assert!(values.into_iter().all(|(operation, value)| operation.as_str() == value));
        assert_eq!(values.map(|_, value| value.len()), PerOperation { backup: 6, scrub: 5 });
    }
}
