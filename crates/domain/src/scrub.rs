//! The backups that a scrub reads: those whose last check is oldest, up to a share of the stored bytes.

use jiff::Timestamp;

/// The default of `verification.scrub.share`: the percentage of the stored bytes that one scrub reads.
pub const SHARE: u8 = 10;

/// A backup that a scrub may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbable {
    /// The backup's name.
    pub id: String,
    /// The size of all files of the backup, in bytes.
    pub size_bytes: u64,
    /// The time of the backup's last check.
    pub checked: Timestamp,
}

/// The queue of backups to read. It returns the backup with the oldest check first, until the read backups
/// have at least `share` percent of all bytes. It returns at least one backup if there is any. Over several
/// scrubs every backup is read.
#[derive(Debug)]
pub struct Queue {
    /// The remaining backups. The last element is the next to read.
    backups: Vec<Scrubbable>,
    wanted: u128,
    /// The size of the backups read so far, in bytes; `None` before the first one.
    checked: Option<u128>,
}

impl Queue {
    /// Creates the queue from all backups of a repository. `share` is a percentage.
    pub fn new(mut backups: Vec<Scrubbable>, share: u8) -> Self {
        backups.sort_by(|a, b| (b.checked, &b.id).cmp(&(a.checked, &a.id)));
        let total: u128 = backups.iter().map(|backup| u128::from(backup.size_bytes)).sum();
        Self { backups, wanted: (total * u128::from(share.min(100))).div_ceil(100), checked: None }
    }

    /// Returns the next backup; `None` if enough bytes were read or no backup remains.
    pub fn take(&mut self) -> Option<Scrubbable> {
        if self.checked.is_some_and(|checked| checked >= self.wanted) { None } else { self.backups.pop() }
    }

    /// Adds a backup to the bytes read so far. Callers must not add a backup that could not be read: such a
    /// backup keeps the oldest check, and a few of them would use up the share of every scrub.
    pub fn count(&mut self, backup: &Scrubbable) {
        self.checked = Some(self.checked.unwrap_or_default() + u128::from(backup.size_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backups(sizes_and_checks: &[(u64, i64)]) -> Vec<Scrubbable> {
        let backup = |(n, (size, second)): (usize, &(u64, i64))| Scrubbable {
            id: format!("s{n}"),
            size_bytes: *size,
            checked: Timestamp::from_second(*second).unwrap(),
        };
        sizes_and_checks.iter().enumerate().map(backup).collect()
    }

    /// Returns the backups that a scrub reads. `can_be` returns whether a backup is readable.
    fn read(backups: Vec<Scrubbable>, share: u8, can_be: impl Fn(&str) -> bool) -> Vec<String> {
        let mut queue = Queue::new(backups, share);
        let mut read = Vec::new();
        while let Some(backup) = queue.take() {
            if can_be(&backup.id) {
                queue.count(&backup);
            }
            read.push(backup.id);
        }
        read
    }

    fn choose(backups: Vec<Scrubbable>, share: u8) -> Vec<String> {
        read(backups, share, |_| true)
    }

    #[test]
    fn scrub_reads_its_share_from_backups_checked_longest_ago() {
        let all = [(100, 30), (100, 10), (100, 20), (100, 40)];
        assert_eq!(choose(backups(&all), 1), ["s1"]);
        assert_eq!(choose(backups(&all), 25), ["s1"]);
        assert_eq!(choose(backups(&all), 26), ["s1", "s2"]);
        assert_eq!(choose(backups(&all), 100), ["s1", "s2", "s0", "s3"]);
        assert_eq!(choose(vec![], 100), Vec::<String>::new());
        assert_eq!(choose(backups(&[(0, 2), (0, 1)]), 10), ["s1"], "a backup of nothing is one");
    }

    #[test]
    fn unreadable_backup_does_not_count_towards_scrub_share() {
        let all = [(100, 10), (100, 20), (100, 30), (100, 40)];
        assert_eq!(read(backups(&all), 25, |id| id != "s0"), ["s0", "s1"]);
        assert_eq!(read(backups(&all), 50, |id| id == "s3"), ["s0", "s1", "s2", "s3"]);
        assert_eq!(read(backups(&all), 1, |_| false).len(), 4);
    }

    #[test]
    fn repeated_scrubs_read_every_backup_in_turn() {
        let mut all = backups(&[(1000, 1), (1, 2), (50, 3), (7, 4), (900, 5)]);
        let mut seen = std::collections::BTreeSet::new();
        for now in 100..110 {
            for id in choose(all.clone(), 10) {
                all.iter_mut().find(|backup| backup.id == id).unwrap().checked =
                    Timestamp::from_second(now).unwrap();
                seen.insert(id);
            }
        }
        assert_eq!(seen.len(), 5, "{seen:?}");
    }
}
