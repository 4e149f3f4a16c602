//! XEP-0077: what a query asks, as fields or as a data form (XEP-0004), and the queries that ask for those. Pure.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::ns;
use crate::stanza::error::StanzaError;
use crate::xml::{Node, XmlWriter};

const INSTRUCTIONS: &str = "Choose a username and a password.";
const REGISTERED: &str = "To change the password, give the username and a new password.";
/// FORM_TYPEs of §13.4.
const REGISTER: &str = ns::REGISTER;
const CANCEL: &str = "jabber:iq:register:cancel";
const CHANGE_PASSWORD: &str = "jabber:iq:register:changepassword";

/// What a request of type `set` asks.
#[derive(Debug, PartialEq, Eq)]
pub enum Query {
    /// The data form came back with nothing (XEP-0004 §3.1, `cancel`).
    Nothing,
    /// §3.2.
    Remove {
        /// Whose account, where the form says so.
        username: Option<String>,
    },
    /// §3.1 or §3.3. What is empty is not there.
    Fields(Fields),
}

/// The fields that this server asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The localpart, or the bare JID.
    pub username: Option<String>,
    /// The new password.
    pub password: Option<Zeroizing<String>>,
    /// The password until now, for a change of it.
    pub old_password: Option<Zeroizing<String>>,
}

impl Query {
    /// Reads the `<query/>` of a request of type `set`. A data form takes precedence over fields (§4, rule 5).
    ///
    /// # Errors
    /// `bad-request`: something beside `<remove/>` (§3.2), or a form that is none of these.
    pub fn read(query: Node<'_>) -> Result<Self, StanzaError> {
        if query.child(ns::REGISTER, "remove").is_some() {
            return match query.children().count() {
                1 => Ok(Self::Remove { username: None }),
                _ => Err(StanzaError::bad_request("<remove/> stands alone")),
            };
        }
        if let Some(form) = query.child(ns::DATA_FORMS, "x") {
            return Self::read_form(form);
        }
        let field = |name| query.child(ns::REGISTER, name).map(|field| field.text().into_owned()).filter(|text| !text.is_empty());
        Ok(Self::Fields(Fields { username: field("username"), password: field("password").map(Zeroizing::new), old_password: None }))
    }

    fn read_form(form: Node<'_>) -> Result<Self, StanzaError> {
        match form.attr("type") {
            Some("submit") => {}
            Some("cancel") => return Ok(Self::Nothing),
            _ => return Err(StanzaError::bad_request("the form must be submitted")),
        }
        let field = |name: &str| {
            let field = form.children_named(ns::DATA_FORMS, "field").find(|field| field.attr("var") == Some(name))?;
            field.child(ns::DATA_FORMS, "value").map(|value| value.text().into_owned()).filter(|text| !text.is_empty())
        };
        let secret = |name| field(name).map(Zeroizing::new);
        match field("FORM_TYPE").as_deref() {
            Some(CANCEL) => Ok(Self::Remove { username: field("username") }),
            Some(REGISTER | CHANGE_PASSWORD) | None => {
                Ok(Self::Fields(Fields { username: field("username"), password: secret("password"), old_password: secret("old_password") }))
            }
            Some(_) => Err(StanzaError::bad_request("the form is of another FORM_TYPE")),
        }
    }
}

/// §3.1, examples 2 and 9: what a newcomer has to give, as fields and as a form of the same (§6).
pub fn wanted() -> Bytes {
    let mut out = XmlWriter::new();
    out.open("query").ns(ns::REGISTER);
    out.open("instructions").text(INSTRUCTIONS).close();
    out.open("username").close().open("password").close();
    out.open("x").ns(ns::DATA_FORMS).attr("type", "form");
    out.open("title").text("Registration").close();
    out.open("instructions").text(INSTRUCTIONS).close();
    out.open("field").attr("type", "hidden").attr("var", "FORM_TYPE").open("value").text(REGISTER).close().close();
    for (kind, label, name) in [("text-single", "Username", "username"), ("text-private", "Password", "password")] {
        out.open("field").attr("type", kind).attr("label", label).attr("var", name).open("required").close().close();
    }
    out.close();
    out.close();
    out.finish()
}

/// §3.1, example 3: what is on file of an account; the password is nobody's to see.
pub fn registered(username: &str) -> Bytes {
    let mut out = XmlWriter::new();
    out.open("query").ns(ns::REGISTER);
    out.open("registered").close();
    out.open("instructions").text(REGISTERED).close();
    out.open("username").text(username).close();
    out.open("password").close();
    out.close();
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Condition;
    use crate::xml::{Bindings, Element};

    fn read(content: &str) -> Result<Query, Condition> {
        let xml = format!("<query xmlns='jabber:iq:register'>{content}</query>");
        let element = Element::parse(xml.as_bytes(), &Bindings::client()).unwrap();
        Query::read(element.root()).map_err(|error| error.condition)
    }

    fn fields(username: &str, password: &str, old: &str) -> Result<Query, Condition> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let secret = |text: &str| some(text).map(Zeroizing::new);
        Ok(Query::Fields(Fields { username: some(username), password: secret(password), old_password: secret(old) }))
    }

    fn form(form_type: &str, fields: &[(&str, &str)]) -> String {
        let field = |(name, value): &(&str, &str)| format!("<field var='{name}'><value>{value}</value></field>");
        let kind = if form_type.is_empty() { String::new() } else { field(&("FORM_TYPE", form_type)) };
        format!("<x xmlns='jabber:x:data' type='submit'>{kind}{}</x>", fields.iter().map(field).collect::<String>())
    }

    #[test]
    fn s3_1_and_s3_3_fields() {
        assert_eq!(read("<username>bill</username><password>Calliope</password>"), fields("bill", "Calliope", ""));
        assert_eq!(read("<username>bill</username><password/>"), fields("bill", "", ""));
        assert_eq!(read("<password></password>"), fields("", "", ""));
        assert_eq!(read("<username>bill</username><email>a@b</email>"), fields("bill", "", ""));
        assert_eq!(read(""), fields("", "", ""));
    }

    #[test]
    fn s3_2_removal() {
        assert_eq!(read("<remove/>"), Ok(Query::Remove { username: None }));
        assert_eq!(read("<remove/><username>bill</username>"), Err(Condition::BadRequest));
        let cancel = form("jabber:iq:register:cancel", &[("username", "bill@shakespeare.lit"), ("password", "theglobe")]);
        assert_eq!(read(&cancel), Ok(Query::Remove { username: Some("bill@shakespeare.lit".to_owned()) }));
    }

    #[test]
    fn s4_a_form_takes_precedence() {
        let both = form("jabber:iq:register", &[("username", "bill"), ("password", "x")]) + "<username>juliet</username>";
        assert_eq!(read(&both), fields("bill", "x", ""));
        assert_eq!(read(&form("", &[("username", "bill")])), fields("bill", "", ""));
        let change = [("username", "bill@shakespeare.lit"), ("old_password", "theglobe"), ("password", "groundlings")];
        assert_eq!(read(&form("jabber:iq:register:changepassword", &change)), fields("bill@shakespeare.lit", "groundlings", "theglobe"));
        assert_eq!(read(&form("urn:other", &[("username", "bill")])), Err(Condition::BadRequest));
        assert_eq!(read("<x xmlns='jabber:x:data' type='cancel'/>"), Ok(Query::Nothing));
        assert_eq!(read("<x xmlns='jabber:x:data'/>"), Err(Condition::BadRequest));
    }

    #[test]
    fn s3_1_examples_2_3_and_9() {
        let text = String::from_utf8(wanted().to_vec()).unwrap();
        assert!(text.contains("<username/><password/>") && text.contains("<value>jabber:iq:register</value>"), "{text}");
        let text = String::from_utf8(registered("juliet").to_vec()).unwrap();
        assert!(text.contains("<registered/>") && text.contains("<username>juliet</username><password/>"), "{text}");
    }
}
