//! x
#[derive(Debug)]
pub struct Carried;
