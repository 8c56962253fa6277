//! What a client sees: timeouts, notices, statements, replication.
