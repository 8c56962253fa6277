//! The files that `auth.hba` and `auth.ident` name.

use std::fs;
use std::path::Path;

use super::super::forms::FilePath;
use super::super::values::Table;
use crate::auth::hba::Hba;
use crate::auth::ident::Idents;
use crate::auth::method::Method;

/// The rules, read whether or not they are used: a broken file should not wait for the day on
/// which the method is changed. `None`: there is no file.
pub(super) fn hba(auth: &Table<'_>, method: Method) -> Option<Hba> {
    let path = auth.maybe("hba", &FilePath);
    let idents = idents(auth);
    let Some(path) = path else {
        if method == Method::Hba && !auth.has("hba") {
            auth.complain("hba", "missing: the method hba needs a file of rules");
        }
        return None;
    };
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

fn idents(auth: &Table<'_>) -> Option<Idents> {
    let Some(path) = auth.maybe("ident", &FilePath) else {
        return Some(Idents::default());
    };
    let text = read(&path)
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
