//! What an identity may do: which role it gets, and what that role may run.
//!
//! Pure functions over immutable values; no I/O, no clock. A text becomes a
//! [`classification`], a classification and a role's rules become a [`verdict`].

pub mod admission;
pub mod cache;
pub mod catalog;
pub mod classification;
pub mod cleared;
pub mod condition;
pub mod explain;
pub mod functions;
pub mod grant;
pub mod guarded;
pub mod judge;
pub mod kind;
pub mod limits;
pub mod normalize;
mod numbers;
pub mod pattern;
pub mod role;
pub mod rule;
pub mod sql;
pub mod verdict;
pub mod window;
