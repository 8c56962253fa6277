//! What one client does must not reach another: clients that share servers.
