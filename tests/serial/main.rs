//! The end-to-end tests that stop the operator, which all tests share. They run one after the other, while no
//! other test runs. `make e2e` runs them after `tests/e2e`.

mod leader_election;
mod operator_absence;
mod operator_upgrade;
mod requested_backup;
mod single_namespace;
