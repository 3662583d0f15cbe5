//! Fixtures of the whole-program tests.
