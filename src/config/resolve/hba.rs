//! The files that `auth.hba` and `auth.ident` name.

use std::fs;
use std::path::Path;

use super::super::forms::FilePath;
use super::super::values::Table;
use crate::auth::hba::Hba;
use crate::auth::ident::Idents;
use crate::auth::method::Method;

/// The rules, for the method `hba`: as in PgBouncer neither file is looked at without.
pub(super) fn hba(auth: &Table<'_>, method: Method) -> Option<Hba> {
    let path = auth.maybe("hba", &FilePath);
    let ident = auth.maybe("ident", &FilePath);
    if method != Method::Hba {
        return None;
    }
    let Some(path) = path else {
        if !auth.has("hba") {
            auth.complain("hba", "missing: the method hba needs a file of rules");
        }
        return None;
    };
    let idents = idents(auth, ident.as_deref());
    let text = read(&path)
        .map_err(|error| auth.complain("hba", error))
        .ok()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let idents = idents?; // what is wrong with it has been said
    let hba = Hba::parse(&text, &idents, &mut |name| read(&folder.join(name)));
    hba.map_err(|problems| {
        for problem in problems {
            auth.complain("hba", problem.to_string());
        }
    })
    .ok()
}

fn idents(auth: &Table<'_>, path: Option<&Path>) -> Option<Idents> {
    let Some(path) = path else {
        return Some(Idents::default());
    };
    let text = read(path)
        .map_err(|error| auth.complain("ident", error))
        .ok()?;
    let idents = Idents::parse(&text).map_err(|problems| {
        for problem in problems {
            auth.complain("ident", problem.to_string());
        }
    });
    idents.ok()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read \"{}\": {error}", path.display()))
}
