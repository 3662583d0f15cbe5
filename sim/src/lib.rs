//! An embedded AWS.
