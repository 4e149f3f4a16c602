//! Promise: what the documents say can be checked is there.

use std::fs;
use std::path::Path;

/// The names `file::test` between backticks.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|code| code.split_once("::").filter(|(file, _)| file.ends_with(".rs"))).collect()
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
