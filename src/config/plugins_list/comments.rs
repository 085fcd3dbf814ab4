//! Plugins that a list leaves out on purpose: comments name them, as the lists of RHDH's export repository do.

use crate::config::path;
use crate::lock::lies_in;

/// The comment that leaves out all plugins below a folder.
const IGNORE: &str = "ignore:";

/// True if a comment of the list leaves out the plugin in the folder `plugin`: one that begins with its path
/// (`# plugins/todo: …`), or `# ignore: plugins`, which says it of the folder and all below it.
pub(super) fn leave_out(text: &str, plugin: &str) -> bool {
    let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix('#'));
    comments.map(|comment| comment.trim_start_matches('#').trim()).any(|comment| match comment.strip_prefix(IGNORE) {
        Some(folder) => path::inside(folder.trim()).is_ok_and(|folder| lies_in(plugin, &folder)),
        None => named(comment).is_some_and(|path| path == plugin),
    })
}

/// The path that a comment begins with.
fn named(comment: &str) -> Option<String> {
    let word = comment.split([' ', '\t']).next()?;
    let word = word.split_once(':').map_or(word, |(path, _)| path).trim_matches(['"', '\'']);
    path::inside(word).ok()
}

#[cfg(test)]
mod tests {
    use super::leave_out;

    #[test]
    fn a_comment_that_begins_with_a_path_leaves_it_out() {
        for comment in [
            "#plugins/a:",
            "# plugins/a: --embed-package x",
            "  ## 'plugins/a': ==> Added as a static plugin in RHDH",
            "# plugins/a is not meaningful for RHDH",
            "#\tplugins/a/",
            "# ./plugins/a",
            "# ignore: plugins/a",
            "# ignore: plugins/",
            "#ignore: .",
        ] {
            assert!(leave_out(&format!("plugins/b:\n{comment}\n"), "plugins/a"), "{comment}");
        }
        for comment in [
            "plugins/a:",
            "# see plugins/a",
            "# plugins/a-backend:",
            "# plugins",
            "plugins/b: # plugins/a",
            "# ignore: plug",
            "# ignore: ../plugins",
            "# ignore:",
        ] {
            assert!(!leave_out(&format!("plugins/b:\n{comment}\n"), "plugins/a"), "{comment}");
        }
    }
}
