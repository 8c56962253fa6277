//! Prepared statements: what stands behind a name is judged when it is prepared, and again when
//! it is run if the rules or the time may be others by then.

use std::sync::Arc;

use crate::policy::classification::{Classification, Classified};
use crate::session::guard::{Asked, Guard, Ruling, Text, of_one, refusal};
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

impl Guard {
    /// Judges a Parse; `certain`: the server will not skip it.
    pub(in crate::session) fn parse(
        &mut self,
        name: &[u8],
        text: Text<'_>,
        certain: bool,
        asked: Asked,
    ) -> Ruling {
        if self.may_change_lexing && self.executed {
            return Err(refusal::unreadable());
        }
        let classified = self.judge_text(text, asked)?;
        if let Some(Ok(classification)) = &classified {
            let audited = self.audits();
            let sql = match text {
                Text::Whole(text) if audited => Some(text),
                Text::Whole(_) | Text::TooLong(_) => None,
            };
            self.names
                .parsed(name, (classification.clone(), sql), certain);
        }
        self.note_sql_names(classified);
        Ok(())
    }

    /// Whether what a Bind runs has to be judged once more.
    pub(super) fn rejudges(&self) -> bool {
        self.judged && self.rejudges
    }

    /// Whether a Bind matters: what it runs has to be judged once more, or written down.
    pub(in crate::session) fn watches_binds(&self) -> bool {
        self.rejudges() || self.audits()
    }

    /// Judges a Bind of a statement whose text is at hand; `id` is the statement's number.
    pub(in crate::session) fn bind_text(
        &mut self,
        text: &[u8],
        id: Option<u64>,
        asked: Asked,
    ) -> Ruling {
        let tick = self.bench.ticks();
        if self.passed_now.0 != tick {
            self.passed_now.0 = tick;
            self.passed_now.1.clear();
        }
        let audited = self.audits();
        let id = id.filter(|_| !audited);
        if id.is_some_and(|id| self.passed_now.1.contains(&id)) {
            return Ok(());
        }
        self.judge_text(Text::Whole(text), asked)?;
        self.passed_now
            .1
            .extend(id.filter(|_| self.passed_now.1.len() < MOST_PASSED));
        Ok(())
    }

    /// Judges a Bind of a statement that only its name is known of.
    pub(in crate::session) fn bind_name(&mut self, name: &[u8], asked: Asked) -> Ruling {
        let known = self.names.of_protocol(name).or_else(|| {
            // Both kinds of PREPARE share their names.
            self.names.of_sql(std::str::from_utf8(name).ok()?)
        });
        match known {
            Some(known) => {
                for (classification, sql) in known {
                    self.judge(&Ok(classification), sql.as_deref(), asked)?;
                }
                Ok(())
            }
            None if self.inherited => Err(self.forgotten()),
            None => Ok(()), // the server has no such statement either
        }
    }

    /// Notes that a statement is closed.
    pub(in crate::session) fn close(&mut self, name: &[u8]) {
        self.names.closed(name);
    }

    /// What EXECUTE runs was judged when it was prepared; the rules may be others now.
    pub(super) fn judge_executed(
        &mut self,
        classification: &Classification,
        asked: Asked,
    ) -> Ruling {
        for name in classification
            .statements
            .iter()
            .filter_map(|s| s.executes.as_deref())
        {
            match self.names.of_sql(name) {
                Some(known) => {
                    for (classification, _) in known {
                        self.judge(&Ok(classification), None, asked)?;
                    }
                }
                None => self.bind_name(name.as_bytes(), asked)?,
            }
        }
        Ok(())
    }

    pub(super) fn note_sql_names(&mut self, classified: Option<Classified>) {
        let Some(Ok(classification)) = classified else {
            return;
        };
        self.may_change_lexing |= self.judged && classification.sets_computed();
        for statement in &classification.statements {
            if let Some(name) = &statement.prepares {
                let what = Arc::new(of_one(statement.clone()));
                self.names.prepared(name, (what, None));
            }
        }
    }

    pub(super) fn forgotten(&self) -> Box<ErrorResponse> {
        Box::new(
            ErrorResponse::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "the rules have changed since this statement was prepared, and it cannot be judged any more",
            )
            .with_hint("Prepare it again."),
        )
    }
}

/// More statements than a client runs in a tenth of a second are not worth looking through.
const MOST_PASSED: usize = 16;
