//! `<parameter/>`, which several specifications have, each with a rule of its own for what SDP writes without `=`.

use smol_str::SmolStr;

use crate::jingle::reading::Reading;
use crate::xml::{Node, XmlWriter};

/// Parameters read from one element.
pub const PARAMETERS_MAX: usize = 64;

/// A `<parameter/>` of any kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Empty for what `a=fmtp` has without a name: `0-15`, `111/111`.
    pub name: SmolStr,
    /// `None`: SDP writes no `=`.
    pub value: Option<SmolStr>,
}

impl Parameter {
    /// Both attributes as they stand. `None`: one of them is too long, which has been said.
    fn attributes<'e>(node: Node<'e>, reading: &mut Reading) -> Option<(Option<&'e str>, Option<&'e str>)> {
        let (mut its_name, mut its_value) = (None, None);
        for (namespace, name, value) in node.attrs() {
            match name {
                "name" if namespace.is_empty() => its_name = Some(reading.long(node, name, value)?),
                "value" if namespace.is_empty() => its_value = Some(reading.long(node, name, value)?),
                _ => reading.unknown_attribute(node, namespace, name),
            }
        }
        Some((its_name, its_value))
    }

    /// XEP-0339 §2.1: what has no value in SDP has none here.
    pub(super) fn read(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (name, value) = Self::attributes(node, reading)?;
        let name = reading.required(node, "name", name.filter(|name| !name.is_empty() || value.is_some()))?;
        Some(Self { name: name.into(), value: value.map(SmolStr::new) })
    }

    /// XEP-0293 §3 and XEP-0294 §3: an empty value is none.
    pub(super) fn read_word(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let parameter = Self::read(node, reading)?;
        if parameter.value.as_ref().is_some_and(|value| !value.is_empty()) {
            return Some(parameter);
        }
        Some(Self::word(&parameter.name))
    }

    /// XEP-0167 §4, of `a=fmtp`. What has no name there has a form of its own in each client:
    /// `name='' value='0-15'`, `name='0-15'`, `value='0-15'` and `name='0-15' value=''`, the last of which is a name for what begins with a letter.
    pub(super) fn read_fmtp(node: Node<'_>, reading: &mut Reading) -> Option<Self> {
        let (name, value) = Self::attributes(node, reading)?;
        match (name.filter(|name| !name.is_empty()), value) {
            (Some(name), Some(value)) if !value.is_empty() || is_named(name) => Some(Self { name: name.into(), value: Some(value.into()) }),
            (Some(text), _) | (None, Some(text)) if !text.is_empty() => Some(Self::nameless(text)),
            _ => {
                reading.malformed(node, &"neither name nor value, expected one of them");
                None
            }
        }
    }

    /// A word of SDP: `word` or `name=value`.
    pub(super) fn word(word: &str) -> Self {
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Self { name: name.into(), value: Some(value.into()) },
            _ => Self { name: word.into(), value: None },
        }
    }

    /// What stands between two `;` of `a=fmtp`, if it is not `name=value`.
    fn nameless(text: &str) -> Self {
        match text.strip_suffix('=') {
            Some(name) if !name.is_empty() && !name.contains('=') => Self { name: name.into(), value: Some(SmolStr::default()) },
            _ => Self { name: SmolStr::default(), value: Some(text.into()) },
        }
    }

    /// As XEP-0293 and XEP-0294 have it.
    pub(super) fn write_word(&self, out: &mut XmlWriter) {
        match self.value.as_deref() {
            // Would be read as no value.
            Some("") => out.open("parameter").attr("name", &format!("{}=", self.name)).close(),
            value => out.open("parameter").attr("name", &self.name).attr_opt("value", value).close(),
        };
    }

    /// As XEP-0339 has it.
    pub(super) fn write(&self, out: &mut XmlWriter) {
        out.open("parameter").attr("name", &self.name).attr_opt("value", self.value.as_deref()).close();
    }

    /// As XEP-0167 has it: both attributes, always. Without a name the form is the one that most clients read.
    pub(super) fn write_fmtp(&self, out: &mut XmlWriter) {
        let (name, value) = (self.name.as_str(), self.value.as_deref());
        out.open("parameter");
        match value {
            _ if name.is_empty() => out.attr("name", "").attr("value", value.unwrap_or_default()),
            None => out.attr("name", "").attr("value", name),
            // Would be read as one without name.
            Some("") if !is_named(name) => out.attr("name", "").attr("value", &format!("{name}=")),
            Some(value) => out.attr("name", name).attr("value", value),
        };
        out.close();
    }
}

/// Whether this is a name although an empty value follows: `0-15` is none.
fn is_named(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
}
