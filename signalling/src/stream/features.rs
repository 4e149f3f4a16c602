//! `<stream:features/>`: RFC 6120 §4.3.2, in the order of XEP-0170; channel bindings: XEP-0440 (1.0).

use bytes::Bytes;

use super::sasl::Offer;
use crate::ns;
use crate::xml::XmlWriter;

/// What is offered at one point of the negotiation. Each part is written only if it is there.
#[derive(Debug, Default)]
pub struct Features<'a> {
    /// §5.4.1; true adds `<required/>`.
    pub starttls: Option<bool>,
    /// §6.4.1, strongest first; without mechanisms nothing is written.
    pub sasl: Option<&'a Offer>,
    /// XEP-0077 §8.
    pub register: bool,
    /// §7.4, and the legacy session request as optional.
    pub bind: bool,
    /// Further features, each a whole element in its own namespace.
    pub more: &'a [Bytes],
}

impl Features<'_> {
    /// Writes the element. `alone`: with its own declaration of the prefix `stream` (RFC 7395 §3.3.3).
    pub fn write(&self, out: &mut XmlWriter, alone: bool) {
        out.open("stream:features");
        if alone {
            out.attr("xmlns:stream", ns::STREAM);
        }
        if let Some(required) = self.starttls {
            out.open("starttls").ns(ns::TLS);
            if required {
                out.open("required").close();
            }
            out.close();
        }
        if let Some(offer) = self.sasl.filter(|offer| !offer.mechanisms.is_empty()) {
            if !offer.bindings.is_empty() {
                out.open("sasl-channel-binding").ns(ns::SASL_CB);
                for binding in offer.bindings.types() {
                    out.open("channel-binding").attr("type", binding.name()).close();
                }
                out.close();
            }
            out.open("mechanisms").ns(ns::SASL);
            for mechanism in &offer.mechanisms {
                out.open("mechanism").text(mechanism.name()).close();
            }
            out.close();
        }
        if self.register {
            out.open("register").ns(ns::REGISTER_FEATURE).close();
        }
        if self.bind {
            out.open("bind").ns(ns::BIND).close();
            // RFC 3921 §3 made it mandatory, RFC 6121 dropped it: clients of today skip what is optional.
            out.open("session").ns(ns::SESSION).open("optional").close().close();
        }
        for feature in self.more {
            out.raw(feature);
        }
        out.close();
    }
}
