//! What an export needs that only some versions of rhdh-cli do.

use std::collections::BTreeSet;

use super::args::CliNeed;
use super::walk::{DependencyClass, ExportWalk};
use crate::lock::CliBehaviour;
use crate::ui::some_names;
use crate::yarn::graph::Edge;

impl ExportWalk<'_, '_> {
    /// What of the export depends on the version of rhdh-cli.
    pub(super) fn cli_needs(&self) -> Vec<CliNeed> {
        let (mut plain, mut inside, mut resolved) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut without_version = BTreeSet::new();
        for embedded in &self.embedded {
            let node = self.node(embedded.node);
            if node.workspace.is_some_and(|(_, manifest)| manifest.version.is_none()) {
                without_version.insert(node.name);
            }
            for (edge, class) in node.edges.iter().zip(&embedded.classes) {
                if edge.range.starts_with("backstage:") && *class != DependencyClass::Absent {
                    let is_plain = *class == DependencyClass::Shared && embedded.from.is_none();
                    if is_plain { &mut plain } else { &mut inside }.insert(edge.name);
                }
                if matches!(class, DependencyClass::Private(_)) {
                    resolved.extend(self.carried(embedded.node, edge));
                }
            }
        }
        for &node in &self.private {
            resolved.extend(self.node(node).edges.iter().filter_map(|edge| self.carried(node, edge)));
        }
        let ranges = |names: &BTreeSet<&str>| format!("{} with `backstage:` ranges", some_names(names.iter()));
        [
            (CliBehaviour::BackstageRanges, &plain, ranges(&plain)),
            (CliBehaviour::EmbeddedBackstageRanges, &inside, ranges(&inside)),
            (CliBehaviour::RootResolutions, &resolved, format!("`resolutions` of {}", some_names(resolved.iter()))),
            (
                CliBehaviour::MissingVersionFails,
                &without_version,
                format!("{} without a version", some_names(without_version.iter())),
            ),
        ]
        .into_iter()
        .filter(|(_, names, _)| !names.is_empty())
        .map(|(behaviour, _, what)| CliNeed { behaviour, what })
        .collect()
    }

    /// The name of a dependency that `resolutions` change, if rhdh-cli would carry them: it does not those with patches.
    fn carried<'e>(&self, node: usize, edge: &Edge<'e>) -> Option<&'e str> {
        let to = self.graph.resolution(node, edge)?;
        (!to.starts_with("patch:")).then_some(edge.name)
    }
}
