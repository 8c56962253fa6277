//! Restarts that clients do not notice.
