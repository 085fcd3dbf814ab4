//! What is said to be in a frontend is what is in its archive: read once more by Node.js, from the source maps, and told by
//! the bundlers themselves.
//!
//! Needs the network to npm, and git and tar.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use factory::lock::Sha256;
use factory::lock::bundle::{Bundle, BundlePlace};
use harness::program::text;

use crate::cache::{self, cache};
use crate::example::{installed, run};
use crate::greeting::{self, FirstBuild, Greeting, alone};

const WORKSPACE: &str = "examples/greeting/workspaces/greeting";

/// The frontend of the example, and what it was built with.
struct Frontend {
    path: String,
    said: String,
    bundle: Bundle,
    installed: PathBuf,
    cli: PathBuf,
    node: PathBuf,
}

impl Frontend {
    fn of(example: &Greeting) -> Self {
        let lock = example.lock();
        let plugin = lock.workspace[0].plugin.iter().find(|plugin| !plugin.role.is_backend()).unwrap();
        let path = example.config().join("factory.lock.d/greeting").join(&plugin.path).join("bundle");
        let said = fs::read_to_string(path).unwrap();
        assert_eq!(plugin.sealed.as_ref().unwrap().bundle, Some(Sha256::of(&said)));
        let version = format!("rhdh-cli-{}-", lock.tools.rhdh_cli.version);
        let tools = cache().join("tools");
        let cli = fs::read_dir(&tools).unwrap().map(|entry| entry.unwrap().path());
        let is_cli = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&version);
        Self {
            path: plugin.path.clone(),
            bundle: Bundle::parse(&said).unwrap(),
            said,
            installed: installed(&format!("{WORKSPACE}/node_modules")).parent().unwrap().to_path_buf(),
            cli: cli.into_iter().find(is_cli).unwrap(),
            node: tools.join(cache::node(&lock.tools.node.version)).join("bin/node"),
        }
    }

    /// `folder name version` of each package.
    fn packages(&self) -> BTreeSet<String> {
        self.bundle.packages.iter().map(|one| format!("{} {} {}", one.folder, one.name, one.version)).collect()
    }
}

#[harness::test(long)]
fn a_frontend_has_what_another_reading_of_its_bundles_finds() {
    greeting::needs();
    let FirstBuild { greeting: example, output, .. } = greeting::first();
    let _alone = alone();
    let frontend = Frontend::of(example);
    let (bundle, said) = (&frontend.bundle, &frontend.said);
    assert!(bundle.is_whole(), "{said}");
    assert_eq!(bundle.to_text(), *said);

    let unpacked = tempfile::tempdir().unwrap();
    let tgz = output.join("factory-examples-plugin-greeting-dynamic-0.1.0.tgz");
    run(Command::new("tar").args(["-xzf", text(&tgz), "-C", text(unpacked.path())]));
    let read = run(Command::new(&frontend.node)
        .arg(harness::project().join("tests/real/bundle_packages.cjs"))
        .args([&unpacked.path().join("package"), &frontend.installed, &frontend.cli])
        .arg(example.repository.dir.join(WORKSPACE)));
    let read: BTreeSet<String> = String::from_utf8(read).unwrap().lines().map(str::to_owned).collect();
    let known = frontend.packages();
    assert_eq!(known, read);
    assert!(known.contains("dist @factory-examples/plugin-greeting-common 0.1.0"), "{known:?}");

    // What is shared is told from what is bundled alone.
    let places = |name: &str| -> BTreeSet<String> {
        let here = bundle.packages.iter().filter(|one| one.folder == "dist-scalprum" && one.name == name);
        here.map(|one| one.place.to_string()).collect()
    };
    assert_eq!(places("react-dom"), ["shares:react-dom".to_owned()].into());
    assert!(places("@material-ui/core").contains(&BundlePlace::Exposed("PluginRoot".into()).to_string()));
    let exposed: Vec<_> = bundle.exposes.iter().map(|one| (one.folder.as_str(), one.module.as_str())).collect();
    assert_eq!(exposed, [("dist", "."), ("dist-scalprum", "PluginRoot")]);
}

#[harness::test(long)]
fn a_frontend_has_what_the_bundlers_put_into_chunks() {
    greeting::needs();
    let FirstBuild { greeting: example, .. } = greeting::first();
    let _alone = alone();
    let frontend = Frontend::of(example);
    let build = tempfile::tempdir().unwrap();
    let (workspace, modules) = (build.path().join("workspace"), build.path().join("modules"));
    let plugin = workspace.join(&frontend.path);
    let copy = |from: PathBuf, to: &Path| run(Command::new("cp").arg("-a").arg(from.join(".")).arg(to));
    fs::create_dir(&workspace).unwrap();
    copy(frontend.installed.clone(), &workspace);
    copy(example.repository.dir.join(WORKSPACE), &workspace);
    copy(example.config().join(&frontend.path).join("overlay"), &plugin);
    let scalprum = example.config().join(&frontend.path).join("scalprum-config.json");
    let preloaded = harness::project().join("tests/real/bundler_modules.cjs");
    run(Command::new(&frontend.node)
        .arg(frontend.cli.join("node_modules/@red-hat-developer-hub/cli/bin/rhdh-cli"))
        .args(["plugin", "export", "--clean", "--scalprum-config", text(&scalprum)])
        .env("NODE_OPTIONS", format!("--require \"{}\"", preloaded.display()))
        .env("MODULES_FILE", &modules)
        .current_dir(&plugin));
    let told = fs::read_to_string(&modules).unwrap();
    let mut told: BTreeSet<String> = told.lines().map(str::to_owned).collect();
    // The plugin itself is not listed.
    for folder in ["dist", "dist-scalprum"] {
        assert!(told.remove(&format!("{folder} @factory-examples/plugin-greeting 0.1.0")), "{told:?}");
    }
    assert_eq!(frontend.packages(), told);
}
