//! Promise: what the documents say can be checked is there.

use std::fs;
use std::path::Path;

/// The names `file::test` between backticks.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::").filter(|(file, _)| file.ends_with(".rs"))).collect()
}

/// The sources of a folder, one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "js") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// The other direction, each announced feature in the file, is `signalling/tests/routing.rs`'s.
#[test]
fn each_extension_that_the_doap_file_names_is_named_where_it_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let doap = fs::read_to_string(root.join("campanile.doap")).unwrap();
    let code = sources(&root.join("signalling/src")) + &sources(&root.join("src"));
    let numbers: Vec<_> = doap.split("/xep-").skip(1).filter_map(|rest| rest.split('.').next()).collect();
    assert!(numbers.len() > 30 && numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] != pair[1]), "{numbers:?}");
    for number in numbers {
        assert!(code.contains(&format!("XEP-{number}")), "campanile.doap claims XEP-{number}, of which no source speaks");
        // where a source's head gives a version, the file gives the same
        let claimed =
            doap.split(&format!("/xep-{number}.html\"/><xmpp:version>")).nth(1).and_then(|rest| rest.split('<').next()).expect("a version");
        for head in code.lines().filter(|line| line.starts_with(&format!("//! XEP-{number}: "))) {
            if let Some(version) =
                head.split(", version ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit() && c != '.').next())
            {
                let version = version.trim_end_matches('.');
                assert!(claimed.starts_with(version), "XEP-{number}: {version} in the source, {claimed} in campanile.doap");
            }
        }
    }
}

#[test]
fn each_test_that_the_compliance_sheet_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sheet = fs::read_to_string(root.join("docs/compliance.md")).unwrap();
    let named = tests_named(&sheet);
    assert!(named.len() > 20, "{named:?}");
    for (file, test) in named {
        let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = source.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{file} has no {test}"));
        // the attribute stands before it, at most a few lines (`ignore`, a comment) above
        let before = source[..at].lines().rev().take(4).collect::<String>();
        assert!(before.contains("test]"), "{file}: {test} is no test");
    }
    for row in sheet.lines().filter(|line| line.starts_with("| ") && line.contains('✓')) {
        let shown = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(shown.contains("::") || shown.contains("not yet") || shown.contains("as above"), "nothing shows {row}");
    }
}

/// In systemd an empty assignment takes back all that stood before it: what an operator fills in must be the only line of its key.
#[test]
fn the_unit_has_one_line_for_each_set_of_capabilities() {
    let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/campanile.service")).unwrap();
    for key in ["AmbientCapabilities=", "CapabilityBoundingSet="] {
        let lines: Vec<_> = unit.lines().filter(|line| line.trim_start_matches(['#', ' ']).starts_with(key)).collect();
        assert_eq!(lines, [key]);
    }
}
