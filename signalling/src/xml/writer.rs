//! Output: escaped, well-formed by construction as long as names come from our own code.

use bytes::Bytes;

use super::escape;

/// As many digits as the greatest number has.
const DIGITS_MAX: usize = 20;

/// Writes elements one after the other into a buffer; calls can be chained.
///
/// ```
/// use campanile_signalling::{ns, xml::XmlWriter};
/// let mut out = XmlWriter::new();
/// out.open("query").ns(ns::ROSTER).attr("ver", "a<b").close();
/// assert_eq!(&out.finish()[..], b"<query xmlns='jabber:iq:roster' ver='a&lt;b'/>");
/// ```
#[derive(Debug, Default)]
pub struct XmlWriter {
    out: Vec<u8>,
    /// Where the name of each open element stands in `out`.
    open: Vec<(usize, usize)>,
    /// The last start tag still lacks its `>`.
    in_tag: bool,
}

impl XmlWriter {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `size_bytes`.
    #[must_use]
    pub fn with_capacity(size_bytes: usize) -> Self {
        Self { out: Vec::with_capacity(size_bytes), ..Self::default() }
    }

    /// `<name`.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.end_tag();
        self.out.reserve(2 * name.len() + 4);
        self.out.push(b'<');
        self.open.push((self.out.len(), name.len()));
        self.out.extend_from_slice(name.as_bytes());
        self.in_tag = true;
        self
    }

    /// ` name='value'` on the element just opened, the value escaped.
    // Where the name is known, as almost everywhere, it is copied without a loop.
    #[inline]
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        self.attr_name(name, value.len());
        self.attr_value(value);
        self
    }

    #[inline]
    fn attr_name(&mut self, name: &str, value_len: usize) {
        debug_assert!(self.in_tag, "an attribute belongs to a start tag");
        self.out.reserve(name.len() + value_len + 4);
        self.out.push(b' ');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"='");
    }

    fn attr_value(&mut self, value: &str) {
        escape::write_attr(&mut self.out, value);
        self.out.push(b'\'');
    }

    /// The same if there is a value.
    #[inline]
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// ` name='number'`, in decimal digits.
    #[inline]
    pub fn attr_number(&mut self, name: &str, number: u64) -> &mut Self {
        self.attr_name(name, DIGITS_MAX);
        self.number(number);
        self
    }

    /// The value of an attribute.
    fn number(&mut self, mut number: u64) {
        let mut digits = [b'0'; DIGITS_MAX];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[start..]);
        self.out.push(b'\'');
    }

    /// ` xmlns='uri'`.
    #[inline]
    pub fn ns(&mut self, uri: &str) -> &mut Self {
        self.attr("xmlns", uri)
    }

    /// Character data, escaped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.end_tag();
        escape::write_text(&mut self.out, text);
        self
    }

    /// Content already in its written form: the caller vouches that it is balanced and that its prefixes are declared.
    pub fn raw(&mut self, xml: &[u8]) -> &mut Self {
        if !xml.is_empty() {
            self.end_tag();
            self.out.extend_from_slice(xml);
        }
        self
    }

    /// Ends the element opened last: `/>` if it is empty, else `</name>`.
    pub fn close(&mut self) -> &mut Self {
        let open = self.open.pop();
        debug_assert!(open.is_some(), "close without open");
        if self.in_tag {
            self.out.extend_from_slice(b"/>");
            self.in_tag = false;
        } else if let Some((start, len)) = open {
            self.out.reserve(len + 3);
            self.out.extend_from_slice(b"</");
            self.out.extend_from_within(start..start + len);
            self.out.push(b'>');
        }
        self
    }

    /// Ends all open elements and gives the bytes.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.into_inner().into()
    }

    /// Ends all open elements and gives the buffer.
    #[must_use]
    pub fn into_inner(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    /// Writes a start tag that stays open for good, such as a stream header, and forgets it.
    pub fn leave_open(&mut self) -> &mut Self {
        self.end_tag();
        self.open.pop();
        self
    }

    fn end_tag(&mut self) {
        if self.in_tag {
            self.out.push(b'>');
            self.in_tag = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_nest_and_empty_ones_are_short() {
        let mut out = XmlWriter::new();
        out.open("a").attr("b", "'<").attr_opt("c", None).attr_opt("d", Some("")).open("e").close();
        out.text("x > y").open("f").raw(b"").close().open("g").text("").close().raw(b"<h/>").close().open("i");
        assert_eq!(out.finish(), "<a b='&apos;&lt;' d=''><e/>x &gt; y<f/><g></g><h/></a><i/>");
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for (number, expected) in [(0, "<a b='0'/>"), (10, "<a b='10'/>"), (u64::MAX, "<a b='18446744073709551615'/>")] {
            let mut out = XmlWriter::new();
            out.open("a").attr_number("b", number);
            assert_eq!(out.finish(), expected);
        }
    }

    #[test]
    fn a_stream_header_stays_open() {
        let mut out = XmlWriter::new();
        out.open("stream:stream").ns("jabber:client").leave_open().open("a").close();
        assert_eq!(out.into_inner(), b"<stream:stream xmlns='jabber:client'><a/>");
    }
}
