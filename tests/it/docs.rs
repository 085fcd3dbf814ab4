//! What the documentation says is true: its commands parse, its samples are what `factory` prints, its tables are those of
//! the code, its links lead somewhere.
//!
//! After a change of options or messages: `FACTORY_GOLDEN=write cargo test --test it docs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use factory::build::report;
use factory::config::variables;
use factory::image::limits;
use factory::image::manifest;
use harness::releases::golden;
use serde_json::Value;

mod markdown;
mod reference;

use markdown::{Page, pages};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> Page {
    Page::read(&root().join(name))
}

/// The source of the program, with the pieces of texts that go over several lines put together.
fn source() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let pieces: Vec<&str> = text.split("\\\n").collect();
    pieces.iter().enumerate().map(|(n, piece)| if n == 0 { piece } else { piece.trim_start() }).collect()
}

#[harness::test]
fn the_readme_is_short_and_so_is_contributing() {
    assert!(page("README.md").text.lines().count() <= 250);
    assert!(page("CONTRIBUTING.md").text.lines().count() <= 60);
    for page in pages(root()) {
        for line in page.prose() {
            assert!(line.chars().count() <= 120, "{}: {line}", page.name);
        }
    }
}

#[harness::test]
fn links_lead_somewhere() {
    for page in pages(root()) {
        for link in page.links().into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.name);
            let known = anchor.is_empty() || Page::read(&target).anchors().contains(anchor);
            assert!(known, "{}: there is no heading for {link}", page.name);
        }
    }
}

#[harness::test]
fn named_files_of_the_repository_exist() {
    let tops = ["src/", "tests/", "schema/", "examples/", "docs/", "benches/", ".github/", ".ci/"];
    // Those of the examples name files of their own.
    for page in pages(root()).iter().filter(|page| !page.name.starts_with("examples/")) {
        for span in page.spans().iter().filter(|span| tops.iter().any(|top| span.starts_with(top))) {
            let is_pattern = span.contains(['*', '<', '…', '{', ' ']);
            assert!(is_pattern || root().join(span).exists(), "{}: there is no `{span}`", page.name);
        }
        for (option, folder) in [("--test ", "tests"), ("--bench ", "benches")] {
            for (at, _) in page.text.match_indices(option) {
                let name: String = page.text[at + option.len()..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                let places = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")];
                let exists = name.is_empty() || places.iter().any(|place| root().join(place).exists());
                assert!(exists, "{}: {option}{name}", page.name);
            }
        }
    }
}

#[harness::test]
fn every_command_line_parses() {
    let mut seen = 0;
    for page in pages(root()) {
        for line in page.command_lines() {
            seen += 1;
            match factory::cli::command().try_get_matches_from(&line) {
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::DisplayHelp
                            | ErrorKind::DisplayVersion
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    ) => {}
                Err(error) => panic!("{}: {}\n{error}", page.name, line.join(" ")),
            }
            // What is not a command would be taken for the name of a workspace.
            let first = line.get(1).filter(|word| !word.starts_with('-')).map(String::as_str);
            let known = |name: &str| factory::cli::command().find_subcommand(name).is_some();
            assert!(first.is_none_or(|name| known(name) || name == "COMMAND"), "{}: {}", page.name, line.join(" "));
        }
    }
    assert!(seen > 60, "only {seen} command lines were found");
}

#[harness::test]
fn every_option_that_is_named_exists() {
    let options = reference::options();
    let known: BTreeSet<String> = options.iter().map(|option| format!("--{}", option.long)).collect();
    // Of rhdh-cli, cargo, podman, yarn and others, and of benches.
    let others = [
        "--allow-native-package",
        "--embed-package",
        "--no-generate-scalprum-assets",
        "--scalprum-config",
        "--shared-package",
        "--ignore-version-check",
        "--allow-native-package",
        "--suppress-native-package",
        "--bench",
        "--bins",
        "--cap-add",
        "--device",
        "--env-file",
        "--help",
        "--immutable",
        "--lib",
        "--locked",
        "--path",
        "--release",
        "--rm",
        "--rounds",
        "--test",
        "--version",
        "--work-dir",
    ];
    for page in pages(root()).iter().filter(|page| page.name != "CHANGELOG.md") {
        for code in page.spans().iter().chain(&page.consoles()) {
            for word in code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.len() > 2) {
                let is_option = word.starts_with("--") && !word.starts_with("---");
                assert!(
                    !is_option || known.contains(word) || others.contains(&word),
                    "{}: there is no option {word}: {code}",
                    page.name
                );
            }
        }
    }
}

#[harness::test]
fn every_variable_that_is_named_exists() {
    let mut known: BTreeSet<String> = reference::variables().into_iter().collect();
    let others = [
        "SOURCE_DATE_EPOCH",
        "BUILD_INFO",
        "NPM_TOKEN",
        "NODE_AUTH_TOKEN",
        // Outputs of a step of GitHub Actions.
        "FAILED_EXPORTS",
        "PUBLISHED_EXPORTS",
        "WORKSPACE_SKIPPED_UNCHANGED_SINCE",
        "PATCHES_APPLIED",
        "SOURCE_OVERLAY_APPLIED",
        // Secrets and a variable of the workflow in examples/ci.
        "CACHE_SIGN_KEY",
        "PREVIEW_USERNAME",
        "PREVIEW_PASSWORD",
        "PREVIEW_REGISTRY",
        "SYS_ADMIN",
        "LC_ALL",
        "FORCE_COLOR",
        "FACTORY_GOLDEN",
        "FACTORY_SOAK",
        "FACTORY_TEST_STRICT",
        "FACTORY_UPDATE_SCHEMAS",
    ];
    known.extend(others.map(str::to_owned));
    for page in pages(root()) {
        for code in page.spans().iter().chain(&page.consoles()) {
            for word in code.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')) {
                let is_variable = word.contains('_') && word.starts_with(|c: char| c.is_ascii_uppercase());
                let is_beginning = word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
                assert!(!is_variable || is_beginning || known.contains(word), "{}: `{word}` in `{code}`", page.name);
            }
        }
    }
}

#[harness::test]
fn the_reference_is_that_of_the_command_line() {
    golden("docs/reference.md", &reference::text());
}

#[harness::test]
fn the_readme_lists_every_command() {
    let readme = page("README.md");
    let listed: BTreeSet<&str> =
        readme.text.lines().filter_map(|line| line.strip_prefix("| `factory ")?.split([' ', '`']).next()).collect();
    let command = factory::cli::command();
    let known: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(listed, known);
}

#[harness::test]
fn exit_codes_are_those_of_the_program() {
    use factory::error::exit_code;
    let known = [exit_code::OK, exit_code::FAILED, exit_code::USAGE, exit_code::LOCK, exit_code::NOT_REPRODUCIBLE]
        .into_iter()
        .chain([exit_code::NETWORK, exit_code::INTERRUPTED]);
    let section = page("README.md").section("Exit codes");
    let listed = markdown::first_cells(&section).into_iter().map(|cell| cell.parse::<u8>().unwrap());
    assert!(listed.eq(known.clone()));
    for page in pages(root()) {
        let text = page.text.replace('\n', " ");
        for (at, before) in
            ["exit code ", "exits with ", "fails with "].iter().flat_map(|words| text.match_indices(words))
        {
            let rest = text[at + before.len()..].trim_start_matches(['a', ' ']);
            let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
            let is_known = digits.is_empty() || known.clone().any(|code| code.to_string() == digits);
            assert!(is_known, "{}: exit code {digits}", page.name);
        }
    }
}

#[harness::test]
fn samples_are_what_factory_prints() {
    for page in pages(root()).into_iter().filter(Page::has_samples) {
        let page = page.with_parts();
        golden(
            &page.name,
            &page.with_samples(|place, args| {
                let output = std::process::Command::new(env!("CARGO_BIN_EXE_factory"))
                    .args(args)
                    .env_clear()
                    .env("HOME", place)
                    .current_dir(place)
                    .output()
                    .unwrap();
                String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
            }),
        );
    }
}

#[harness::test]
fn what_changes_with_rhdh_cli_is_the_table_of_the_code() {
    let rows =
        factory::lock::CliBehaviour::TABLE.map(|(behaviour, _)| format!("| {} | {behaviour} |", behaviour.since()));
    let section = page("docs/configuration.md").section("rhdh-cli");
    let listed: Vec<&str> = section.lines().filter(|line| line.starts_with("| ") && !line.contains("since")).collect();
    assert_eq!(listed, rows);
}

#[harness::test]
fn every_field_of_the_lock_is_described() {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(root().join("schema/factory.lock.schema.json")).unwrap()).unwrap();
    let fields = reference::fields(&schema);
    let listed: Vec<String> = page("docs/lock.md")
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .filter(|name| !name.contains('/'))
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), fields);
    assert_eq!(listed.len(), fields.len(), "a field is listed twice");
}

#[harness::test]
fn pieces_of_locks_are_those_of_the_example() {
    let example = fs::read_to_string(root().join("factory.lock.example")).unwrap();
    for block in page("docs/lock.md").blocks("toml") {
        assert!(example.contains(&block), "not in factory.lock.example:\n{block}");
    }
}

#[harness::test]
fn messages_that_are_explained_are_those_of_the_program() {
    let source = source();
    let page = page("docs/troubleshooting.md");
    let messages = page.text.lines().filter_map(|line| line.strip_prefix("### "));
    let pieces: Vec<&str> = messages.flat_map(|line| line.split('…')).map(str::trim).collect();
    assert!(pieces.len() > 20);
    let trimmed = pieces.into_iter().map(|piece| piece.trim_start_matches("` ").trim_end_matches(" `"));
    let unknown: Vec<&str> = trimmed.filter(|piece| piece.len() > 3 && !source.contains(piece)).collect();
    assert_eq!(unknown, [""; 0], "no message has these words any more");
}

#[harness::test]
fn verdicts_and_files_are_those_of_the_code() {
    let source = source();
    let verdicts = markdown::first_cells(&page("docs/reproducible.md").section("Verify"));
    for verdict in verdicts.iter().flat_map(|cell| cell.split(", ")) {
        let word = verdict.trim_matches('`');
        assert!(source.contains(&format!("\"{word}\"")), "{word}");
    }
    let outputs = page("README.md").section("Outputs");
    for name in [report::FILE_NAME, factory::build::plugins_yaml::FILE_NAME] {
        assert!(outputs.contains(&format!("| `{name}` |")), "{name}");
    }
    let publish = page("docs/publish.md").text;
    for annotation in [manifest::PACKAGES, manifest::INPUTS] {
        assert!(publish.contains(&format!("| `{annotation}` |")), "{annotation}");
    }
    for limit in [limits::LARGE_FILE, limits::MAX_FILE] {
        let text = format!("{},000,000 bytes", limit / 1_000_000);
        assert!(limit % 1_000_000 == 0 && publish.contains(&text), "{text}");
    }
    let environment = page("docs/reproducible.md").section("What a build script sees");
    for (name, _) in factory::sandbox::env::ChildEnv::base(0).iter() {
        assert!(environment.contains(&format!("`{}`", name.to_uppercase())), "{name}");
    }
    let workspace: Vec<&str> = variables::WORKSPACE.iter().map(|variable| variable.name).collect();
    let (configuration, publish) = (page("docs/configuration.md").text, publish);
    for name in workspace {
        assert!([&configuration, &publish].iter().any(|text| text.contains(&format!("`{name}`"))), "{name}");
    }
}

#[harness::test]
fn versions_and_archives_are_those_of_cargo_toml() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let package = &manifest["package"];
    let msrv = package["rust-version"].as_str().unwrap();
    assert!(page("README.md").text.contains(&format!("Rust {msrv} or newer")), "{msrv}");
    let release = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    assert!(release.contains("ARCHIVE: factory-${{ needs.version.outputs.version }}-${{ matrix.target }}\n"));
    let binstall = &package["metadata"]["binstall"];
    assert!(
        binstall["pkg-url"]
            .as_str()
            .unwrap()
            .ends_with("/v{ version }/{ name }-{ version }-{ target }{ archive-suffix }")
    );
    for (_, overridden) in binstall["overrides"].as_table().unwrap() {
        let url = overridden["pkg-url"].as_str().unwrap();
        let target = url.rsplit_once("-{ version }-").unwrap().1.trim_end_matches("{ archive-suffix }");
        assert!(release.contains(&format!("target: {target}\n")), "{target}");
    }
}

#[harness::test]
fn there_are_as_many_examples_as_the_readme_says() {
    let examples: Vec<PathBuf> =
        fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(examples.iter().all(|example| example.join("README.md").is_file()));
    // One is for a bot, and one for engines.
    let is_other = |example: &Path| example.join("renovate.json").exists() || example.join("tekton").exists();
    let examples = examples.iter().filter(|example| !is_other(example));
    assert_eq!(examples.count(), 8);
    assert!(page("README.md").text.contains("has eight configurations"));
}

#[harness::test]
fn the_container_image_is_built_from_all_that_cargo_asks_for() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (file, context) = (read("Containerfile"), read(".containerignore"));
    let copied: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("COPY ")?.split(' ').next()).collect();
    let members = manifest["workspace"]["members"].as_array().unwrap().iter().filter_map(toml::Value::as_str);
    for folder in members.chain(["src", "benches", "schema"]) {
        let covers = |known: &&str| folder == *known || folder.starts_with(&format!("{known}/"));
        assert!(copied.iter().any(covers), "Containerfile: {folder}");
        assert!(context.lines().filter_map(|line| line.strip_prefix('!')).any(|known| covers(&known)), "{folder}");
    }
}
