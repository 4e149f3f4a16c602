//! File and environment → [`Config`], with the place of everything that is wrong.
//!
//! Every key of the file and every variable is first tried alone against the whole configuration, which has a default for all others:
//! so each wrong one is found, not only the first, and its error can be told from the others'. Then all are read together.

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::problem::place;
use crate::{Config, Origin, Origins, Problem, Problems, Severity, check, domain, key_path};

/// The file that is read when none is named, in the current directory.
pub const DEFAULT_FILE: &str = "campanile.toml";

/// Variables that begin so and hold `__` are overrides: `CAMPANILE_C2S__LISTEN='["[::]:5222"]'`.
pub const VARIABLE_PREFIX: &str = "CAMPANILE_";

/// A configuration ready for use: its paths are absolute, its warnings are collected.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The file they were read from, if there was one.
    pub file: Option<PathBuf>,
    /// Where each came from.
    pub origins: Origins,
    /// What [`check::check`] found that does not stop the server.
    pub warnings: Vec<Problem>,
}

/// Reads `file`, or [`DEFAULT_FILE`] if it exists, or nothing; applies the overrides of `environment` (`std::env::vars_os()`);
/// makes relative paths start at the file's folder; and checks the whole.
///
/// # Errors
/// Everything that keeps the server from starting with it, each with its place.
pub fn load(file: Option<&Path>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Loaded, Problems> {
    let named = file.unwrap_or(Path::new(DEFAULT_FILE));
    let whole =
        |message: String| Problems(vec![Problem { severity: Severity::Error, origin: Origin::Default, key: String::new(), message }]);
    let bytes = match std::fs::read(named) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => None,
        Err(error) => return Err(whole(format!("the configuration file {} cannot be read: {error}", named.display()))),
    };
    let absolute = std::path::absolute(named).map_err(|error| whole(format!("the current directory is not known: {error}")))?;
    let base = absolute.parent().unwrap_or(Path::new("/"));
    let text = match bytes.map(String::from_utf8).transpose() {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
            let origin = place(named, &text, &(valid..valid));
            let message = "not UTF-8, as TOML has to be".to_owned();
            return Err(Problems(vec![Problem { severity: Severity::Error, origin, key: String::new(), message }]));
        }
    };
    let source = text.as_deref().map(|text| Source { file: named, text });
    let mut loaded = read(source, base, environment)?;
    loaded.file = text.is_some().then_some(absolute);
    Ok(loaded)
}

/// A file's name, for messages, and its content.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

fn read(source: Option<Source<'_>>, base: &Path, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Loaded, Problems> {
    let variables = variables(environment);
    let mut problems = Vec::new();
    let mut origins = Origins::default();

    let mut root = match source {
        Some(source) => syntax(source).map_err(Problems)?,
        None => DeTable::new(),
    };
    if let Some(source) = source {
        record(&mut origins, source, &root, &mut Vec::new());
        problems.extend(try_each(&root).into_iter().map(|fault| fault.in_file(source, &root)));
    }
    for variable in &variables {
        match variable.value() {
            Ok(value) => {
                let alone = one(unplaced(&variable.section), nested(one(unplaced(&variable.key), value.clone())));
                let faults = try_each(&alone);
                if faults.is_empty() {
                    origins.0.insert(variable.path(), Origin::Variable(variable.name.clone()));
                    put(&mut root, variable, value);
                } else {
                    problems.extend(faults.into_iter().map(|fault| variable.problem(fault.message)));
                }
            }
            Err(message) => problems.push(variable.problem(message)),
        }
    }
    if !problems.is_empty() {
        return Err(Problems::sorted(problems));
    }

    let mut config = config_of(root).map_err(|error| {
        // each key alone was right, so this does not happen; if it does, it is still an error and not a panic
        Problems(vec![Problem {
            severity: Severity::Error,
            origin: Origin::Default,
            key: String::new(),
            message: error.message().to_owned(),
        }])
    })?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        check::check(&config, &origins).into_iter().partition(|problem| problem.severity == Severity::Error);
    problems.extend(errors);
    if let Err(message) = resolve(&mut config, base) {
        problems.push(origins.problem(Severity::Error, "storage.url", message));
    }
    if problems.is_empty() { Ok(Loaded { config, file: None, origins, warnings }) } else { Err(Problems::sorted(problems)) }
}

/// The tables of the file, or all its syntax errors.
fn syntax<'i>(source: Source<'i>) -> Result<DeTable<'i>, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(source.text);
    if errors.is_empty() {
        return Ok(root.into_inner());
    }
    let root = root.into_inner();
    let problem = |error: toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let key = locate(&root, span.start).map(|path| key_path(&path)).unwrap_or_default();
        let message = format!("not valid TOML: {}", error.message());
        Problem { severity: Severity::Error, origin: place(source.file, source.text, &span), key, message }
    };
    Err(errors.into_iter().map(problem).collect())
}

/// The path of the innermost key that, with its value, covers byte `at`.
fn locate<'t>(table: &'t DeTable<'_>, at: usize) -> Option<Vec<&'t str>> {
    let covers = |span: Range<usize>| span.start <= at && at < span.end.max(span.start + 1);
    for (key, value) in table {
        let name: &str = key.get_ref();
        if let Some(inner) = value.get_ref().as_table().and_then(|table| locate(table, at)) {
            return Some([vec![name], inner].concat());
        }
        if covers(key.span()) || covers(value.span()) {
            return Some(vec![name]);
        }
    }
    None
}

/// Notes where each key stands.
fn record<'t>(origins: &mut Origins, source: Source<'_>, table: &'t DeTable<'_>, path: &mut Vec<&'t str>) {
    for (key, value) in table {
        path.push(key.get_ref());
        let origin = place(source.file, source.text, &key.span());
        if let [outer @ .., name] = path.as_slice()
            && outer.len() >= 2
            && let Ok(normal) = domain::normalise(name)
        {
            // keys of `tls.hosts` are looked up in their normal form
            let normal = [outer, &[normal.as_str()]].concat();
            origins.0.insert(key_path(&normal), origin.clone());
        }
        origins.0.insert(key_path(path), origin);
        if let Some(inner) = value.get_ref().as_table() {
            record(origins, source, inner, path);
        }
        path.pop();
    }
}

/// What is wrong with one key, and which bytes of its source are meant.
struct Fault {
    section: String,
    /// `None`: the section itself.
    key: Option<String>,
    span: Range<usize>,
    message: String,
}

impl Fault {
    fn in_file(self, source: Source<'_>, root: &DeTable<'_>) -> Problem {
        let path = locate(root, self.span.start).unwrap_or_default();
        let key = if path.is_empty() { self.path() } else { key_path(&path) };
        Problem { severity: Severity::Error, origin: place(source.file, source.text, &self.span), key, message: self.message }
    }

    fn path(&self) -> String {
        match &self.key {
            Some(key) => key_path(&[&self.section, key]),
            None => key_path(&[&self.section]),
        }
    }
}

/// Reads each key alone, all others being defaults.
fn try_each(root: &DeTable<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (section, content) in root {
        let name: &str = section.get_ref();
        let empty = Spanned::new(content.span(), DeValue::Table(DeTable::new()));
        if let Err(error) = config_of(one(section.clone(), empty)) {
            faults.push(Fault { section: name.to_owned(), key: None, span: section.span(), message: phrase(&error, name, None) });
            continue;
        }
        let DeValue::Table(keys) = content.get_ref() else {
            let message = format!("has to be a section: a line `[{name}]` with its keys below");
            faults.push(Fault { section: name.to_owned(), key: None, span: section.span(), message });
            continue;
        };
        for (key, value) in keys {
            let table = Spanned::new(content.span(), DeValue::Table(one(key.clone(), value.clone())));
            if let Err(error) = config_of(one(section.clone(), table)) {
                let span = error.span().filter(|span| !span.is_empty()).unwrap_or(key.span());
                let message = phrase(&error, name, Some(key.get_ref()));
                faults.push(Fault { section: name.to_owned(), key: Some(key.get_ref().to_string()), span, message });
            }
        }
    }
    faults
}

fn config_of(root: DeTable<'_>) -> Result<Config, toml::de::Error> {
    Config::deserialize(toml::Deserializer::from(Spanned::new(0..0, root)))
}

fn one<'i>(key: Spanned<DeString<'i>>, value: Spanned<DeValue<'i>>) -> DeTable<'i> {
    let mut table = DeTable::new();
    table.insert(key, value);
    table
}

fn unplaced(key: &str) -> Spanned<DeString<'_>> {
    Spanned::new(0..0, DeString::Borrowed(key))
}

fn nested(table: DeTable<'_>) -> Spanned<DeValue<'_>> {
    Spanned::new(0..0, DeValue::Table(table))
}

/// Sets the variable's key, over what the file says.
fn put<'i>(root: &mut DeTable<'i>, variable: &'i Variable, value: Spanned<DeValue<'i>>) {
    if !root.contains_key(variable.section.as_str()) {
        root.insert(unplaced(&variable.section), nested(DeTable::new()));
    }
    // where the file has something else than a table, that is an error already reported
    if let Some(DeValue::Table(keys)) = root.get_mut(variable.section.as_str()).map(Spanned::get_mut) {
        keys.insert(unplaced(&variable.key), value);
    }
}

/// serde's message in the words of somebody who writes the file, with an example.
fn phrase(error: &toml::de::Error, section: &str, key: Option<&str>) -> String {
    let message = error.message();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let valid = rest.split_once(", expected ").map_or("", |(_, valid)| valid.trim_start_matches("one of "));
        return match key {
            None => format!("there is no such section; the sections are {valid}"),
            Some(_) => format!("there is no such key; the keys here are {valid}"),
        };
    }
    let mut message = message.replace("unknown variant", "unknown value").replace("missing field", "missing key");
    for (type_name, words) in [
        ("expected usize", "expected a whole number from 0"),
        ("expected u64", "expected a whole number from 0"),
        ("expected u32", "expected a whole number from 0 to 4294967295"),
        ("expected u16", "expected a port, a number from 1 to 65535"),
        ("expected a boolean", "expected true or false"),
        ("expected a string", "expected a text in quotes"),
        ("expected path string", "expected a path in quotes"),
    ] {
        message = message.replace(type_name, words);
    }
    match key.and_then(|key| Some((key, example(section, key)?))) {
        Some((key, example)) => format!("{message}; for example {key} = {example}"),
        None => message,
    }
}

/// A right value: the default where it shows the form, else what the documentation shows.
fn example(section: &str, key: &str) -> Option<String> {
    const SHOWN: [(&str, &str); 17] = [
        ("server.public_address", r#"["203.0.113.7", "2001:db8::7"]"#),
        ("server.admins", r#"["admin@localhost"]"#),
        ("server.mux", r#"["[::]:443"]"#),
        ("tls.certificate", r#""cert.pem""#),
        ("tls.key", r#""key.pem""#),
        ("tls.hosts", r#"{ "example.org" = { certificate = "example.org.pem", key = "example.org.key" } }"#),
        ("s2s.listen", r#"["[::]:5269"]"#),
        ("s2s.direct_tls", r#"["[::]:5270"]"#),
        ("http.public_url", r#""https://chat.example.org""#),
        ("components.listen", r#"["127.0.0.1:5347"]"#),
        ("components.secrets", r#"{ "irc.localhost" = "a long secret" }"#),
        ("proxy.listen", r#"["[::]:7777"]"#),
        ("turn.host", r#""turn.example.org""#),
        ("turn.secret", r#""a long secret""#),
        ("turn.allow_peers", r#"["10.0.0.0/8"]"#),
        ("turn.deny_peers", r#"["198.51.100.0/24"]"#),
        ("cluster.nats", r#""nats://127.0.0.1:4222""#),
    ];
    let path = format!("{section}.{key}");
    if let Some((_, shown)) = SHOWN.iter().find(|(shown, _)| *shown == path) {
        return Some((*shown).to_owned());
    }
    let defaults = toml::Value::try_from(Config::default()).ok()?;
    Some(defaults.get(section)?.get(key)?.to_string())
}

/// An override in the environment.
struct Variable {
    name: String,
    section: String,
    key: String,
    /// `None`: not UTF-8.
    text: Option<String>,
}

/// The overrides in `environment`, in the order of their names.
fn variables(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Variable> {
    let variable = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        let (section, key) = name.strip_prefix(VARIABLE_PREFIX)?.split_once("__")?;
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        Some(Variable { name, section, key, text: value.into_string().ok() })
    };
    let mut found: Vec<Variable> = environment.into_iter().filter_map(variable).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

impl Variable {
    /// The value as TOML, or what is wrong with it.
    fn value(&self) -> Result<Spanned<DeValue<'_>>, String> {
        let text = self.text.as_deref().ok_or("not UTF-8, as TOML has to be")?;
        DeValue::parse(text).map_err(|error| {
            let example = example(&self.section, &self.key).map(|example| format!("; for example {}='{example}'", self.name));
            format!("not a TOML value (a text needs quotes): {}{}", error.message(), example.unwrap_or_default())
        })
    }

    fn path(&self) -> String {
        key_path(&[&self.section, &self.key])
    }

    fn problem(&self, message: String) -> Problem {
        Problem { severity: Severity::Error, origin: Origin::Variable(self.name.clone()), key: self.path(), message }
    }
}

/// Makes paths absolute: relative ones start at `base`. `{data_dir}` in `storage.url` is filled in.
fn resolve(config: &mut Config, base: &Path) -> Result<(), String> {
    if base.to_str().is_none() {
        return Err(format!("the folder {} has a name that is not UTF-8", base.display()));
    }
    let from_base = |path: &mut PathBuf| *path = base.join(&*path);
    from_base(&mut config.server.data_dir);
    config.tls.certificate.iter_mut().for_each(from_base);
    config.tls.key.iter_mut().for_each(from_base);
    for host in config.tls.hosts.values_mut() {
        from_base(&mut host.certificate);
        from_base(&mut host.key);
    }
    config.storage.url = resolve_url(&config.storage.url, &config.server.data_dir, base)?;
    Ok(())
}

fn resolve_url(url: &str, data_dir: &Path, base: &Path) -> Result<String, String> {
    let Some(path) = url.strip_prefix("sqlite:") else { return Ok(url.to_owned()) };
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path == ":memory:" {
        return Err("a database in memory would lose every account at the end; name a file".to_owned());
    }
    if path.contains('?') {
        return Err("`sqlite:` takes a path without parameters".to_owned());
    }
    let path = path.replace("{data_dir}", &data_dir.to_string_lossy());
    let path = base.join(path);
    if path.to_string_lossy().contains('?') {
        return Err(format!("{} holds a `?`, which the path of a database may not", path.display()));
    }
    Ok(format!("sqlite:{}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
    }

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        read(Some(Source { file: Path::new("campanile.toml"), text }), Path::new("/etc/campanile"), environment(variables))
    }

    /// The lines of the error that `text` causes.
    fn errors(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let problems = parse(text, variables).expect_err(text);
        problems.0.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn nothing_written_is_the_default() {
        let loaded = parse("", &[]).unwrap();
        let mut expected = Config::default();
        resolve(&mut expected, Path::new("/etc/campanile")).unwrap();
        assert_eq!(loaded.config, expected);
        assert_eq!(loaded.config.server.data_dir, Path::new("/etc/campanile/data"));
        assert_eq!(loaded.config.storage.url, "sqlite:/etc/campanile/data/campanile.db");
    }

    #[test]
    fn errors_name_file_line_column_key_and_what_would_be_right() {
        for (text, expected) in [
            (
                "[c2s]\nlisten = [\"[::]:5222\", \"5222\"]",
                "campanile.toml:2:24: c2s.listen: `5222` is not an address and a port such as \"[::]:5222\" or \"127.0.0.1:5222\"; \
                 for example listen = [\"[::]:5222\"]",
            ),
            (
                "[c2s]\nlisten = \"[::]:5222\"",
                "campanile.toml:2:10: c2s.listen: invalid type: string \"[::]:5222\", expected a list in [ ], each an address and a port such as \
                 \"[::]:5222\" or \"127.0.0.1:5222\"; for example listen = [\"[::]:5222\"]",
            ),
            (
                "[c2s]\n  lisen = []",
                "campanile.toml:2:3: c2s.lisen: there is no such key; the keys here are `listen`, `direct_tls`, `proxy_protocol`, `require_tls`",
            ),
            ("[upload]\nhosts = 1", "campanile.toml:2:1: upload.hosts: there is no such key; the keys here are `host`"),
            (
                "[c2s]\nrequire_tls = 1",
                "campanile.toml:2:15: c2s.require_tls: invalid type: integer `1`, expected true or false; for example require_tls = true",
            ),
            ("c2s = 1", "campanile.toml:1:1: c2s: has to be a section: a line `[c2s]` with its keys below"),
            ("[[c2s]]", "campanile.toml:1:3: c2s: has to be a section: a line `[c2s]` with its keys below"),
            (
                "[server]\nlog_format = \"xml\"",
                "campanile.toml:2:14: server.log_format: unknown value `xml`, expected `text` or `json`; for example log_format = \"text\"",
            ),
            (
                "[turn]\nports = [65535, 49152]",
                "campanile.toml:2:9: turn.ports: the range is reversed, [49152, 65535] would be right; for example ports = [49152, 65535]",
            ),
            (
                "[turn]\nports = [1, 70000]",
                "campanile.toml:2:13: turn.ports: invalid value: integer `70000`, expected a port, a number from 1 to 65535; for example ports = [49152, 65535]",
            ),
            (
                "[tls.hosts.\"example.org\"]\ncertificate = \"a\"",
                "campanile.toml:1:1: tls.hosts.\"example.org\": missing key `key`; \
                 for example hosts = { \"example.org\" = { certificate = \"example.org.pem\", key = \"example.org.key\" } }",
            ),
            (
                "[limits]\nstanza_bytes = -1",
                "campanile.toml:2:16: limits.stanza_bytes: invalid value: integer `-1`, expected a whole number from 0; for example stanza_bytes = 262144",
            ),
        ] {
            assert_eq!(errors(text, &[]), [expected], "{text}");
        }
    }

    #[test]
    fn every_error_is_found_not_only_the_first() {
        let found =
            errors("[c2s]\nlisten = 1\nrequire_tls = 2\n[nowhere]\na = 1\n[turn]\nudp = [\"x\"]", &[("CAMPANILE_HTTP__LISTEN", "7")]);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(
            found.iter().any(|line| line.starts_with("campanile.toml:4:2: nowhere: there is no such section; the sections are `server`, "))
        );
    }

    #[test]
    fn syntax_errors_have_a_place() {
        for (text, place) in [
            ("[c2s]\nlisten = [", "campanile.toml:2:"),
            ("[c2s\n", "campanile.toml:1:"),
            ("[c2s]\nlisten = []\nlisten = []", "campanile.toml:3:1: "),
        ] {
            let found = errors(text, &[]);
            assert!(found[0].starts_with(place) && found[0].contains("not valid TOML"), "{found:?}");
        }
    }

    #[test]
    fn variables_override_the_file() {
        let text = "[c2s]\nlisten = [\"[::]:5222\"]\nrequire_tls = true";
        let loaded = parse(
            text,
            &[
                ("CAMPANILE_C2S__LISTEN", "[\"127.0.0.1:0\"]"),
                ("CAMPANILE_SERVER__DOMAINS", "['Example.ORG']"),
                ("CAMPANILE_LIMITS__STANZA_BYTES", "20000"),
                ("CAMPANILE_COMPONENTS__SECRETS", "{'irc.localhost' = 'x'}"),
                ("CAMPANILE_OTHER", "is not ours"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(loaded.config.c2s.listen, ["127.0.0.1:0".parse().unwrap()]);
        assert!(loaded.config.c2s.require_tls);
        assert_eq!(loaded.config.server.domains, ["example.org"]);
        assert_eq!(loaded.config.limits.stanza_bytes, 20000);
        assert_eq!(loaded.config.components.secrets["irc.localhost"].expose(), "x");
        assert_eq!(loaded.origins.of("c2s.listen"), Origin::Variable("CAMPANILE_C2S__LISTEN".to_owned()));
        assert!(matches!(loaded.origins.of("c2s.require_tls"), Origin::File { line: 3, column: 1, .. }));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (name, value, expected) in [
            ("CAMPANILE_SERVER__LOG", "debug", "CAMPANILE_SERVER__LOG: server.log: not a TOML value (a text needs quotes): "),
            ("CAMPANILE_C2S__LISEN", "[]", "CAMPANILE_C2S__LISEN: c2s.lisen: there is no such key; the keys here are `listen`, "),
            (
                "CAMPANILE_NOWHERE__LISTEN",
                "[]",
                "CAMPANILE_NOWHERE__LISTEN: nowhere.listen: there is no such section; the sections are `server`, ",
            ),
            ("CAMPANILE_C2S__LISTEN", "['x']", "CAMPANILE_C2S__LISTEN: c2s.listen: `x` is not an address and a port"),
        ] {
            let found = errors("", &[(name, value)]);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:#?}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_folder_of_the_file() {
        let text = "[server]\ndata_dir = \"var\"\n[tls]\ncertificate = \"cert.pem\"\nkey = \"/keys/key.pem\"\n\
                    [tls.hosts.\"Example.org\"]\ncertificate = \"c\"\nkey = \"k\"";
        let config = parse(text, &[]).unwrap().config;
        assert_eq!(config.server.data_dir, Path::new("/etc/campanile/var"));
        assert_eq!(config.storage.url, "sqlite:/etc/campanile/var/campanile.db");
        assert_eq!(config.tls.certificate.as_deref(), Some(Path::new("/etc/campanile/cert.pem")));
        assert_eq!(config.tls.key.as_deref(), Some(Path::new("/keys/key.pem")));
        assert_eq!(config.tls.hosts["example.org"].certificate, Path::new("/etc/campanile/c"));
    }

    #[test]
    fn database_paths_are_resolved() {
        let data_dir = Path::new("/srv/50% data");
        for (url, expected) in [
            ("sqlite:{data_dir}/campanile.db", "sqlite:/srv/50% data/campanile.db"),
            ("sqlite:data/x.db", "sqlite:/base/data/x.db"),
            ("sqlite://x.db", "sqlite:/base/x.db"),
            ("sqlite:///abs/x.db", "sqlite:/abs/x.db"),
            ("postgres://u:p@h/d", "postgres://u:p@h/d"),
        ] {
            assert_eq!(resolve_url(url, data_dir, Path::new("/base")).as_deref(), Ok(expected), "{url}");
        }
        for url in ["sqlite::memory:", "sqlite:x.db?mode=rw", "sqlite://"] {
            assert!(resolve_url(url, data_dir, Path::new("/base")).is_err(), "{url}");
        }
        assert!(resolve_url("sqlite:x.db", data_dir, Path::new("/what?")).is_err());
    }

    #[test]
    fn a_named_file_has_to_exist_and_the_default_one_does_not() {
        let missing = load(Some(Path::new("/nowhere/campanile.toml")), []).expect_err("no such file");
        assert!(missing.to_string().contains("/nowhere/campanile.toml"), "{missing}");
    }

    #[test]
    fn the_contract_s_own_example_parses() {
        let text = r#"
[server]
domains = ["localhost"]
data_dir = "data"
public_address = ["203.0.113.7", "2001:db8::7"]
log = "info"
log_format = "json"
admins = ["admin@localhost"]
mux = []
[storage]
url = "sqlite:data/campanile.db"
[tls]
certificate = "cert.pem"
key = "key.pem"
[tls.hosts."example.org"]
certificate = "example.org.pem"
key = "example.org.key"
[auth]
registration = false
anonymous = false
[c2s]
listen = ["[::]:5222"]
direct_tls = ["[::]:5223"]
require_tls = true
[s2s]
listen = []
direct_tls = []
[http]
listen = ["127.0.0.1:5280"]
tls_listen = ["[::]:5443"]
public_url = "https://chat.example.org"
trusted_proxies = ["127.0.0.1/32", "::1/128"]
[admin]
listen = ["127.0.0.1:5380"]
[components]
listen = []
secrets."irc.localhost" = "..."
[muc]
host = "conference.{domain}"
create = "local"
[pubsub]
host = "pubsub.{domain}"
[upload]
host = "upload.{domain}"
[proxy]
host = "proxy.{domain}"
listen = []
[turn]
host = "turn.example.org"
udp = ["[::]:3478"]
tcp = ["[::]:3478"]
tls = ["[::]:5349"]
ports = [49152, 65535]
secret = "..."
allow_peers = []
deny_peers = []
credentials_s = 86400
anonymous = false
mobility = true
[relay]
ports = [30000, 39999]
[sip]
udp = []
tcp = []
tls = []
[cluster]
node = "a"
[archive]
default = "always"
keep_days = 365
[offline]
keep_days = 30
[limits]
stanza_bytes_preauth = 10240
stanza_bytes = 262144
connections_per_source = 256
bytes_per_second = 131072
sessions_per_account = 32
roster_items = 2000
rooms_per_account = 50
mailbox_bytes = 2097152
"#;
        let config = parse(text, &[]).unwrap().config;
        assert_eq!(config.server.public_address.len(), 2);
        assert_eq!(config.storage.url, "sqlite:/etc/campanile/data/campanile.db");
        let one = parse("[server]\npublic_address = \"203.0.113.7\"", &[]).unwrap().config;
        assert_eq!(one.server.public_address.len(), 1);
    }

    /// The example file, each `#key = value` line with its section.
    fn documented() -> Vec<(String, String)> {
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in include_str!("../../dist/campanile.toml").lines() {
            match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => lines.push((section.clone(), rest.to_owned())),
                _ if line.starts_with('[') => section = line.trim_matches(['[', ']']).to_owned(),
                _ => assert!(line.is_empty() || line == "#" || line.starts_with("# "), "{line}"),
            }
        }
        lines
    }

    #[test]
    fn every_documented_key_parses_and_is_the_default() {
        const WITHOUT_DEFAULT: [&str; 13] = [
            "tls.certificate",
            "tls.key",
            "tls.hosts",
            "http.public_url",
            "components.secrets",
            "turn.host",
            "turn.secret",
            "server.mux_public_port",
            "turn.udp_public_port",
            "turn.tcp_public_port",
            "turn.tls_public_port",
            "cluster.nats",
            "cluster.node",
        ];
        let mut seen = Vec::new();
        for (section, line) in documented() {
            let root = DeTable::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let key = format!("{section}.{}", root.get_ref().keys().next().unwrap().get_ref());
            let config: Config =
                toml::from_str(&format!("[{section}]\n{line}")).unwrap_or_else(|error| panic!("{section} {line}: {error}"));
            assert_eq!(config == Config::default(), !WITHOUT_DEFAULT.contains(&key.as_str()), "{section}: {line}");
            seen.push(key);
        }
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        for (section, keys) in &defaults {
            for key in keys.as_table().unwrap().keys() {
                assert!(seen.contains(&format!("{section}.{key}")), "{section}.{key} is not in dist/campanile.toml");
            }
        }
        for key in WITHOUT_DEFAULT {
            assert!(seen.iter().any(|seen| seen == key), "{key} is not in dist/campanile.toml");
        }
    }

    #[test]
    fn the_example_file_as_it_is_changes_nothing() {
        let loaded = parse(include_str!("../../dist/campanile.toml"), &[]).unwrap();
        assert_eq!(loaded.config, parse("", &[]).unwrap().config);
        assert_eq!(loaded.warnings, []);
    }
}
