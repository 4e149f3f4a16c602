//! Promise: whoever speaks with pubsub and PEP as the specifications show it is answered as they show it. The conversations are
//! `tests/scripts/pubsub_*.xmpp`.

use std::collections::BTreeMap;
use std::fs;

use crate::support::script;

/// A test for each script; the list is that of the folder.
macro_rules! scripts {
    ($($name:ident)+) => {
        $(#[test]
        pub fn $name() {
            script::run(concat!(stringify!($name), ".xmpp"));
        })+

        const SCRIPTS: &[&str] = &[$(stringify!($name)),+];
    };
}

scripts! {
    pubsub_account
    pubsub_affiliations
    pubsub_approve
    pubsub_collections
    pubsub_collections_owner
    pubsub_configure
    pubsub_create
    pubsub_create_admins
    pubsub_delete
    pubsub_discover
    pubsub_last_item
    pubsub_manage_subscriptions
    pubsub_options
    pubsub_payloads_avatar
    pubsub_payloads_feeds
    pubsub_payloads_omemo
    pubsub_payloads_people
    pubsub_payloads_private
    pubsub_pep
    pubsub_pep_access
    pubsub_pep_authorize
    pubsub_publish
    pubsub_publish_options
    pubsub_purge
    pubsub_retract
    pubsub_retrieve
    pubsub_rules
    pubsub_subscribe
    pubsub_temporary
    pubsub_unsubscribe
    pubsub_uris
}

#[test]
fn every_script_is_run() {
    let mut files: Vec<String> = fs::read_dir("tests/scripts")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".xmpp").map(ToOwned::to_owned))
        .filter(|name| name.starts_with("pubsub_"))
        .collect();
    files.sort();
    let mut listed = SCRIPTS.to_vec();
    listed.sort_unstable();
    assert_eq!(files, listed);
}

/// How many numbered examples each has.
const EXAMPLES: [(&str, usize); 3] = [("XEP-0060", 236), ("XEP-0163", 11), ("XEP-0248", 46)];

/// Each is in a script, as `# Example 32. Title` after the last `# XEP-0060 …` and right before the step that shows it, or in the README's table with
/// the reason why not.
#[test]
fn every_numbered_example_is_shown_or_named_with_its_reason() {
    let mut where_: BTreeMap<(&str, usize), Vec<String>> = BTreeMap::new();
    let known = |name: &str| EXAMPLES.iter().map(|(xep, _)| *xep).find(|xep| name == *xep);
    for script in SCRIPTS {
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
        let xep = known(&format!("XEP-{}", cells[0])).unwrap_or_else(|| panic!("{row}"));
        assert!(cells[2].len() > 20, "why not? {row}");
        for number in cells[1].split(',') {
            let place = where_.entry((xep, number.trim().parse().unwrap())).or_default();
            assert!(place.is_empty(), "{xep}, example {number}: in the list, and in {place:?}");
            place.push("README.md".to_owned());
        }
    }
    for (xep, count) in EXAMPLES {
        let missing: Vec<usize> = (1..=count).filter(|number| !where_.contains_key(&(xep, *number))).collect();
        assert!(missing.is_empty(), "{xep}: nowhere are {missing:?}");
        let beyond: Vec<_> = where_.keys().filter(|(of, number)| *of == xep && *number > count).collect();
        assert!(beyond.is_empty(), "{beyond:?}");
    }
}
