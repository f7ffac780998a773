//! What both benchmarks need to tell people: goals beside what was measured, and where that goes.

mod document;

pub use self::document::{Goal, Marks, goals, insert, machine};
