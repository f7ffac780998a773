//! Counts the results of all checks of a scrub.

use domain::{
    report::{self, ScrubDetails},
    size,
};

use super::{error::ScrubError, finding::Finding};
use crate::{read_back::ReadBack, store::StoreError};

/// The result of the check of one backup.
pub enum Checked {
    Intact(ReadBack),
    /// Another run removed the backup during the check.
    Removed,
    Corrupted(Finding),
    /// The backup could not be checked.
    Unchecked(Finding),
}

impl Checked {
    pub fn of(wrong: Finding) -> Self {
        if wrong.is_corruption() { Self::Corrupted(wrong) } else { Self::Unchecked(wrong) }
    }
}

/// The results of all checks so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) intact: usize,
    pub(super) corrupted: Vec<(String, Finding)>,
    pub(super) unchecked: Vec<(String, Finding)>,
    bytes_read: u64,
    /// The first error because of which a corruption could not be stored beside its backup.
    unrecorded: Option<StoreError>,
}

impl Tally {
    /// Adds the result of a backup's check and prints it as one line.
    pub fn add(&mut self, id: &str, checked: Checked) {
        match checked {
            Checked::Intact(read) => {
                println!("{id}  intact, {}", size::human(read.bytes));
                self.intact += 1;
                self.bytes_read += read.bytes;
            }
            Checked::Removed => println!("{id}  removed during the check"),
            Checked::Corrupted(wrong) => {
                println!("{id}  CORRUPTED: {wrong}");
                self.corrupted.push((id.to_owned(), wrong));
            }
            Checked::Unchecked(wrong) => {
                println!("{id}  not checked: {wrong}");
                self.unchecked.push((id.to_owned(), wrong));
            }
        }
    }

    /// Adds whether a result could be stored beside its backup.
    pub fn note_recorded(&mut self, recorded: Result<(), StoreError>) {
        if let Err(error) = recorded {
            println!("cannot record the outcome of the check: {error}");
            self.unrecorded.get_or_insert(error);
        }
    }

    /// Copies the results into the details of a report.
    pub fn fill(&self, details: &mut ScrubDetails) {
        let count = |backups: usize| u32::try_from(backups).unwrap_or(u32::MAX);
        let corrupted = self.corrupted.iter().map(|(backup, _)| backup.clone());
        details.passed = count(self.intact);
        details.corrupted = corrupted.take(report::CORRUPTED_LIMIT).collect();
        details.unchecked = count(self.unchecked.len());
        details.bytes_read = self.bytes_read;
    }

    /// Returns an error if a backup is corrupted or could not be checked.
    pub fn require_intact(self) -> Result<(), ScrubError> {
        let (corrupted, unchecked) = (self.corrupted.len(), self.unchecked.len());
        let checked = self.intact + corrupted + unchecked;
        if let Some((backup, first)) = self.corrupted.into_iter().min_by_key(|(_, wrong)| wrong.severity()) {
            let unrecorded = self.unrecorded.map(Box::new);
            return Err(ScrubError::Corrupted {
                corrupted,
                checked,
                backup,
                first: first.into(),
                unrecorded,
            });
        }
        match self.unchecked.into_iter().next() {
            Some((backup, first)) => {
                Err(ScrubError::Unchecked { unchecked, checked, backup, first: first.into() })
            }
            None => Ok(()),
        }
    }
}
