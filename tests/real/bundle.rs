//! What is said to be in a frontend is what is in its archive: read once more by Node.js, from the source maps.
//!
//! Needs the network to npm, and git and tar.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use factory::lock::Sha256;
use factory::lock::bundle::{Bundle, BundlePlace};
use harness::program::text;

use crate::cache::{self, cache};
use crate::example::{installed, run};
use crate::greeting::{self, FirstBuild, alone};

#[harness::test(long)]
fn a_frontend_has_what_another_reading_of_its_bundles_finds() {
    greeting::needs();
    let FirstBuild { greeting: example, output, .. } = greeting::first();
    let _alone = alone();
    let lock = example.lock();
    let frontend = lock.workspace[0].plugin.iter().find(|plugin| !plugin.role.is_backend()).unwrap();
    let path = example.config().join("factory.lock.d/greeting").join(&frontend.path).join("bundle");
    let said = fs::read_to_string(path).unwrap();
    assert_eq!(frontend.sealed.as_ref().unwrap().bundle, Some(Sha256::of(&said)));
    let bundle = Bundle::parse(&said).unwrap();
    assert!(bundle.is_whole(), "{said}");
    assert_eq!(bundle.to_text(), said);

    let unpacked = tempfile::tempdir().unwrap();
    let tgz = output.join("factory-examples-plugin-greeting-dynamic-0.1.0.tgz");
    run(Command::new("tar").args(["-xzf", text(&tgz), "-C", text(unpacked.path())]));
    let workspace = "examples/greeting/workspaces/greeting";
    let modules = installed(&format!("{workspace}/node_modules"));
    let version = format!("rhdh-cli-{}-", lock.tools.rhdh_cli.version);
    let tools = cache().join("tools");
    let cli = fs::read_dir(&tools).unwrap().map(|entry| entry.unwrap().path());
    let cli = cli.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&version)).unwrap();
    let node = tools.join(cache::node(&lock.tools.node.version)).join("bin/node");
    let read = run(Command::new(node)
        .arg(harness::project().join("tests/real/bundle_packages.cjs"))
        .args([unpacked.path().join("package"), modules.parent().unwrap().to_path_buf(), cli])
        .arg(example.repository.dir.join(workspace)));
    let read: BTreeSet<String> = String::from_utf8(read).unwrap().lines().map(str::to_owned).collect();
    let known: BTreeSet<String> =
        bundle.packages.iter().map(|one| format!("{} {} {}", one.folder, one.name, one.version)).collect();
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
