//! Configurations and options as text.
