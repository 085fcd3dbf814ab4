//! The packages rhdh-cli embeds without being told: the `-common` and `-node` of what it exports or embeds.

use crate::yarn::graph::PackageNode;

/// How sure it is that rhdh-cli embeds a package by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sibling {
    /// By the role of a workspace.
    Sure,
    /// By the name of a registry package, whose role is not in the lock.
    Likely,
}

/// The siblings of every package on the way from the plugin: rhdh-cli hands its list down from each to the next.
#[derive(Default)]
pub(super) struct Siblings {
    scopes: Vec<SiblingScope>,
}

struct SiblingScope {
    names: Vec<String>,
    kind: Sibling,
    above: Option<usize>,
}

impl Siblings {
    /// The scope for the dependencies of `node`: what is handed down and its own.
    pub fn below(&mut self, inherited: Option<usize>, node: &PackageNode<'_>) -> Option<usize> {
        let names = siblings(node);
        if names.is_empty() {
            return inherited;
        }
        let kind = if node.workspace.is_some() { Sibling::Sure } else { Sibling::Likely };
        self.scopes.push(SiblingScope { names, kind, above: inherited });
        Some(self.scopes.len() - 1)
    }

    /// Whether a scope has a name.
    pub fn find(&self, scope: Option<usize>, name: &str) -> Option<Sibling> {
        if !name.ends_with("-common") && !name.ends_with("-node") {
            return None;
        }
        let mut scope = scope;
        let mut found = None;
        while let Some(at) = scope.and_then(|scope| self.scopes.get(scope)) {
            if at.names.iter().any(|sibling| sibling == name) {
                found = Some(at.kind);
                if at.kind == Sibling::Sure {
                    break;
                }
            }
            scope = at.above;
        }
        found
    }
}

/// The siblings of a package, by its role. Of a registry package the role is not in the lock; its name, which
/// follows the role, stands in for it.
fn siblings(node: &PackageNode<'_>) -> Vec<String> {
    let name = node.name;
    let base = match node.workspace.map(|(_, manifest)| manifest.backstage.role.as_deref()) {
        Some(Some("backend-plugin")) => name.strip_suffix("-backend"),
        Some(Some("backend-plugin-module")) => before_module(name),
        Some(Some("node-library")) => name.strip_suffix("-node"),
        Some(_) => None,
        None => name.strip_suffix("-backend").or_else(|| before_module(name)).or_else(|| name.strip_suffix("-node")),
    };
    let Some(base) = base else { return Vec::new() };
    ["-common", "-node"].into_iter().map(|end| format!("{base}{end}")).filter(|sibling| sibling != name).collect()
}

/// rhdh-cli's `/-backend-module-.+$/`.
fn before_module(name: &str) -> Option<&str> {
    let (base, module) = name.split_once("-backend-module-")?;
    (!module.is_empty()).then_some(base)
}
