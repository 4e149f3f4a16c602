//! Whether every numbered example of the specifications is in a script, or in the README's table with the reason why not.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;

use super::parse::Script;

/// The numbered examples of each that concern what the scripts show.
pub const PUBSUB: &[(&str, RangeInclusive<usize>)] = &[("XEP-0060", 1..=236), ("XEP-0163", 1..=11), ("XEP-0248", 1..=46)];
/// The same of group chat: of XEP-0313 the archive of a room.
pub const ROOMS: &[(&str, RangeInclusive<usize>)] = &[
    ("XEP-0045", 1..=220),
    ("XEP-0249", 1..=4),
    ("XEP-0272", 1..=2),
    ("XEP-0313", 27..=27),
    ("XEP-0317", 1..=22),
    ("XEP-0410", 1..=4),
    ("XEP-0421", 1..=7),
    ("XEP-0424", 1..=7),
    ("XEP-0425", 1..=8),
    ("XEP-0486", 1..=15),
];

/// The scripts that a list names are those of the folder whose names begin so, and all can be read.
pub fn are_all(prefix: &str, scripts: &[&str]) {
    let mut files: Vec<String> = fs::read_dir("tests/scripts")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".xmpp").map(ToOwned::to_owned))
        .filter(|name| name.starts_with(prefix))
        .collect();
    files.sort();
    let mut listed = scripts.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed);
    let unread: Vec<String> = scripts
        .iter()
        .filter_map(|name| {
            let text = fs::read_to_string(format!("tests/scripts/{name}.xmpp")).unwrap();
            Script::parse(&text).err().map(|(line, what)| format!("tests/scripts/{name}.xmpp:{line}: {what}"))
        })
        .collect();
    assert!(unread.is_empty(), "{}", unread.join("\n"));
}

/// Each is in a script, as `# Example 32. Title` after the last `# XEP-0060 …` and right before the step that shows it, or in the README's table with
/// the reason why not. Whether the step is the example, only a reader can see.
pub fn are_shown(examples: &[(&'static str, RangeInclusive<usize>)], scripts: &[&str]) {
    let mut where_: BTreeMap<(&str, usize), Vec<String>> = BTreeMap::new();
    let known = |name: &str| examples.iter().map(|(xep, _)| *xep).find(|xep| name == *xep);
    for script in scripts {
        let text = fs::read_to_string(format!("tests/scripts/{script}.xmpp")).unwrap();
        let (mut current, mut heading) = (None, None);
        for line in text.lines().chain([""]) {
            let Some(line) = line.strip_prefix("# ") else {
                let heading = heading.take();
                assert!(heading.is_none() || !line.is_empty(), "{script}: no step shows {heading:?}");
                continue;
            };
            if let Some(xep) = line.split([' ', ',', ':']).next().filter(|word| word.starts_with("XEP-")) {
                current = Some(xep);
            } else if let Some((number, _)) = line.strip_prefix("Example ").and_then(|rest| rest.split_once('.')) {
                let xep = current.unwrap_or_else(|| panic!("{script}: example {number} of what?"));
                heading = Some(line);
                let Some(xep) = known(xep) else { continue };
                let file = where_.entry((xep, number.parse().unwrap())).or_default();
                if file.last().is_none_or(|last| last != script) {
                    file.push((*script).to_owned());
                }
            }
        }
    }
    let readme = fs::read_to_string("tests/scripts/README.md").unwrap();
    for row in readme.lines().filter_map(|line| line.strip_prefix("| XEP-")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = format!("XEP-{}", cells[0]);
        assert!(PUBSUB.iter().chain(ROOMS).any(|(xep, _)| *xep == name), "nobody counts: {row}");
        assert!(cells[2].len() > 20, "why not? {row}");
        let Some(xep) = known(&name) else { continue };
        for number in cells[1].split(',') {
            let place = where_.entry((xep, number.trim().parse().unwrap())).or_default();
            assert!(place.is_empty(), "{xep}, example {number}: in the list, and in {place:?}");
            place.push("README.md".to_owned());
        }
    }
    let mut missing: Vec<String> = Vec::new();
    for (xep, wanted) in examples {
        let numbers: Vec<usize> = wanted.clone().filter(|number| !where_.contains_key(&(*xep, *number))).collect();
        if !numbers.is_empty() {
            missing.push(format!("{xep}: nowhere are {numbers:?}"));
        }
        let beyond: Vec<_> = where_.keys().filter(|(of, number)| of == xep && !wanted.contains(number)).collect();
        assert!(beyond.is_empty(), "{beyond:?}");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// A test for each script; the list is that of the folder.
macro_rules! scripts {
    ($($name:ident)+) => {
        $(#[test]
        pub fn $name() {
            $crate::support::script::run(concat!(stringify!($name), ".xmpp"));
        })+

        const SCRIPTS: &[&str] = &[$(stringify!($name)),+];
    };
}
pub(crate) use scripts;
