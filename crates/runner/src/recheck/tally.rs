//! How many sets are as they were written.

use domain::{
    report::{self, ScrubOutcome},
    size,
};

use super::{RecheckError, finding::Finding};
use crate::{store::StoreError, verify::ReadBack};

/// How the sets stand that were read.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) passed: usize,
    pub(super) damaged: Vec<(String, Finding)>,
    pub(super) unchecked: Vec<(String, Finding)>,
    bytes_read: u64,
    /// Why it could not be written down that a set is damaged.
    unwritten: Option<StoreError>,
}

impl Tally {
    /// Counts a set, and prints a line for it.
    pub fn add(&mut self, id: &str, checked: Checked) {
        match checked {
            Checked::Passed(read) => {
                println!("{id}  {}, as it was written", size::human(read.size));
                self.passed += 1;
                self.bytes_read += read.size;
            }
            Checked::Removed => println!("{id}  was removed meanwhile"),
            Checked::Damaged(wrong) => {
                println!("{id}  FAILED: {wrong}");
                self.damaged.push((id.to_owned(), wrong));
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
        let count = |sets: usize| u32::try_from(sets).unwrap_or(u32::MAX);
        ScrubOutcome {
            passed: count(self.passed),
            damaged: self.damaged.iter().map(|(set, _)| set.clone()).take(report::DAMAGED_LIMIT).collect(),
            unchecked: count(self.unchecked.len()),
            bytes_read: self.bytes_read,
        }
    }

    /// Whether all is well.
    pub fn verdict(self) -> Result<(), RecheckError> {
        let (damaged, unchecked) = (self.damaged.len(), self.unchecked.len());
        let checked = self.passed + damaged + unchecked;
        if let Some((set, first)) = self.damaged.into_iter().next() {
            let unwritten = self.unwritten.map(Box::new);
            return Err(RecheckError::Damaged { damaged, checked, set, first: first.into(), unwritten });
        }
        match self.unchecked.into_iter().next() {
            Some((set, first)) => {
                Err(RecheckError::Unchecked { unchecked, checked, set, first: first.into() })
            }
            None => Ok(()),
        }
    }
}

/// How a set stands.
pub enum Checked {
    /// As it was written.
    Passed(ReadBack),
    /// Another run removed it meanwhile.
    Removed,
    /// Its bytes are not those that were written.
    Damaged(Finding),
    /// That could not be found out.
    Unchecked(Finding),
}

impl Checked {
    pub fn of(wrong: Finding) -> Self {
        if wrong.is_damage() { Self::Damaged(wrong) } else { Self::Unchecked(wrong) }
    }
}
