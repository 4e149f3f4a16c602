//! Groups: XEP-0338 against `a=group` (RFC 5888 §5).

use smol_str::SmolStr;

use super::names::Name;
use super::outline::Outline;
use super::words::{fitting, is_token};
use crate::jingle::content::Group;
use crate::sdp::description::{Section, State};
use crate::sdp::line::{Attribute, Numbered};
use crate::sdp::warning::{Quoted, Warnings};

/// An `a=group`.
#[derive(Debug)]
pub(super) struct Line {
    pub line: u32,
    pub semantics: SmolStr,
    pub mids: Vec<SmolStr>,
}

/// Mids become names, each once. A member that does not exist, or is refused, is in no group: the content is not in the stanza either.
pub(super) fn read(lines: Vec<Line>, outlines: &[Outline], names: &[Name], warnings: &mut Warnings) -> Vec<Group> {
    let name = |line: u32, mid: &SmolStr, warnings: &mut Warnings| {
        let index = outlines.iter().position(|outline| outline.mid.as_ref() == Some(mid) && !outline.refused);
        if index.is_none() {
            warnings.at(line, format_args!("{} is left out of the group: no section has this mid, or it is refused", Quoted(mid)));
        }
        Some(names[index?].name.clone())
    };
    let group = |Line { line, semantics, mids }| {
        let mut contents = Vec::new();
        for mid in &mids {
            let Some(name) = name(line, mid, warnings) else { continue };
            if contents.contains(&name) {
                warnings.at(line, format_args!("{} is in the group {} once", Quoted(mid), Quoted(&semantics)));
            } else {
                contents.push(name);
            }
        }
        Group { semantics, contents }
    };
    lines.into_iter().map(group).collect()
}

/// Names become mids, of those sections that are active.
pub(super) fn write<'a>(
    groups: &'a [Group],
    sections: &'a [Section],
    mids: &'a [SmolStr],
    warnings: &'a mut Warnings,
) -> impl Iterator<Item = Numbered> + 'a {
    groups.iter().filter_map(move |group| {
        let semantics = fitting(&group.semantics, is_token, "the group", warnings)?;
        let mut members = Vec::with_capacity(group.contents.len());
        for name in &group.contents {
            match sections.iter().position(|section| section.state == State::Active && section.content.name == *name) {
                Some(index) if members.contains(&mids[index]) => {
                    warnings.add(format_args!("{} is in the group {} once", Quoted(name), Quoted(&semantics)));
                }
                Some(index) => members.push(mids[index].clone()),
                None => {
                    warnings.add(format_args!("{} is left out of the group {}: no section is called so", Quoted(name), Quoted(&semantics)))
                }
            }
        }
        Some(Attribute::Group { semantics, mids: members }.into())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AUDIO, only, read, through};
    use crate::jingle::content::Party;

    #[test]
    fn rfc_5888_s5_groups_of_every_kind() {
        let sections = format!("{AUDIO}\na=mid:a\n{}\na=mid:v", AUDIO.replace("audio 9 RTP/AVP 0", "video 9 RTP/AVP 31"));
        for group in ["a=group:BUNDLE a v", "a=group:LS v a", "a=group:BUNDLE"] {
            assert_eq!(only(&through(&format!("{group}\n{sections}")), &["a=group"]), [group]);
        }
    }

    #[test]
    fn a_member_is_there_once() {
        let (description, warnings) = read(Party::Initiator, &format!("a=group:FID a a\n{AUDIO}\na=mid:a"));
        assert_eq!(description.groups[0].contents, ["a"]);
        assert_eq!(warnings, ["line 5: 'a' is in the group 'FID' once"]);
    }

    #[test]
    fn members_that_are_not_there() {
        let refused = AUDIO.replace("audio 9", "video 0");
        let (description, warnings) = read(Party::Responder, &format!("a=group:LS x a v\n{AUDIO}\na=mid:a\n{refused}\na=mid:v"));
        assert_eq!(description.groups[0].contents, ["a"]);
        let text = "is left out of the group: no section has this mid, or it is refused";
        assert_eq!(warnings, [format!("line 5: 'x' {text}"), format!("line 5: 'v' {text}")]);
    }
}
