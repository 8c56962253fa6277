//! From a text to a ruling, and what is written down of it.

use crate::policy::classification::{Classified, Unclassifiable};
use crate::policy::condition::Circumstances;
use crate::policy::judge::Judge;
use crate::policy::verdict::{Denial, Verdict};
use crate::session::audit::{Event, EventKind, Unwritable};
use crate::session::guard::{Asked, Guard, Ruling, Text, refusal};
use crate::wire::error_response::ErrorResponse;
use crate::wire::sqlstate::SqlState;

impl Guard {
    /// Classifies a text and judges it.
    pub(super) fn judge_text(
        &mut self,
        text: Text<'_>,
        asked: Asked,
    ) -> Result<Option<Classified>, Box<ErrorResponse>> {
        if !self.judged && !self.audits() {
            return Ok(None);
        }
        let limit = self.max_text();
        let (sql, classified) = match text {
            Text::Whole(text) => (Some(text), self.bench.classify(text, limit)),
            Text::TooLong(len) => (None, Err(Unclassifiable::TooLong { len, limit })),
        };
        self.judge(&classified, sql, asked)?;
        if self.rejudges()
            && let Ok(classification) = &classified
        {
            self.judge_executed(classification, asked)?;
        }
        Ok(Some(classified))
    }

    pub(super) fn judge(
        &mut self,
        classified: &Classified,
        sql: Option<&[u8]>,
        asked: Asked,
    ) -> Ruling {
        let verdict = if self.judged {
            let judge = self.bench_judge();
            self.bench.verdict(&judge, &self.admission, classified)
        } else {
            Verdict::Allow
        };
        match verdict {
            Verdict::Allow if asked.runs && self.audits() && sql.is_some() => self
                .record(EventKind::Statement, "allow", classified, None, sql, asked)
                .map_err(|Unwritable| unwritable()),
            Verdict::Allow => Ok(()),
            Verdict::Observe(denial) => {
                let (kind, verdict) = (EventKind::Violation, "would_deny");
                let reference = self.note(&denial, true);
                self.record(
                    kind,
                    verdict,
                    classified,
                    Some((&denial, reference)),
                    sql,
                    asked,
                )
                .map_err(|Unwritable| unwritable())
            }
            Verdict::Deny(denial) => {
                let reference = self.note(&denial, false);
                let about = Some((&*denial, reference));
                // It is refused whether or not that can be written down.
                let _ = self.record(EventKind::Violation, "deny", classified, about, sql, asked);
                Err(Box::new(refusal::of(&denial, reference, sql)))
            }
        }
    }

    pub(super) fn bench_judge(&self) -> Judge<'_> {
        Judge {
            role: self.admission.role(),
            maintenance: self.admission.maintenance(),
            observe: self.bench.policy().observe,
            at: Circumstances {
                now: self.bench.now(),
                user: self.admission.identity().user().as_str(),
                address: self.admission.origin().address,
                database: self.admission.database().as_str(),
            },
        }
    }

    /// Notes a refusal where people look for it; returns its number.
    pub(super) fn note(&self, denial: &Denial, observed: bool) -> u64 {
        let reference = refusal::reference();
        refusal::note(
            &self.bench.denials,
            &self.who,
            denial,
            (reference, observed),
        );
        reference
    }

    pub(super) fn record(
        &self,
        kind: EventKind,
        verdict: &'static str,
        classified: &Classified,
        denial: Option<(&Denial, u64)>,
        sql: Option<&[u8]>,
        asked: Asked,
    ) -> Result<(), Unwritable> {
        let server = self.client.server.borrow();
        let mut event = Event {
            protocol: asked.protocol,
            sql,
            classification: classified.as_deref().ok(),
            denial: denial.map(|(denial, _)| denial),
            verdict,
            transaction: refusal::transaction(asked.status),
            server_pid: server.as_ref().map_or(0, |server| server.pid),
            sqlstate: denial
                .filter(|_| verdict == "deny")
                .map(|(denial, _)| denial.code),
            ..Event::new(kind, &self.who, self.generation)
        };
        if let Some((_, reference)) = denial {
            event.reference = reference;
        }
        self.bench.audit.record(&event)
    }
}

fn unwritable() -> Box<ErrorResponse> {
    Box::new(
        ErrorResponse::error(SqlState::IO_ERROR, "the audit log cannot be written").with_detail(
            "Statements are refused until it can be, as access.audit.on_failure says.",
        ),
    )
}
