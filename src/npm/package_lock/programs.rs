//! The programs (`bin`) of packages, and the links to them, as npm makes them.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::Value;

use super::{Entry, Unfamiliar, folder_name};

/// A link in a `.bin` folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramLink {
    /// Where it is: `node_modules/.bin/acorn`.
    pub at: String,
    /// What it says: `../acorn/bin/acorn`.
    pub target: String,
    /// Where that is: `node_modules/acorn/bin/acorn`.
    pub file: String,
}

/// The links of all packages. Where two want the same, the first has it: the less deep, then by npm's order of paths.
pub(super) fn links<'a>(
    packages: impl Iterator<Item = (&'a String, &'a Entry)>,
) -> Result<Vec<ProgramLink>, Unfamiliar> {
    let mut packages: Vec<_> = packages.filter(|(_, entry)| entry.bin.is_some()).collect();
    packages.sort_by(|(a, _), (b, _)| depth(a).cmp(&depth(b)).then_with(|| collated(a, b)));
    let (mut links, mut seen) = (Vec::new(), HashSet::new());
    for (path, entry) in packages {
        let Some(modules) = path.strip_suffix(folder_name(path)) else { continue };
        for (name, file) in of(entry.name(path), entry.bin.as_ref())? {
            let at = format!("{modules}.bin/{name}");
            if seen.insert(at.clone()) {
                let target = format!("../{}/{file}", folder_name(path));
                links.push(ProgramLink { at, target, file: format!("{path}/{file}") });
            }
        }
    }
    Ok(links)
}

/// The programs of a package and their files: npm-normalize-package-bin.
pub(super) fn of(package: &str, bin: Option<&Value>) -> Result<Vec<(String, String)>, Unfamiliar> {
    let all = match bin {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(file)) => Some(vec![(package, file.as_str())]),
        Some(Value::Object(all)) => all.iter().map(|(name, file)| Some((name.as_str(), file.as_str()?))).collect(),
        Some(_) => None,
    };
    let all: Option<Vec<(&str, &str)>> =
        all.filter(|all| !all.iter().any(|(a, b)| a.contains('\0') || b.contains('\0')));
    let all =
        all.ok_or_else(|| Unfamiliar(format!("`{}` has programs in a form of its own", package.escape_debug())))?;
    Ok(all.into_iter().filter_map(|(name, file)| named(name, file)).collect())
}

/// The name of the link and the file in the package.
fn named(name: &str, file: &str) -> Option<(String, String)> {
    let name = name.replace(['\\', ':'], "/");
    let name = name.trim_end_matches('/').rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))?;
    let file = Some(below_root(&file.replace('\\', "/"))).filter(|file| !file.is_empty())?;
    Some((name.to_owned(), file))
}

/// A path as it is below a root that nothing leaves.
fn below_root(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn depth(path: &str) -> usize {
    path.matches("node_modules/").count()
}

/// The order of `Intl.Collator("en")` for what names of packages are made of.
fn collated(a: &str, b: &str) -> Ordering {
    fn weight(c: char) -> (usize, char) {
        const MARKS: &str = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";
        MARKS.find(c).map_or((MARKS.len(), c.to_ascii_lowercase()), |at| (at, c))
    }
    let weights = |text: &str| text.chars().map(weight).collect::<Vec<_>>();
    // Lower case first where nothing else differs.
    weights(a).cmp(&weights(b)).then_with(|| b.cmp(a))
}
