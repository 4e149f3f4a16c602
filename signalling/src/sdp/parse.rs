//! Text to lines: RFC 8866 §9, read as leniently as programs write it and no more.
//!
//! Lenient: lines may end with LF alone, the last one with nothing, and empty ones may follow it; spaces and tabs may be several, and stand at the
//! end; `s=` and `t=` may be missing; lines of one level may stand in any order. Strict: what a line that is understood says is checked, numbers,
//! words and addresses, and the first wrong line ends it all with one error. Line breaks within a line, NUL and other control characters are errors.

mod attribute;
mod carried;
mod codec;
mod ice;
pub(super) mod security;
mod session;
mod stream;
pub(super) mod words;

use smol_str::SmolStr;

use self::words::{Words, Wrong, control, trim};
use super::line::{MediaDescription, Numbered, OtherLine, SessionDescription};

pub use self::attribute::parse_attribute;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines of one text.
pub const LINES_MAX: u32 = 8192;
/// Media descriptions of one text.
pub const MEDIA_MAX: usize = crate::jingle::content::CONTENTS_MAX;

/// What a line should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {expected}")]
pub struct SdpError {
    /// From 1.
    pub line: u32,
    /// For a person: what was expected, and what stands there instead, shortened.
    pub expected: String,
}

/// Reads a session description.
///
/// # Errors
/// The first line that is none.
pub fn parse(text: &str) -> Result<SessionDescription, SdpError> {
    let mut reader = Reader { form: Form::Whole, ..Reader::default() };
    reader.read(text)?;
    let mut description = reader.description;
    if description.origin.is_none() {
        let expected = if reader.line == 0 { "expected v=0 in the first line, found nothing" } else { "expected an o= above, found none" };
        return Err(SdpError { line: reader.line.max(1), expected: expected.into() });
    }
    if trim(&description.name).is_empty() {
        description.name = SmolStr::new_static("-");
    }
    if description.timing.is_empty() {
        description.timing.push((0, 0));
    }
    Ok(description)
}

/// Reads a fragment, RFC 8840 §9: attributes and pseudo m= lines; also bare `candidate:` lines as browsers give them.
///
/// # Errors
/// The first line that is none.
pub fn parse_fragment(text: &str) -> Result<SessionDescription, SdpError> {
    let mut reader = Reader { form: Form::Fragment, ..Reader::default() };
    reader.read(text)?;
    Ok(reader.description)
}

/// Whether a text can stand behind `i=`, `u=` and so on, as a line of a whole description.
pub(super) fn is_field(kind: char, text: &str) -> bool {
    let mut reader = Reader { form: Form::Whole, line: 2, ..Reader::default() };
    let is_short = text.len() < LINE_BYTES_MAX - 2 && control(text).is_none();
    is_short && u8::try_from(kind).is_ok_and(|kind| reader.field(kind, text).is_ok())
}

/// What is being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Whole,
    Fragment,
}

#[derive(Debug, Default)]
struct Reader {
    form: Form,
    /// Where the last line that is not empty stands.
    line: u32,
    description: SessionDescription,
    has_name: bool,
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), SdpError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SdpError { line: 1, expected: format!("expected at most {TEXT_BYTES_MAX} bytes, found {}", text.len()) });
        }
        let (mut rest, mut number) = (text, 0);
        while !rest.is_empty() {
            number += 1;
            let line = match memchr::memchr(b'\n', rest.as_bytes()) {
                Some(at) => {
                    let line = &rest[..at];
                    rest = &rest[at + 1..];
                    line.strip_suffix('\r').unwrap_or(line)
                }
                None => {
                    let line = rest.strip_suffix('\r').unwrap_or(rest);
                    rest = "";
                    line
                }
            };
            self.read_line(line, number).map_err(|expected| SdpError { line: number, expected })?;
        }
        Ok(())
    }

    fn read_line(&mut self, line: &str, number: u32) -> Result<(), String> {
        if trim(line).is_empty() {
            return Ok(());
        }
        if number > LINES_MAX {
            return Err(format!("expected at most {LINES_MAX} lines"));
        }
        if number != self.line + 1 {
            return Err(format!("expected the end after an empty line, found {}", words::shown(line)));
        }
        self.line = number;
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("expected at most {LINE_BYTES_MAX} bytes in a line, found {}", line.len()));
        }
        if let Some(found) = control(line) {
            return Err(Wrong::new("no control characters in a line", found).to_string());
        }
        match line.as_bytes() {
            [kind, b'=', ..] if kind.is_ascii_lowercase() => self.read_field(*kind, &line[2..]),
            _ if self.form == Form::Fragment && line.starts_with("candidate:") => self.read_field(b'a', line),
            _ => Err(Wrong::new("a letter and =", line).to_string()),
        }
    }

    fn read_field(&mut self, kind: u8, text: &str) -> Result<(), String> {
        self.place(kind).map_err(|expected| format!("{}=: {expected}", char::from(kind)))?;
        if kind == b'a' {
            let line = self.line;
            let attributes = match self.description.media.last_mut() {
                Some(media) => &mut media.attributes,
                None => &mut self.description.attributes,
            };
            match attribute::read(text) {
                Ok(attribute) => attributes.push(Numbered { line, attribute }),
                Err(wrong) => return Err(attribute::explain(text, wrong)),
            }
            return Ok(());
        }
        self.field(kind, text).map_err(|wrong| format!("{}=: {wrong}", char::from(kind)))
    }

    /// Why such a line may not stand here.
    fn place(&self, kind: u8) -> Result<(), &'static str> {
        let is_first = self.line == 1;
        let is_media = !self.description.media.is_empty();
        match kind {
            b'v' | b'o' | b's' | b't' | b'u' | b'e' | b'p' | b'r' | b'z' if self.form == Form::Fragment => {
                Err("expected attributes and media, of which a fragment consists")
            }
            _ if is_first && kind != b'v' && self.form == Form::Whole => Err("expected v=0 in the first line"),
            b'v' if !is_first => Err("expected in the first line only"),
            b'o' | b's' | b't' | b'u' | b'e' | b'p' | b'r' | b'z' if is_media => Err("expected above the first m= only"),
            b'o' if self.description.origin.is_some() => Err("expected only once"),
            b's' if self.has_name => Err("expected only once"),
            b'c' if !is_media && self.description.connection.is_some() => Err("expected only once above the first m="),
            b'm' if self.description.media.len() == MEDIA_MAX => Err("expected at most 32 times"),
            _ => Ok(()),
        }
    }

    fn field<'a>(&mut self, kind: u8, text: &'a str) -> Result<(), Wrong<'a>> {
        match kind {
            b'v' => {
                let mut words = Words::of(text);
                words.word("version 0", |word| word == "0")?;
                words.end()?;
            }
            b'o' => self.description.origin = Some(session::origin(text)?),
            b's' => {
                self.has_name = true;
                self.description.name = text.into();
            }
            b't' => self.description.timing.push(session::timing(text)?),
            b'c' => {
                let connection = session::connection(Words::of(text))?;
                match self.description.media.last_mut() {
                    Some(media) => media.connections.push(connection),
                    None => self.description.connection = Some(connection),
                }
            }
            b'b' => {
                let bandwidth = session::bandwidth(text)?;
                match self.description.media.last_mut() {
                    Some(media) => media.bandwidths.push(bandwidth),
                    None => self.description.bandwidths.push(bandwidth),
                }
            }
            b'm' => {
                let media = MediaDescription { line: self.line, ..session::media(text)? };
                self.description.media.push(media);
            }
            b'i' | b'u' | b'e' | b'p' | b'k' | b'r' | b'z' => {
                match kind {
                    b'r' => session::repeat(text)?,
                    b'z' => session::zone(text)?,
                    _ => {}
                }
                let other = OtherLine { line: self.line, kind: char::from(kind), value: text.into() };
                match self.description.media.last_mut() {
                    Some(media) => media.others.push(other),
                    None => self.description.others.push(other),
                }
            }
            _ => return Err(Wrong::new("one of v o s i u e p c b t r z k a m", text)),
        }
        Ok(())
    }
}
