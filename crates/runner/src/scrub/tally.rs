//! How many backups are as they were written.

use domain::{
    report::{self, ScrubOutcome},
    size,
};

use super::{error::ScrubError, finding::Finding};
use crate::{read_back::ReadBack, store::StoreError};

/// How the backups stand that were read.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) passed: usize,
    pub(super) corrupted: Vec<(String, Finding)>,
    pub(super) unchecked: Vec<(String, Finding)>,
    bytes_read: u64,
    /// Why it could not be written down that a backup is corrupted.
    unwritten: Option<StoreError>,
}

impl Tally {
    /// Counts a backup, and prints a line for it.
    pub fn add(&mut self, id: &str, checked: Checked) {
        match checked {
            Checked::Passed(read) => {
                println!("{id}  {}, as it was written", size::human(read.size));
                self.passed += 1;
                self.bytes_read += read.size;
            }
            Checked::Removed => println!("{id}  was removed meanwhile"),
            Checked::Corrupted(wrong) => {
                println!("{id}  FAILED: {wrong}");
                self.corrupted.push((id.to_owned(), wrong));
            }
            Checked::Unchecked(wrong) => {
                println!("{id}  not checked: {wrong}");
                self.unchecked.push((id.to_owned(), wrong));
            }
        }
    }

    /// Keeps in mind that a finding could not be written down beside its set.
    pub fn note(&mut self, written: Result<(), StoreError>) {
        if let Err(error) = written {
            println!("that could not be written down: {error}");
            self.unwritten.get_or_insert(error);
        }
    }

    /// What a report says of it.
    pub fn outcome(&self) -> ScrubOutcome {
        let count = |backups: usize| u32::try_from(backups).unwrap_or(u32::MAX);
        ScrubOutcome {
            passed: count(self.passed),
            corrupted: self
                .corrupted
                .iter()
                .map(|(backup, _)| backup.clone())
                .take(report::CORRUPTED_LIMIT)
                .collect(),
            unchecked: count(self.unchecked.len()),
            bytes_read: self.bytes_read,
        }
    }

    /// Whether all is well.
    pub fn verdict(self) -> Result<(), ScrubError> {
        let (corrupted, unchecked) = (self.corrupted.len(), self.unchecked.len());
        let checked = self.passed + corrupted + unchecked;
        if let Some((backup, first)) = self.corrupted.into_iter().next() {
            let unwritten = self.unwritten.map(Box::new);
            return Err(ScrubError::Corrupted { corrupted, checked, backup, first: first.into(), unwritten });
        }
        match self.unchecked.into_iter().next() {
            Some((backup, first)) => {
                Err(ScrubError::Unchecked { unchecked, checked, backup, first: first.into() })
            }
            None => Ok(()),
        }
    }
}

/// How a backup stands.
pub enum Checked {
    /// As it was written.
    Passed(ReadBack),
    /// Another run removed it meanwhile.
    Removed,
    /// Its bytes are not those that were written.
    Corrupted(Finding),
    /// That could not be found out.
    Unchecked(Finding),
}

impl Checked {
    pub fn of(wrong: Finding) -> Self {
        if wrong.is_corruption() { Self::Corrupted(wrong) } else { Self::Unchecked(wrong) }
    }
}
