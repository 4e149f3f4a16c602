//! XEP-0004: Data Forms, version 2.13, as far as a server needs them: forms it gives out are written, forms that come back are read.

mod values;

use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

pub use values::StoredError;

/// Fields of one form: each name is compared with the others.
const FIELDS_MAX: usize = 128;

/// §3.1: what a form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormType {
    /// To be filled in.
    Form,
    /// Filled in.
    Submit,
    /// Not to be filled in after all.
    Cancel,
    /// Data.
    Result,
}

impl FormType {
    fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Form, Self::Submit, Self::Cancel, Self::Result].into_iter().find(|type_| type_.name() == name)
    }
}

/// §3.3: the types of fields that the server's forms have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// `true` or `false`.
    Boolean,
    /// Not shown to people.
    Hidden,
    /// Addresses.
    JidMulti,
    /// An address.
    JidSingle,
    /// Some of a list.
    ListMulti,
    /// One of a list.
    ListSingle,
    /// One line of text.
    TextSingle,
    /// Several values.
    TextMulti,
    /// One line that is hidden while it is typed.
    TextPrivate,
}

impl FieldType {
    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextSingle => "text-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
        }
    }
}

/// A form that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What it is for.
    pub type_: FormType,
    /// Its fields, in order; each name is there once.
    pub fields: Vec<Field>,
}

/// §3.2: a field with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub var: String,
    /// As they stand there; there may be none.
    pub values: Vec<String>,
}

impl Form {
    /// The form that an element contains, if it does.
    ///
    /// # Errors
    /// `bad-request` for more than one form, an unknown type, a field without a name, a name that comes twice and more than 128 fields.
    pub fn of(parent: Node<'_>) -> Result<Option<Self>, StanzaError> {
        let mut forms = parent.children_named(ns::DATA_FORMS, "x");
        match (forms.next(), forms.next()) {
            (None, _) => Ok(None),
            (Some(form), None) => Self::read(form).map(Some),
            (Some(_), Some(_)) => Err(StanzaError::bad_request("there is more than one form")),
        }
    }

    /// Reads a form, `<x/>`.
    ///
    /// # Errors
    /// `bad-request` as above.
    pub fn read(form: Node<'_>) -> Result<Self, StanzaError> {
        let type_ = form.attr("type").and_then(FormType::parse).ok_or_else(|| StanzaError::bad_request("a form needs a type"))?;
        let mut fields: Vec<Field> = Vec::new();
        for node in form.children_named(ns::DATA_FORMS, "field") {
            if node.attr("type") == Some("fixed") {
                continue;
            }
            let var = node.attr("var").ok_or_else(|| StanzaError::bad_request("a field of a form needs a `var`"))?;
            if fields.len() == FIELDS_MAX {
                return Err(StanzaError::bad_request("the form has too many fields"));
            }
            if fields.iter().any(|field| field.var == var) {
                return Err(StanzaError::bad_request("a field of a form comes twice"));
            }
            let values = node.children_named(ns::DATA_FORMS, "value").map(|value| value.text().into_owned()).collect();
            fields.push(Field { var: var.to_owned(), values });
        }
        Ok(Self { type_, fields })
    }

    /// XEP-0068 §2: the value of `FORM_TYPE`, which says what the other fields mean.
    #[must_use]
    pub fn form_type(&self) -> Option<&str> {
        self.fields.iter().find(|field| field.var == "FORM_TYPE").and_then(|field| field.values.first()).map(String::as_str)
    }
}

impl Field {
    /// The value of a field that has exactly one.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn single(&self) -> Result<&str, StanzaError> {
        match &self.values[..] {
            [value] => Ok(value),
            _ => Err(StanzaError::bad_request(format!("the field `{}` has one value", self.var))),
        }
    }

    /// §3.3: the value of a boolean field.
    ///
    /// # Errors
    /// `bad-request`.
    pub fn boolean(&self) -> Result<bool, StanzaError> {
        match self.single()? {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(StanzaError::bad_request(format!("the field `{}` is true or false", self.var))),
        }
    }
}

/// Writes a form, field by field.
#[derive(Debug)]
pub struct FormWriter<'x> {
    xml: &'x mut XmlWriter,
}

/// What people see of a field beside its value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'f> {
    /// What it is about; empty for nothing.
    pub label: &'f str,
    /// What can be chosen of: label, which may be empty, and value.
    pub options: &'f [(&'f str, &'f str)],
}

impl<'x> FormWriter<'x> {
    /// Begins a form whose fields mean what `form_type` says (XEP-0068).
    pub fn open(xml: &'x mut XmlWriter, type_: FormType, form_type: &str) -> Self {
        xml.open("x").ns(ns::DATA_FORMS).attr("type", type_.name());
        let mut form = Self { xml };
        form.field("FORM_TYPE", FieldType::Hidden, &[form_type]);
        form
    }

    /// The same with a title and no instructions.
    pub fn open_titled(xml: &'x mut XmlWriter, type_: FormType, form_type: &str, title: &str) -> Self {
        xml.open("x").ns(ns::DATA_FORMS).attr("type", type_.name());
        xml.open("title").text(title).close();
        let mut form = Self { xml };
        form.field("FORM_TYPE", FieldType::Hidden, &[form_type]);
        form
    }

    /// The same with a title and instructions, for a form that comes unasked.
    pub fn open_with(xml: &'x mut XmlWriter, type_: FormType, form_type: &str, title: &str, instructions: &str) -> Self {
        xml.open("x").ns(ns::DATA_FORMS).attr("type", type_.name());
        xml.open("title").text(title).close();
        xml.open("instructions").text(instructions).close();
        let mut form = Self { xml };
        form.field("FORM_TYPE", FieldType::Hidden, &[form_type]);
        form
    }

    /// A field with its values and what people see of it.
    pub fn shown_field(&mut self, var: &str, type_: FieldType, shown: Shown<'_>, values: &[&str]) -> &mut Self {
        self.start(var, type_);
        if !shown.label.is_empty() {
            self.xml.attr("label", shown.label);
        }
        for (label, value) in shown.options {
            self.xml.open("option");
            if !label.is_empty() {
                self.xml.attr("label", label);
            }
            self.xml.open("value").text(value).close().close();
        }
        for value in values {
            self.xml.open("value").text(value).close();
        }
        self.xml.close();
        self
    }

    /// A field that has to be filled in, and what it has already.
    pub fn required_field(&mut self, var: &str, type_: FieldType, label: &str, values: &[&str]) -> &mut Self {
        self.start(var, type_);
        self.xml.attr("label", label).open("required").close();
        for value in values {
            self.xml.open("value").text(value).close();
        }
        self.xml.close();
        self
    }

    /// §3.4: rows of values under these names, for a form that is a result.
    pub fn table<'r, const N: usize>(&mut self, vars: [&str; N], rows: impl IntoIterator<Item = [Option<&'r str>; N]>) -> &mut Self {
        self.xml.open("reported");
        for var in vars {
            self.xml.open("field").attr("var", var).close();
        }
        self.xml.close();
        for row in rows {
            self.xml.open("item");
            for (var, value) in vars.iter().zip(row) {
                self.xml.open("field").attr("var", var);
                if let Some(value) = value {
                    self.xml.open("value").text(value).close();
                }
                self.xml.close();
            }
            self.xml.close();
        }
        self
    }

    /// A field with its values.
    pub fn field(&mut self, var: &str, type_: FieldType, values: &[&str]) -> &mut Self {
        self.start(var, type_);
        for value in values {
            self.xml.open("value").text(value).close();
        }
        self.xml.close();
        self
    }

    /// A list whose values are not listed: any text will do (XEP-0122 §3.2.2).
    pub fn open_list(&mut self, var: &str) -> &mut Self {
        self.start(var, FieldType::ListMulti);
        self.xml.open("validate").ns(ns::FORM_VALIDATION).attr("datatype", "xs:string").open("open").close().close();
        self.xml.close();
        self
    }

    /// Ends the form.
    pub fn close(self) {
        self.xml.close();
    }

    fn start(&mut self, var: &str, type_: FieldType) {
        self.xml.open("field").attr("var", var).attr("type", type_.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Condition;
    use crate::xml::{Bindings, Element};

    fn read(content: &str) -> Result<Option<Form>, StanzaError> {
        let xml = format!("<query xmlns='urn:x'>{content}</query>");
        Form::of(Element::parse(xml.as_bytes(), &Bindings::empty()).unwrap().root())
    }

    #[test]
    fn s5_1_a_submitted_form_is_read() {
        let form = read(
            "<x xmlns='jabber:x:data' type='submit'><field type='hidden' var='FORM_TYPE'><value>jabber:bot</value></field>\
             <field type='fixed'><value>Section 1</value></field><field var='public'><value>0</value></field>\
             <field var='features'><value>news</value><value>search</value></field><field var='empty'/></x>",
        );
        let form = form.unwrap().unwrap();
        assert_eq!((form.type_, form.form_type()), (FormType::Submit, Some("jabber:bot")));
        let [_, public, features, empty] = &form.fields[..] else { panic!("{form:?}") };
        assert_eq!(public.boolean(), Ok(false));
        assert_eq!((features.var.as_str(), features.values.len()), ("features", 2));
        assert!(features.single().is_err() && empty.single().is_err() && features.boolean().is_err());
        assert_eq!(read(""), Ok(None));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for content in [
            "<x xmlns='jabber:x:data'/>",
            "<x xmlns='jabber:x:data' type='other'/>",
            "<x xmlns='jabber:x:data' type='submit'/><x xmlns='jabber:x:data' type='submit'/>",
            "<x xmlns='jabber:x:data' type='submit'><field><value>1</value></field></x>",
            "<x xmlns='jabber:x:data' type='submit'><field var='a'/><field var='a'/></x>",
        ] {
            assert_eq!(read(content).unwrap_err().condition, Condition::BadRequest, "{content}");
        }
    }

    #[test]
    fn s3_4_rows_have_all_fields() {
        let mut xml = XmlWriter::new();
        let mut form = FormWriter::open_titled(&mut xml, FormType::Result, "urn:x", "Rows");
        form.table(["a", "b"], [[Some("1"), None], [Some("2"), Some("")]]);
        form.close();
        assert_eq!(
            xml.finish(),
            "<x xmlns='jabber:x:data' type='result'><title>Rows</title><field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>\
             <reported><field var='a'/><field var='b'/></reported><item><field var='a'><value>1</value></field><field var='b'/></item>\
             <item><field var='a'><value>2</value></field><field var='b'><value></value></field></item></x>"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut xml = XmlWriter::new();
        let mut form = FormWriter::open(&mut xml, FormType::Result, "urn:x");
        form.field("a", FieldType::TextMulti, &["<1>", "2"]).field("b", FieldType::Boolean, &["true"]).open_list("c");
        form.close();
        let form = read(str::from_utf8(&xml.finish()).unwrap()).unwrap().unwrap();
        assert_eq!((form.type_, form.form_type()), (FormType::Result, Some("urn:x")));
        let fields: Vec<_> = form.fields.iter().map(|field| (field.var.as_str(), field.values.join("|"))).collect();
        assert_eq!(fields[1..], [("a", "<1>|2".to_owned()), ("b", "true".to_owned()), ("c", String::new())]);
    }
}
