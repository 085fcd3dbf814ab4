//! The page of `factory diff --format html`.

use factory::lock::Role;
use harness::releases::{self, Release, closure, factory, release, sealed};

/// Two workspaces with two backends each, which moved the same packages and one of their own each.
fn moved(is_new: bool) -> Release {
    let mut made = release(is_new);
    let (digit, version) = if is_new { ("2", "4.17.21") } else { ("1", "3.10.1") };
    made.lock.workspace.clear();
    for name in ["a", "b"] {
        let mut workspace = releases::workspace(name, "https://github.com/x/y", name, digit, 1_763_000_000);
        for path in ["plugins/one", "plugins/two"] {
            let mut plugin = releases::plugin(path, &format!("@x/{name}-{}", &path[8..]), "1.0.0", Role::BackendPlugin);
            let own = if is_new { "2.0.0" } else { "1.0.0" };
            let own_name = format!("own-{name}-{}", &path[8..]);
            let text = closure(&plugin.name, &[], &[("lodash", version), (own_name.as_str(), own)]);
            plugin.sealed = Some(sealed(&format!("{name}{path}{digit}"), Some(&text)));
            made.files.push((format!("{name}/{path}/yarn.lock"), text));
            workspace.plugin.push(plugin);
        }
        made.lock.workspace.push(workspace);
    }
    made
}

#[harness::test]
fn the_page_groups_by_workspace_and_shows_once_what_several_plugins_have() {
    let root = tempfile::tempdir().unwrap();
    for (dir, is_new) in [("old", false), ("new", true)] {
        moved(is_new).write(&root.path().join(dir));
    }
    let output = factory(root.path()).args(["diff", "old", "new", "--format", "html"]).assert().success();
    let page = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let heads: Vec<&str> = page
        .split("<tr class=\"group\">")
        .skip(1)
        .map(|group| group.split_once("aria-expanded=\"true\">").unwrap().1.split('<').next().unwrap())
        .collect();
    assert_eq!(heads, ["All workspaces", "Dependencies of several plugins", "a", "b"]);
    // Once with its versions, and by its name with each of the four.
    assert_eq!(page.matches("<code>4.17.21</code>").count(), 1, "{page}");
    assert_eq!(page.matches("<code>lodash</code>").count(), 5, "{page}");
    assert!(page.contains("<summary>4 plugins</summary><ul><li><code>a/plugins/one</code></li>"), "{page}");
    assert_eq!(page.matches("<details><summary>1 as in other plugins</summary>").count(), 4);
    for own in ["own-a-one", "own-b-two"] {
        assert_eq!(page.matches(&format!("<code>{own}</code>")).count(), 1, "{own}");
    }
    // What filters rows counts all that it shows.
    for (mark, meaning) in [("!", "needs review"), ("~", "changed")] {
        let rows = page.matches(&format!(" data-mark=\"{mark}\"")).count();
        assert!(page.contains(&format!("</b> {meaning} ({rows})</button>")), "{mark} {rows}: {page}");
    }
    let group = page.split("aria-expanded=\"true\">b</button>").nth(1).unwrap();
    let (head, _) = group.split_once("</tr>").unwrap();
    assert!(head.contains("<a href=\"https://github.com/x/y/compare/1111"), "{head}");
}
