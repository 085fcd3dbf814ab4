//! The shape of the code: `src/lib.rs` promises it, and these tests hold it.
//!
//! `tokens` and `source` read the crate; here stand the rules. The length of functions is held by clippy (`clippy.toml`).

mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use source::{Source, SourceFile};

/// The rooms from top to bottom: each uses only rooms of later lines.
const ROOMS: [&[&str]; 19] = [
    &["fuzzing"],
    &["cli"],
    &["audit"],
    &["resolve"],
    &["build"],
    &["config"],
    &["tools"],
    &["overlay"],
    &["sandbox"],
    &["image"],
    &["store"],
    &["yarn"],
    &["npm"],
    &["lock"],
    &["parallel", "interrupt", "proxy", "tls", "answer"],
    &["ui"],
    &["timeline"],
    &["error", "html"],
    &["user_file"],
];

/// What the order would allow, and is not allowed: a build replays a lock, whatever was configured.
const FORBIDDEN: [(&str, &str); 2] = [("resolve", "build"), ("build", "config")];

/// A lock is read, written and compared without a network.
const NETWORK: [&str; 6] = ["reqwest", "tokio", "rustls", "gix", "futures_util", "backon"];

/// The commands, `completions` apart, which is a function of `cli.rs`.
const COMMANDS: [&str; 19] = [
    "audit",
    "audit_patch",
    "build",
    "cache",
    "check_refs",
    "diff",
    "doctor",
    "fetch",
    "init",
    "join",
    "lock",
    "outdated",
    "plan",
    "resolve",
    "run",
    "sbom",
    "status",
    "verify",
    "why",
];

const MOST_LINES: usize = 400;
const MOST_PARAMETERS: usize = 5;

/// The crate, parsed once for all tests.
static SOURCE: LazyLock<Source> = LazyLock::new(Source::read);

/// Fails with what was found.
fn none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[harness::test]
fn each_room_uses_only_rooms_below_it() {
    assert!(SOURCE.files.len() > 150, "only {} files were read", SOURCE.files.len());
    none(&arrows_up(&SOURCE));
}

#[harness::test]
fn no_files_of_a_room_import_each_other_in_a_circle() {
    none(&circles(&SOURCE));
}

#[harness::test]
fn no_command_is_imported() {
    let text = fs::read_to_string(harness::project().join("src/cli.rs")).unwrap();
    let variants = text.split_once("enum Command {").unwrap().1.split_once("\n}").unwrap().0;
    let names = variants.lines().filter_map(|line| Some(line.split_once("Args),")?.0.split_once('(')?.0.trim()));
    assert_eq!(names.map(file_of_command).collect::<BTreeSet<_>>(), COMMANDS.map(str::to_owned).into());
    none(&imported_commands(&SOURCE));
}

/// `CheckRefs` is in `check_refs.rs`.
fn file_of_command(variant: &str) -> String {
    let piece = |(at, c): (usize, char)| {
        let between = if at > 0 && c.is_uppercase() { "_" } else { "" };
        format!("{between}{}", c.to_lowercase())
    };
    variant.char_indices().map(piece).collect()
}

#[harness::test]
fn a_lock_needs_no_network() {
    let uses = SOURCE.files.iter().filter(|file| file.is_in("lock")).flat_map(|file| {
        let network = file.crates.iter().filter(|name| NETWORK.contains(&name.as_str()));
        network.map(|name| format!("{}: {name}", file.path.display()))
    });
    none(&uses.collect::<Vec<_>>());
}

#[harness::test]
fn a_type_has_a_name_of_its_own() {
    none(&shared_names(&SOURCE));
}

#[harness::test]
fn files_and_parameter_lists_are_short() {
    let long = source::rust_files(&harness::project().join("src")).into_iter().filter_map(|path| {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let path = path.strip_prefix(harness::project()).unwrap().display().to_string();
        (lines > MOST_LINES).then_some(path)
    });
    none(&long.collect::<Vec<_>>());
    let parameters = SOURCE.files.iter().flat_map(|file| {
        let many = file.functions.iter().filter(|(_, parameters)| *parameters > MOST_PARAMETERS);
        many.map(|(name, parameters)| format!("{}: `{name}` has {parameters} parameters", file.path.display()))
    });
    none(&parameters.collect::<Vec<_>>());
}

#[harness::test]
fn what_is_public_is_documented() {
    let undocumented = SOURCE.files.iter().flat_map(|file| {
        file.undocumented.iter().map(|what| format!("{}: {what} has no doc comment", file.path.display()))
    });
    none(&undocumented.collect::<Vec<_>>());
}

/// The attribute of libtest means nothing to the runner of these binaries, and another binary would have another.
#[harness::test]
fn every_test_is_registered() {
    let tests = harness::project().join("tests");
    let names = harness::program::names(&tests);
    assert_eq!(
        names,
        ["data", "faults", "harness", "it", "real", "releases"],
        "a new file of tests belongs into one of the binaries"
    );
    for file in
        ["faults", "it", "real", "releases"].into_iter().flat_map(|folder| source::rust_files(&tests.join(folder)))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.lines().any(|line| line.trim() == "#[test]"), "{}: write #[harness::test]", file.display());
    }
}

/// Uses of a room that is not below the user's.
fn arrows_up(source: &Source) -> Vec<String> {
    let place = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = Vec::new();
    for file in &source.files {
        let Some(room) = file.module.first() else { continue };
        let Some(own) = place(room) else {
            wrong.push(format!("{}: `{room}` is not in the plan", file.path.display()));
            continue;
        };
        for path in &file.uses {
            let Some(used) = source.file_of(path).module.first().filter(|used| *used != room) else { continue };
            let is_below = place(used).is_some_and(|used| used > own);
            if !is_below || FORBIDDEN.contains(&(room.as_str(), used.as_str())) {
                wrong.push(format!("{}: `crate::{}`", file.path.display(), path.join("::")));
            }
        }
    }
    wrong
}

/// Each circle once, from its first file. What a module takes from one that contains it is no arrow: they are one thing.
fn circles(source: &Source) -> Vec<String> {
    let mut arrows: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for file in &source.files {
        for path in &file.uses {
            let used = source.file_of(path);
            let is_within = used.module.first() == file.module.first() && !file.module.is_empty();
            if is_within && !file.module.starts_with(&used.module) {
                arrows.entry(&file.module).or_default().insert(&used.module);
            }
        }
    }
    let mut found = BTreeSet::new();
    for module in arrows.keys() {
        let Some(circle) = path_between(&arrows, module, module) else { continue };
        if circle.iter().all(|other| other >= module) {
            let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
            found.insert(names.join(" → "));
        }
    }
    found.into_iter().collect()
}

/// The shortest way along `arrows`, both ends included.
fn path_between<'m>(
    arrows: &BTreeMap<&'m [String], BTreeSet<&'m [String]>>,
    from: &'m [String],
    to: &[String],
) -> Option<Vec<&'m [String]>> {
    let mut ways: std::collections::VecDeque<Vec<&[String]>> = [vec![from]].into();
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for &next in arrows.get(way[way.len() - 1]).into_iter().flatten() {
            let longer = [way.clone(), vec![next]].concat();
            if next == to {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Uses of a command's file by any other file of `cli`, `cli.rs` itself apart.
fn imported_commands(source: &Source) -> Vec<String> {
    let command = |module: &[String]| match module {
        [room, name, ..] if room == "cli" => COMMANDS.into_iter().find(|command| command == name),
        _ => None,
    };
    let mut wrong = Vec::new();
    for file in source.files.iter().filter(|file| file.is_in("cli") && file.module.len() > 1) {
        for path in &file.uses {
            let used = command(&source.file_of(path).module);
            if used.is_some() && used != command(&file.module) {
                wrong.push(format!("{}: `crate::{}`", file.path.display(), path.join("::")));
            }
        }
    }
    wrong
}

fn shared_names(source: &Source) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&SourceFile>> = BTreeMap::new();
    for file in &source.files {
        for name in file.types.iter().filter(|name| !name.is_wire) {
            places.entry(&name.name).or_default().push(file);
        }
    }
    places.into_iter().filter(|(_, files)| files.len() > 1).map(|(name, _)| name.to_owned()).collect()
}

/// A made-up crate of these files: module and text.
fn made_up(files: &[(&str, &str)]) -> Source {
    let file = |(module, text): &(&str, &str)| {
        let path = PathBuf::from(format!("src/{}.rs", module.replace("::", "/")));
        let module = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        (path, module, (*text).to_owned())
    };
    Source::of_texts(files.iter().map(file).collect())
}

#[harness::test]
fn an_arrow_up_is_found_in_every_form() {
    let rest = [("", "mod lock; mod config;"), ("lock", "mod text;"), ("config", "pub struct Config;")];
    let found = |text: &str| arrows_up(&made_up(&[&rest[..], &[("lock::text", text)]].concat()));
    for text in [
        "use crate::config::Config;",
        "use crate::{config, error::Error};",
        "use super::super::config as c;",
        "fn f() { crate::config::read(); }",
        "fn f() { println!(\"{}\", crate::config::LIMIT); }",
        "type T = Vec<crate::config::Config>;",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
    }
    for text in ["use crate::lock::text;", "#[cfg(test)] mod tests { use crate::config::Config; }", "// crate::config"]
    {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[harness::test]
fn a_circle_is_found_through_what_is_re_exported() {
    let root = ("image", "mod a; mod b; mod c; pub use b::B; pub struct Shared;");
    let of =
        |a: &str, b: &str| circles(&made_up(&[("", ""), root, ("image::a", a), ("image::b", b), ("image::c", "")]));
    assert_eq!(of("use super::B;", "use super::c;"), [""; 0]);
    assert_eq!(of("use super::Shared;", "use super::Shared;"), [""; 0]);
    assert_eq!(of("use super::B;", "use super::a::A;"), ["image::a → image::b → image::a"]);
}

#[harness::test]
fn a_command_that_is_imported_is_found() {
    let of = |run: &str| {
        imported_commands(&made_up(&[("", ""), ("cli", "mod build; mod run;"), ("cli::build", ""), ("cli::run", run)]))
    };
    assert_eq!(of("use super::steps::BuildFlags;"), [""; 0]);
    assert_eq!(of("use super::build::share;"), ["src/cli/run.rs: `crate::cli::build::share`"]);
}
