//! Lists of a section are bounded as those of an element are, so that nothing is written that would not be read.

pub(super) use crate::jingle::rtp::{
    BANDWIDTHS_MAX, CRYPTOS_MAX, FEEDBACKS_MAX, HEADER_EXTENSIONS_MAX, PARAMETERS_MAX, SOURCE_GROUPS_MAX, SOURCES_MAX, STREAMS_MAX,
    ZRTP_HASHES_MAX,
};
use crate::sdp::warning::Warnings;

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
