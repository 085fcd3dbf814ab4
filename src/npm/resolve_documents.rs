//! The registry's documents of a package and of all that it may need, many at once: npm, which resolves them, asks for
//! one after the other.
//!
//! Which versions are looked into only decides what is fetched early. npm gets whole lists of versions, without what no
//! tree depends on, such as readmes.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::range::{NpmRange, npm_version, satisfies};
use super::registry::NpmRegistry;
use crate::error::Result;
use crate::lock::is_package_name;

/// Documents that are fetched at once.
const REQUESTS: usize = 40;
/// The most documents; rhdh-cli's tree takes 1,500.
const MOST_DOCUMENTS: usize = 20_000;
/// What a resolver has no use for, of a version: most of its bytes.
const UNUSED: [&str; 20] = [
    "_nodeVersion",
    "_npmOperationalInternal",
    "_npmUser",
    "_npmVersion",
    "author",
    "bugs",
    "contributors",
    "description",
    "devDependencies",
    "exports",
    "files",
    "gitHead",
    "homepage",
    "keywords",
    "maintainers",
    "readme",
    "readmeFilename",
    "repository",
    "typesVersions",
    "types",
];
/// What it needs to know of a tarball.
const OF_TARBALL: [&str; 3] = ["integrity", "shasum", "tarball"];

/// Fields by name, as they are written.
type RawFields<'a> = IndexMap<&'a str, &'a RawValue>;

/// A document as npm gets it.
#[derive(Serialize)]
struct Trimmed<'a> {
    name: &'a RawValue,
    #[serde(rename = "dist-tags")]
    tags: &'a RawValue,
    versions: IndexMap<&'a str, IndexMap<&'a str, Part<'a>>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Whole(&'a RawValue),
    Some(RawFields<'a>),
}

/// What the fetch itself keeps of a document.
struct Choices {
    tags: BTreeMap<String, String>,
    versions: Vec<Candidate>,
}

struct Candidate {
    version: Version,
    is_deprecated: bool,
    node: Option<String>,
    /// Maps of names and ranges.
    needs: Vec<Box<RawValue>>,
}

/// Fetches the documents that resolving `spec` of `name` may take and gives each to `take`, until it fails or there are
/// no more. What cannot be fetched is left out: npm asks for it again and says what is wrong.
pub async fn fetch(
    registry: &NpmRegistry,
    (name, spec): (&str, &str),
    node: &str,
    mut take: impl FnMut(&str, Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut running = JoinSet::new();
    let mut seen =
        Seen { node, asked: HashSet::new(), waiting: HashMap::new(), known: HashMap::new(), done: HashSet::new() };
    let mut todo = seen.look_at(name, spec);
    loop {
        while running.len() < REQUESTS
            && let Some(name) = todo.pop()
        {
            let registry = registry.clone();
            running.spawn(async move {
                let document = registry.full_document(&name).await.ok();
                let read = document.and_then(|document| trimmed(&document.bytes));
                (name, read)
            });
        }
        let Some(fetched) = running.join_next().await else { return Ok(()) };
        let Ok((name, Some((document, choices)))) = fetched else { continue };
        take(&name, document)?;
        todo.extend(seen.learn(name, choices));
    }
}

/// What was asked for, and what is known.
struct Seen<'a> {
    node: &'a str,
    asked: HashSet<String>,
    /// Specs of packages that are not known yet.
    waiting: HashMap<String, Vec<String>>,
    known: HashMap<String, Choices>,
    /// Specs that were looked at.
    done: HashSet<(String, String)>,
}

impl Seen<'_> {
    /// The packages to ask for, now that `spec` of `name` is needed.
    fn look_at(&mut self, name: &str, spec: &str) -> Vec<String> {
        let (mut todo, mut ask) = (vec![(name.to_owned(), spec.to_owned())], Vec::new());
        while let Some((name, spec)) = todo.pop() {
            let (name, spec) = of_alias(&name, &spec);
            let is_new = !self.done.contains(&(name.clone(), spec.clone()));
            // Not from a registry: an address, a repository, a folder.
            let is_elsewhere = spec.contains([':', '/']);
            if !is_new || is_elsewhere || !is_package_name(&name) || self.asked.len() >= MOST_DOCUMENTS {
                continue;
            }
            self.done.insert((name.clone(), spec.clone()));
            if let Some(choices) = self.known.get(&name) {
                todo.extend(choices.needs(&spec, self.node));
            } else {
                self.waiting.entry(name.clone()).or_default().push(spec);
                if self.asked.insert(name.clone()) {
                    ask.push(name);
                }
            }
        }
        ask
    }

    fn learn(&mut self, name: String, choices: Choices) -> Vec<String> {
        let waiting = self.waiting.remove(&name).unwrap_or_default();
        let needs: Vec<_> = waiting.iter().flat_map(|spec| choices.needs(spec, self.node)).collect();
        self.known.insert(name, choices);
        needs.iter().flat_map(|(name, spec)| self.look_at(name, spec)).collect()
    }
}

/// The package that an alias (`npm:a@1`) means.
fn of_alias(name: &str, spec: &str) -> (String, String) {
    let Some(alias) = spec.trim().strip_prefix("npm:") else { return (name.to_owned(), spec.trim().to_owned()) };
    match alias.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => (alias[..at].to_owned(), alias[at + 1..].to_owned()),
        None => (alias.to_owned(), String::new()),
    }
}

impl Choices {
    /// What the version that npm would choose needs.
    fn needs(&self, spec: &str, node: &str) -> Vec<(String, String)> {
        let Some(chosen) = self.choose(spec, node) else { return Vec::new() };
        let maps =
            chosen.needs.iter().filter_map(|raw| serde_json::from_str::<BTreeMap<String, String>>(raw.get()).ok());
        maps.flatten().collect()
    }

    fn choose(&self, spec: &str, node: &str) -> Option<&Candidate> {
        let of = |version: &str| {
            let version = npm_version(version)?;
            self.versions.iter().find(|candidate| candidate.version == version)
        };
        if let Some(tagged) = self.tags.get(spec) {
            return of(tagged);
        }
        let range = NpmRange::parse(if spec.is_empty() { "*" } else { spec })?;
        let is_good = |candidate: &Candidate| {
            let runs = candidate.node.as_ref().is_none_or(|range| satisfies(node, range));
            (!candidate.is_deprecated && runs, runs, !candidate.is_deprecated)
        };
        let latest = self.tags.get("latest").and_then(|latest| of(latest));
        latest.filter(|latest| is_good(latest).0 && range.allows(&latest.version)).or_else(|| {
            let allowed = self.versions.iter().filter(|candidate| range.allows(&candidate.version));
            allowed.max_by(|a, b| is_good(a).cmp(&is_good(b)).then_with(|| a.version.cmp_precedence(&b.version)))
        })
    }
}

/// A document in one line, without what nobody needs, and what it offers.
fn trimmed(document: &[u8]) -> Option<(Vec<u8>, Choices)> {
    let text = std::str::from_utf8(document).ok()?;
    let fields: RawFields<'_> = serde_json::from_str(text).ok()?;
    let all: IndexMap<&str, RawFields<'_>> = serde_json::from_str(fields.get("versions")?.get()).ok()?;
    let tags = *fields.get("dist-tags")?;
    let mut choices = Choices { tags: serde_json::from_str(tags.get()).ok()?, versions: Vec::new() };
    let mut versions = IndexMap::with_capacity(all.len());
    for (version, fields) in all {
        if let Some(parsed) = npm_version(version) {
            choices.versions.push(Candidate::new(parsed, &fields));
        }
        let mut kept = IndexMap::with_capacity(fields.len());
        for (name, value) in fields.into_iter().filter(|(name, _)| !UNUSED.contains(name)) {
            let part = if name == "dist" { of_tarball(value)? } else { Part::Whole(value) };
            kept.insert(name, part);
        }
        versions.insert(version, kept);
    }
    let trimmed = Trimmed { name: fields.get("name")?, tags, versions };
    let mut line = serde_json::to_vec(&trimmed).ok()?;
    // Between values, where blanks may stand: in a string they are escaped.
    line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    Some((line, choices))
}

fn of_tarball(dist: &RawValue) -> Option<Part<'_>> {
    let mut fields: RawFields<'_> = serde_json::from_str(dist.get()).ok()?;
    fields.retain(|name, _| OF_TARBALL.contains(name));
    Some(Part::Some(fields))
}

impl Candidate {
    fn new(version: Version, fields: &RawFields<'_>) -> Self {
        #[derive(Default, Deserialize)]
        struct Engines {
            node: Option<String>,
        }
        let engines = fields.get("engines").and_then(|engines| serde_json::from_str::<Engines>(engines.get()).ok());
        let maps = ["dependencies", "optionalDependencies", "peerDependencies"];
        Self {
            version,
            is_deprecated: fields.get("deprecated").is_some_and(|why| !matches!(why.get(), "\"\"" | "false" | "null")),
            node: engines.unwrap_or_default().node,
            needs: maps.iter().filter_map(|name| fields.get(name)).map(|raw| (*raw).to_owned()).collect(),
        }
    }
}
