//! The two lengths of help: `-h` has what is used daily, `--help` all options and examples.

use clap::Command;

use crate::ui::ColourChoice;

/// Options of the groups that all commands share which `-h` shows; the groups' others are in `--help` alone.
const DAILY: [&str; 10] = [
    "config_dir",
    "plugins",
    "output_dir",
    "offline",
    "frozen",
    "push_images",
    "rhdh_version",
    "generate_build_args",
    "source_repo",
    "use_local",
];

/// Examples of each command, each with what it does.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "factory",
        &[
            ("factory run --config-dir examples/greeting", "build the example"),
            ("factory resolve && factory build", "move to what is newest, and build it"),
            ("factory diff --help", "all options of a command, with examples"),
        ],
    ),
    (
        "resolve",
        &[
            ("factory resolve", "move to the newest commits and tools"),
            ("factory resolve todo", "move one workspace"),
            ("factory resolve --keep", "pin what is new or changed; end a merge of the lock"),
            ("factory resolve --dry-run", "show how the lock would change"),
        ],
    ),
    (
        "plan",
        &[
            ("factory plan", "what has to be built, and why"),
            ("factory plan --since v1:config/factory.lock", "what has to be built since a release"),
            ("factory plan --format github --shards 8", "a matrix of eight jobs for a workflow"),
        ],
    ),
    (
        "build",
        &[
            ("factory build", "build what is locked"),
            ("factory build todo --output-dir out", "build one workspace"),
            ("factory build todo --plugin plugins/todo-backend", "build one plugin"),
            ("factory build --timings", "build, and write a page of what ran when"),
            ("factory build --push-images --attach cyclonedx,provenance", "build, push and document images"),
            ("factory build --shard 1/3", "build one part of three, for `factory join`"),
            ("factory build --frozen --config-dir v1:config", "build a release again, as commit `v1` has it"),
        ],
    ),
    ("join", &[("factory join shard1 shard2 --output-dir outputs", "make one release of what two machines built")]),
    ("fetch", &[("factory fetch && factory build --offline", "build without a network")]),
    (
        "verify",
        &[
            ("factory verify", "build everything again and compare"),
            ("factory verify todo --report verdicts.json", "compare one workspace, and write the verdicts"),
        ],
    ),
    (
        "run",
        &[
            ("factory run --dry-run", "list what would be built"),
            ("factory run --source-repo https://github.com/acme/plugins", "build a repository without a source.json"),
        ],
    ),
    (
        "doctor",
        &[
            ("factory doctor", "check what builds and pushes need"),
            ("factory doctor --offline --json", "check this machine alone, for a program"),
        ],
    ),
    (
        "cache",
        &[
            ("factory cache size", "show how large the cache is"),
            ("factory cache prune --max-size 20GB", "remove what was not used for the longest time"),
        ],
    ),
    ("completions", &[("factory completions bash", "print the script for bash")]),
    (
        "diff",
        &[
            ("factory diff", "what changed since the committed lock"),
            ("factory diff v1:config/factory.lock", "what changed since a release"),
            ("factory diff --format markdown --fail-on major", "for a pull request, which major changes fail"),
        ],
    ),
    (
        "status",
        &[
            ("factory status", "show what is stale, sealed and built"),
            ("factory status --lock-file v1:config/factory.lock", "show a release"),
        ],
    ),
    (
        "sbom",
        &[
            ("factory sbom --format spdx", "print the bill of materials of the release"),
            (
                "factory sbom --output sbom --lock-file v1:config/factory.lock",
                "write those of all plugins of a release",
            ),
        ],
    ),
    (
        "why",
        &[
            ("factory why lodash", "where a package is, and by which ways"),
            ("factory why 'lodash@<4.17.21' --exit-code", "fail if a plugin ships such a version"),
            (
                "factory why 'lodash@<4.17.21' --format openvex --vulnerability CVE-2021-23337",
                "state which images are affected",
            ),
        ],
    ),
    (
        "audit",
        &[
            ("factory audit --fail-on high", "ask the npm registry, and fail on what is severe"),
            ("factory audit --osv all.zip --offline", "take the advisories of an export of OSV for npm"),
            ("factory audit --format sarif --ignore ignored.toml", "for code scanning, without what was looked at"),
        ],
    ),
    ("init", &[("factory init https://github.com/acme/plugins", "write a configuration for a repository")]),
    (
        "audit-patch",
        &[
            ("factory audit-patch config/patches/1-cve.patch", "what it changes, and whether that is shipped"),
            ("factory audit-patch 1-cve.patch --workspace todo --offline", "use no network"),
        ],
    ),
    (
        "check-refs",
        &[
            ("factory check-refs outputs/dynamic-plugins.yaml", "look for each image, and for the plugins of the lock"),
            ("factory check-refs dynamic-plugins.yaml dynamic-plugins.default.yaml --offline", "use no network"),
        ],
    ),
    ("outdated", &[("factory outdated --json", "list what has moved or is newer, for a program")]),
    ("lock", &[("factory lock merge BASE OURS THEIRS", "merge the locks of two branches, as git asks for it")]),
    ("man", &[("factory man build", "print the manual page of a command")]),
    ("schema", &[("factory schema factory.lock", "print a schema")]),
];

/// The examples of a command.
pub fn examples(command: &str) -> &'static [(&'static str, &'static str)] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

/// The same commands with both lengths of help.
pub(super) fn arranged(program: Command) -> Command {
    let end = program.get_after_help().map(ToString::to_string).unwrap_or_default();
    let program = shortened(program).after_long_help(format!("{}\n\n{end}", text("factory")));
    program.mut_subcommands(|command| {
        let text = text(command.get_name());
        shortened(command).after_long_help(text)
    })
}

fn shortened(command: Command) -> Command {
    command.mut_args(|arg| {
        let is_shared = arg.get_help_heading().is_some();
        let is_daily = DAILY.contains(&arg.get_id().as_str());
        if is_shared && !is_daily { arg.hide_short_help(true) } else { arg }
    })
}

fn text(command: &str) -> String {
    let lines = examples(command).iter().map(|(line, what)| format!("\n  {line}\n      {what}"));
    std::iter::once("Examples:".to_owned()).chain(lines).collect()
}

/// The colours of help, which is printed before the command line is read as a whole.
pub(super) fn colour(args: &[std::ffi::OsString]) -> clap::ColorChoice {
    let words: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != "--").collect();
    let given = words.iter().enumerate().rev().find_map(|(at, word)| match word.strip_prefix("--color=") {
        Some(value) => Some(value),
        None => (*word == "--color").then(|| words.get(at + 1).copied()).flatten(),
    });
    let of_environment = std::env::var("FACTORY_COLOR").unwrap_or_default();
    let value = given.unwrap_or(&of_environment);
    match <ColourChoice as clap::ValueEnum>::from_str(value, true) {
        Ok(ColourChoice::Always) => clap::ColorChoice::Always,
        Ok(ColourChoice::Never) => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}
