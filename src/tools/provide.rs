//! The pinned programs, provisioned from the npm registry by integrity into the cache.
//!
//! Nothing of the machine's own Node.js is used: the same lock runs the same node, npm, yarn and rhdh-cli everywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::lock::{Integrity, Sha256, Tools, Yarn};
use crate::npm::forwarder::{ForwardedTarballs, RegistryForwarder};
use crate::npm::registry::NpmRegistry;
use crate::npm::tarball::unpack;
use crate::sandbox::child::{Log, Run, run};
use crate::sandbox::env::ChildEnv;
use crate::sandbox::root::{Isolation, Root};
use crate::store::{CacheEntry, CacheKind, CheckedEntry, Reading, Store};
use crate::tools::registry_env::{forwarded, npm_settings, npmrc};
use crate::ui::Ui;

/// rhdh-cli's package.
pub const CLI_PACKAGE: &str = "@red-hat-developer-hub/cli";
/// Installing the CLI's 2,000 packages takes a minute or two; a registry that hangs is given up after this.
const CLI_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What provisioning needs.
#[derive(Clone, Copy)]
pub struct Provider<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Where tarballs come from; absent when offline.
    pub registry: Option<&'a NpmRegistry>,
    /// How much of what is in the cache is read before it is used.
    pub reading: Reading,
    /// What keeps installs apart from the machine.
    pub isolation: Isolation,
    /// The talk.
    pub ui: &'a Ui,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// `linux-x64` or `linux-arm64`: the platforms RHDH runs on.
pub fn platform() -> Result<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("linux-x64"),
        ("linux", "aarch64") => Ok("linux-arm64"),
        (os, arch) => Err(Error::usage(
            format!("factory builds on linux-x64 and linux-arm64, not on {os}-{arch}"),
            "run it in its container image",
        )),
    }
}

impl Provider<'_> {
    /// Node.js: the folder that holds `bin/node`.
    pub fn node(&self, tools: &Tools) -> Result<CacheEntry> {
        let platform = platform()?;
        let node = &tools.node;
        let integrity = node.integrity.get(platform).ok_or_else(|| {
            Error::usage(
                format!("the lock has no Node.js {} for {platform}", node.version),
                "choose a version that has one (`NODE_VERSION`) and run `factory resolve`",
            )
        })?;
        self.package(&format!("node-{platform}"), &node.version, integrity)
    }

    /// npm: the folder that holds `bin/npm-cli.js`.
    pub fn npm(&self, tools: &Tools) -> Result<CacheEntry> {
        self.package("npm", &tools.npm.version, &tools.npm.integrity)
    }

    /// yarn: the folder that holds `bin/yarn.js`; none for a committed one.
    pub fn yarn(&self, yarn: &Yarn) -> Result<Option<CacheEntry>> {
        match &yarn.integrity {
            Some(integrity) => self.package(yarn_package(&yarn.version), &yarn.version, integrity).map(Some),
            None => Ok(None),
        }
    }

    /// A package whose tarball is all of it, unpacked in the cache.
    pub fn package(&self, name: &str, version: &str, integrity: &Integrity) -> Result<CacheEntry> {
        // Of the whole integrity: whichever digit of it changes, it is another entry.
        let digits = &Sha256::of(integrity.to_string()).hex()[..16];
        let key = format!("{}-{version}-{digits}", name.trim_start_matches('@').replace('/', "-"));
        let interrupt = self.interrupt.flag();
        let what = format!("{name}@{version}");
        if let Some(entry) = self.sound(&key, &what)? {
            return Ok(entry);
        }
        let registry = self.registry.ok_or_else(|| missing_offline(&what))?;
        let handle = tokio::runtime::Handle::current();
        // Workspaces, and machines with one cache, ask for it at once: one of them downloads it.
        let fill = |to: &Path| {
            let step = self.ui.step("tools", format!("download {name}@{version}"));
            let scratch = self.store.scratch()?;
            let tarball = scratch.path().join("package.tgz");
            handle.block_on(registry.tarball(name, version, integrity, &tarball))?;
            unpack(&tarball, &what, to)?;
            step.done("");
            Ok(())
        };
        tokio::task::block_in_place(|| self.store.entry(CacheKind::Tools, &key, interrupt, fill))
    }

    /// The entry `key` if it is as it was when it was filled. A damaged one is fetched again; without a network it is an
    /// error.
    pub(super) fn sound(&self, key: &str, what: &str) -> Result<Option<CacheEntry>> {
        let look = || self.store.sound_entry(CacheKind::Tools, key, self.reading, self.interrupt.flag());
        match tokio::task::block_in_place(look)? {
            CheckedEntry::Sound(entry) => Ok(Some(entry)),
            CheckedEntry::Missing => Ok(None),
            CheckedEntry::Damaged(damage) if self.registry.is_some() => {
                self.ui.warn(format!("`{what}` in the cache was damaged and is fetched again: {damage}"));
                Ok(None)
            }
            CheckedEntry::Damaged(damage) => Err(Error::network(
                format!("`{what}` in the cache was damaged and is removed: {damage}"),
                "run `factory fetch` with a network to fetch it again",
            )),
        }
    }
}

/// The npm package that carries yarn: its classic line and its modern one live in different packages. `version` may be a
/// range, which is of the classic line when it starts there (`1`, `^1.22.0`).
pub fn yarn_package(version: &str) -> &'static str {
    let bare = version.trim_start_matches(['^', '~', '=', 'v', ' ']);
    let major = bare.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if matches!(major, "0" | "1") || version == "<2" { "yarn" } else { "@yarnpkg/cli-dist" }
}

pub(super) fn missing_offline(what: &str) -> Error {
    Error::network(
        format!("`{what}` is not in the cache, and `--offline` allows no network"),
        "run `factory fetch` with a network first",
    )
}

/// The `package.json` that the CLI's tree is resolved and installed for.
pub fn cli_manifest(version: &str) -> String {
    format!(
        "{{\n  \"name\": \"rhdh-cli-tree\",\n  \"private\": true,\n  \"dependencies\": {{\n    \"{CLI_PACKAGE}\": \"{version}\"\n  }}\n}}\n"
    )
}

/// The pinned npm, run in a build root.
pub struct Npm<'a> {
    /// Folder of Node.js.
    pub node: &'a Path,
    /// Folder of npm.
    pub npm: &'a Path,
    /// npm's own cache.
    pub cache: &'a Path,
    /// The registry it asks.
    pub registry: &'a NpmRegistry,
    /// What provisioned it.
    pub provider: Provider<'a>,
}

/// What a run of npm is helped with.
#[derive(Clone, Copy)]
pub(super) struct NpmHelp<'a> {
    /// Asks the registries for it, where it cannot.
    pub forwarder: Option<&'a RegistryForwarder>,
    /// A script that Node.js loads before it, in a folder of its own that npm sees.
    pub preload: Option<&'a Path>,
}

impl Npm<'_> {
    /// Runs npm in `folder`; returns its stdout.
    pub async fn run(&self, args: &[&str], folder: &Path, log: &Log, what: &str) -> Result<String> {
        let forwarder = RegistryForwarder::if_needed(self.registry, ForwardedTarballs::All).await?;
        self.run_with(args, folder, NpmHelp { forwarder: forwarder.as_ref(), preload: None }, log, what).await
    }

    /// The same with help.
    pub(super) async fn run_with(
        &self,
        args: &[&str],
        folder: &Path,
        NpmHelp { forwarder, preload }: NpmHelp<'_>,
        log: &Log,
        what: &str,
    ) -> Result<String> {
        let scratch = self.provider.store.scratch()?;
        let make = |name: &str| -> Result<PathBuf> {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path).map_err(Error::io("create", &path))?;
            Ok(path)
        };
        let (home, tmp, mount) = (make("home")?, make("tmp")?, make("root")?);
        // npm keeps answers by their addresses: those of a forwarder are of no use to anybody later.
        let own_cache = forwarder.is_some().then(|| make("npm")).transpose()?;
        let cache = own_cache.as_deref().unwrap_or(self.cache);
        let mut root = Root::new(self.provider.isolation, mount);
        root.show(folder, "package", true)
            .show(&home, "home", true)
            .show(&tmp, "tmp", true)
            .show(cache, "npm", true)
            .show(self.node, "tools/node", false)
            .show(self.npm, "tools/npm", false);
        let node = root.inside(&self.node.join("bin/node"));
        let bin = node.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        let mut env = ChildEnv::base(0);
        env.set("PATH", format!("{bin}:/usr/bin:/bin"));
        env.set("HOME", root.inside(&home)).set("TMPDIR", root.inside(&tmp));
        let registries = self.registry.addresses();
        npm_settings(&mut env, &root.inside(cache), &registries);
        std::fs::write(home.join(".npmrc"), npmrc(&registries)).map_err(Error::io("write", &home))?;
        if let Some(forwarder) = forwarder {
            env = forwarded(&env, forwarder, &[]);
        }
        let log = &forwarder.map_or_else(|| log.clone(), |forwarder| log.through(forwarder.restorer()));
        if let Some(preload) = preload {
            root.show(preload.parent().unwrap_or(preload), "documents", false);
            let path = root.inside(preload).to_string_lossy().replace('\\', r"\\").replace('"', "\\\"");
            env.set("NODE_OPTIONS", format!("--require \"{path}\""));
        }
        let mut all = vec![root.inside(&self.npm.join("bin/npm-cli.js")).to_string_lossy().into_owned()];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        run(Run {
            program: &node,
            args: &all,
            cwd: folder,
            env: &env,
            root: &root,
            network: true,
            log,
            timeout: CLI_TIMEOUT,
            interrupt: self.provider.interrupt,
        })
        .await
        .map_err(|failure| {
            let hint = forwarder.and_then(RegistryForwarder::login_hint);
            let hint = hint.as_deref().unwrap_or("check the registry that npm is configured to use");
            failure.into_error(what, log, hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_of_the_line_it_starts_in() {
        for classic in ["1", "1.22.22", "^1.22.0", "~1.22", "=1.22.1", "1.x", "0.27.5", "<2"] {
            assert_eq!(yarn_package(classic), "yarn", "{classic}");
        }
        for modern in ["4", "10.0.0", "^4.1", "3.8.7", ">=1.22", "stable"] {
            assert_eq!(yarn_package(modern), "@yarnpkg/cli-dist", "{modern}");
        }
    }
}
