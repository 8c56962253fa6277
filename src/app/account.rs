//! Which user of the operating system the process is.

use std::io;

use nix::unistd::{Group, User, geteuid, initgroups, setgid, setuid};

/// Becomes another user for good, with all of its groups. To be called while the process has one
/// thread and has opened nothing. Nothing happens if the process is that user already.
///
/// # Errors
/// There is no such user, or the process may not become it.
pub(super) fn become_user(name: &str) -> io::Result<()> {
    let user = User::from_name(name)
        .map_err(|error| named("look up", name, error.into()))?
        .ok_or_else(|| {
            let message = format!("could not find user '{name}' to switch to");
            io::Error::new(io::ErrorKind::NotFound, message)
        })?;
    if geteuid() == user.uid {
        return Ok(());
    }
    let refused = |error: nix::Error| named("become", name, error.into());
    let c_name = std::ffi::CString::new(name)?;
    initgroups(&c_name, user.gid).map_err(refused)?;
    setgid(user.gid).map_err(refused)?;
    setuid(user.uid).map_err(refused)?;
    // What was given up must not be there for the taking.
    if !user.uid.is_root() && setuid(nix::unistd::Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other(format!(
            "user '{name}' can become root again"
        )));
    }
    Ok(())
}

/// Whether the process may do everything.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// The number of a group.
///
/// # Errors
/// There is none of this name.
pub(super) fn group(name: &str) -> io::Result<u32> {
    let found = Group::from_name(name).map_err(|error| named("look up", name, error.into()))?;
    let group = found.ok_or_else(|| {
        let message = format!("could not find group '{name}'");
        io::Error::new(io::ErrorKind::NotFound, message)
    })?;
    Ok(group.gid.as_raw())
}

fn named(what: &str, name: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} '{name}': {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_or_a_group_that_is_none_is_named() {
        let error = become_user("nobody-of-this-name").unwrap_err();
        let expected = "could not find user 'nobody-of-this-name' to switch to";
        assert_eq!(error.to_string(), expected);
        let error = group("no-group-of-this-name").unwrap_err();
        let expected = "could not find group 'no-group-of-this-name'";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn to_become_who_one_is_changes_nothing() {
        let own = User::from_uid(geteuid()).unwrap().unwrap();
        become_user(&own.name).unwrap();
        assert_eq!(geteuid(), own.uid);
    }

    #[test]
    fn a_group_has_its_number() {
        assert_eq!(group("root").unwrap(), 0);
    }
}
