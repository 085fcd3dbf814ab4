//! What the README says of the command line is true.

use std::collections::BTreeSet;
use std::process::Command;

const README: &str = include_str!("../../README.md");

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_factory")).args(args).arg("--help").output().unwrap();
    assert!(output.status.success(), "factory {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let name = |line: &str| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')).map(str::to_owned);
    list.lines().filter_map(|line| name(line)?.split(' ').next().map(str::to_owned)).collect()
}

/// The words of `text` that begin with `--`.
fn flags(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .collect()
}

#[test]
fn every_command_stands_in_the_table() {
    for command in commands() {
        assert!(README.contains(&format!("| `factory {command}")), "`factory {command}` is not in the README");
    }
    let listed = README.lines().filter_map(|line| line.strip_prefix("| `factory ")?.split([' ', '`']).next());
    for command in listed {
        assert!(commands().iter().any(|known| known == command), "there is no `factory {command}`");
    }
}

#[test]
fn every_option_of_the_table_is_an_option() {
    let all: String = std::iter::once(help(&[])).chain(commands().iter().map(|command| help(&[command]))).collect();
    let known = flags(&all);
    for line in README.lines().filter(|line| line.starts_with("| `--")) {
        for flag in flags(line) {
            assert!(known.contains(flag), "there is no `{flag}`: {line}");
        }
    }
}

#[test]
fn headings_that_others_link_to_stay() {
    for heading in [
        "Quick start",
        "Commands",
        "Configuration",
        "The lock",
        "Outputs",
        "Build arguments",
        "Publish",
        "Audit",
        "Reproducible builds",
        "Coming from the Python factory",
        "Exit codes",
        "Environment",
        "Troubleshooting",
        "Limits",
    ] {
        assert!(README.contains(&format!("\n## {heading}\n")), "{heading}");
    }
}

#[test]
fn exit_codes_are_those_of_the_program() {
    use factory::error::exit_code;
    for code in [
        exit_code::OK,
        exit_code::FAILED,
        exit_code::USAGE,
        exit_code::LOCK,
        exit_code::NOT_REPRODUCIBLE,
        exit_code::NETWORK,
        exit_code::INTERRUPTED,
    ] {
        assert!(README.contains(&format!("\n| {code} | ")), "{code}");
        assert!(help(&[]).replace('\n', " ").contains(&format!("{code} ")), "{code}");
    }
}
