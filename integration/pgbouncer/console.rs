//! The console's commands, as admin, as stats user and as stranger.
