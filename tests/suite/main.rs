//! The whole-program tests, one binary.

mod hostile;
