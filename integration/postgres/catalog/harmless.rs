//! Volatile functions of PostgreSQL that who may only read may call, and why.

/// Names, parted by blanks, and the reason.
pub(crate) const HARMLESS: &[(&str, &str)] = &[
    (
        "array_sample array_shuffle clock_timestamp gen_random_uuid random random_normal setseed \
         timeofday timezone uuidv4 uuidv7",
        "computes; chance and the clock are all that changes",
    ),
    (
        "pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all \
         pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared \
         pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock \
         pg_try_advisory_xact_lock_shared",
        "a lock that means what its users agree on; the pool lets go of it",
    ),
    (
        "lo_close lo_get lo_lseek lo_lseek64 lo_open lo_tell lo_tell64 loread",
        "reads a large object; what writes through its handle is guarded",
    ),
    (
        "pg_sleep pg_sleep_for pg_sleep_until",
        "takes time, which limits are for",
    ),
    (
        "set_config",
        "is judged as SET is, by the parameter and its value",
    ),
    (
        "currtid currtid2 currval lastval pg_sequence_last_value pg_get_sequence_data",
        "reads a position",
    ),
    (
        "txid_status pg_xact_status pg_xact_commit_timestamp pg_xact_commit_timestamp_origin \
         pg_last_committed_xact pg_get_multixact_members pg_prepared_xact pg_export_snapshot",
        "tells about transactions; the snapshot is gone with its transaction",
    ),
    (
        "pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size \
         pg_total_relation_size pg_partition_ancestors pg_partition_tree amvalidate",
        "tells about relations",
    ),
    (
        "pg_collation_actual_version pg_database_collation_actual_version pg_control_checkpoint \
         pg_control_init pg_control_recovery pg_control_system pg_jit_available current_query \
         pg_current_logfile pg_get_loaded_modules pg_get_wal_resource_managers pg_get_wait_events \
         pg_notification_queue_usage pg_is_in_backup pg_get_shmem_allocations \
         pg_get_shmem_allocations_numa pg_get_backend_memory_contexts pg_get_aios",
        "tells about the server and this session",
    ),
    (
        "pg_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status \
         pg_safe_snapshot_blocking_pids",
        "tells who waits for whom",
    ),
    (
        "pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn \
         pg_get_wal_replay_pause_state pg_is_in_recovery pg_is_wal_replay_paused \
         pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp \
         pg_available_wal_summaries pg_get_wal_summarizer_state pg_wal_summary_contents \
         pg_show_replication_origin_status pg_replication_origin_progress \
         pg_replication_origin_session_is_setup pg_replication_origin_session_progress",
        "tells how far the write-ahead log and replication are",
    ),
    (
        "pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_get_backend_io \
         pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch \
         pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit \
         pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time \
         pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans \
         pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched \
         pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted \
         pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned \
         pg_stat_get_xact_tuples_updated pg_stat_have_stats",
        "tells statistics, or this session's own are made new",
    ),
    (
        "plpgsql_validator",
        "checks a function that is there already, for who may change it",
    ),
];

/// Guarded functions that PostgreSQL calls stable or immutable: they read tables that no name in
/// the text shows, or one of several functions of the name is volatile.
pub(crate) const NOT_VOLATILE: &str = "\
    binary_upgrade_logical_slot_has_caught_up \
    database_to_xml database_to_xml_and_xmlschema database_to_xmlschema query_to_xml \
    query_to_xml_and_xmlschema query_to_xmlschema schema_to_xml schema_to_xml_and_xmlschema \
    schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema table_to_xmlschema ts_rewrite";
