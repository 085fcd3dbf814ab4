use std::fs;

use super::*;

/// A configuration directory made of files.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            dir.write(path, text);
        }
        dir
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn options(&self) -> ConfigOptions {
        ConfigOptions { env: Env::new([]), ..ConfigOptions::new(self.path()) }
    }

    fn read(&self) -> Config {
        Config::read(&self.options()).unwrap()
    }

    /// The error and its hint, the directory shown as `[dir]`.
    fn refused(&self, options: &ConfigOptions) -> String {
        let error = Config::read(options).unwrap_err();
        self.shown(&format!("{error}\nhint: {}", error.hint().unwrap_or_default()))
    }

    fn shown(&self, text: &str) -> String {
        text.replace(self.path().to_str().unwrap(), "[dir]")
    }

    fn warnings(&self, warnings: &[Warning]) -> Vec<String> {
        warnings.iter().map(|warning| self.shown(&warning.to_string())).collect()
    }
}

const TODO: &str =
    r#"{"repo":"https://example.com/a/community-plugins","repo-ref":"main","workspace-path":"workspaces/todo"}"#;
const AWS: &str = r#"{"repo":"https://example.com/a/aws.git","workspace-path":"."}"#;

#[test]
fn a_single_workspace_is_named_after_its_path_or_its_repository() {
    let dir = Dir::new(&[("source.json", TODO), ("plugins-list.yaml", "plugins/todo:\n")]);
    let config = dir.read();
    assert_eq!(config.mode, Mode::Single);
    let workspace = &config.workspaces[0];
    assert_eq!((workspace.name.as_str(), workspace.dir.as_str()), ("todo", "."));
    assert_eq!(workspace.source.requested, "main");
    assert_eq!(workspace.source.workspace_path, "workspaces/todo");
    assert_eq!(workspace.list.as_ref().unwrap().entries.len(), 1);
    assert_eq!(workspace.list_path, dir.path().join("plugins-list.yaml"));

    dir.write("source.json", AWS);
    assert_eq!(dir.read().workspaces[0].name, "aws");
    let options = ConfigOptions { workspace_path: Some("./workspaces/x/".to_owned()), ..dir.options() };
    let workspace = Config::read(&options).unwrap().workspaces.remove(0);
    assert_eq!((workspace.name.as_str(), workspace.source.workspace_path.as_str()), ("x", "workspaces/x"));
}

#[test]
fn a_flat_or_nested_repository_as_rhdh_writes_it() {
    let dir = Dir::new(&[("workspaces/todo/source.json", r#"{"repo":"https://example.com/x","repo-flat":"false"}"#)]);
    let read =
        |path| Config::read(&ConfigOptions { env: Env::new([]), ..ConfigOptions::new(dir.path().join(path)) }).unwrap();
    let many = read("workspaces").workspaces.remove(0);
    let one = read("workspaces/todo").workspaces.remove(0);
    for workspace in [&many, &one] {
        assert_eq!((workspace.name.as_str(), workspace.source.workspace_path.as_str()), ("todo", "workspaces/todo"));
    }
    assert_eq!((many.dir.as_str(), one.dir.as_str()), ("todo", "."));
}

#[test]
fn a_workspace_of_rhdhs_layout_is_nested_unless_it_says_otherwise() {
    let json = r#"{"repo":"https://example.com/x","repo-ref":"v1"}"#;
    let dir = Dir::new(&[("workspaces/todo/source.json", json), ("config/todo/source.json", json)]);
    let read =
        |path| Config::read(&ConfigOptions { env: Env::new([]), ..ConfigOptions::new(dir.path().join(path)) }).unwrap();
    let path = |path| read(path).workspaces.remove(0).source.workspace_path;
    assert_eq!([path("workspaces"), path("workspaces/todo")], ["workspaces/todo"; 2]);
    assert_eq!(read("config").broken.len(), 1, "elsewhere nothing says which folder it is");
    dir.write("config/versions.json", "{}");
    assert_eq!(path("config"), "workspaces/todo");
}

#[test]
fn source_repo_wins_over_the_whole_source_json() {
    let dir = Dir::new(&[("source.json", TODO)]);
    let options = ConfigOptions {
        source_repo: Some("https://example.com/b/other".parse().unwrap()),
        workspace_path: Some(".".to_owned()),
        ..dir.options()
    };
    let workspace = Config::read(&options).unwrap().workspaces.remove(0);
    assert_eq!(workspace.name, "other");
    assert_eq!(workspace.source.requested, "");
    assert_eq!(dir.warnings(&workspace.warnings), ["[dir]/source.json: is ignored, because `--source-repo` is given"]);
    let without_path = ConfigOptions { workspace_path: None, ..options };
    insta::assert_snapshot!(dir.refused(&without_path), @"
    `--source-repo` needs `--workspace-path`
    hint: give the workspace's path from the repository's root, `.` when the repository is the workspace
    ");
}

#[test]
fn a_repository_on_the_command_line_needs_no_configuration_directory() {
    let dir = Dir::new(&[]);
    let options = ConfigOptions {
        config_dir: dir.path().join("config"),
        source_repo: Some("https://example.com/b/other".parse().unwrap()),
        workspace_path: Some(".".to_owned()),
        ..dir.options()
    };
    let config = Config::read(&options).unwrap();
    assert_eq!(dir.warnings(&config.warnings), ["[dir]/config: the configuration directory does not exist"]);
    let workspace = &config.workspaces[0];
    assert_eq!((workspace.list.is_none(), workspace.inputs.len()), (true, 0));
    assert!(!options.config_dir.exists());
    fs::write(&options.config_dir, "").unwrap();
    assert!(Config::read(&options).is_err());
}

#[test]
fn without_a_source_the_error_says_what_there_is_to_do() {
    let dir = Dir::new(&[]);
    insta::assert_snapshot!(dir.refused(&dir.options()), @"
    [dir]/source.json: does not exist, and there is no local code to build
    hint: write a source.json, give `--source-repo`, or put the code in `--repo-path` and give `--use-local`
    ");
    insta::assert_snapshot!(dir.refused(&ConfigOptions { use_local: true, ..dir.options() }), @"
    `--use-local` is given without `--repo-path`
    hint: name the code's folder with `--repo-path`
    ");
    let empty = ConfigOptions { repo_path: Some(dir.path().join("source")), ..dir.options() };
    insta::assert_snapshot!(dir.refused(&ConfigOptions { use_local: true, ..empty }), @"
    `--use-local` is given, but `[dir]/source` is empty or does not exist
    hint: put the repository's code there, or name its folder with `--repo-path`
    ");
    insta::assert_snapshot!(dir.refused(&ConfigOptions { source_ref: Some("main".to_owned()), ..dir.options() }), @"
    `--source-ref` needs `--source-repo`
    hint: give both, or write `repo-ref` in source.json
    ");
    insta::assert_snapshot!(dir.refused(&ConfigOptions { config_dir: dir.path().join("nowhere"), ..dir.options() }), @"
    [dir]/nowhere: the configuration directory does not exist
    hint: write one with `factory init`, name it with `--config-dir`, or mount it at `/config`
    ");
    dir.write("source.json", r#"{"repo":"https://example.com/x"}"#);
    insta::assert_snapshot!(dir.refused(&dir.options()), @r#"
    [dir]/source.json: nothing says which folder of the repository is the workspace
    hint: give `--workspace-path`, or write `"workspace-path"` in source.json; `.` when the repository is the workspace
    "#);
    insta::assert_snapshot!(dir.refused(&ConfigOptions { workspace_path: Some("../x".to_owned()), ..dir.options() }), @"
    `--workspace-path` leads out of its folder with `..`
    hint: give the workspace's path from the repository's root
    ");
    fs::remove_file(dir.path().join("source.json")).unwrap();
    dir.write("workspaces/todo/source.json", TODO);
    insta::assert_snapshot!(dir.refused(&dir.options()), @"
    [dir]/source.json: does not exist, and there is no local code to build
    hint: the workspaces are in `[dir]/workspaces`: give `--config-dir [dir]/workspaces`
    ");
}

#[test]
fn existing_code_is_used_where_no_source_is_given() {
    let dir = Dir::new(&[]);
    let code = Dir::new(&[("my-repo/package.json", "{}")]);
    let repo_path = code.path().join("my-repo");
    let options =
        ConfigOptions { repo_path: Some(repo_path.clone()), workspace_path: Some(".".to_owned()), ..dir.options() };
    let workspace = Config::read(&options).unwrap().workspaces.remove(0);
    assert_eq!(workspace.name, "my-repo");
    assert_eq!((workspace.source.repo, workspace.source.local), (None, Some(repo_path.clone())));
    assert_eq!(workspace.warnings.len(), 1);
    let local = Config::read(&ConfigOptions { use_local: true, ..options.clone() }).unwrap().workspaces.remove(0);
    assert_eq!(local.warnings, []);

    // With a source.json it is fetched instead, unless --use-local is given; the path then still comes from the file.
    dir.write("source.json", TODO);
    let options = ConfigOptions { workspace_path: None, ..options };
    assert_eq!(Config::read(&options).unwrap().workspaces[0].source.local, None);
    let local = Config::read(&ConfigOptions { use_local: true, ..options }).unwrap().workspaces.remove(0);
    assert_eq!((local.name.as_str(), local.source.local), ("todo", Some(repo_path)));
}

#[test]
fn sub_folders_with_a_source_json_are_workspaces() {
    let dir = Dir::new(&[
        ("todo/source.json", TODO),
        ("aws/source.json", AWS),
        ("aws/.env", "RHDH_CLI_VERSION=1.9.1\n"),
        (".env", "RHDH_CLI_VERSION=1.8.0\nREGISTRY_URL=\"quay.example\"\n"),
        ("source.json", TODO),
        ("notes/x.txt", ""),
        ("plugins-list.yaml", ""),
        ("README.md", ""),
        ("factory.lock", ""),
        (".hidden/source.json", TODO),
    ]);
    let config = dir.read();
    assert_eq!(config.mode, Mode::Multi);
    assert_eq!(config.names().collect::<Vec<_>>(), ["aws", "todo"]);
    let versions: Vec<_> = config.workspaces.iter().map(|w| w.env.get("RHDH_CLI_VERSION")).collect();
    assert_eq!(versions, [Some("1.9.1"), Some("1.8.0")]);
    assert_eq!(config.workspaces[0].env.get("REGISTRY_URL"), Some("quay.example"));
    assert_eq!(config.env.get("RHDH_CLI_VERSION"), Some("1.8.0"));
    assert_eq!(
        dir.warnings(&config.warnings),
        [
            "[dir]/.hidden: has a source.json, and is no workspace since its name begins with a dot: rename it",
            "[dir]: not used, because they belong to no workspace: `notes/` (no source.json), `plugins-list.yaml`, `source.json`"
        ]
    );
    config.check_names(&["todo".to_owned()]).unwrap();
    let error = config.check_names(&["tod".to_owned()]).unwrap_err();
    assert_eq!(dir.shown(&error.to_string()), "there is no workspace `tod` in `[dir]`");
    assert_eq!(error.hint().unwrap(), "the workspaces are: aws, todo");
}

#[test]
fn options_of_a_single_workspace_are_refused_for_many() {
    let dir = Dir::new(&[("todo/source.json", TODO)]);
    let repo: Repo = "https://example.com/x".parse().unwrap();
    let source_repo = ConfigOptions { source_repo: Some(repo), source_ref: Some("main".to_owned()), ..dir.options() };
    insta::assert_snapshot!(dir.refused(&source_repo), @"
    `--source-repo` cannot be used with the several workspaces of `[dir]`: each says its source in its own source.json
    hint: leave out `--source-repo`, or name one workspace's folder with `--config-dir`
    ");
    insta::assert_snapshot!(dir.refused(&ConfigOptions { workspace_path: Some(".".to_owned()), ..dir.options() }), @"
    `--workspace-path` cannot be used with the several workspaces of `[dir]`: each says its workspace-path in its own source.json
    hint: leave out `--workspace-path`, or name one workspace's folder with `--config-dir`
    ");
}

#[test]
fn one_broken_workspace_leaves_the_others() {
    let dir = Dir::new(&[
        ("a/source.json", "{"),
        ("b/source.json", TODO),
        ("c/source.json", TODO),
        ("c/plugins-list.yaml", "a:\na:\n"),
    ]);
    let config = dir.read();
    assert_eq!(config.workspaces.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["b"]);
    let broken: Vec<_> = config.broken.iter().map(|broken| dir.shown(&broken.to_string())).collect();
    assert_eq!(
        broken,
        [
            "a: [dir]/a/source.json:1:1: EOF while parsing an object",
            "c: [dir]/c/plugins-list.yaml:2: `a` is listed a second time; the first is in line 1"
        ]
    );
    assert_eq!(config.names().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn local_code_of_many_workspaces_lies_in_folders_of_their_names() {
    let dir = Dir::new(&[("config/a/source.json", TODO), ("config/b/source.json", TODO), ("code/a/x", "")]);
    let options = ConfigOptions {
        use_local: true,
        repo_path: Some(dir.path().join("code")),
        env: Env::new([]),
        ..ConfigOptions::new(dir.path().join("config"))
    };
    let config = Config::read(&options).unwrap();
    assert_eq!(config.workspaces[0].source.local, Some(dir.path().join("code/a")));
    let broken: Vec<_> = config.broken.iter().map(|broken| dir.shown(&broken.to_string())).collect();
    assert_eq!(broken, ["b: [dir]/code/b: the local tree of workspace `b` does not exist"]);
    let config = Config::read(&ConfigOptions { repo_path: None, ..options }).unwrap();
    assert_eq!(config.broken[0].to_string(), "a: `--use-local` is given without `--repo-path`");
}

#[test]
fn no_secret_is_in_the_debug_text_of_a_configuration() {
    let dir = Dir::new(&[
        ("todo/source.json", r#"{"repo":"https://u:s3cret@example.com/x","workspace-path":"."}"#),
        ("todo/.env", "REGISTRY_PASSWORD=s3cret\nREGISTRY_USERNAME=robot\nMIRROR=https://u:s3cret@example.com\n"),
    ]);
    let text = format!("{:?} {:?}", dir.read(), dir.options());
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text.contains("robot"));
}

/// RHDH's own export repository on three branches: every file is read, and nothing is said of it.
#[test]
fn shared_data_of_all_rhdh_workspaces_is_read_without_a_word() {
    let data = std::env::var_os("FACTORY_SHARED_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let overlays = data.join("overlays");
    if !overlays.is_dir() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: {} does not exist", overlays.display());
        }
        return;
    }
    let (mut workspaces, mut entries, mut with_args) = (0, 0, 0);
    for branch in ["main", "release-1.10", "release-1.9"] {
        let dir = overlays.join(branch).join("workspaces");
        let config = Config::read(&ConfigOptions { env: Env::new([]), ..ConfigOptions::new(&dir) }).unwrap();
        assert!(config.broken.is_empty(), "{:?}", config.broken);
        assert_eq!(config.warnings, []);
        let versions = config.versions.unwrap();
        assert_eq!(versions.cli_package.as_deref(), Some("@red-hat-developer-hub/cli"));
        assert!(versions.backstage.is_some() && versions.node.is_some() && versions.cli.is_some());
        workspaces += config.workspaces.len();
        for workspace in &config.workspaces {
            assert_eq!(workspace.warnings, [], "{branch}/{}", workspace.name);
            let list = workspace.list.as_ref().unwrap();
            entries += list.entries.len();
            with_args += list.entries.iter().filter(|entry| !entry.args.is_empty()).count();
            // Every line that is neither empty nor a comment is an entry, the last one included.
            let lines = list.text().lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
            assert_eq!(list.entries.len(), lines.count(), "{branch}/{}", workspace.name);
            assert!(workspace.source.backstage_version.is_some());
            assert!(
                workspace.source.workspace_path == "." || workspace.source.workspace_path.starts_with("workspaces/")
            );
        }
    }
    // As PyYAML, which the original uses, counts them.
    assert_eq!((workspaces, entries, with_args), (187, 718, 92));
}
