//! What the original command does, row by row of the list of its features: `row_NN_…`. Rows that need node, yarn and
//! rhdh-cli are in `real_original.rs`.

use std::fs;

use harness::program::{Outcome, Test};

const TODO: &str =
    r#"{"repo":"https://github.com/backstage/community-plugins","repo-ref":"main","workspace-path":"workspaces/todo"}"#;
const LIST: &str = "plugins/todo:\nplugins/todo-backend: --embed-package @a/b";

/// One workspace, `todo`.
fn single() -> Test {
    let test = Test::with_path();
    test.write("config/source.json", TODO).write("config/plugins-list.yaml", LIST);
    test
}

/// Three workspaces of two repositories.
fn several() -> Test {
    let test = Test::with_path();
    for (name, repo) in
        [("a", "https://example.com/one"), ("b", "https://example.com/two"), ("c", "https://example.com/one")]
    {
        let json = format!(r#"{{"repo":"{repo}","repo-ref":"v1","workspace-path":"workspaces/{name}"}}"#);
        test.write(&format!("config/{name}/source.json"), json);
        test.write(&format!("config/{name}/plugins-list.yaml"), format!("plugins/{name}:\n"));
    }
    test
}

/// What is said on stderr, with the exit code, for a snapshot.
fn complaint(said: &Outcome) -> String {
    assert_eq!(said.stdout, "", "an error leaves stdout empty");
    format!("{}exit {}", said.stderr, said.code)
}

#[harness::test]
fn row_01_the_originals_command_line_works_without_a_command() {
    let test = single();
    let said = test.run(&["--workspace-path", "workspaces/other", "--no-write-plugins-list", "--dry-run"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.starts_with("other: "), "the command line's path wins over source.json's: {}", said.stdout);
    assert_eq!(said.stdout, test.run(&["run", "--dry-run", "--workspace-path", "workspaces/other"]).stdout);
}

#[harness::test]
fn row_01_every_option_has_its_variable() {
    let test = single();
    let help = test.run(&["run", "--help"]).stdout;
    for option in [
        "config-dir",
        "repo-path",
        "output-dir",
        "workspace-path",
        "source-repo",
        "source-ref",
        "use-local",
        "clean",
        "log-level",
        "verbose",
        "lock-file",
        "cache-dir",
        "jobs",
        "tag-prefix",
        "push-images",
        "generate-build-args",
    ] {
        let variable = format!("[env: FACTORY_{}]", option.replace('-', "_").to_uppercase());
        assert!(help.contains(&format!("--{option}")), "--{option} is not in the help");
        assert!(help.contains(&variable), "{variable} is not in the help");
    }
    let said = test.run_with(&["--dry-run"], &[("FACTORY_WORKSPACE_PATH", "workspaces/other")]);
    assert!(said.stdout.starts_with("other: "), "{}", said.stdout);
    // The command line wins over the variable.
    let said = test.run_with(&["--dry-run", "--workspace-path", "x/y"], &[("FACTORY_WORKSPACE_PATH", "z")]);
    assert!(said.stdout.starts_with("y: "), "{}", said.stdout);
}

#[harness::test]
fn row_01_variables_that_are_empty_or_words_are_understood() {
    let test = single();
    let plain = test.run(&["--dry-run"]).stdout;
    for (name, value) in [
        ("FACTORY_JOBS", ""),
        ("FACTORY_SOURCE_REPO", ""),
        ("FACTORY_OUTPUT_DIR", ""),
        ("FACTORY_LOG_LEVEL", "debug"),
        ("FACTORY_USE_LOCAL", "no"),
        ("FACTORY_CLEAN", "1"),
        ("FACTORY_VERBOSE", "yes"),
    ] {
        let said = test.run_with(&["--dry-run"], &[(name, value)]);
        assert_eq!((said.code, said.stdout.as_str()), (0, plain.as_str()), "{name}={value}: {}", said.stderr);
    }
}

#[harness::test]
fn row_01_no_value_of_a_variable_is_in_the_help() {
    let said = single().run_with(&["--help"], &[("FACTORY_SOURCE_REPO", "https://u:s3cret@example.com/x")]);
    assert!(said.stdout.contains("FACTORY_SOURCE_REPO") && !said.stdout.contains("s3cret"), "{}", said.stdout);
}

#[harness::test]
fn row_01_source_repo_wins_over_source_json() {
    let test = single();
    let args = ["--dry-run", "--source-repo", "https://example.com/x.git", "--workspace-path", "."];
    let said = test.run(&args);
    insta::assert_snapshot!(said.stdout, @r"
    x: https://example.com/x.git at the default branch, . (not locked yet)
      with node 22, rhdh-cli latest
      plugins/todo
      plugins/todo-backend --embed-package @a/b
    ");
    insta::assert_snapshot!(said.stderr, @r"
    warning: x: config/source.json: is ignored, because `--source-repo` is given
    2 plugins in 1 workspace would be built; 1 workspace would be resolved first
    ");
    let said = test.run(&[&args[..], &["--source-ref", "v2"]].concat());
    assert!(said.stdout.contains("x.git at v2, ."), "{}", said.stdout);
}

#[harness::test]
fn row_01_a_path_of_source_repo_is_seen_from_where_one_stands() {
    let test = single();
    for folder in ["src/.git", "config/inner/.git", "config/src"] {
        fs::create_dir_all(test.path(folder)).unwrap();
    }
    let shown = |repo: &str| {
        let outcome = test.run(&["--dry-run", "--source-repo", repo, "--workspace-path", "plugins"]);
        let line = outcome.stdout.lines().next().unwrap_or_default().to_owned();
        line.strip_suffix(" at the default branch, plugins (not locked yet)").map_or(outcome.stderr, str::to_owned)
    };
    let absolute = test.path("src").display().to_string();
    for (repo, expected) in [
        ("./src", "plugins: ../src"),
        ("src", "plugins: ../src"),
        ("config/../src/", "plugins: ../src"),
        ("./config/inner", "plugins: inner"),
        ("./config", "plugins: ."),
        (".", "plugins: .."),
        (&absolute, &format!("plugins: {}", "[DIR]/src")),
        ("owner/name", "plugins: owner/name"),
        ("https://example.com/x", "plugins: https://example.com/x"),
        (
            "./inner",
            "error: cannot use the repository `./inner`: there is no such folder in `[DIR]`\n\nhint: the path of \
             `--source-repo` is relative to the current directory\n",
        ),
    ] {
        assert_eq!(shown(repo), expected, "{repo}");
    }
}

#[harness::test]
fn row_01_an_empty_source_repo_is_none() {
    let test = single();
    let without = test.run(&["--dry-run"]);
    let args = ["--dry-run", "--source-repo", "", "--source-ref", "", "--workspace-path", ""];
    assert_eq!(test.run(&args), without);
    assert_eq!(test.run_with(&["--dry-run"], &[("FACTORY_SOURCE_REPO", " ")]), without);
}

#[harness::test]
fn row_01_options_that_need_another_are_refused() {
    let test = single();
    insta::assert_snapshot!(complaint(&test.run(&["--source-ref", "v1"])), @r"
    error: `--source-ref` needs `--source-repo`

    hint: give both, or write `repo-ref` in source.json
    exit 2
    ");
    insta::assert_snapshot!(complaint(&test.run(&["--source-repo", "https://example.com/x"])), @r"
    error: `--source-repo` needs `--workspace-path`

    hint: give the workspace's path from the repository's root, `.` when the repository is the workspace
    exit 2
    ");
    insta::assert_snapshot!(complaint(&test.run(&["--log-level", "LOUD"])), @r"
    error: invalid value 'LOUD' for '--log-level <LEVEL>'
      [possible values: DEBUG, INFO, WARNING, ERROR, CRITICAL]

    For more information, try '--help'.
    exit 2
    ");
    insta::assert_snapshot!(complaint(&test.run(&["--clean", "build"])), @r"
    error: `--clean` stands before `build`

    hint: write `factory build --clean`
    exit 2
    ");
}

#[harness::test]
fn row_01_the_version_says_what_is_used_by_default() {
    let test = single();
    for flag in ["--version", "-v", "-V"] {
        let said = test.run(&[flag]);
        assert!(said.stdout.starts_with(concat!("factory ", env!("CARGO_PKG_VERSION"), "\n")), "{}", said.stdout);
        for name in ["lock format:", "node:", "npm:", "rhdh-cli:", "RHDH:"] {
            assert!(said.stdout.contains(name), "{name} is not in {}", said.stdout);
        }
    }
}

#[harness::test]
fn row_01_the_log_level_and_verbose_do_what_they_say() {
    let test = single();
    test.write("config/.env", "REGISTRY_PASSWORD=s3cret\nREGISTRY_URL='quay.io'\n");
    let levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    let args =
        |level| ["--dry-run", "--source-repo", "https://example.com/x", "--workspace-path", ".", "--log-level", level];
    let said: Vec<_> = levels.iter().map(|level| test.run(&args(level)).stderr).collect();
    assert!(said[0].contains("REGISTRY_URL=quay.io from config/.env:2"), "{}", said[0]);
    assert!(said[0].contains("REGISTRY_PASSWORD=*** from config/.env:1"), "{}", said[0]);
    assert!(!said[0].contains("s3cret"), "{}", said[0]);
    assert!(said[1].contains("would be built") && said[1].contains("warning: "), "{}", said[1]);
    assert!(!said[2].contains("would be built") && said[2].contains("warning: "), "{}", said[2]);
    assert_eq!((said[3].as_str(), said[4].as_str()), ("", ""));
    let verbose = test.run(&["--dry-run", "--verbose"]).stderr;
    assert!(verbose.contains("(src/cli/dry_run.rs:"), "{verbose}");
}

#[harness::test]
fn row_02_fields_of_the_original_and_of_rhdhs_export_repository() {
    let test = Test::with_path();
    let cases = [
        (
            r#"{"repo":"git@example.com:a/b.git","repo-ref":"","workspace-path":"./w/"}"#,
            "git@example.com:a/b.git at the default branch, w ",
        ),
        (r#"{"repo":"ssh://git@example.com/a","repo-ref":"v1","repo-flat":true}"#, "ssh://git@example.com/a at v1, . "),
        (
            r#"{"repo":"https://u:s3cret@example.com/a","repo-flat":"false"}"#,
            "https://example.com/a at the default branch, workspaces/config ",
        ),
        (
            r#"{"repo":"file:///srv/a.git","repo-ref":"0123456789012345678901234567890123456789","workspace-path":"."}"#,
            "file:///srv/a.git at 0123456789012345678901234567890123456789, . ",
        ),
        (r#"{"repo":"../a","workspace-path":"."}"#, "../a at the default branch, . "),
    ];
    for (json, expected) in cases {
        test.write("config/source.json", json);
        let said = test.run(&["--dry-run"]);
        assert_eq!(said.code, 0, "{json}: {}", said.stderr);
        assert!(said.stdout.contains(expected), "{json}: {}", said.stdout);
    }
}

#[harness::test]
fn row_03_lists_are_read_as_they_stand_in_rhdhs_repository() {
    let test = single();
    test.write(
        "config/plugins-list.yaml",
        "# plugins/no:\nplugins/a:   \n#plugins/no: --x\n\nplugins/b:  --embed-package @a/b @c/d   --shared-package '!@a/b'\n.: --no-build",
    );
    insta::assert_snapshot!(test.run(&["--dry-run"]).stdout, @r"
    todo: https://github.com/backstage/community-plugins at main, workspaces/todo (not locked yet)
      with node 22, rhdh-cli latest
      plugins/a
      plugins/b --embed-package @a/b --embed-package @c/d --shared-package !@a/b
      . --no-build
    ");
}

#[harness::test]
fn row_03_a_dry_run_lists_the_three_branches_of_rhdhs_export_repository() {
    let data = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data");
    for branch in ["main", "release-1.10", "release-1.9"] {
        let workspaces = data.join("overlays").join(branch).join("workspaces");
        let here = Test::with_path();
        let said = here.run(&["run", "--dry-run", "--config-dir", workspaces.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{branch}: {}", said.stderr);
        assert!(!here.path("cache").exists(), "a dry run needs no cache");
        let (mut expected, mut plugins) = (0, 0);
        for entry in fs::read_dir(&workspaces).unwrap() {
            let folder = entry.unwrap().path();
            if !folder.join("source.json").is_file() {
                continue;
            }
            expected += 1;
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(said.stdout.lines().any(|line| line.starts_with(&format!("{name}: "))), "{branch}: {name}");
            let list = fs::read_to_string(folder.join("plugins-list.yaml")).unwrap_or_default();
            for line in list.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
                let Some((path, _)) = line.split_once(':') else { continue };
                plugins += 1;
                let path = path.trim();
                let listed = |line: &str| line == format!("  {path}") || line.starts_with(&format!("  {path} "));
                assert!(said.stdout.lines().any(listed), "{branch}: {name}: {path}");
            }
        }
        let summary = format!("{plugins} plugins in {expected} workspaces would be built");
        assert!(said.stderr.contains(&summary), "{branch}: {summary}: {}", said.stderr);
        let text = fs::read_to_string(data.join("overlays").join(branch).join("versions.json")).unwrap();
        let versions: serde_json::Value = serde_json::from_str(&text).unwrap();
        let value = |name: &str| versions[name].as_str().unwrap().to_owned();
        let tools = format!("  with node {}, rhdh-cli {}, images tagged ", value("node"), value("cli"));
        let tagged: Vec<_> = said.stdout.lines().filter(|line| line.starts_with("  with ")).collect();
        assert_eq!(tagged.len(), expected);
        let release = format!("{tools}bs_{}__<version>", value("backstage"));
        let next = format!("{tools}next__<version>");
        assert!(tagged.iter().all(|line| **line == release || **line == next), "{branch}: {tagged:?}");
        assert!(tagged.contains(&release.as_str()), "{branch}");
    }
}

#[harness::test]
fn row_09_tag_prefixes_follow_rhdhs_rule_or_the_option() {
    let test = several();
    test.write("config/versions.json", r#"{"backstage":"1.49.4","node":"24.14.0","cli":"1.10.8"}"#);
    let json = |version: &str| {
        format!(r#"{{"repo":"https://example.com/one","repo-flat":true,"repo-backstage-version":"{version}"}}"#)
    };
    test.write("config/a/source.json", json("1.49.1")).write("config/b/source.json", json("1.48.4"));
    test.write("config/c/source.json", json("1.48.4")).write("config/c/backstage.json", r#"{"version":"1.49.4"}"#);
    let tags = |args: &[&str]| {
        let said = test.run(&[&["--dry-run"], args].concat());
        let lines = said.stdout.lines().filter(|line| line.contains("  with "));
        lines.map(|line| line.replace("  with node 24.14.0, rhdh-cli 1.10.8", "")).collect::<Vec<_>>()
    };
    let bs = ", images tagged bs_1.49.4__<version>";
    assert_eq!(tags(&[]), [bs, ", images tagged next__<version>", bs]);
    assert_eq!(tags(&["--tag-prefix", "pr-1_"]), [", images tagged pr-1_<version>"; 3]);
    assert_eq!(tags(&["--tag-prefix", ""]), [""; 3]);
}

#[harness::test]
fn row_09_tag_prefixes_are_those_of_the_images_that_rhdh_publishes() {
    let test = Test::with_path();
    test.write("config/versions.json", r#"{"backstage":"1.52.0"}"#);
    let published = include_str!("../data/published-tags.txt").lines().filter(|line| !line.starts_with('#'));
    let published: Vec<Vec<&str>> = published.map(|line| line.split(' ').collect()).collect();
    for line in &published {
        let source = format!(r#"{{"repo":"https://example.com/one","repo-backstage-version":"{}"}}"#, line[1]);
        test.write(&format!("config/{}/source.json", line[0]), source);
        if line[2] != "-" {
            test.write(&format!("config/{}/backstage.json", line[0]), format!(r#"{{"version":"{}"}}"#, line[2]));
        }
    }
    let said = test.run(&["--dry-run"]).stdout;
    let mut lines = said.lines().filter(|line| line.contains(", images tagged "));
    for line in &published {
        let ours = lines.next().unwrap().rsplit(' ').next().unwrap();
        // What is published for an earlier release has not been made compatible with this one yet.
        let expected = if line[3].starts_with("bs_1.49.") { "next__" } else { line[3] };
        assert!(expected == "-" || ours == format!("{expected}<version>"), "{line:?}: {ours}");
    }
    assert_eq!((published.len(), lines.next()), (65, None));
}

#[harness::test]
fn row_10_what_a_push_lacks_is_named_with_its_fix_and_no_value_is_shown() {
    let test = single();
    let lines = |variables: &[(&str, &str)]| {
        let said = test.run_with(&["doctor", "--offline"], variables);
        let about = said.stdout.split_inclusive('\n').skip_while(|line| !line.contains("image registry"));
        about.collect::<String>()
    };
    insta::assert_snapshot!(lines(&[]), @r"
    warn  image registry: REGISTRY_URL and REGISTRY_NAMESPACE are not set
          fix: set it in the environment or in .env, if images are to be pushed
    ");
    insta::assert_snapshot!(lines(&[("REGISTRY_URL", "quay.io")]), @r"
    FAIL  image registry: REGISTRY_NAMESPACE is not set
          fix: set it in the environment or in .env, if images are to be pushed
    ");
    test.write(
        "config/.env",
        "REGISTRY_URL=\"quay.io\"\nREGISTRY_NAMESPACE=a\nREGISTRY_USERNAME=u\nREGISTRY_PASSWORD=s3cret\n",
    );
    insta::assert_snapshot!(lines(&[("REGISTRY_URL", "other.example")]), @"ok    image registry: credentials are REGISTRY_USERNAME and REGISTRY_PASSWORD from config/.env:4");
    test.write("auth.json", "{}");
    insta::assert_snapshot!(lines(&[("REGISTRY_AUTH_FILE", "auth.json")]), @r"
    ok    image registry: credentials in the file of REGISTRY_AUTH_FILE from environment
    warn  image registry: REGISTRY_USERNAME from config/.env:3 is never used: REGISTRY_AUTH_FILE from environment wins
          fix: remove one of the two
    warn  image registry: REGISTRY_PASSWORD from config/.env:4 is never used: REGISTRY_AUTH_FILE from environment wins
          fix: remove one of the two
    ");
}

#[harness::test]
fn row_11_sub_folders_with_a_source_json_are_workspaces() {
    let test = several();
    test.write("config/notes/readme.txt", "").write("config/plugins-list.yaml", LIST).write("config/.env", "");
    let said = test.run(&["--dry-run"]);
    insta::assert_snapshot!(said.stdout, @r"
    a: https://example.com/one at v1, workspaces/a (not locked yet)
      with node 22, rhdh-cli latest
      plugins/a
    b: https://example.com/two at v1, workspaces/b (not locked yet)
      with node 22, rhdh-cli latest
      plugins/b
    c: https://example.com/one at v1, workspaces/c (not locked yet)
      with node 22, rhdh-cli latest
      plugins/c
    ");
    insta::assert_snapshot!(said.stderr, @r"
    warning: config: not used, because they belong to no workspace: `notes/` (no source.json), `plugins-list.yaml`
    3 plugins in 3 workspaces would be built; 3 workspaces would be resolved first
    ");
}

#[harness::test]
fn row_11_options_of_one_workspace_are_refused_with_the_reason() {
    let test = several();
    for (args, what) in [
        (vec!["--source-repo", "https://example.com/x"], "its source"),
        (vec!["--source-repo", "https://example.com/x", "--source-ref", "v1"], "its source"),
        (vec!["--source-ref", "v1"], "its source"),
        (vec!["--workspace-path", "x"], "its workspace-path"),
    ] {
        let said = test.run(&args);
        assert_eq!(said.code, 2);
        let expected = format!(
            "error: `{0}` cannot be used with the several workspaces of `config`: each says {what} in its own source.json\n\n\
             hint: leave out `{0}`, or name one workspace's folder with `--config-dir`\n",
            args[0]
        );
        assert_eq!(said.stderr, expected);
    }
}

#[harness::test]
fn row_11_a_broken_workspace_does_not_hide_the_others() {
    let test = several();
    test.write("config/b/source.json", "{");
    let said = test.run(&["--dry-run"]);
    assert_eq!(said.code, 2);
    assert!(
        said.stdout.contains("a: ") && said.stdout.contains("c: ") && !said.stdout.contains("b: "),
        "{}",
        said.stdout
    );
    insta::assert_snapshot!(said.stderr, @r#"
    2 plugins in 2 workspaces would be built; 2 workspaces would be resolved first
    error: config/b/source.json:1:1: EOF while parsing an object

    hint: write `{ "repo": "https://…", "repo-ref": "main", "workspace-path": "workspaces/…" }`
    error: 1 workspace failed: `b`
    "#);
}

#[harness::test]
fn row_11_environments_are_layered_and_apart() {
    let test = several();
    let versions = |variables: &[(&str, &str)]| {
        let said = test.run_with(&["--dry-run"], variables).stdout;
        let lines = said.lines().filter_map(|line| line.strip_prefix("  with node 22, rhdh-cli "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    // default.env, then the process, then the root's file, then the workspace's own.
    assert_eq!(versions(&[]), ["latest", "latest", "latest"]);
    assert_eq!(versions(&[("RHDH_CLI_VERSION", "1.7.0")]), ["1.7.0", "1.7.0", "1.7.0"]);
    test.write("config/.env", "RHDH_CLI_VERSION=\"1.8.0\"\n");
    assert_eq!(versions(&[("RHDH_CLI_VERSION", "1.7.0")]), ["1.8.0", "1.8.0", "1.8.0"]);
    test.write("config/b/.env", "RHDH_CLI_VERSION='1.9.0' # for b alone\n");
    assert_eq!(versions(&[("RHDH_CLI_VERSION", "1.7.0")]), ["1.8.0", "1.9.0", "1.8.0"]);
    // Where each value came from, as it is said at DEBUG.
    let said = test.run_with(&["--dry-run", "--log-level", "DEBUG"], &[("RHDH_CLI_VERSION", "1.7.0")]).stderr;
    let debug: Vec<_> =
        said.lines().filter(|line| line.starts_with("DEBUG") && line.contains("RHDH_CLI_VERSION")).collect();
    insta::assert_snapshot!(debug.join("\n"), @r"
    DEBUG a: RHDH_CLI_VERSION=1.8.0 from config/.env:1
    DEBUG b: RHDH_CLI_VERSION=1.9.0 from config/b/.env:1
    DEBUG c: RHDH_CLI_VERSION=1.8.0 from config/.env:1
    ");
}

#[harness::test]
fn row_12_a_repo_path_that_is_not_empty_is_not_emptied_unasked() {
    let test = single();
    test.write("source/mine.txt", "work of a week");
    let said = test.run(&["--repo-path", "source"]);
    insta::assert_snapshot!(complaint(&said), @r"
    error: `source` is not empty, and there is no terminal to confirm that it may be emptied

    hint: give `--clean` to empty it, another `--repo-path`, or `--use-local` to build the code that is in it
    exit 2
    ");
    assert_eq!(test.read("source/mine.txt"), "work of a week");
}

#[harness::test]
fn row_12_clean_never_empties_what_holds_the_configuration_or_the_outputs() {
    let test = single();
    for (folder, what) in [(".", "the configuration"), ("config", "the configuration"), ("out", "the output folder")] {
        test.write("out/a.tgz", "");
        let said = test.run(&["--repo-path", folder, "--clean", "--output-dir", "out"]);
        let expected = format!("error: `--repo-path` is `{folder}`, which contains {what}: it cannot be emptied\n");
        assert!(said.code == 2 && said.stderr.starts_with(&expected), "{}", said.stderr);
        assert!(test.path("config/source.json").exists() && test.path("out/a.tgz").exists());
    }
}

#[harness::test]
fn row_12_clean_is_ignored_with_use_local() {
    let test = single();
    test.write("source/mine.txt", "work of a week");
    test.run_with(&["--repo-path", "source", "--use-local", "--clean"], &[("NPM_CONFIG_REGISTRY", "nowhere")]);
    assert_eq!(test.read("source/mine.txt"), "work of a week");
}

#[harness::test]
fn row_13_code_in_repo_path_is_used_as_it_is_without_a_source_json() {
    let test = Test::with_path();
    test.write("code/w/package.json", "{}").write("config/plugins-list.yaml", LIST);
    let said = test.run(&["--dry-run", "--repo-path", "code", "--workspace-path", "w"]);
    insta::assert_snapshot!(said.stdout, @r"
    w: a copy of code, w (not locked yet)
      with node 22, rhdh-cli latest
      plugins/todo
      plugins/todo-backend --embed-package @a/b
    ");
    insta::assert_snapshot!(said.stderr, @r"
    warning: w: config/source.json: does not exist, so a copy of the code in `code` is built
    2 plugins in 1 workspace would be built; 1 workspace would be resolved first
    ");
    insta::assert_snapshot!(complaint(&test.run(&["--repo-path", "nowhere"])), @r"
    error: config/source.json: does not exist, and there is no local code to build

    hint: write a source.json, give `--source-repo`, or put the code in `--repo-path` and give `--use-local`
    exit 2
    ");
    insta::assert_snapshot!(complaint(&test.run(&["--repo-path", "nowhere", "--use-local"])), @r"
    error: `--use-local` is given, but `nowhere` is empty or does not exist

    hint: put the repository's code there, or name its folder with `--repo-path`
    exit 2
    ");
}

#[harness::test]
fn row_14_each_example_can_be_read() {
    let examples = harness::project().join("examples");
    let expected = [
        ("aws-ecs", 2),
        ("backstage-devtools", 2),
        ("gitlab", 2),
        ("greeting", 2),
        ("multi-workspace", 4),
        ("todo", 2),
        ("toolbox", 3),
        ("usage-statistics", 2),
    ];
    let mut found: Vec<_> = fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.retain(|name| name != "renovate" && name != "ci");
    found.sort();
    assert_eq!(found, expected.map(|(name, _)| name));
    for (name, plugins) in expected {
        let folder = examples.join(name);
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(readme.contains(&format!("--config-dir examples/{name}")), "{name}: its README says how to build it");
        let said = Test::with_path().run(&["--dry-run", "--config-dir", folder.to_str().unwrap()]);
        assert_eq!(said.code, 0, "{name}: {}", said.stderr);
        assert!(said.stderr.contains(&format!("{plugins} plugins in ")), "{name}: {}", said.stderr);
        assert!(!said.stderr.contains("warning"), "{name}: {}", said.stderr);
    }
}

#[harness::test]
fn row_15_the_container_image_has_the_originals_mounts_and_asks_for_no_rights() {
    let text = fs::read_to_string(harness::project().join("Containerfile")).unwrap();
    let steps: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    assert!(steps.contains(&r#"ENTRYPOINT ["factory"]"#), "{text}");
    for mount in ["/config", "/outputs"] {
        assert!(steps.iter().any(|line| line.contains(mount)), "{mount}");
    }
    assert!(!steps.iter().any(|line| line.contains("fuse") || line.contains("SYS_ADMIN")), "{text}");
    // A user without a name can write where factory writes.
    assert!(text.contains("chmod 0777 /config /outputs /var/cache/factory /home/factory"), "{text}");
}
