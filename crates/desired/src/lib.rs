//! From a policy to the objects it needs, and from what is observed to its status.
//!
//! Pure functions: no client, no clock. [`validate`] turns a spec into values that cannot be wrong, [`objects`]
//! cannot fail after that, and [`status`] is total: an invalid policy is a status, not an error.

pub mod events;
pub mod objects;
pub mod observed;
mod request;
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
pub use request::open_request;
pub use status::{StatusOutcome, status};
pub use validate::{Invalid, ValidPolicy, validate};
