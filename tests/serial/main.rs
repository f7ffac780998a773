//! The end-to-end tests that stop the operator, which all tests share: one after the other, while no other test runs.
//! `make e2e` runs them after those of `tests/e2e`.

mod a_request_runs_exactly_once;
mod a_second_replica_takes_over;
mod an_absence_of_the_operator_is_made_good;
mod an_upgrade_corrects_what_an_older_version_wrote;
mod one_namespace_is_enough;
