//! The operations that a policy has on schedules, each by a CronJob of its own, and values that exist once for each.
//!
//! An operation is data: code that treats all of them alike loops over [`PerOperation`] and has no branches. A new
//! operation is a variant here and a field there; everything that must handle it then fails to compile.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoEnumIterator as _, IntoStaticStr};

/// What a run does. Its name is part of CronJob names, labels and metrics: `backup`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum Operation {
    /// Takes backups.
    Backup,
    /// Reads stored backups back and compares them with their manifests.
    Scrub,
}

impl Operation {
    /// All operations, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// The name in CronJob names, labels and metrics: `backup`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The name of the CronJob that runs this operation for a policy.
    pub fn cron_job(self, policy: &str) -> String {
        format!("{policy}-{}", self.as_str())
    }

    /// The operation and the policy of a CronJob's name; `None` if the name is not of this form.
    pub fn of_cron_job(name: &str) -> Option<(Self, &str)> {
        let (policy, operation) = name.rsplit_once('-')?;
        Some((operation.parse().ok()?, policy))
    }
}

/// One value for each operation. Where a policy does not have to have an operation, `T` is an `Option`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerOperation<T> {
    /// The value for backups.
    #[serde(default)]
    pub backup: T,
    /// The value for scrubs.
    #[serde(default)]
    pub scrub: T,
}

impl<T> PerOperation<T> {
    /// The values that `value` gives for each operation.
    pub fn from_fn(mut value: impl FnMut(Operation) -> T) -> Self {
        Self { backup: value(Operation::Backup), scrub: value(Operation::Scrub) }
    }

    /// The value of one operation.
    pub const fn get(&self, operation: Operation) -> &T {
        match operation {
            Operation::Backup => &self.backup,
            Operation::Scrub => &self.scrub,
        }
    }

    /// The value of one operation, to change it.
    pub const fn get_mut(&mut self, operation: Operation) -> &mut T {
        match operation {
            Operation::Backup => &mut self.backup,
            Operation::Scrub => &mut self.scrub,
        }
    }

    /// References to the values.
    pub const fn as_ref(&self) -> PerOperation<&T> {
        let Self { backup, scrub } = self;
        PerOperation { backup, scrub }
    }

    /// The values that `change` makes of these.
    pub fn map<U>(self, mut change: impl FnMut(Operation, T) -> U) -> PerOperation<U> {
        let Self { backup, scrub } = self;
        PerOperation { backup: change(Operation::Backup, backup), scrub: change(Operation::Scrub, scrub) }
    }

    /// The values, to change them, in the operations' order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let Self { backup, scrub } = self;
        [backup, scrub].into_iter()
    }

    /// Each operation with its value, in the operations' order.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, &T)> {
        Operation::all().map(|operation| (operation, self.get(operation)))
    }
}

impl<T> IntoIterator for PerOperation<T> {
    type Item = (Operation, T);
    type IntoIter = std::array::IntoIter<Self::Item, 2>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { backup, scrub } = self;
        [(Operation::Backup, backup), (Operation::Scrub, scrub)].into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::POLICY_NAME_MAX;

    #[test]
    fn cron_job_name_gives_operation_and_policy() {
        for operation in Operation::all() {
            let name = operation.cron_job("shop-eu");
            assert!(operation.cron_job(&"p".repeat(POLICY_NAME_MAX)).len() <= 52);
            assert_eq!(Operation::of_cron_job(&name), Some((operation, "shop-eu")));
        }
        assert_eq!(Operation::of_cron_job("shop-eu"), None);
    }

    #[test]
    fn values_are_visited_in_the_order_of_operations() {
        let values = PerOperation::from_fn(Operation::as_str);
        assert!(values.iter().map(|(operation, _)| operation).eq(Operation::all()));
        assert!(values.into_iter().all(|(operation, value)| operation.as_str() == value));
        assert_eq!(values.map(|_, value| value.len()), PerOperation { backup: 6, scrub: 5 });
    }
}
