//! The views of policies for people: a policy's overview, the page of all policies, tables and durations. The
//! operator and the kubectl plugin use them.
//!
//! All functions are pure: no client, no clock, no I/O. They show a status and decide only one thing: whether
//! a time in the status has passed.

pub mod duration;
pub mod overview;
pub mod page;
pub mod state;
pub mod table;
