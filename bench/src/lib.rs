//! The code that both benchmarks share: goals with measured values, and the document to which they are
//! written.

mod document;

pub use self::document::{Goal, Marks, goals, insert, machine};
