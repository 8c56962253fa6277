//! What stands in the configuration file of a test.

use std::fmt::Write as _;

/// Tables of the file, each as the lines in it.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    auth: String,
    clients: String,
    database: String,
    listen: String,
    pool: String,
    rest: String,
    top: String,
    users: Option<String>,
    unix_listener: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            auth: "method = \"trust\"".into(),
            clients: String::new(),
            database: "server.user = \"pool\"".into(),
            listen: String::new(),
            pool: String::new(),
            rest: String::new(),
            top: "workers = 1".into(),
            users: None,
            unix_listener: false,
        }
    }
}

impl Setup {
    pub(crate) fn auth(mut self, lines: &str) -> Self {
        self.auth = lines.into();
        self
    }

    /// The content of the users file, which `auth` then names.
    pub(crate) fn users(mut self, lines: &str) -> Self {
        self.users = Some(lines.into());
        self
    }

    pub(crate) fn clients(mut self, lines: &str) -> Self {
        self.clients = lines.into();
        self
    }

    pub(crate) fn database(mut self, lines: &str) -> Self {
        self.database = lines.into();
        self
    }

    pub(crate) fn pool(mut self, lines: &str) -> Self {
        self.pool = lines.into();
        self
    }

    /// Further tables.
    pub(crate) fn rest(mut self, lines: &str) -> Self {
        self.rest = lines.into();
        self
    }

    pub(crate) fn workers(mut self, count: usize) -> Self {
        self.top = format!("workers = {count}");
        self
    }

    /// Listens on a Unix socket as well.
    pub(crate) fn unix_listener(mut self) -> Self {
        self.unix_listener = true;
        self
    }

    pub(super) fn users_file(&self) -> Option<&str> {
        self.users.as_deref()
    }

    /// The file's text.
    pub(super) fn text(&self, folder: &str, address: &str, server_port: u16) -> String {
        let mut text = format!("{}\n[listen]\naddress = \"{address}\"\n", self.top);
        if self.unix_listener {
            let _ = writeln!(text, "unix_socket_dir = \"{folder}\"");
        }
        let users = match &self.users {
            Some(_) => "users = \"userlist.txt\"",
            None => "",
        };
        let _ = write!(
            text,
            "{}\n[auth]\n{users}\n{}\n[clients]\n{}\n[pool]\n{}\n\
             [databases.shop]\nhost = \"127.0.0.1\"\nport = {server_port}\n{}\n{}\n",
            self.listen, self.auth, self.clients, self.pool, self.database, self.rest
        );
        text.replace("SERVER_PORT", &server_port.to_string())
    }
}
