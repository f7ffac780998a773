//! Derives the objects of a policy from its spec, and its status from what the operator observes.
//!
//! All functions are pure: they use no client and no clock. [`validate()`] converts a spec into values that are
//! always valid, so [`objects()`] cannot fail. [`status()`] never fails either: an invalid policy results in a
//! status, not in an error.

pub mod events;
pub mod objects;
pub mod observed;
mod open_request;
pub mod status;
pub mod validate;

pub use events::{EventDraft, events};
pub use objects::{
    Images, Objects, applied_generation, objects, requested_job, spec_is_as_applied, up_to_date,
};
pub use observed::{
    Cause, ContainerExit, ForeignObject, JobState, Observed, ObservedCronJob, ObservedOperation, ObservedRun,
    Problem, Rejection, RequestObstacle, UnexplainedWait,
};
pub use open_request::open_request;
pub use status::{StatusOutcome, status};
pub use validate::{Invalid, ValidPolicy, validate};
