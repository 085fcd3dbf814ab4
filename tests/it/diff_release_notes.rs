//! What a manager passes on of `factory diff`: release notes, and the body of a pull request.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::package_metadata::{self, PackageMetadata};
use harness::releases::{self, factory, release};
use serde_json::json;

fn stdout(dir: &Path, args: &[&str]) -> String {
    let output = factory(dir).arg("diff").args(args).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

const HOSTILE: &str =
    "a|b ]] <script>alert(1)</script> {include} `x` include::/etc/passwd[] @team **b**\n\n== H\n|===\u{1b}[31m";

/// Two configurations; the metadata of the new one is hostile in all its texts.
fn hostile() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for dir in ["old", "new"] {
        let todo = root.path().join(dir).join("todo");
        fs::create_dir_all(&todo).unwrap();
        let source = json!({ "repo": "https://github.com/a/b", "repo-ref": dir, "repo-flat": false });
        fs::write(todo.join("source.json"), source.to_string()).unwrap();
        fs::write(todo.join("plugins-list.yaml"), "plugins/todo:\n").unwrap();
    }
    let kept = PackageMetadata {
        package: HOSTILE,
        title: HOSTILE,
        version: "1.0.0",
        support: "community",
        lifecycle: "active",
        backstage: "1.45.3",
        artifact: "oci://r.example/x",
    };
    kept.write(&root.path().join("old"), "todo");
    let texts = PackageMetadata {
        version: HOSTILE,
        support: HOSTILE,
        lifecycle: HOSTILE,
        backstage: HOSTILE,
        artifact: HOSTILE,
        ..kept
    };
    texts.write(&root.path().join("new"), "todo");
    root
}

#[harness::test]
fn text_of_metadata_is_text_in_every_format() {
    let root = hostile();
    let of = |format: &[&str]| stdout(root.path(), &[&["old", "new", "--format"], format].concat());
    for format in [&["human"][..], &["markdown"], &["markdown", "--pr"], &["asciidoc"], &["html"]] {
        let text = of(format);
        assert!(text.contains("alert"), "{format:?} shows it:\n{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("\n== H") && !text.contains("\n|===\u{fffd}"), "{text}");
    }
    let html = of(&["html"]);
    assert_eq!(html.matches("<script>").count(), 1, "the page's own: {html}");
    let asciidoc = of(&["asciidoc"]);
    for markup in ["a|b", "]]", "<script", "{include", "include::", "`x`", "**b**", "@team"] {
        assert!(!asciidoc.contains(markup), "{markup}: {asciidoc}");
    }
    // In a cell nothing but our own bars.
    let body = of(&["markdown", "--pr"]);
    let rows: Vec<&str> = body.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 1, "{body}");
    for row in rows {
        assert_eq!(row.matches('|').count(), 4, "{row}");
        assert!(!row.contains("<script") && !row.contains("@team") && !row.contains('`'), "{row}");
    }
}

#[harness::test]
fn release_notes_render_without_a_warning() {
    harness::needs(&["asciidoctor"]);
    let root = hostile();
    for (dir, is_new) in [("locked-old", false), ("locked-new", true)] {
        let dir = root.path().join(dir);
        release(is_new).write(&dir);
        package_metadata::write(&dir, is_new);
    }
    for (sides, rows) in [(["old", "new"], 1), (["locked-old", "locked-new"], 7)] {
        let notes = root.path().join("notes.adoc");
        fs::write(&notes, stdout(root.path(), &[&sides[..], &["--format", "asciidoc"]].concat())).unwrap();
        let mut asciidoctor = Command::new("asciidoctor");
        asciidoctor.args(["--failure-level", "INFO", "--verbose", "--safe-mode", "secure", "-o", "-"]).arg(&notes);
        let output = asciidoctor.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
        let html = String::from_utf8(output.stdout).unwrap();
        let (_, body) = html.split_once("<body").unwrap();
        assert_eq!(body.matches("<tbody>").count(), body.matches("<table").count());
        let in_bodies: usize = body
            .split("<tbody>")
            .skip(1)
            .map(|part| part.split("</tbody>").next().unwrap().matches("<tr>").count())
            .sum();
        assert_eq!(in_bodies, rows, "{body}");
        assert!(!body.contains("<script>alert"), "{body}");
        assert!(!body.contains("&#38;#"), "a reference shows as itself: {body}");
    }
}

#[harness::test]
fn the_body_of_a_pull_request_fits_and_says_what_it_leaves_out() {
    let root = tempfile::tempdir().unwrap();
    for (dir, digit, version) in [("old", "1", "1.0.0"), ("new", "2", "2.0.0")] {
        let mut many = release(false);
        many.lock.workspace = (0..900)
            .map(|n| {
                let name = format!("workspace-with-a-long-name-{n:04}");
                let mut workspace = releases::workspace(&name, "https://github.com/a/b", &name, digit, 1_763_000_000);
                let package = format!("@x/plugin-{n:04}");
                workspace.plugin.push(releases::plugin(
                    "plugins/a",
                    &package,
                    version,
                    factory::lock::Role::FrontendPlugin,
                ));
                workspace
            })
            .collect();
        many.write(&root.path().join(dir));
    }
    let body = stdout(root.path(), &["old", "new", "--format", "markdown", "--pr"]);
    assert!(body.len() <= 65_536 && body.len() > 60_000, "{}", body.len());
    assert!(
        body.starts_with(
            "This PR contains the following updates:\n\n| Package | Change | Workspace |\n|---|---|---|\n| "
        )
    );
    assert!(body.contains(" more updates do not fit here**"), "{body}");
    assert!(body.trim_end().ends_with("see all with `factory diff --format html`."), "{body}");
    assert_eq!(body.matches("<details>").count(), body.matches("</details>").count());
    // Nothing is said to be in a table that is not asked for.
    let refused = factory(root.path()).args(["diff", "old", "new", "--pr"]).assert().code(2);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.starts_with("error: `--pr` is the body of a pull request, which is markdown\n"), "{said}");
}
