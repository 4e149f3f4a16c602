//! RFC 3551 §6, tables 4 and 5: payload types that need no `a=rtpmap`.

/// What a number alone means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sdp::map) struct StaticType {
    pub name: &'static str,
    /// In Hz.
    pub clockrate: u32,
    /// `None` is one.
    pub channels: Option<u8>,
}

const fn new(name: &'static str, clockrate: u32) -> Option<StaticType> {
    Some(StaticType { name, clockrate, channels: None })
}

/// The type that a number has in a section of this media. Neither reserved nor unassigned ones have one, 2 (G721) and 19 (CN) neither: they
/// were used for two things.
pub(in crate::sdp::map) fn find(id: u8, media: &str) -> Option<StaticType> {
    match (media, id) {
        ("audio", 0) => new("PCMU", 8_000),
        ("audio", 3) => new("GSM", 8_000),
        ("audio", 4) => new("G723", 8_000),
        ("audio", 5) => new("DVI4", 8_000),
        ("audio", 6) => new("DVI4", 16_000),
        ("audio", 7) => new("LPC", 8_000),
        ("audio", 8) => new("PCMA", 8_000),
        ("audio", 9) => new("G722", 8_000),
        ("audio", 10) => Some(StaticType { name: "L16", clockrate: 44_100, channels: Some(2) }),
        ("audio", 11) => new("L16", 44_100),
        ("audio", 12) => new("QCELP", 8_000),
        ("audio", 13) => new("CN", 8_000),
        ("audio", 14) => new("MPA", 90_000),
        ("audio", 15) => new("G728", 8_000),
        ("audio", 16) => new("DVI4", 11_025),
        ("audio", 17) => new("DVI4", 22_050),
        ("audio", 18) => new("G729", 8_000),
        ("video", 25) => new("CelB", 90_000),
        ("video", 26) => new("JPEG", 90_000),
        ("video", 28) => new("nv", 90_000),
        ("video", 31) => new("H261", 90_000),
        ("video", 32) => new("MPV", 90_000),
        ("audio" | "video", 33) => new("MP2T", 90_000),
        ("video", 34) => new("H263", 90_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_tables_4_and_5() {
        let known = |media| (0..=255).filter(|id| find(*id, media).is_some()).collect::<Vec<u8>>();
        assert_eq!(known("audio"), [0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 33]);
        assert_eq!(known("video"), [25, 26, 28, 31, 32, 33, 34]);
        assert!(known("text").is_empty());
        assert_eq!(find(10, "audio"), Some(StaticType { name: "L16", clockrate: 44_100, channels: Some(2) }));
        assert_eq!(find(9, "audio"), new("G722", 8_000));
    }
}
