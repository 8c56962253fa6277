//! The file, its conversion, and what SHOW CONFIG says of it.
