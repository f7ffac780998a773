//! The commands. Each file contains a command's arguments and a function that returns the text to print.

pub mod next;
