//! Bounds of a section: `jingle::rtp` has their numbers, so that nothing is written that would not be read.

use crate::sdp::warning::Warnings;

pub(super) const PARAMETERS_MAX: usize = 64;
pub(super) const FEEDBACKS_MAX: usize = 64;
pub(super) const CRYPTOS_MAX: usize = 64;
pub(super) const ZRTP_HASHES_MAX: usize = 16;
pub(super) const BANDWIDTHS_MAX: usize = 16;
pub(super) const HEADER_EXTENSIONS_MAX: usize = 256;
pub(super) const SOURCES_MAX: usize = 256;
pub(super) const SOURCE_GROUPS_MAX: usize = 256;
pub(super) const GROUP_SOURCES_MAX: usize = SOURCES_MAX;
pub(super) const STREAMS_MAX: usize = 64;

/// Adds to a list; what is too much is left out and said.
pub(super) fn push<T>(list: &mut Vec<T>, item: T, max: usize, line: u32, what: &str, warnings: &mut Warnings) {
    if list.len() < max {
        list.push(item);
    } else {
        warnings.at(line, format_args!("more than {max} {what}; left out"));
    }
}

/// Cuts a list that came with one line.
pub(super) fn cut<T>(list: &mut Vec<T>, max: usize, line: u32, what: &str, warnings: &mut Warnings) {
    if list.len() > max {
        warnings.at(line, format_args!("more than {max} {what}; the rest is left out"));
        list.truncate(max);
    }
}
