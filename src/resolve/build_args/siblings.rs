//! The packages rhdh-cli embeds without being told: the `-common` and `-node` of what it exports or embeds.

use crate::resolve::graph::Node;

/// The siblings of a package, by its role. Of a registry package the role is not in the lock; its name, which
/// follows the role, stands in for it.
pub(super) fn siblings(node: &Node<'_>) -> Vec<String> {
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
