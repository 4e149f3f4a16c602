//! Stanza errors: RFC 6120 §8.3.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::{Child, Stanza};
use crate::ns;
use crate::xml::{Node, XmlWriter};

/// What the sender may do about it: RFC 6120 §8.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed; the condition was only a warning.
    Continue,
    /// Retry after changing the data.
    Modify,
    /// Retry after waiting.
    Wait,
}

impl ErrorType {
    /// The value of the attribute.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait].into_iter().find(|type_| type_.name() == name)
    }
}

/// Declares the conditions, their usual types and their constructors, so that each stands in one place.
macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $type_:ident $constructor:ident;)*) => {
        /// The defined conditions: RFC 6120 §8.3.3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// The element's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The error type that §8.3.3 recommends.
            #[must_use]
            pub fn usual_type(self) -> ErrorType {
                match self {
                    $(Self::$variant => ErrorType::$type_,)*
                }
            }

            /// The condition of this name. An unknown one is to be treated as `undefined-condition` (§8.3.2).
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
        }

        impl StanzaError {
            $($(#[$doc])* #[must_use] pub const fn $constructor() -> Self { Self::new(Condition::$variant, ErrorType::$type_) })*
        }
    };
}

conditions! {
    /// §8.3.3.1: XML that violates a schema or cannot be processed.
    BadRequest "bad-request" Modify bad_request_without_text;
    /// §8.3.3.2: something of that name or address exists already.
    Conflict "conflict" Cancel conflict;
    /// §8.3.3.3: the feature is known and not implemented here.
    FeatureNotImplemented "feature-not-implemented" Cancel feature_not_implemented;
    /// §8.3.3.4: the sender may not do that.
    Forbidden "forbidden" Auth forbidden;
    /// §8.3.3.5: the addressee is at another address for good.
    Gone "gone" Cancel gone;
    /// §8.3.3.6: a fault of ours.
    InternalServerError "internal-server-error" Cancel internal_server_error;
    /// §8.3.3.7: what was addressed does not exist.
    ItemNotFound "item-not-found" Cancel item_not_found;
    /// §8.3.3.8: an address that violates RFC 7622.
    JidMalformed "jid-malformed" Modify jid_malformed;
    /// §8.3.3.9: the data does not meet criteria of the recipient.
    NotAcceptable "not-acceptable" Modify not_acceptable;
    /// §8.3.3.10: nobody is allowed to do that.
    NotAllowed "not-allowed" Cancel not_allowed;
    /// §8.3.3.11: credentials are needed first.
    NotAuthorized "not-authorized" Auth not_authorized;
    /// §8.3.3.12: a local policy, such as a size limit.
    PolicyViolation "policy-violation" Modify policy_violation;
    /// §8.3.3.13: the recipient is unavailable for the time being.
    RecipientUnavailable "recipient-unavailable" Wait recipient_unavailable;
    /// §8.3.3.14: the addressee is at another address.
    Redirect "redirect" Modify redirect;
    /// §8.3.3.15: registration is required first.
    RegistrationRequired "registration-required" Auth registration_required;
    /// §8.3.3.16: the remote server does not exist or cannot be resolved.
    RemoteServerNotFound "remote-server-not-found" Cancel remote_server_not_found;
    /// §8.3.3.17: the remote server did not answer in time.
    RemoteServerTimeout "remote-server-timeout" Wait remote_server_timeout;
    /// §8.3.3.18: the server lacks resources.
    ResourceConstraint "resource-constraint" Wait resource_constraint;
    /// §8.3.3.19: the service is not provided.
    ServiceUnavailable "service-unavailable" Cancel service_unavailable;
    /// §8.3.3.20: a subscription is required first.
    SubscriptionRequired "subscription-required" Auth subscription_required;
    /// §8.3.3.21: none of the others; an application condition says more.
    UndefinedCondition "undefined-condition" Modify undefined_condition;
    /// §8.3.3.22: the request was not expected at this time.
    UnexpectedRequest "unexpected-request" Wait unexpected_request;
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The content of an `<error/>`: RFC 6120 §8.3.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub type_: ErrorType,
    /// The defined condition.
    pub condition: Condition,
    /// `<text/>`: descriptive, English, never interpreted.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition: one element with a namespace of its own.
    pub extra: Option<Bytes>,
    /// Written with the attribute `code` of XEP-0086, where a protocol of old still asks for it.
    pub with_code: bool,
    /// §8.3.3.5, §8.3.3.14: where the addressee is now, a URI; with `gone` and `redirect` only.
    pub address: Option<Box<str>>,
    /// What stands before the `<error/>` in the place of the original content: an element that says which parts of the request failed.
    pub payload: Option<Box<Bytes>>,
}

impl StanzaError {
    /// An error with this condition and type, and no text.
    #[must_use]
    pub const fn new(condition: Condition, type_: ErrorType) -> Self {
        Self { type_, condition, text: None, extra: None, with_code: false, address: None, payload: None }
    }

    /// `<bad-request/>` with a sentence about what is wrong.
    #[must_use]
    pub fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_request_without_text().with_text(text)
    }

    /// The same error with a text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The same error, written with its code.
    #[must_use]
    pub fn with_code(mut self) -> Self {
        self.with_code = true;
        self
    }

    /// XEP-0086 §3.
    fn code(&self) -> u16 {
        match self.condition {
            Condition::BadRequest | Condition::JidMalformed | Condition::UnexpectedRequest => 400,
            Condition::NotAuthorized => 401,
            Condition::Gone | Condition::Redirect => 302,
            Condition::Forbidden => 403,
            Condition::ItemNotFound | Condition::RecipientUnavailable | Condition::RemoteServerNotFound => 404,
            Condition::NotAllowed => 405,
            Condition::NotAcceptable | Condition::PolicyViolation => 406,
            Condition::RegistrationRequired | Condition::SubscriptionRequired => 407,
            Condition::Conflict => 409,
            Condition::FeatureNotImplemented => 501,
            Condition::ServiceUnavailable => 503,
            Condition::RemoteServerTimeout => 504,
            Condition::InternalServerError | Condition::ResourceConstraint | Condition::UndefinedCondition => 500,
        }
    }

    /// Writes `<error/>`. It stays in the content namespace of the stanza around it.
    pub fn write(&self, out: &mut XmlWriter) {
        self.write_by(out, None);
    }

    /// The same with who says so (§8.3.2), where that is not the addressee.
    pub fn write_by(&self, out: &mut XmlWriter, by: Option<&str>) {
        out.open("error");
        if self.with_code {
            out.attr("code", &self.code().to_string());
        }
        out.attr_opt("by", by).attr("type", self.type_.name());
        out.open(self.condition.name()).ns(ns::STANZA_ERROR);
        if let Some(address) = &self.address {
            out.text(address);
        }
        out.close();
        if let Some(text) = &self.text {
            out.open("text").ns(ns::STANZA_ERROR).attr("xml:lang", "en").text(text).close();
        }
        if let Some(extra) = &self.extra {
            out.raw(extra);
        }
        out.close();
    }

    /// Reads the `<error/>` of an error stanza; `None` when there is none. What is missing or unknown is read as `undefined-condition` and its type.
    #[must_use]
    pub fn of(stanza: &Stanza) -> Option<Self> {
        let element = stanza.child(ns::CLIENT, "error").as_ref().map(Child::element)?.ok()?;
        Some(Self::read(element.root()))
    }

    /// Reads an `<error/>` element.
    #[must_use]
    pub fn read(error: Node<'_>) -> Self {
        let condition = error
            .children()
            .filter(|child| child.ns() == ns::STANZA_ERROR && child.name() != "text")
            .find_map(|child| Some((Condition::parse(child.name())?, child)));
        let address = match condition {
            Some((Condition::Gone | Condition::Redirect, child)) => Some(child.text().trim().to_owned()).filter(|text| !text.is_empty()),
            _ => None,
        };
        let condition = condition.map_or(Condition::UndefinedCondition, |(condition, _)| condition);
        let type_ = error.attr("type").and_then(ErrorType::parse).unwrap_or(condition.usual_type());
        let text = error.child(ns::STANZA_ERROR, "text").map(|text| Cow::Owned(text.text().into_owned()));
        let extra = error.children().find(|child| child.ns() != ns::STANZA_ERROR).map(|child| child.to_bytes());
        Self { type_, condition, text, extra, with_code: false, address: address.map(String::into_boxed_str), payload: None }
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        Self::new(condition, condition.usual_type())
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{} ({}): {text}", self.condition, self.type_.name()),
            None => write!(f, "{} ({})", self.condition, self.type_.name()),
        }
    }
}

impl std::error::Error for StanzaError {}
