//! The messages of the extended protocol.

use std::collections::hash_map::Entry;

use pgwarden::wire::body::BodyReader;

use super::{Code, Oracle, Portal, statement};
use crate::script::backend::{self, Failed};

impl Oracle {
    pub(super) fn extended(&mut self, tag: u8, body: &[u8]) -> Result<(), Code> {
        let mut body = BodyReader::new(body);
        match tag {
            b'P' => {
                let (name, sql) = (cstr(&mut body), cstr(&mut body));
                self.parse(name, &String::from_utf8_lossy(&sql))
            }
            b'B' => {
                let (portal, name) = (cstr(&mut body), cstr(&mut body));
                self.bind(portal, &name)
            }
            b'D' => match body.byte() {
                Ok(b'S') => self.describe_statement(&cstr(&mut body)),
                _ => self.describe_portal(&cstr(&mut body)),
            },
            b'E' => {
                let name = cstr(&mut body);
                let limit = body
                    .int32()
                    .map_or(0, |limit| limit.try_into().unwrap_or(0));
                self.execute(&name, limit)
            }
            b'C' => {
                if body.byte() == Ok(b'S') {
                    let name = cstr(&mut body);
                    self.statements.remove(&name);
                } else {
                    self.portals.remove(&cstr(&mut body));
                }
                self.puts(backend::close_complete());
                Ok(())
            }
            _ => Err("08P01"),
        }
    }

    fn parse(&mut self, name: Vec<u8>, sql: &str) -> Result<(), Code> {
        if name.is_empty() {
            self.statements.remove(&name);
        }
        if sql.starts_with("syntax") {
            return Err("42601");
        }
        self.belongs(sql);
        self.may_run(sql)?;
        match self.statements.entry(name) {
            Entry::Occupied(_) => return Err("42P05"),
            Entry::Vacant(place) => place.insert(sql.to_owned()),
        };
        self.puts(backend::parse_complete());
        Ok(())
    }

    fn bind(&mut self, portal: Vec<u8>, name: &[u8]) -> Result<(), Code> {
        let sql = self.statements.get(name).ok_or("26000")?.clone();
        self.may_run(&sql)?;
        if portal.is_empty() {
            self.portals.remove(&portal);
        }
        match self.portals.entry(portal) {
            Entry::Occupied(_) => return Err("42P03"),
            Entry::Vacant(place) => place.insert(Portal {
                sql,
                at: 0,
                done: false,
            }),
        };
        self.puts(backend::bind_complete());
        Ok(())
    }

    fn describe_statement(&mut self, name: &[u8]) -> Result<(), Code> {
        let sql = self.statements.get(name).ok_or("26000")?.clone();
        if self.status == Failed && statement::has_rows(&sql) {
            return Err("25P02");
        }
        self.puts(backend::no_parameters());
        self.describes(&sql);
        Ok(())
    }

    fn describe_portal(&mut self, name: &[u8]) -> Result<(), Code> {
        let sql = self.portals.get(name).ok_or("34000")?.sql.clone();
        self.describes(&sql);
        Ok(())
    }

    fn describes(&mut self, sql: &str) {
        self.puts(if statement::has_rows(sql) {
            backend::columns()
        } else {
            backend::no_data()
        });
    }

    fn execute(&mut self, name: &[u8], limit: usize) -> Result<(), Code> {
        let mut portal = self.portals.get(name).ok_or("34000")?.clone();
        self.runs(&mut portal, limit, true)?;
        // A COMMIT has taken all portals.
        if let Some(place) = self.portals.get_mut(name) {
            *place = portal;
        }
        Ok(())
    }

    /// In a failed transaction only its end can be run.
    pub(super) fn may_run(&self, sql: &str) -> Result<(), Code> {
        let ends = matches!(statement::verb(sql), "commit" | "rollback");
        if self.status == Failed && !ends {
            return Err("25P02");
        }
        Ok(())
    }
}

fn cstr(body: &mut BodyReader<'_>) -> Vec<u8> {
    body.cstr().unwrap_or_default().to_vec()
}
