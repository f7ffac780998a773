//! The commands, each in a file of its own: its arguments, and a function that returns the text to print.

pub mod next;
