//! Properties of the mapping: a description in the normal form that `map::rtp` states comes back as it was, and any other in normal form.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smol_str::SmolStr;

use super::static_types;
use super::testing::{read, write};
use crate::jingle::content::{Party, Senders};
use crate::jingle::rtp::{
    Bandwidth, Crypto, Encryption, Feedback, Feedbacks, HeaderExtension, Msid, Parameter, PayloadType, Rtp, Source, SourceGroup, ZrtpHash,
};

fn text(pattern: &'static str) -> impl Strategy<Value = SmolStr> {
    proptest::string::string_regex(pattern).expect("a regular expression").prop_map(SmolStr::from)
}

fn token() -> impl Strategy<Value = SmolStr> {
    text("[a-zA-Z0-9!#$%&'*+.^_`{|}~-]{1,30}")
}

/// Without `=`.
fn plain_word() -> impl Strategy<Value = SmolStr> {
    text("[!-<>-~é]{1,30}")
}

/// Of `rtcp-fb` and `extmap`.
fn word_parameter() -> impl Strategy<Value = Parameter> {
    (plain_word(), option::of(text("[!-~é]{1,9}"))).prop_map(|(name, value)| Parameter { name, value })
}

fn fmtp_parameter() -> impl Strategy<Value = Parameter> {
    let inner = |pattern| text(pattern).prop_filter("blanks around it", |text| text.trim() == text.as_str());
    prop_oneof![
        (inner("[ -:<>-~é]{1,12}"), inner("[ -:<-~é]{0,12}")).prop_map(|(name, value)| Parameter { name, value: Some(value) }),
        inner("=?[ -:<>-~é]{1,12}").prop_map(|value| Parameter { name: SmolStr::default(), value: Some(value) }),
    ]
}

fn feedbacks() -> impl Strategy<Value = Feedbacks> {
    let feedback = (plain_word(), option::of((text("[!-~é]{1,9}"), vec(word_parameter(), 0..3))))
        .prop_filter("of its own", |(kind, _)| kind != "trr-int")
        .prop_map(|(kind, words)| {
            let (subtype, parameters) = words.map_or((None, Vec::new()), |(subtype, parameters)| (Some(subtype), parameters));
            Feedback { kind, subtype, parameters }
        });
    (vec(feedback, 0..4), option::of(any::<u32>())).prop_map(|(messages, trr_int)| Feedbacks { messages, trr_int })
}

/// With the media, which decides what static types mean.
fn payload_types() -> impl Strategy<Value = (&'static str, Vec<PayloadType>)> {
    let media = prop_oneof![Just("audio"), Just("video"), Just("text")];
    let codec = option::of((token(), 1_u32.., option::of(1_u8..)));
    let payload = (0..128_u8, codec, vec(fmtp_parameter(), 0..4), feedbacks());
    (media, vec(payload, 1..8), option::of(1_u32..), option::of(1_u32..)).prop_map(|(media, payloads, ptime, maxptime)| {
        let mut ids = HashSet::new();
        let payload = |(id, codec, parameters, feedback): (_, Option<(SmolStr, u32, Option<u8>)>, _, _)| {
            let codec = codec.or_else(|| static_types::find(id, media).map(|known| (known.name.into(), known.clockrate, known.channels)));
            let (name, clockrate, channels) = codec.map_or((None, None, None), |(name, rate, channels)| (Some(name), Some(rate), channels));
            PayloadType { id, name, clockrate, channels, ptime, maxptime, parameters, feedback }
        };
        (media, payloads.into_iter().filter(|(id, ..)| ids.insert(*id)).map(payload).collect())
    })
}

fn encryption() -> impl Strategy<Value = Option<Encryption>> {
    let session = text("[!-~]([ -~]{0,9}[!-~])?");
    let crypto = (text("[0-9]{1,9}"), token(), text("[a-z]{1,6}:[!-:<-~]{1,9}(;inline:[a-zA-Z0-9+/|^=]{1,30})?"), option::of(session))
        .prop_map(|(tag, suite, key_params, session_params)| Crypto { tag, suite, key_params, session_params });
    option::of((any::<bool>(), vec(crypto, 1..4)).prop_map(|(required, cryptos)| Encryption { required, cryptos }))
}

fn extensions() -> impl Strategy<Value = Vec<HeaderExtension>> {
    let senders = prop_oneof![Just(Senders::Both), Just(Senders::Initiator), Just(Senders::None), Just(Senders::Responder)];
    let extension = (1_u16.., text("[!-~é]{1,40}"), option::of(senders), vec(word_parameter(), 0..3));
    vec(extension.prop_map(|(id, uri, senders, parameters)| HeaderExtension { id, uri, senders, parameters }), 0..5)
}

/// Sources, groups, streams.
fn sources() -> impl Strategy<Value = (Vec<Source>, Vec<SourceGroup>, Vec<Msid>)> {
    let value = text("([!-~é]([ -~é]{0,30}[!-~é])?)?");
    let other = (token(), option::of(value)).prop_filter("of its own", |(name, _)| name != "msid");
    let parameters = vec(other.prop_map(|(name, value)| Parameter { name, value }), 0..4);
    let msid = || (text("[a-e]"), option::of(text("[f-h]"))).prop_map(|(stream, track)| Msid { stream, track });
    let group = (token(), vec(any::<u32>(), 0..4)).prop_map(|(semantics, sources)| SourceGroup { semantics, sources });
    let source = (0..9_u32, parameters, vec(msid(), 1..3));
    (vec(source, 0..6), any::<bool>(), vec(group, 0..3), vec(msid(), 0..3)).prop_map(|(sources, have_msid, groups, streams)| {
        let text = |msid: &Msid| match &msid.track {
            Some(track) => SmolStr::from(format!("{} {track}", msid.stream)),
            None => msid.stream.clone(),
        };
        let (mut ssrcs, mut taken) = (HashSet::new(), HashSet::new());
        // If there are streams, all sources have one.
        let have_msid = have_msid || !streams.is_empty();
        let source = |(ssrc, mut parameters, msids): (u32, Vec<Parameter>, Vec<Msid>)| {
            for msid in msids.iter().filter(|_| have_msid) {
                taken.insert(text(msid));
                parameters.push(Parameter { name: "msid".into(), value: Some(text(msid)) });
            }
            Source { ssrc, parameters }
        };
        let sources: Vec<_> = sources.into_iter().filter(|(ssrc, ..)| ssrcs.insert(*ssrc)).map(source).collect();
        (sources, groups, streams.into_iter().filter(|stream| taken.insert(text(stream))).collect())
    })
}

/// In normal form.
fn normal() -> impl Strategy<Value = Rtp> {
    let hash = (token(), text("[0-9a-fA-F]{1,64}")).prop_map(|(version, hash)| ZrtpHash { version, hash });
    let bandwidth = (token(), text("[0-9]{1,12}")).prop_map(|(kind, value)| Bandwidth { kind, value });
    let lists = (vec(hash, 0..3), vec(bandwidth, 0..3), extensions());
    let flags = any::<(bool, bool, bool)>();
    (payload_types(), feedbacks(), encryption(), lists, sources(), flags).prop_map(
        |(codecs, feedback, encryption, lists, sources, flags)| Rtp {
            media: codecs.0.into(),
            ssrc: None,
            payload_types: codecs.1,
            feedback,
            encryption,
            zrtp_hashes: lists.0,
            bandwidths: lists.1,
            header_extensions: lists.2,
            sources: sources.0,
            source_groups: sources.1,
            streams: sources.2,
            rtcp_mux: flags.0,
            rtcp_reduced_size: flags.1,
            extmap_allow_mixed: flags.2,
        },
    )
}

/// Anything that XML can say, and more.
fn anything() -> impl Strategy<Value = Rtp> {
    let any_text =
        || prop_oneof![text("[ =;:/,a-c]{0,5}"), text("\\PC{0,5}"), text("[\r\n\ta=]{0,4}"), text("trr-int|msid|opus|[0-9]{1,4}|inline:a")];
    let parameter = move || (any_text(), option::of(any_text())).prop_map(|(name, value)| Parameter { name, value });
    let feedbacks = move || {
        let feedback = (any_text(), option::of(any_text()), vec(parameter(), 0..3));
        let messages = vec(feedback.prop_map(|(kind, subtype, parameters)| Feedback { kind, subtype, parameters }), 0..3);
        (messages, option::of(any::<u32>())).prop_map(|(messages, trr_int)| Feedbacks { messages, trr_int })
    };
    let small = || option::of(0..3_u32);
    let codec = (any::<u8>(), option::of(any_text()), small(), option::of(0..3_u8), small(), small());
    let payload = (codec, vec(parameter(), 0..4), feedbacks()).prop_map(|(codec, parameters, feedback)| {
        let (id, name, clockrate, channels, ptime, maxptime) = codec;
        PayloadType { id, name, clockrate, channels, ptime, maxptime, parameters, feedback }
    });
    let crypto = (any_text(), any_text(), any_text(), option::of(any_text())).prop_map(|(tag, suite, key_params, session_params)| Crypto {
        tag,
        suite,
        key_params,
        session_params,
    });
    let encryption = option::of((any::<bool>(), vec(crypto, 0..3)).prop_map(|(required, cryptos)| Encryption { required, cryptos }));
    let hash = (any_text(), any_text()).prop_map(|(version, hash)| ZrtpHash { version, hash });
    let bandwidth = (any_text(), any_text()).prop_map(|(kind, value)| Bandwidth { kind, value });
    let extension = (any::<u16>(), any_text(), vec(parameter(), 0..3)).prop_map(|(id, uri, parameters)| HeaderExtension {
        id,
        uri,
        senders: None,
        parameters,
    });
    let msid = parameter().prop_map(|Parameter { name, value }| Msid { stream: name, track: value });
    let msid_parameter = any_text().prop_map(|value| Parameter { name: "msid".into(), value: Some(value) });
    let source = (0..4_u32, vec(prop_oneof![parameter(), msid_parameter], 0..4)).prop_map(|(ssrc, parameters)| Source { ssrc, parameters });
    let group = (any_text(), vec(any::<u32>(), 0..3)).prop_map(|(semantics, sources)| SourceGroup { semantics, sources });
    let first = (vec(payload, 0..5), feedbacks(), encryption, vec(hash, 0..3), vec(bandwidth, 0..3), vec(extension, 0..3));
    let second = (option::of(0..4_u32), vec(source, 0..5), vec(group, 0..3), vec(msid, 0..3));
    (first, second).prop_map(|(first, second)| {
        let (mut payload_types, feedback, encryption, zrtp_hashes, bandwidths, header_extensions) = first;
        let (ssrc, sources, source_groups, streams) = second;
        // SDP cannot say none, which is said elsewhere.
        payload_types.push(PayloadType { id: 96, ..PayloadType::default() });
        Rtp {
            media: "audio".into(),
            ssrc,
            payload_types,
            feedback,
            encryption,
            zrtp_hashes,
            bandwidths,
            header_extensions,
            sources,
            source_groups,
            streams,
            ..Rtp::default()
        }
    })
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Initiator), Just(Party::Responder)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_normal_form_comes_back(rtp in normal(), party in party()) {
        let (written, warnings) = write(party, &rtp);
        let about_names = |text: &String| text.contains("has no name") || text.contains("has no rtpmap");
        prop_assert!(warnings.iter().all(about_names), "{warnings:#?}");
        let (back, warnings) = read(party, &written);
        prop_assert!(warnings.iter().all(about_names), "{warnings:#?}");
        prop_assert_eq!(back, rtp, "{}", written);
    }

    #[test]
    fn anything_is_written_in_normal_form(rtp in anything(), party in party()) {
        let (written, _) = write(party, &rtp);
        let (normal, _) = read(party, &written);
        let (again, _) = write(party, &normal);
        prop_assert_eq!(again, written);
    }
}
