//! What a terminal shows: lines that end between words, colours, and how much is said.

use std::process::Command;

use factory::cli::help::examples;
use harness::program::Test;

use harness::workspace::scripted as workspace;

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

fn built() -> Test {
    let mut test = workspace(&[("a".to_owned(), "frontend-plugin", String::new())], "");
    test.run(&RESOLVE).success();
    test.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").env("NO_COLOR", "1");
    test
}

/// What a terminal of 60 columns gets, without what moves its cursor.
fn on_terminal(test: &Test, args: &str, code: i32) -> String {
    harness::needs(&["script", "stty"]);
    let mut command = Command::new("/usr/bin/script");
    test.prepare(&mut command);
    let inner = format!("stty cols 60 rows 40; exec {} {args}", harness::program());
    let said = command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]).output().unwrap();
    test.outcome(said).exits(code).stdout.replace("\r\n", "\n")
}

/// Lines with more than 60 columns that could have been broken.
fn too_long(text: &str) -> Vec<&str> {
    let is_long = |line: &&str| line.chars().count() > 60 && line.trim_start().contains(' ');
    // A live line is drawn over; a word that is longer than a line is not broken.
    text.split(['\n', '\r']).filter(is_long).filter(|line| !line.contains('\u{1b}')).collect()
}

#[harness::test]
fn no_line_is_broken_within_a_word_at_sixty_columns() {
    let test = built();
    for (args, code) in [
        ("build --output-dir out", 0),
        ("status --output-dir out", 0),
        ("doctor --offline", 0),
        ("build --lock-file none", 3),
        ("resolve --host-lockfile none", 2),
        ("diff config/factory.lock config/factory.lock", 0),
        ("cache size", 0),
        ("verify", 0),
        ("build --help", 0),
        ("build -h", 0),
    ] {
        let shown = on_terminal(&test, args, code);
        assert_eq!(too_long(&shown), [""; 0], "{args}: {shown}");
    }
    let said = on_terminal(&test, "status --lock-file none", 3);
    assert_eq!(
        said,
        "error: none: there is no lock\n\nhint: run `factory resolve` to pin what the configuration\n  asks for\n"
    );
    // Not in a pipe: a line is a line there.
    let piped = test.run(&["status", "--lock-file", "none"]).exits(3).stderr;
    assert!(piped.ends_with("hint: run `factory resolve` to pin what the configuration asks for\n"), "{piped}");
}

#[harness::test]
fn colours_are_where_they_are_asked_for() {
    let mut test = built();
    let coloured = |test: &Test, args: &[&str]| test.run(&[&["build", "--lock-file", "none"], args].concat()).stderr;
    assert!(!coloured(&test, &[]).contains('\u{1b}'));
    assert!(coloured(&test, &["--color", "always"]).starts_with("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: none"));
    assert!(test.run(&["build", "--color=always", "-h"]).stdout.contains('\u{1b}'));
    test.env("FACTORY_COLOR", "always");
    assert!(coloured(&test, &[]).contains('\u{1b}'));
    assert!(!coloured(&test, &["--color", "never"]).contains('\u{1b}'));
    let said = test.run(&["status", "--color", "sometimes"]).exits(2).stderr;
    assert!(said.contains("invalid value 'sometimes' for '--color <WHEN>'"), "{said}");
    test.env("NO_COLOR", "").env("FACTORY_COLOR", "auto");
    assert!(on_terminal(&test, "build --lock-file none", 3).contains("\u{1b}[31m"));
    assert!(!on_terminal(&test, "build --lock-file none --color never", 3).contains('\u{1b}'));
}

#[harness::test]
fn how_much_is_said() {
    let test = built();
    let build = ["build", "--rebuild", "--output-dir", "out"];
    let said = |more: &[&str]| test.run(&[&build[..], more].concat()).success().stderr;
    assert!(said(&[]).contains("· repo ") && said(&[]).contains("✓ repo "));
    let steps = said(&["--no-progress"]);
    assert!(
        !steps.contains(['·', '✓'])
            && steps.ends_with("1 plugin built into [DIR]/out, equal to the seals in the lock\n"),
        "{steps}"
    );
    assert_eq!((said(&["--quiet"]), said(&["-q"])), (String::new(), String::new()));
    // Errors stay, and so does what is asked for.
    test.run(&["build", "-q", "--lock-file", "none"])
        .fails(3, "error: none: there is no lock\n\nhint: run `factory resolve` first, or `factory run` for both");
    assert!(test.run(&["status", "-q"]).success().stdout.contains("1 plugin: 1 sealed"));
    let live = on_terminal(&test, "build --rebuild --output-dir out --no-progress", 0);
    assert!(!live.contains(['✓', '⠋', '\u{1b}']), "{live:?}");
}

#[harness::test]
fn both_lengths_of_help_are_of_use() {
    let test = Test::new();
    let factory = factory::cli::command();
    let names = factory.get_subcommands().map(|command| command.get_name().to_owned());
    let commands: Vec<Vec<String>> = std::iter::once(vec![]).chain(names.map(|name| vec![name])).collect();
    for command in commands {
        let help = |flag: &str| {
            let args: Vec<&str> = command.iter().map(String::as_str).chain([flag]).collect();
            test.run(&args).success().stdout
        };
        let (short, long) = (help("-h"), help("--help"));
        assert!(short.lines().count() < long.lines().count(), "{command:?}: {short}");
        assert!(short.lines().count() <= 68, "{command:?} -h has {} lines", short.lines().count());
        assert!(long.contains("--log-level") && !short.contains("--log-level"), "{command:?}: {short}");
        let name = command.first().map_or("factory", String::as_str);
        assert!(!examples(name).is_empty(), "{name}");
        for (line, what) in examples(name) {
            assert!(long.contains(&format!("  {line}\n      {what}\n")), "{name}: {long}");
            for one in line.split(" && ") {
                let words = one.split(' ');
                let parsed = factory::cli::command().try_get_matches_from(words);
                let is_help = |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
                assert!(parsed.as_ref().is_ok() || parsed.as_ref().is_err_and(is_help), "{one}: {parsed:?}");
            }
        }
    }
}

#[harness::test]
fn the_version_speaks_of_the_lock_as_the_lock_does() {
    let test = built();
    let said = test.run(&["--version"]).success().stdout;
    let line = said.lines().find_map(|line| line.strip_prefix("lock format:")).unwrap().trim();
    let (version, revision) = line.strip_prefix("version ").unwrap().split_once(", revisions up to ").unwrap();
    let lock = test.read("config/factory.lock");
    assert!(lock.contains(&format!("\nversion = {version}\n")), "{line}");
    assert_eq!(revision, factory::lock::text::REVISION.to_string());
}

/// What variables set is not part of what is typed.
#[harness::test]
fn a_usage_shows_no_option_that_a_variable_sets() {
    let mut test = Test::new();
    test.env("FACTORY_OUTPUT_DIR", "out").env("FACTORY_CONFIG_DIR", "config");
    let said = test.run(&["completions"]).exits(2).stderr;
    assert!(said.contains("Usage: factory completions <SHELL>\n"), "{said}");
    let said = test.run(&["lock", "merge", "base"]).exits(2).stderr;
    assert!(said.contains("Usage: factory lock merge <BASE> <OURS> <THEIRS> [NAME]\n"), "{said}");
    assert!(test.run(&["build", "--help"]).success().stdout.contains("[env: FACTORY_OUTPUT_DIR]"));
}
