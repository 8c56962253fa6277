//! Reading an HBA file.

use std::sync::Arc;

use super::address::Addresses;
use super::tokens::{Line, Token, Unclosed};
use super::{DatabasePattern, Hba, Rule, Transport, UserPattern};
use crate::auth::ident::{IdentMap, Idents};
use crate::auth::ldap::LdapOptions;
use crate::auth::method::Method;

/// A line of an HBA file that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct HbaProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: String,
}

/// Reads the text of a file that `@name` names.
pub(super) type ReadFile<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

impl Hba {
    /// Reads a whole file. `idents`: the maps that `map=` may name. `read_file`: gives the text
    /// of a file named by `@`, or says why it cannot; names are relative to the HBA file.
    ///
    /// # Errors
    /// Every line that cannot be used. PgBouncer leaves them out, and a mistyped `reject` opens
    /// the door.
    pub fn parse(
        text: &str,
        idents: &Idents,
        read_file: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, Vec<HbaProblem>> {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let mut parser = Parser {
                line: Line::new(text),
                number: line,
                idents,
                read_file,
            };
            match parser.rule() {
                Ok(rule) => rules.extend(rule),
                Err(fault) => problems.push(HbaProblem { line, fault }),
            }
        }
        if problems.is_empty() {
            Ok(Self(rules))
        } else {
            Err(problems)
        }
    }
}

struct Parser<'a, 'f> {
    line: Line<'a>,
    number: usize,
    idents: &'a Idents,
    read_file: &'a mut ReadFile<'f>,
}

impl Parser<'_, '_> {
    fn rule(&mut self) -> Result<Option<Rule>, String> {
        let Some(kind) = self.line.word().map_err(unclosed)? else {
            return Ok(None);
        };
        let transport = transport(&kind.map_err(|()| not_a_list("type"))?)?;
        let databases = self.list("database")?;
        let databases = self.databases(databases)?;
        let users = self.list("user")?;
        let users = self.users(users)?;
        let addresses = match transport {
            Transport::Local => Addresses::All,
            Transport::Host | Transport::HostGssenc | Transport::HostNoSsl | Transport::HostSsl => {
                self.addresses()?
            }
        };
        let method = self.word("method")?;
        let method = self::method(&method)?;
        let mut rule = Rule {
            line: self.number,
            transport,
            databases,
            users,
            addresses,
            method,
            map: None,
            ldap: None,
        };
        if method == Method::Ldap {
            let options = self.line.remainder();
            if options.is_empty() {
                return Err("expected options such as ldapserver=HOST behind ldap".into());
            }
            let options: Result<LdapOptions, _> = options.parse();
            rule.ldap = Some(Arc::new(options.map_err(|error| error.to_string())?));
        } else {
            rule.map = self.map(method)?;
        }
        Ok(Some(rule))
    }

    fn databases(&mut self, tokens: Vec<Token>) -> Result<Vec<DatabasePattern>, String> {
        let mut patterns = Vec::new();
        self.each(tokens, &mut |token| {
            patterns.push(if token.is("all") {
                DatabasePattern::All
            } else if token.is("sameuser") {
                DatabasePattern::SameUser
            } else if token.is("replication") {
                DatabasePattern::Replication
            } else if token.is("samerole") || token.is("samegroup") {
                return Err(format!(
                    "{} is not supported: the pooler does not know who is a member of what",
                    token.text
                ));
            } else {
                DatabasePattern::Name(name(token)?)
            });
            Ok(())
        })?;
        Ok(patterns)
    }

    fn users(&mut self, tokens: Vec<Token>) -> Result<Vec<UserPattern>, String> {
        let mut patterns = Vec::new();
        self.each(tokens, &mut |token| {
            patterns.push(if token.is("all") {
                UserPattern::All
            } else if token.is("sameuser") {
                UserPattern::SameUser
            } else if !token.quoted && token.text.starts_with('+') {
                return Err(format!(
                    "{} is not supported: the pooler does not know who is a member of what",
                    token.text
                ));
            } else {
                UserPattern::Name(name(token)?)
            });
            Ok(())
        })?;
        Ok(patterns)
    }

    /// Every word of a list and of the files it names, whose own `@` go no deeper than
    /// PostgreSQL lets them.
    fn each(
        &mut self,
        tokens: Vec<Token>,
        take: &mut dyn FnMut(Token) -> Result<(), String>,
    ) -> Result<(), String> {
        // Last first, each with how deep in files it stands.
        let mut waiting: Vec<_> = tokens.into_iter().rev().map(|token| (token, 0)).collect();
        let mut words = 0;
        while let Some((token, depth)) = waiting.pop() {
            words += 1;
            if words > MAX_WORDS {
                return Err(format!("more than {MAX_WORDS} names in one list"));
            }
            let file = (!token.quoted).then(|| token.text.strip_prefix('@'));
            let Some(file) = file.flatten() else {
                take(token)?;
                continue;
            };
            if file.is_empty() {
                return Err("expected the name of a file behind @".into());
            }
            if depth == MAX_DEPTH {
                return Err(format!(
                    "@{file} is included more than {MAX_DEPTH} files deep"
                ));
            }
            let text = (self.read_file)(file).map_err(|error| format!("@{file}: {error}"))?;
            let mut inner = Vec::new();
            for (number, text) in (1..).zip(text.lines()) {
                let mut line = Line::new(text);
                let broken = |error| format!("@{file}, line {number}: {}", unclosed(error));
                while let Some(field) = line.field().map_err(broken)? {
                    inner.extend(field.into_iter().map(|token| (token, depth + 1)));
                }
            }
            waiting.extend(inner.into_iter().rev());
        }
        Ok(())
    }

    fn addresses(&mut self) -> Result<Addresses, String> {
        let address = self.word("address")?;
        if address.is("all") {
            return Ok(Addresses::All);
        }
        if address.is("samehost") || address.is("samenet") {
            return Err(format!(
                "{} is not supported; write the addresses",
                address.text
            ));
        }
        if address.text.contains('/') {
            return Addresses::with_bits(&address.text);
        }
        let mask = self.word("mask")?;
        Addresses::with_mask(&address.text, &mask.text)
    }

    /// `map=NAME`, which only makes sense where there is another name than the user's.
    fn map(&mut self, method: Method) -> Result<Option<Arc<IdentMap>>, String> {
        let Some(option) = self.line.word().map_err(unclosed)? else {
            return Ok(None);
        };
        let option = option.map_err(|()| not_a_list("option"))?;
        let text = &option.text;
        if !matches!(method, Method::Cert | Method::Peer) {
            return Err(format!("\"{text}\": {method} has no options"));
        }
        let name = text.strip_prefix("map=").filter(|_| !option.quoted);
        let name = name.ok_or_else(|| format!("\"{text}\": the only option of {method} is map"))?;
        if self.line.field().map_err(unclosed)?.is_some() {
            return Err("expected the end of the line behind the map".into());
        }
        let map = self.idents.get(name);
        map.cloned()
            .map(Some)
            .ok_or_else(|| format!("the map \"{name}\" is not in the ident file"))
    }

    fn list(&mut self, what: &str) -> Result<Vec<Token>, String> {
        let field = self.line.field().map_err(unclosed)?;
        field.ok_or_else(|| format!("the line ends before its {what}"))
    }

    fn word(&mut self, what: &str) -> Result<Token, String> {
        let word = self.line.word().map_err(unclosed)?;
        let word = word.ok_or_else(|| format!("the line ends before its {what}"))?;
        word.map_err(|()| not_a_list(what))
    }
}

fn transport(token: &Token) -> Result<Transport, String> {
    match token.text.as_str() {
        "local" if !token.quoted => Ok(Transport::Local),
        "host" if !token.quoted => Ok(Transport::Host),
        "hostssl" if !token.quoted => Ok(Transport::HostSsl),
        "hostnossl" if !token.quoted => Ok(Transport::HostNoSsl),
        // As good as `host`: no connection here is encrypted by GSSAPI.
        "hostnogssenc" if !token.quoted => Ok(Transport::Host),
        "hostgssenc" if !token.quoted => Ok(Transport::HostGssenc),
        other => Err(format!(
            "expected local, host, hostssl or hostnossl, not \"{other}\""
        )),
    }
}

fn method(token: &Token) -> Result<Method, String> {
    match token.text.as_str() {
        "trust" => Ok(Method::Trust),
        "reject" => Ok(Method::Reject),
        "md5" => Ok(Method::Md5),
        "password" => Ok(Method::Password),
        "peer" => Ok(Method::Peer),
        "cert" => Ok(Method::Cert),
        "scram-sha-256" => Ok(Method::ScramSha256),
        "ldap" => Ok(Method::Ldap),
        "pam" => Ok(Method::Pam),
        "oauth" => Ok(Method::OAuth),
        other => Err(format!(
            "expected trust, reject, md5, password, peer, cert, scram-sha-256, ldap, pam or oauth, not \"{other}\""
        )),
    }
}

/// A name as it is. PostgreSQL takes one that begins with a slash for a regular expression: as
/// a name it would match nobody, and a rule that rejects would reject nobody.
fn name(token: Token) -> Result<String, String> {
    if token.text.is_empty() {
        return Err("a name is empty".into());
    }
    if !token.quoted && token.text.starts_with('/') {
        return Err(format!(
            "{}: regular expressions are not supported; a name that begins so goes in quotes",
            token.text
        ));
    }
    Ok(token.text)
}

fn unclosed(_: Unclosed) -> String {
    "a double quote is not closed on its line".into()
}

fn not_a_list(what: &str) -> String {
    format!("expected a single {what}, not a list")
}

/// How deep `@` may name files that name files: as PostgreSQL's limit.
const MAX_DEPTH: usize = 10;
/// Names of one list: a file that includes itself twice would have no end otherwise.
const MAX_WORDS: usize = 100_000;
