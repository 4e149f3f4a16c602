//! What the tables of attributes share. Values are those behind `a=name:`.

use super::parse_attribute;
use crate::sdp::line::Attribute;
use crate::sdp::write_attribute;

fn line(name: &str, value: &str) -> String {
    if value.is_empty() { name.into() } else { format!("{name}:{value}") }
}

/// The attribute of this value, which has a type of its own.
pub fn read(name: &str, value: &str) -> Attribute {
    match parse_attribute(&line(name, value)) {
        Ok(Attribute::Other { name, .. }) => panic!("{name}:{value} is only carried"),
        Ok(attribute) => attribute,
        Err(error) => panic!("{name}:{value}: {error}"),
    }
}

/// Pairs: what is read, and how it is written again.
pub fn becomes(name: &str, table: &[(&str, &str)]) {
    for (value, expected) in table {
        let attribute = read(name, value);
        let mut written = String::new();
        write_attribute(&attribute, &mut written);
        assert_eq!(written, line(name, expected), "{name}:{value}");
        assert_eq!(parse_attribute(&written), Ok(attribute), "{name}:{value}");
    }
}

/// What is written as it was read.
pub fn stays(name: &str, values: &[&str]) {
    becomes(name, &values.iter().map(|value| (*value, *value)).collect::<Vec<_>>());
}

/// What is only carried, as it is.
pub fn carried(name: &str, values: &[&str]) {
    for value in values {
        let expected = Attribute::Other { name: name.into(), value: Some(*value).filter(|value| !value.is_empty()).map(Into::into) };
        assert_eq!(parse_attribute(&line(name, value)), Ok(expected), "{name}:{value}");
    }
}

/// Pairs: a malformed value, and its error behind `a=name: expected `.
pub fn wrong(name: &str, table: &[(&str, &str)]) {
    for (value, expected) in table {
        assert_eq!(parse_attribute(&line(name, value)), Err(format!("a={name}: expected {expected}")), "{name}:{value}");
    }
}
