//! Who may use the console, and for what.

use crate::console::command::Command;
use crate::console::settings::ConsoleSettings;
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

/// What a user of the console may do; who has none is refused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Look.
    Viewer,
    /// Everything.
    Admin,
}

impl Role {
    /// The role of a user who has proved its name. `None`: it may not use the console at all.
    pub fn of(settings: &ConsoleSettings, user: &str) -> Option<Self> {
        if settings.admins.contains(user) {
            Some(Self::Admin)
        } else if settings.viewers.contains(user) {
            Some(Self::Viewer)
        } else {
            None
        }
    }

    /// What somebody without a role is told.
    pub fn refusal() -> ErrorResponse {
        ErrorResponse::fatal(SqlState::PROTOCOL_VIOLATION, "not allowed")
    }

    /// Whether somebody of this role may give a command.
    ///
    /// # Errors
    /// What to answer if not.
    pub fn permits(self, command: &Command) -> Result<(), ErrorResponse> {
        if command.entry().is_some_and(|entry| self >= entry.right) {
            return Ok(());
        }
        Err(ErrorResponse::error(
            SqlState::PROTOCOL_VIOLATION,
            "admin access needed",
        ))
    }
}

impl Command {
    /// The least role that may give it.
    pub fn required_role(&self) -> Role {
        self.entry().map_or(Role::Admin, |entry| entry.right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_neither_list_has_no_role() {
        let settings = ConsoleSettings {
            admins: ["root".to_owned()].into(),
            viewers: ["root".to_owned(), "monitor".to_owned()].into(),
        };
        assert_eq!(Role::of(&settings, "root"), Some(Role::Admin));
        assert_eq!(Role::of(&settings, "monitor"), Some(Role::Viewer));
        assert_eq!(Role::of(&settings, "app"), None);
        assert_eq!(Role::of(&settings, ""), None);
        assert_eq!(Role::refusal().to_string(), "FATAL 08P01: not allowed");
    }

    #[test]
    fn a_viewer_may_look_and_an_admin_may_do_everything() {
        let for_all = [
            "",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SELECT 1",
            "DEALLOCATE ALL",
            "DISCARD ALL",
            "RESET ALL",
            "SET timezone = 'UTC'",
            "SHOW timezone",
            "SHOW HELP",
            "SHOW VERSION",
            "SHOW POOLS",
            "SHOW CLIENTS",
            "SHOW SERVERS",
            "SHOW DATABASES",
            "SHOW STATS",
            "SHOW STATS_TOTALS",
            "SHOW STATS_AVERAGES",
            "SHOW TOTALS",
            "SHOW LISTS",
            "SHOW USERS",
            "SHOW CONFIG",
            "SHOW STATE",
            "SHOW MEM",
            "SHOW SOCKETS",
            "SHOW ACTIVE_SOCKETS",
            "SHOW PEERS",
            "SHOW PEER_POOLS",
            "SHOW DNS_HOSTS",
            "SHOW DNS_ZONES",
            "EXPLAIN ACCESS 'x' FOR ROLE y",
        ];
        let for_admins = [
            "DISABLE",
            "DISABLE shop",
            "ENABLE shop",
            "KILL",
            "KILL shop",
            "KILL_CLIENT 1",
            "PAUSE",
            "PAUSE shop",
            "RECONNECT",
            "RECONNECT shop",
            "RELOAD",
            "RESUME",
            "RESUME shop",
            "SET pool_mode = session",
            "SHUTDOWN",
            "SHUTDOWN WAIT_FOR_SERVERS",
            "SHUTDOWN WAIT_FOR_CLIENTS",
            "SHOW FDS",
            "SUSPEND",
            "WAIT_CLOSE",
            "WAIT_CLOSE shop",
        ];
        for text in for_all {
            let command = Command::parse(text).unwrap();
            assert!(Role::Viewer.permits(&command).is_ok(), "{text}");
            assert!(Role::Admin.permits(&command).is_ok(), "{text}");
        }
        for text in for_admins {
            let command = Command::parse(text).unwrap();
            let refused = Role::Viewer.permits(&command).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "ERROR 08P01: admin access needed",
                "{text}"
            );
            assert!(Role::Admin.permits(&command).is_ok(), "{text}");
        }
    }
}
