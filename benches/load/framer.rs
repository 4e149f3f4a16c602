//! Finds the elements of a stream without parsing them: counts tags, minds quotes. For what well-behaved servers send.

/// Bytes received, and how far they have been looked at.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the element begins that is being scanned.
    start: usize,
    scanned: usize,
    depth: usize,
}

impl Framer {
    /// The space to read into.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        &mut self.buffer
    }

    /// Whether everything received has been taken.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Gives memory back; what was not taken is lost.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next whole element at the top, the stream's header, or its closing tag.
    pub fn next(&mut self) -> Option<&[u8]> {
        loop {
            let open = self.scanned + self.buffer[self.scanned..].iter().position(|byte| *byte == b'<')?;
            let Some(length) = tag_length(&self.buffer[open..]) else {
                self.scanned = open;
                return None;
            };
            if self.depth == 0 {
                self.start = open;
            }
            self.scanned = open + length;
            let tag = &self.buffer[open..self.scanned];
            let whole = match tag {
                [b'<', b'?', ..] => {
                    self.start = self.scanned;
                    continue;
                }
                _ if tag.starts_with(b"<stream:stream") || tag.starts_with(b"</stream:stream") => true,
                [b'<', b'/', ..] => {
                    self.depth -= 1;
                    self.depth == 0
                }
                [.., b'/', b'>'] => self.depth == 0,
                _ => {
                    self.depth += 1;
                    false
                }
            };
            if whole {
                let start = std::mem::replace(&mut self.start, self.scanned);
                return Some(&self.buffer[start..self.scanned]);
            }
        }
    }
}

/// Length of the tag at the beginning, `None` while its end is missing.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), _) if open == *byte => quote = None,
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The value of an attribute in the first tag of an element.
pub fn attribute<'a>(element: &'a [u8], name: &str) -> Option<&'a str> {
    let tag = std::str::from_utf8(&element[..tag_length(element)?]).ok()?;
    let mut rest = tag;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].ends_with([' ', '\n', '\t']);
        rest = &rest[at + name.len()..];
        if let (true, Some(value)) = (before, rest.strip_prefix('=')) {
            let quote = value.chars().next()?;
            return value[1..].split(quote).next();
        }
    }
    None
}

/// The text between the first tag and the next.
pub fn text(element: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(&element[tag_length(element)?..]).ok()?;
    rest.split('<').next()
}
