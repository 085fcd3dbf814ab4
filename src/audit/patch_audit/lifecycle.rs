//! The scripts of package.json files that run by themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What yarn and npm run when a package is installed or packed.
const NAMES: [&str; 9] = [
    "preinstall",
    "install",
    "postinstall",
    "preprepare",
    "prepare",
    "postprepare",
    "prepublish",
    "prepack",
    "postpack",
];

/// A script that a patch adds or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LifecycleScript {
    /// The package.json, from the workspace's folder.
    pub file: String,
    /// Its name: `postinstall`.
    pub script: String,
    /// What it runs.
    pub command: String,
}

/// The scripts that are in package.json files after a patch, and not so before.
pub(super) fn added(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<LifecycleScript> {
    let mut found = Vec::new();
    for (folder, bytes) in after {
        let old = before.get(folder);
        if old == Some(bytes) {
            continue;
        }
        let (old, new) = (old.map(|old| scripts(old)).unwrap_or_default(), scripts(bytes));
        for script in NAMES {
            let Some(Value::String(command)) = new.get(script).filter(|command| old.get(script) != Some(command))
            else {
                continue;
            };
            let file = if folder == "." { "package.json".to_owned() } else { format!("{folder}/package.json") };
            found.push(LifecycleScript { file, script: script.to_owned(), command: command.clone() });
        }
    }
    found
}

/// Nothing of a file that is no package.json: who reads it for the graph says so.
fn scripts(bytes: &[u8]) -> BTreeMap<String, Value> {
    #[derive(Default, Deserialize)]
    struct Scripts {
        #[serde(default)]
        scripts: BTreeMap<String, Value>,
    }
    serde_json::from_slice::<Scripts>(bytes).unwrap_or_default().scripts
}
