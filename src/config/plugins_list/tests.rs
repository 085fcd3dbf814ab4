use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::lock::arguments::words;

fn parse(text: &str) -> Result<PluginsList, String> {
    PluginsList::parse(text, Path::new("plugins-list.yaml")).map_err(|e| e.to_string())
}

fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    parse(text).unwrap().entries.into_iter().map(|entry| (entry.path, entry.raw)).collect()
}

fn args(text: &str) -> Vec<String> {
    words(&parse(&format!("a: {text}")).unwrap().entries[0].args)
}

#[test]
fn the_forms_of_real_lists() {
    let text = "\n\
        # a comment\n\
        #plugins/search: ==> Added as a static plugin in RHDH\n\
        plugins/todo:\n\
        plugins/dql-backend: \n\
        \n\
        plugins/a: --embed-package @x/a  --embed-package @x/b   \n\
        .: --suppress-native-package cpu-features # why\n\
        'plugins/b': '--shared-package ''!x'''\n\
        \"plugins/c\":   # nothing\n\
        plugins/d: ~\n\
        plugins/last: --embed-package x#y";
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        pairs(text),
        [
            ("plugins/todo".to_owned(), None),
            ("plugins/dql-backend".to_owned(), None),
            ("plugins/a".to_owned(), some("--embed-package @x/a  --embed-package @x/b")),
            (".".to_owned(), some("--suppress-native-package cpu-features")),
            ("plugins/b".to_owned(), some("--shared-package '!x'")),
            ("plugins/c".to_owned(), None),
            ("plugins/d".to_owned(), None),
            ("plugins/last".to_owned(), some("--embed-package x#y")),
        ]
    );
    let lines: Vec<_> = parse(text).unwrap().entries.iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [4, 5, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn an_empty_file_is_an_empty_list() {
    for text in ["", "\n\n", "# only\n#comments", "---\n", "{}\n", "--- \n# x\n{}"] {
        assert_eq!(pairs(text), [], "{text:?}");
    }
}

#[test]
fn a_value_may_span_lines() {
    let text =
        "---\n  a: --x 1\n    --y 2\n  b: >-\n    --x 1\n    --y 2\n\n  # note\n  c: \"--x\n    1\"\n  d:\n    --z 3\n";
    let raw: Vec<_> = pairs(text).into_iter().map(|(_, raw)| raw.unwrap()).collect();
    assert_eq!(raw, ["--x 1 --y 2", "--x 1 --y 2", "--x 1", "--z 3"]);
}

#[test]
fn windows_line_breaks_do_not_get_into_the_arguments() {
    assert_eq!(pairs("a: --x 1\r\nb:\r\n"), [("a".to_owned(), Some("--x 1".to_owned())), ("b".to_owned(), None)]);
}

#[test]
fn arguments_are_split_as_a_shell_does() {
    assert_eq!(
        args("--embed-package a b --no-install"),
        ["--embed-package", "a", "--embed-package", "b", "--no-install"]
    );
    assert_eq!(args("--shared-package '!x' --y \"a b\" c\\ d"), ["--shared-package", "!x", "--y", "a b", "c d"]);
    assert_eq!(args("--x $(touch /tmp/y) `z`; &"), ["--x", "$(touch", "/tmp/y)", "`z`;", "&"]);
    assert_eq!(args("''"), [""; 0]);
}

#[test]
fn what_is_not_a_flat_map_of_texts_is_refused_with_its_place() {
    let message = |text| parse(text).unwrap_err();
    insta::assert_snapshot!(message("a:\nb:\n\na: --x\n"), @"plugins-list.yaml:4: `a` is listed a second time; the first is in line 1");
    insta::assert_snapshot!(message("a:\n./a/:\n"), @"plugins-list.yaml:2: `a` is listed a second time; the first is in line 1");
    insta::assert_snapshot!(message("a:\nb: --x 'y\n"), @"plugins-list.yaml:2: the arguments of `b` have a quote that is not closed, or end in a backslash");
    insta::assert_snapshot!(message("- a\n- b\n"), @"plugins-list.yaml:1:1: `-` before the path");
    insta::assert_snapshot!(message("plugins/a\n"), @"plugins-list.yaml:1:1: no `: ` behind the path");
    insta::assert_snapshot!(message("a:--x\n"), @"plugins-list.yaml:1:1: no `: ` behind the path");
    insta::assert_snapshot!(message("a: 5\n"), @"plugins-list.yaml:1:4: a: invalid type: integer `5`, expected a text or nothing");
    insta::assert_snapshot!(message("a: true\n"), @"plugins-list.yaml:1:4: a: invalid type: boolean `true`, expected a text or nothing");
    insta::assert_snapshot!(message("a: [--x, y]\n"), @"plugins-list.yaml:1:4: the arguments are not a text");
    insta::assert_snapshot!(message("a:\n  - --x\n"), @"plugins-list.yaml:2:3: a: invalid type: sequence, expected a text or nothing");
    insta::assert_snapshot!(message("a:\n  b: c\n"), @"plugins-list.yaml:2:3: a: invalid type: map, expected a text or nothing");
    insta::assert_snapshot!(message("{a: b}\n"), @"plugins-list.yaml:1:1: `{` cannot start a path");
    insta::assert_snapshot!(message("a: &x --x\n"), @"plugins-list.yaml:1:4: `&` has a meaning of its own in YAML");
    insta::assert_snapshot!(message("a: *x\n"), @"plugins-list.yaml:1:4: `*` has a meaning of its own in YAML");
    insta::assert_snapshot!(message("a: !pkg\n"), @"plugins-list.yaml:1:4: `!` has a meaning of its own in YAML");
    insta::assert_snapshot!(message("a: @x/y\n"), @"plugins-list.yaml:1:4: `@` has a meaning of its own in YAML");
    insta::assert_snapshot!(message("? a\n: b\n"), @"plugins-list.yaml:1:1: `?` before the path");
    insta::assert_snapshot!(message("a: --x b: c\n"), @"plugins-list.yaml:1:9: mapping values are not allowed in this context");
    insta::assert_snapshot!(message("a:\n---\nb:\n"), @"plugins-list.yaml:2:1: more than one YAML document");
    insta::assert_snapshot!(message("  a:\nb:\n"), @"plugins-list.yaml:2:1: indented less than the first entry");
    insta::assert_snapshot!(message("\ta:\n"), @"plugins-list.yaml:1:1: a tab before the path");
    insta::assert_snapshot!(message("'a: b\n"), @"plugins-list.yaml:1:1: a quote that is not closed");
    insta::assert_snapshot!(message("../a:\n"), @"plugins-list.yaml:1: the path `../a` leads out of its folder with `..`");
    insta::assert_snapshot!(message("/a:\n"), @"plugins-list.yaml:1: the path `/a` is absolute, but has to be relative");
    insta::assert_snapshot!(message("'':\n"), @"plugins-list.yaml:1: the path `` is empty");
    insta::assert_snapshot!(message("12:\n"), @"plugins-list.yaml:1:1: invalid type: integer `12`, expected a text or nothing");
    insta::assert_snapshot!(message("a\u{2028}b: c\n"), @"plugins-list.yaml:1:2: a line break inside a line");
    insta::assert_snapshot!(message("a: \"x\\0y\"\n"), @"plugins-list.yaml:1: the arguments of `a` have a NUL in them");
}

#[test]
fn an_entry_has_a_largest_size() {
    let text = format!("b:\na:\n  {}\n", "[".repeat(500_000));
    assert_eq!(parse(&text).unwrap_err(), "plugins-list.yaml:2: an entry of more than 16384 bytes");
}

fn arguments(words: &[impl AsRef<str>]) -> Vec<Argument> {
    Argument::from_words(&words.iter().map(|word| word.as_ref().to_owned()).collect::<Vec<_>>())
}

fn edited(text: &str, edits: &[(&str, &[&str])]) -> String {
    let edits: BTreeMap<_, Vec<_>> = edits.iter().map(|(path, args)| ((*path).to_owned(), arguments(args))).collect();
    parse(text).unwrap().with_args(&edits)
}

#[test]
fn an_edit_changes_only_the_values_it_is_for() {
    let text = "# head\n\nplugins/a:   # why a\n#plugins/x: old\nplugins/b: --x  1  \t# why b\r\n\n  # indented\n'c': >-\n  --x 1\n  --y 2\n# tail\nd: --z";
    assert_eq!(edited(text, &[]), text);
    assert_eq!(
        edited(text, &[("plugins/a", &["--e", "!p"]), ("plugins/b", &["--n"]), ("c", &["--x", "a b"]), ("d", &[])]),
        "# head\n\nplugins/a: --e !p   # why a\n#plugins/x: old\nplugins/b: --n  \t# why b\r\n\n  # indented\n'c': --x 'a b'\n# tail\nd:"
    );
    // The same arguments in another spelling are left as they are.
    assert_eq!(edited(text, &[("plugins/b", &["--x", "1"]), ("unknown", &["--n"])]), text);
}

#[test]
fn an_edit_quotes_what_yaml_would_read_otherwise() {
    for (args, line) in [
        (&["!x"] as &[_], "a: '!x'\n"),
        (&["@x/y"], "a: '@x/y'\n"),
        (&["--x", "!y"], "a: --x !y\n"),
        (&["true"], "a: 'true'\n"),
        (&["5"], "a: '5'\n"),
        (&["--x", ""], "a: --x ''\n"),
        (&["--x", "#y"], "a: --x '#y'\n"),
        (&["--x:", "y"], "a: '--x: y'\n"),
        (&["it's"], "a: '''it''\\''''s'''\n"),
    ] {
        assert_eq!(edited("a:\n", &[("a", args)]), line);
        assert_eq!(parse(line).unwrap().entries[0].args, arguments(args));
    }
}

#[test]
fn a_generated_list_has_a_line_per_plugin() {
    let args = arguments(&["--embed-package", "@x/y", "--shared-package", "!z"]);
    let text = generate([(".", &[] as &[Argument]), ("@scope/x", &[]), ("no", &[]), ("plugins/a", &args)]);
    assert_eq!(text, ".:\n'@scope/x':\n'no':\nplugins/a: --embed-package @x/y --shared-package !z\n");
}

/// Texts made of what means something in this format.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a"),
        Just("plugins/b"),
        Just(": "),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\r\n"),
        Just("\t"),
        Just("#"),
        Just(" # "),
        Just("'"),
        Just("\""),
        Just("\\"),
        Just("--x"),
        Just("!"),
        Just("&a"),
        Just("*a"),
        Just("|"),
        Just(">-"),
        Just("- "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("---\n"),
        Just("~"),
        Just("<<"),
        Just("é"),
        Just("\u{2028}"),
        Just("\0"),
        Just("%"),
        Just("@"),
        Just("? "),
        Just("\n  "),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![fragments(), any::<String>()]) {
        let Ok(list) = parse(&text) else { return Ok(()) };
        // What is read is what a YAML parser makes of the whole text. Lines with nothing but tabs are empty for us.
        let yaml: Vec<_> = text.split('\n').map(|line| if line.trim().is_empty() { "" } else { line }).collect();
        let whole: indexmap::IndexMap<String, Option<String>> = match yaml_serde::from_str(&yaml.join("\n")) {
            Ok(Some(map)) => map,
            Ok(None) => indexmap::IndexMap::new(),
            Err(e) => return Err(TestCaseError::fail(format!("{text:?}: {e}"))),
        };
        let whole: Vec<_> = whole
            .into_iter()
            .map(|(key, value)| (path::inside(&key).unwrap(), value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())))
            .collect();
        let ours: Vec<_> = list.entries.iter().map(|e| (e.path.clone(), e.raw.clone())).collect();
        prop_assert_eq!(ours, whole);
    }

    #[test]
    fn an_edited_list_reads_as_edited(
        text in fragments(),
        new in proptest::collection::vec(any::<String>().prop_map(|arg| arg.replace('\0', "")), 0..4),
    ) {
        let Ok(list) = parse(&text) else { return Ok(()) };
        let new = arguments(&new);
        let edits = list.entries.iter().step_by(2).map(|e| (e.path.clone(), new.clone())).collect();
        let text = list.with_args(&edits);
        let again = parse(&text).map_err(TestCaseError::fail)?;
        prop_assert_eq!(again.entries.len(), list.entries.len());
        for (before, after) in list.entries.iter().zip(&again.entries) {
            prop_assert_eq!(&before.path, &after.path);
            prop_assert_eq!(edits.get(&before.path).unwrap_or(&before.args), &after.args);
        }
        // Doing it again changes nothing.
        prop_assert_eq!(again.with_args(&edits), text);
    }

    #[test]
    fn a_generated_list_reads_as_given(
        plugins in proptest::collection::btree_map(
            any::<String>().prop_filter_map("not a path", |path| path::inside(&path).ok()),
            proptest::collection::vec(any::<String>().prop_map(|arg| arg.replace('\0', "")), 0..3),
            0..4,
        ),
    ) {
        let plugins: BTreeMap<_, _> = plugins.into_iter().map(|(path, words)| (path, arguments(&words))).collect();
        let text = generate(plugins.iter().map(|(path, args)| (path.as_str(), args.as_slice())));
        let list = parse(&text).map_err(TestCaseError::fail)?;
        let read: BTreeMap<_, _> = list.entries.into_iter().map(|e| (e.path, e.args)).collect();
        prop_assert_eq!(read, plugins);
    }
}
