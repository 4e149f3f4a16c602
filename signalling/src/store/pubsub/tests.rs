//! On each database.
