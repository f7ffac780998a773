//! The end-to-end tests: one file for each behaviour, each test in a namespace of its own, side by side on one real
//! cluster. `make e2e` runs them.

mod a_connection_uri_works;
mod a_damaged_store_stops_no_backup;
mod a_job_made_with_kubectl_counts;
mod a_killed_run_leaves_nothing_that_looks_complete;
mod a_policy_that_cannot_work_is_refused;
mod a_queued_alter_blocks_nobody_for_long;
mod a_rewritten_table_is_never_stored_empty;
mod a_scheduled_run_is_verified_and_shown;
mod a_suspended_policy_rests;
mod a_user_from_a_secret_works;
mod an_interrupted_run_is_tried_again;
mod another_majors_client_is_refused;
mod buckets_work;
mod connection_failures_are_named;
mod corruption_is_reported;
mod databases_are_chosen;
mod deleting_a_policy_keeps_its_backups;
mod drift_is_repaired;
mod dumps_are_taken_as_the_policy_says;
mod encryption_is_what_the_policy_says;
mod expiry_spares_the_newest_verified_copy;
mod hostile_names_are_backed_up;
mod hostile_settings_break_nothing;
mod locks_that_cannot_be_had_are_explained;
mod pods_that_cannot_start_are_explained;
mod poolers_are_refused;
mod privileges_are_least;
mod restore_by_hand;
mod roles_are_stored_without_passwords;
mod standbys_are_backed_up_while_fresh;
mod volumes_of_both_kinds_work;
mod what_a_dump_leaves_out_is_said;
mod what_cannot_be_read_is_named;
mod what_the_cluster_refuses_is_said;
