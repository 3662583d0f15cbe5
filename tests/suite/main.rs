//! The whole-program tests, one binary.
