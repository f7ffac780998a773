//! Which stored backups a scrub reads: those checked longest ago, up to a share of the stored bytes.

use jiff::Timestamp;

/// The default of `verification.scrub.share`: the percentage of the stored bytes that one scrub reads.
pub const SHARE: u8 = 10;

/// A backup that a scrub can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbable {
    /// The backup's name.
    pub id: String,
    /// The stored bytes.
    pub size_bytes: u64,
    /// When the backup was checked last.
    pub checked: Timestamp,
}

/// The backups to read, the one checked longest ago first: enough to have at least `share` percent of all bytes, and at least
/// one if there is any. If each scrub reads the same share, every backup is read in turn.
#[derive(Debug)]
pub struct Queue {
    /// The next backup is the last of the list.
    backups: Vec<Scrubbable>,
    wanted: u128,
    /// The bytes of the checked backups; `None` before the first.
    checked: Option<u128>,
}

impl Queue {
    /// All backups, and the share of a run.
    pub fn new(mut backups: Vec<Scrubbable>, share: u8) -> Self {
        backups.sort_by(|a, b| (b.checked, &b.id).cmp(&(a.checked, &a.id)));
        let total: u128 = backups.iter().map(|backup| u128::from(backup.size_bytes)).sum();
        Self { backups, wanted: (total * u128::from(share.min(100))).div_ceil(100), checked: None }
    }

    /// The next backup; `None` when enough bytes were checked.
    pub fn take(&mut self) -> Option<Scrubbable> {
        if self.checked.is_some_and(|checked| checked >= self.wanted) { None } else { self.backups.pop() }
    }

    /// Adds a checked backup to the share. A backup that could not be read is not added: it remains the one checked longest
    /// ago, and a few of them would use up the share of every scrub.
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

    /// Those that a run reads, if each can be checked that `can_be` allows.
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
    fn scrub_reads_backups_checked_longest_ago_up_to_the_share() {
        let all = [(100, 30), (100, 10), (100, 20), (100, 40)];
        assert_eq!(choose(backups(&all), 1), ["s1"]);
        assert_eq!(choose(backups(&all), 25), ["s1"]);
        assert_eq!(choose(backups(&all), 26), ["s1", "s2"]);
        assert_eq!(choose(backups(&all), 100), ["s1", "s2", "s0", "s3"]);
        assert_eq!(choose(vec![], 100), Vec::<String>::new());
        assert_eq!(choose(backups(&[(0, 2), (0, 1)]), 10), ["s1"], "a backup of nothing is one");
    }

    #[test]
    fn unreadable_backup_does_not_use_up_the_share() {
        let all = [(100, 10), (100, 20), (100, 30), (100, 40)];
        assert_eq!(read(backups(&all), 25, |id| id != "s0"), ["s0", "s1"]);
        assert_eq!(read(backups(&all), 50, |id| id == "s3"), ["s0", "s1", "s2", "s3"]);
        assert_eq!(read(backups(&all), 1, |_| false).len(), 4);
    }

    #[test]
    fn every_backup_is_scrubbed_in_turn() {
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
