//! What an identity may do. So far: which databases it may ask for, which is all of them.

pub mod admission;
