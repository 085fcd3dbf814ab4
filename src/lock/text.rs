//! The lock as text: one canonical writer, one strict reader.
//!
//! Written so that git merges it: one fact a line, arrays one element a line, blocks sorted and a blank line apart.

use std::path::Path;

use serde::Deserialize as _;
use toml::de::DeTable;
use toml_edit::visit_mut::VisitMut;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::args_origin::ArgsOrigin;
use super::conflict;
pub use super::format::{REVISION, VERSION};
use super::format::{REWRITE, broken, check_format};
use super::model::{Lock, Plugin, Tools, Workspace};
use super::recipe;
use super::validate::check;
use crate::error::exit_code::FAILED;
use crate::error::{Error, Place, Result};

/// The name of the lock beside the configuration.
pub const FILE_NAME: &str = "factory.lock";

const HEADER: &str = "# Written by `factory resolve`. Commit it; do not edit it.\n";

impl Lock {
    /// The canonical text: equal locks give equal bytes, and reading it back gives an equal lock.
    ///
    /// # Panics
    /// Never for a lock that can be built from this crate's types: all of them have a TOML form.
    pub fn to_text(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        let workspaces = sorted.workspace.iter().map(revision).max().unwrap_or(0);
        let unresolved =
            sorted.unresolved.iter().map(|one| if one.exit_code == FAILED { 2 } else { 8 }).max().unwrap_or(0);
        sorted.revision = workspaces.max(unresolved).max(revision_of_tools(&sorted.tools));
        let mut document = toml_edit::ser::to_document(&sorted).expect("every field of the lock has a TOML form");
        lay_out(&mut document);
        format!("{HEADER}{document}")
    }

    /// Reads a lock strictly: an unknown key, a wrong type or an unsafe value is an error with line and column.
    pub fn from_text(text: &str, path: &Path) -> Result<Self> {
        conflict::refuse(text, path)?;
        let broken = |e: toml::de::Error| broken(text, path, e.span(), e.message());
        let table = DeTable::parse(text).map_err(broken)?;
        check_format(table.get_ref(), text, path)?;
        let lock = Self::deserialize(toml::Deserializer::from(table)).map_err(broken)?;
        check(&lock).map_err(|(wanted, what)| {
            let line = text.lines().position(|line| line.contains(&wanted)).map(|n| n + 1);
            Error::Lock { place: Place { path: path.into(), line, column: None }, what, hint: REWRITE.into() }
        })?;
        Ok(lock)
    }

    /// Sorts blocks as the text has them: workspaces by name, inputs and plugins by path.
    fn sort(&mut self) {
        self.workspace.sort_by(|a, b| a.name.cmp(&b.name));
        self.unresolved.sort_by(|a, b| a.name.cmp(&b.name));
        for workspace in &mut self.workspace {
            workspace.unlisted.sort();
            workspace.input.sort_by(|a, b| a.path.cmp(&b.path));
            workspace.plugin.sort_by(|a, b| a.path.cmp(&b.path));
            for plugin in &mut workspace.plugin {
                plugin.sources.sort();
                plugin.reads.sort();
            }
            workspace.problem.sort_by(|a, b| (&a.plugin, &a.what).cmp(&(&b.plugin, &b.what)));
        }
    }
}

/// The revision that a block needs.
fn revision(workspace: &Workspace) -> u32 {
    let is_of_each = |plugin: &Plugin| matches!(plugin.args_from, ArgsOrigin::Each(_));
    let has_config = |plugin: &Plugin| plugin.sealed.as_ref().is_some_and(|sealed| sealed.config.is_some());
    let has_bundle = |plugin: &Plugin| plugin.sealed.as_ref().is_some_and(|sealed| sealed.bundle.is_some());
    let own = if workspace.plugin.iter().any(has_bundle) {
        10
    } else if workspace.plugin.iter().any(has_config) {
        9
    } else if !workspace.unlisted.is_empty() {
        7
    } else if workspace.plugin.iter().any(is_of_each) {
        6
    } else if workspace.recipe != recipe::FIRST {
        5
    } else if workspace.plugin.iter().any(|plugin| plugin.scalprum.is_some()) {
        3
    } else if workspace.effective.is_some() || !workspace.problem.is_empty() {
        2
    } else {
        u32::from(workspace.sealed.is_some())
    };
    own.max(workspace.tools.as_ref().map_or(0, revision_of_tools))
}

fn revision_of_tools(tools: &Tools) -> u32 {
    if tools.rhdh_cli.host.is_some() { 4 } else { 0 }
}

/// Turns serde's inline tables into the blocks of lock.md.
fn lay_out(document: &mut DocumentMut) {
    let root = document.as_table_mut();
    for key in ["rhdh", "tools"] {
        block(root, key);
    }
    blocks(root, "workspace");
    blocks(root, "unresolved");
    if let Some(workspaces) = root.get_mut("workspace").and_then(Item::as_array_of_tables_mut) {
        for workspace in workspaces.iter_mut() {
            block(workspace, "tools");
            block(workspace, "source");
            block(workspace, "effective");
            block(workspace, "sealed");
            blocks(workspace, "input");
            blocks(workspace, "plugin");
            blocks(workspace, "problem");
            if let Some(plugins) = workspace.get_mut("plugin").and_then(Item::as_array_of_tables_mut) {
                for plugin in plugins.iter_mut() {
                    block(plugin, "stamp");
                    block(plugin, "sealed");
                }
            }
        }
    }
    OneElementALine.visit_document_mut(document);
}

/// `key = { … }` becomes `[key]`.
fn block(table: &mut Table, key: &str) {
    if let Some(item) = table.get_mut(key)
        && let Ok(inner) = std::mem::take(item).into_table()
    {
        *item = Item::Table(inner);
    }
}

/// `key = [{ … }]` becomes `[[key]]`.
fn blocks(table: &mut Table, key: &str) {
    if let Some(item) = table.get_mut(key)
        && let Ok(inner) = std::mem::take(item).into_array_of_tables()
    {
        *item = Item::ArrayOfTables(inner);
    }
}

struct OneElementALine;

impl VisitMut for OneElementALine {
    fn visit_array_mut(&mut self, array: &mut Array) {
        for value in array.iter_mut() {
            value.decor_mut().set_prefix("\n    ");
        }
        if !array.is_empty() {
            array.set_trailing("\n");
            array.set_trailing_comma(true);
        }
    }

    fn visit_value_mut(&mut self, value: &mut Value) {
        toml_edit::visit_mut::visit_value_mut(self, value);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lock::model::*;
    use crate::lock::{ArgsFrom, ArgsOrigin, Argument, Integrity, Role, Sha256};

    fn workspace(name: &str) -> Workspace {
        let plugin = |path: &str, name: &str, role| Plugin {
            path: path.into(),
            name: name.into(),
            version: "1.0.0".into(),
            role,
            args_from: ArgsOrigin::All(ArgsFrom::PluginsList),
            args: vec![],
            why: vec![],
            scalprum: None,
            sources: vec![],
            reads: vec![],
            stamp: None,
            sealed: None,
        };
        Workspace {
            name: name.into(),
            dir: name.into(),
            recipe: 1,
            tools: None,
            source: Source {
                repo: "https://example.com/plugins".into(),
                requested: "main".into(),
                commit: Some("3fadf6b0595d1d1804f5c7f2690f4db7b81275f1".into()),
                local: false,
                epoch: 1_763_000_000,
                path: format!("workspaces/{name}"),
                backstage: Some("1.45.3".into()),
                yarn: Yarn {
                    from: YarnFrom::PackageManager,
                    version: "4.9.2".into(),
                    integrity: Some(Integrity::of("yarn")),
                    path: None,
                },
                yarn_lock: Sha256::of("lock"),
            },
            effective: None,
            sealed: None,
            input: vec![Input { path: "patches/1.patch".into(), sha256: Sha256::of("patch"), executable: false }],
            plugin: vec![
                plugin("plugins/b", "@x/b", Role::FrontendPlugin),
                plugin("plugins/a", "@x/a", Role::BackendPlugin),
            ],
            problem: vec![],
            unlisted: vec![],
        }
    }

    pub(in crate::lock) fn sample() -> Lock {
        let tool = |requested: &str, version: &str| Tool {
            requested: requested.into(),
            version: version.into(),
            integrity: Integrity::of(version),
        };
        let mut todo = workspace("todo");
        todo.plugin[1].args =
            vec![Argument::new("--embed-package", "@x/c"), Argument::new("--shared-package", "!@x/c")];
        todo.plugin[1].why = vec!["not in the host".into(), "it is embedded".into()];
        todo.plugin[1].args_from = ArgsOrigin::All(ArgsFrom::Computed);
        todo.plugin[1].sealed = Some(Sealed {
            closure: Some(Sha256::of("closure")),
            bundle: None,
            tgz: Integrity::of("tgz"),
            image: Sha256::of("image"),
            layer: Sha256::of("layer"),
            config: None,
            root: None,
        });
        Lock {
            version: VERSION,
            revision: 0,
            rhdh: None,
            tools: Tools {
                node: Node {
                    requested: "22".into(),
                    version: "22.20.0".into(),
                    integrity: [("linux-x64".to_owned(), Integrity::of("node"))].into(),
                },
                npm: tool("11", "11.6.0"),
                rhdh_cli: RhdhCli {
                    requested: "latest".into(),
                    host: None,
                    version: "1.9.1".into(),
                    integrity: Integrity::of("cli"),
                    tree: Sha256::of("tree"),
                },
            },
            workspace: vec![todo, workspace("acr")],
            unresolved: vec![],
        }
    }

    #[test]
    fn the_canonical_text_is_this() {
        assert_eq!(sample().to_text(), include_str!("../../tests/data/lock/version-1.lock"));
    }

    #[test]
    fn sealed_packages_are_a_block_and_need_a_newer_reader() {
        let mut lock = sample();
        lock.workspace[1].sealed = Some(SealedPackages { packages: Sha256::of("packages") });
        lock.revision = 1;
        let text = lock.to_text();
        assert_eq!(text, include_str!("../../tests/data/lock/version-1-revision-1.lock"));
        lock.sort();
        assert_eq!(Lock::from_text(&text, Path::new("factory.lock")).unwrap(), lock);
    }

    #[test]
    fn the_effective_yarn_lock_is_a_block_and_needs_a_newer_reader() {
        let mut lock = sample();
        lock.workspace[1].effective = Some(Effective { yarn_lock: Sha256::of("patched") });
        let text = lock.to_text();
        assert!(text.contains("\nversion = 1\nrevision = 2\n"), "{text}");
        let block = format!("\n[workspace.effective]\nyarn-lock = \"{}\"\n", Sha256::of("patched"));
        assert!(text.contains(&block), "{text}");
        assert_eq!(Lock::from_text(&text, Path::new("factory.lock")).unwrap().to_text(), text);
    }

    #[test]
    fn a_sealed_bundle_needs_a_newer_reader() {
        let mut lock = sample();
        lock.workspace[0].plugin[1].sealed.as_mut().unwrap().bundle = Some(Sha256::of("bundle"));
        let text = lock.to_text();
        assert!(text.contains("\nversion = 1\nrevision = 10\n"), "{text}");
        assert!(text.contains(&format!("\nbundle = \"{}\"\n", Sha256::of("bundle"))), "{text}");
        assert_eq!(Lock::from_text(&text, Path::new("factory.lock")).unwrap().to_text(), text);
    }

    #[test]
    fn reading_what_was_written_gives_the_same_text() {
        let text = sample().to_text();
        let read = Lock::from_text(&text, Path::new("factory.lock")).unwrap();
        assert_eq!(read.to_text(), text);
    }

    fn error_for(from: &str, to: &str) -> String {
        let text = sample().to_text();
        assert!(text.contains(from), "{from} not in\n{text}");
        Lock::from_text(&text.replacen(from, to, 1), Path::new("factory.lock")).unwrap_err().to_string()
    }

    #[test]
    fn broken_locks_are_named_by_line_and_column() {
        assert_eq!(
            error_for("epoch = 1763000000", "epoch = \"now\""),
            r#"factory.lock:18:9: invalid type: string "now", expected u64"#
        );
        assert_eq!(
            error_for("dir = \"acr\"", "dirs = \"acr\""),
            "factory.lock:12:1: unknown field `dirs`, expected one of `name`, `dir`, `recipe`, `unlisted`, `tools`, `source`, `effective`, `sealed`, `input`, `plugin`, `problem`"
        );
        assert_eq!(
            error_for("version = 1", "version = 9"),
            "factory.lock:2:11: lock format 9 is newer than the format 1 that factory 0.1.0 reads"
        );
        assert_eq!(
            error_for("revision = 0", "revision = 11"),
            "factory.lock:3:12: revision 11 of lock format 1 is newer than the revision 10 that factory 0.1.0 reads"
        );
        assert_eq!(
            error_for("path = \"patches/1.patch\"", "path = \"../../etc/passwd\""),
            "factory.lock:25: `../../etc/passwd` is not a relative path without `..` (`path`)"
        );
        assert_eq!(
            error_for("--embed-package @x/c", "--embed-package '@x/c"),
            "factory.lock:67:5: the argument `--embed-package '@x/c` has a quote that is not closed, or ends in a backslash"
        );
        assert_eq!(error_for("[tools]", "[tools"), "factory.lock:5:7: unclosed table, expected `]`");
        // Of several errors the first in the text, whatever its name.
        assert_eq!(
            error_for("dir = \"acr\"", "zone = 1\narea = 2"),
            "factory.lock:12:1: unknown field `zone`, expected one of `name`, `dir`, `recipe`, `unlisted`, `tools`, `source`, `effective`, `sealed`, `input`, `plugin`, `problem`"
        );
        assert_eq!(
            error_for("version = 1", "version = 0"),
            "factory.lock:2:11: `version` must be a whole number from 1"
        );
    }

    #[test]
    fn a_lock_of_the_first_format_reads_for_ever() {
        let text = include_str!("../../tests/data/lock/version-1.lock");
        assert_eq!(Lock::from_text(text, Path::new("factory.lock")).unwrap(), {
            let mut lock = sample();
            lock.sort();
            lock
        });
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(version = 1\n)?[\\[\\]a-z=\"'{}#.,\n 0-9\\PC]{0,200}") {
            let _ = Lock::from_text(&text, Path::new("factory.lock"));
        }

        #[test]
        fn no_damage_makes_the_reader_panic(at in 0usize..2000, with in "\\PC{0,3}") {
            let mut text = sample().to_text();
            let at = text.char_indices().map(|(i, _)| i).nth(at.min(text.chars().count() - 1)).unwrap();
            text.replace_range(at..=at, &with);
            let _ = Lock::from_text(&text, Path::new("factory.lock"));
        }
    }
}
