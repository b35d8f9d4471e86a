//! What every store must do. A store plugs in with an [`Instance`] and one line: `conformance!(make)`, where `make` is an
//! async function that gives a fresh instance.

pub(crate) mod appending;
pub(crate) mod commits;
pub(crate) mod data;
pub(crate) mod decisions;
pub(crate) mod documents;
pub(crate) mod expected;
pub(crate) mod identities;
pub(crate) mod lanes;
pub(crate) mod leases;
pub(crate) mod letters;
pub(crate) mod links;
pub(crate) mod model;
pub(crate) mod moves;
pub(crate) mod nodes;
pub(crate) mod plans;
pub(crate) mod records;
pub(crate) mod shelf;
pub(crate) mod upkeep;

use std::sync::Arc;

use async_trait::async_trait;
use patchbay_model::ConversationId;
use patchbay_store::{EventRecord, Lease, Position, Store};

/// A store under test.
#[async_trait]
pub(crate) trait Instance: Send {
    /// The store as it is now.
    fn store(&self) -> Arc<dyn Store>;

    /// Opens the store again as after a crash of everything that used it: nothing has been closed or released.
    async fn reopen(&mut self);
}

/// Takes the partition of a conversation.
pub(crate) async fn own(store: &Arc<dyn Store>, conversation: &ConversationId) -> Lease {
    store.acquire(store.partition_of(conversation)).await.unwrap().expect("the partition is free")
}

/// Everything that waits in a partition.
pub(crate) async fn journal(store: &Arc<dyn Store>, lease: &Lease) -> Vec<EventRecord> {
    store.journal(lease, Position(0), usize::MAX).await.unwrap()
}

/// One test for each rule.
#[macro_export]
macro_rules! conformance {
    ($make:path) => {
        $crate::conformance!($make;
            appending::an_event_stands_in_its_journal,
            appending::the_same_event_is_taken_once,
            appending::concurrent_duplicates_are_taken_once,
            appending::a_conversation_keeps_its_order,
            appending::the_journal_is_read_in_pieces,
            appending::a_wake_up_follows_an_append,
            appending::identities_lead_to_one_conversation,
            appending::the_surest_known_identity_wins,
            appending::identities_belong_to_a_channel,
            appending::an_account_has_a_line_of_its_own,
            appending::a_foreign_conversation_is_taken_as_it_is,
            appending::many_appends_at_once_all_arrive,
            leases::a_partition_has_one_owner,
            leases::a_stale_lease_writes_nothing,
            leases::a_crash_ends_every_lease,
            leases::a_partition_that_is_not_there_cannot_be_taken,
            commits::a_commit_is_all_there,
            commits::a_refused_commit_leaves_nothing,
            commits::an_event_is_the_witness,
            commits::a_version_is_the_witness,
            commits::a_task_is_the_witness,
            commits::two_writers_of_one_version_conflict,
            commits::task_and_event_commits_go_together,
            commits::a_foreign_partition_is_refused,
            commits::appended_events_wait_and_wake,
            lanes::tasks_are_loaded_in_order,
            lanes::a_task_put_again_is_replaced,
            lanes::finished_then_put_is_there,
            lanes::a_timer_is_one_for_each_name,
            lanes::a_timer_that_was_set_anew_is_not_cleared,
            lanes::a_dead_letter_leaves_its_lane_and_comes_back,
            lanes::dead_letters_are_listed_newest_first,
            links::links_are_by_desk,
            links::a_ticket_leads_to_its_conversation,
            links::a_task_and_an_event_lose_nothing_of_each_other,
            links::a_late_answer_does_not_bring_an_old_ticket_back,
            links::a_desk_changes_only_a_link_that_is_there,
            links::a_merge_redirects_no_other_conversation,
            links::the_last_entries_are_kept_once_each,
            records::media_is_kept,
            records::reports_are_listed_newest_first,
            records::events_are_listed_newest_first,
            records::every_event_kind_and_route_comes_back_whole,
            records::reopening_keeps_everything,
            identities::a_number_is_changed_and_then_used,
            identities::a_number_is_used_before_its_change_is_told,
            identities::a_number_is_given_to_a_new_person,
            identities::a_former_number_of_a_known_person_stays_theirs,
            identities::a_former_identity_that_nobody_had_leads_here,
            identities::two_known_conversations_meet,
            identities::others_are_in_the_journal_too,
            identities::a_group_is_a_conversation_of_its_own,
            letters::a_dead_letter_is_found_by_its_task,
            letters::a_dead_letter_is_replaced,
            letters::a_dead_letter_is_settled,
            decisions::a_decision_is_written_with_its_commit,
            decisions::a_refused_commit_leaves_no_decision,
            decisions::an_event_is_decided_again,
            decisions::a_decision_goes_with_its_event,
            shelf::a_document_is_written_read_and_removed,
            shelf::a_document_is_written_only_at_its_revision,
            shelf::several_writes_are_one,
            shelf::revisions_grow_over_a_removal,
            shelf::keys_are_sorted_and_spaces_are_apart,
            shelf::a_quota_holds,
            shelf::how_much_a_space_holds_is_known,
            shelf::bodies_are_any_bytes_up_to_the_limit,
            shelf::of_concurrent_writers_one_wins,
            shelf::documents_are_kept_counted_and_sound,
            documents::documents_are_written_with_their_event,
            documents::an_overtaken_commit_leaves_nothing,
            documents::a_space_that_has_filled_up_overtakes_a_commit,
            documents::documents_need_their_event,
            documents::counters_of_many_conversations_lose_nothing,
            nodes::a_node_that_beats_is_listed,
            nodes::a_burst_is_free_and_then_turns_are_spaced,
            upkeep::stats_count_everything,
            upkeep::raw_json_goes_and_the_event_stays,
            upkeep::events_go_and_their_ids_are_remembered,
            upkeep::many_events_go_in_pieces,
            upkeep::dead_letters_and_reports_go,
            upkeep::a_conversation_goes_with_all_that_is_its_own,
            upkeep::a_conversation_that_something_waits_for_stays,
            upkeep::nothing_is_removed_without_a_time,
            upkeep::only_an_owner_thins_out,
        );
        // What needs two stores.
        $crate::conformance!(@two $make;
            moves::an_export_makes_an_equal_store,
            moves::an_empty_store_exports_nothing,
        );

        #[test]
        fn random_operations_match_the_model() {
            conformance::model::check(|| Box::pin(async { Box::new($make().await) as Box<dyn conformance::Instance> }));
        }
    };
    (@two $make:path; $($module:ident :: $name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (mut one, mut other) = ($make().await, $make().await);
                conformance::$module::$name(&mut one, &mut other).await;
            }
        )*
    };
    ($make:path; $($module:ident :: $name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut instance = $make().await;
                conformance::$module::$name(&mut instance).await;
            }
        )*
    };
}
