//! What a token says, as names and texts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

/// A claim that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimError {
    /// It must be there.
    #[error("it has no {0:?}")]
    Missing(String),
    /// It is not one text that a user could be called.
    #[error("its {0:?} is not the name of one user")]
    NotAName(String),
    /// Not seconds since 1970.
    #[error("its {0:?} is not a time")]
    NotATime(&'static str),
    /// The provider says that the address may be anybody's.
    #[error("its e-mail address is not verified")]
    NotVerified,
    /// Claims within claims within claims, or more text than anybody needs.
    #[error("its claims are nested too deeply or too long")]
    TooMuch,
}

/// Every claim by its name, with dots between the names of nested ones. Of a list, every element;
/// numbers and booleans as text.
pub(super) fn flatten(
    claims: &Map<String, Value>,
) -> Result<BTreeMap<String, Vec<String>>, ClaimError> {
    let mut flat = Flat::default();
    for (name, value) in claims {
        flat.add(name, value, 0)?;
    }
    Ok(flat.claims)
}

/// A NumericDate of RFC 7519 section 2: seconds since 1970, which may have a fraction.
pub(super) fn time(
    claims: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<SystemTime>, ClaimError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
        .map(Some)
        .ok_or(ClaimError::NotATime(name))
}

#[derive(Default)]
struct Flat {
    claims: BTreeMap<String, Vec<String>>,
    bytes: usize,
}

impl Flat {
    fn add(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), ClaimError> {
        if depth > MAX_DEPTH {
            return Err(ClaimError::TooMuch);
        }
        match value {
            Value::Null => Ok(()),
            Value::Bool(value) => self.put(name, value.to_string()),
            Value::Number(value) => self.put(name, value.to_string()),
            Value::String(value) => self.put(name, value.clone()),
            Value::Array(values) => values
                .iter()
                .try_for_each(|value| self.add(name, value, depth + 1)),
            Value::Object(values) => values.iter().try_for_each(|(inner, value)| {
                self.add(&format!("{name}.{inner}"), value, depth + 1)
            }),
        }
    }

    fn put(&mut self, name: &str, value: String) -> Result<(), ClaimError> {
        // Names of nested claims repeat their parents', so the token's length is no bound.
        self.bytes = self.bytes.saturating_add(name.len() + value.len());
        if self.bytes > MAX_BYTES {
            return Err(ClaimError::TooMuch);
        }
        self.claims.entry(name.to_owned()).or_default().push(value);
        Ok(())
    }
}

const MAX_DEPTH: usize = 8;
const MAX_BYTES: usize = 64 * 1024;
