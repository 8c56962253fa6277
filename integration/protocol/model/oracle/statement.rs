//! What the statements do.

use super::{Code, CopyIn, Oracle, Portal};
use crate::script::backend::{self, Failed, Idle, InTransaction};
use crate::script::server::CLEANING;

impl Oracle {
    /// Runs a statement up to so many rows; 0: all.
    pub(super) fn runs(
        &mut self,
        portal: &mut Portal,
        limit: usize,
        extended: bool,
    ) -> Result<(), Code> {
        let sql = portal.sql.clone();
        self.belongs(&sql);
        self.may_run(&sql)?;
        if portal.done {
            return Err("55000");
        }
        if has_rows(&sql) {
            self.sends_rows(portal, limit);
            return Ok(());
        }
        portal.done = true;
        let argument = argument(&sql);
        let tag = match verb(&sql) {
            "insert" => "INSERT 0 1",
            "begin" => {
                self.status = InTransaction;
                "BEGIN"
            }
            "commit" | "rollback" => return self.ends_transaction(verb(&sql)),
            "fail" => return Err("22012"),
            "notice" => {
                self.puts(backend::notice("notice"));
                "NOTICE"
            }
            "zone" => {
                self.zone.now = argument.to_owned();
                "SET"
            }
            "copyin" | "copybad" => {
                self.copy = Some(CopyIn {
                    extended,
                    fails: verb(&sql) == "copybad",
                    lines: 0,
                });
                self.puts(backend::copy_in());
                return Ok(());
            }
            "copyout" => {
                self.puts(backend::copy_out());
                self.puts(backend::copy_data(b"line\n"));
                self.puts(backend::copy_done());
                "COPY 1"
            }
            "deallocate" => return self.deallocates(argument),
            "discard" if self.status != Idle => return Err("25001"),
            "discard" => {
                self.statements.clear();
                self.zone.now = "UTC".into();
                "DISCARD ALL"
            }
            _ => self.cleans(&sql)?,
        };
        self.puts(backend::complete(tag));
        Ok(())
    }

    fn sends_rows(&mut self, portal: &mut Portal, limit: usize) {
        let count = match verb(&portal.sql) {
            "rows" => argument(&portal.sql).parse().unwrap_or(1),
            _ => 1,
        };
        let value = match verb(&portal.sql) {
            "showzone" => self.zone.now.clone(),
            _ => argument(&portal.sql).to_owned(),
        };
        let mut sent = 0;
        while portal.at < count && (limit == 0 || sent < limit) {
            self.puts(backend::row(&value));
            portal.at += 1;
            sent += 1;
        }
        if limit > 0 && sent == limit {
            self.puts(backend::suspended());
        } else {
            self.puts(backend::complete(&format!("SELECT {sent}")));
        }
    }

    fn ends_transaction(&mut self, how: &str) -> Result<(), Code> {
        let committed = how == "commit" && self.status != Failed;
        if self.status == Idle {
            self.puts(backend::notice("there is no transaction in progress"));
        } else if committed {
            self.zone.committed = self.zone.now.clone();
        } else {
            self.zone.now = self.zone.committed.clone();
        }
        self.status = Idle;
        self.portals.clear();
        self.puts(backend::complete(if committed {
            "COMMIT"
        } else {
            "ROLLBACK"
        }));
        Ok(())
    }

    fn deallocates(&mut self, name: &str) -> Result<(), Code> {
        let tag = if name == "all" {
            self.statements.retain(|name, _| name.is_empty());
            "DEALLOCATE ALL"
        } else {
            self.statements.remove(name.as_bytes()).ok_or("26000")?;
            "DEALLOCATE"
        };
        self.puts(backend::complete(tag));
        Ok(())
    }

    /// What pgwarden says of its own.
    fn cleans(&mut self, sql: &str) -> Result<&'static str, Code> {
        if CLEANING.split(';').any(|part| part.trim() == sql) {
            if sql.starts_with("RESET") {
                self.zone.now = "UTC".into();
            }
            return Ok("RESET");
        }
        match sql {
            "DISCARD ALL" => {
                self.statements.clear();
                self.zone.now = "UTC".into();
                Ok("DISCARD ALL")
            }
            "DEALLOCATE ALL" => {
                self.statements.clear();
                Ok("DEALLOCATE ALL")
            }
            other => {
                let value = other
                    .strip_prefix("SELECT pg_catalog.set_config(E'TimeZone', E'")
                    .and_then(|rest| rest.strip_suffix("', false)"))
                    .ok_or("42601")?;
                self.zone.now = value.to_owned();
                Ok("SELECT 1")
            }
        }
    }
}

pub(super) fn verb(sql: &str) -> &str {
    sql.split_whitespace().next().unwrap_or_default()
}

fn argument(sql: &str) -> &str {
    let second = sql.split_whitespace().nth(1).unwrap_or_default();
    if second.starts_with('@') { "" } else { second }
}

pub(super) fn has_rows(sql: &str) -> bool {
    matches!(verb(sql), "select" | "rows" | "showzone")
}
