//! `factory init`: a configuration from nothing.

use std::fs;
use std::process::Command;

use harness::npm_registry::{OPTIONS, Registry, StubCli};
use harness::program::{Test, names};
use harness::repository::Repository;

const CLI: StubCli<'static> = StubCli { versions: &["1.10.8"], tags: &[], options: &OPTIONS };

/// A repository `repo` with these workspaces, each with a frontend and a backend.
fn repository(test: &Test, workspaces: &[&str]) -> Repository {
    let repo = Repository::init(&test.path("repo"));
    for workspace in workspaces {
        let at = |path: &str| if *workspace == "." { path.to_owned() } else { format!("{workspace}/{path}") };
        let package = |name: &str, role: &str| {
            format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"{role}"}}}}"#)
        };
        repo.write(&at("package.json"), r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#)
            .write(&at(".yarnrc.yml"), "nodeLinker: node-modules\n")
            .write(&at("backstage.json"), r#"{"version":"1.42.5"}"#)
            .write(
                &at("yarn.lock"),
                "__metadata:\n  version: 8\n  cacheKey: 10c0\n\n\"@x/todo@workspace:plugins/todo\":\n  version: 0.0.0-use.local\n  \
                 resolution: \"@x/todo@workspace:plugins/todo\"\n  languageName: unknown\n  linkType: soft\n\n\
                 \"@x/todo-backend@workspace:plugins/todo-backend\":\n  version: 0.0.0-use.local\n  \
                 resolution: \"@x/todo-backend@workspace:plugins/todo-backend\"\n  languageName: unknown\n  linkType: soft\n",
            )
            .write(&at("plugins/todo/package.json"), package("todo", "frontend-plugin"))
            .write(&at("plugins/todo-backend/package.json"), package("todo-backend", "backend-plugin"))
            // What the rhdh-cli of tests leaves out.
            .write(
                &at("plugins/todo-backend/exported.sh"),
                "printf '__metadata:\\n  version: 8\\n  cacheKey: 10c0\\n' >dist-dynamic/yarn.lock\n",
            );
    }
    repo
}

/// One that has no configuration yet.
fn empty() -> Test {
    let test = Test::with_path();
    fs::remove_dir(test.path("config")).unwrap();
    test
}

/// The commands that a run says come next.
fn next(stderr: &str) -> Vec<Vec<&str>> {
    let commands = stderr.split_once("\nnext:\n").unwrap().1.lines().take_while(|line| line.starts_with("  "));
    commands.map(|line| line.split_whitespace().skip(1).collect()).collect()
}

#[harness::test]
fn from_nothing_to_a_first_build_by_the_commands_that_it_says() {
    for (options, config) in [
        (&["init", "repo"][..], "config"),
        (&["init", "--repo", "./repo", "--plugins", "--config-dir", "my config"], "my config"),
    ] {
        let mut test = empty();
        let commit = repository(&test, &["workspaces/todo"]).commit("first");
        test.env("NPM_CONFIG_REGISTRY", Registry::of_scripts(&CLI).url);
        let said = test.run(options).success().stderr;
        let written = format!(
            "{config}/source.json written: `workspaces/todo` of {} at main ({})\n",
            options.iter().find(|option| option.ends_with("repo") && !option.starts_with("--")).unwrap(),
            &commit[..12]
        );
        assert!(said.contains(&written), "{said}");
        assert_eq!(
            test.read(&format!("{config}/source.json")),
            "{\n  \"repo\": \"../repo\",\n  \"repo-ref\": \"main\",\n  \"workspace-path\": \"workspaces/todo\"\n}\n"
        );
        // The registry of tests has not the Node.js of every host.
        test.write(&format!("{config}/.env"), "NODE_VERSION=22\n");
        test.write("host/yarn.lock", "__metadata:\n  version: 8\n  cacheKey: 10c0\n");
        let commands = next(&said);
        assert_eq!(commands.len(), 2, "{said}");
        for mut command in commands {
            if command[0] == "resolve" {
                command.extend(["--host-lockfile", "host/yarn.lock"]);
            }
            // As a shell reads them.
            let line = command.join(" ");
            let words = shlex::split(&line).unwrap();
            test.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).success();
        }
        assert!(test.path("outputs/x-todo-backend-dynamic-1.0.0.tgz").is_file(), "{said}");
        let list = test.read(&format!("{config}/plugins-list.yaml"));
        assert_eq!(list, "plugins/todo:\nplugins/todo-backend:\n");
    }
}

#[harness::test]
fn nothing_is_overwritten() {
    let test = empty();
    repository(&test, &["."]).commit("first");
    let message = |file: &str| {
        format!(
            "error: config/{file}: exists already, and is not overwritten\n\n\
             hint: edit it, or start another configuration with `--config-dir DIR`"
        )
    };
    test.config("source.json", "mine");
    test.run(&["init", "repo"]).fails(2, &message("source.json"));
    assert_eq!(test.read("config/source.json"), "mine");
    test.run(&["init", "repo", "--name", "todo"]).fails(
        2,
        "error: config/source.json: would not be used any more if there were a workspace `todo` beside it\n\n\
         hint: move it and the files of its workspace to a folder of their own first; a `repo` that is a relative \
         path then starts one folder deeper",
    );
    fs::remove_file(test.path("config/source.json")).unwrap();
    test.run(&["init", "repo", "--name", "factory.lock.d"]).exits(2);
    fs::create_dir(test.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", test.path("config/todo")).unwrap();
    let said = test.run(&["init", "repo", "--name", "todo"]).exits(1).stderr;
    assert!(said.contains("\nerror: `config/todo` is a symbolic link that leads out of `config`\n"), "{said}");
    assert_eq!(names(&test.path("elsewhere")), [""; 0]);
    fs::remove_file(test.path("config/todo")).unwrap();
    test.config("plugins-list.yaml", "mine");
    let failed = test.run(&["init", "repo", "--plugins"]).exits(2).stderr;
    assert!(failed.ends_with(&(message("plugins-list.yaml") + "\n")), "{failed}");
    assert_eq!(names(&test.path("config")), ["plugins-list.yaml"]);
    // A list that is there already is used.
    test.run(&["init", "repo"]).success();
    assert_eq!(test.read("config/plugins-list.yaml"), "mine");
}

#[harness::test]
fn what_is_asked_for_has_to_be_there_and_nothing_is_written_otherwise() {
    let test = empty();
    let commit = repository(&test, &["workspaces/a", "workspaces/b"]).commit("first");
    let fails = |args: &[&str], code: i32, end: &str| {
        let failed = test.run(&[&["init"], args].concat()).exits(code).stderr;
        assert!(failed.ends_with(&format!("{end}\n")), "{failed}");
        assert!(!test.path("config").exists());
    };
    fails(
        &[],
        2,
        "error: the repository of the plugins is not given\n\n\
         hint: for instance: `factory init https://github.com/backstage/community-plugins`, or a path",
    );
    fails(
        &["repo"],
        2,
        "error: the repository has 2 workspaces: `workspaces/a`, `workspaces/b`\n\n\
         hint: choose one with `--workspace-path`",
    );
    fails(
        &["repo", "--workspace-path", "workspaces/c"],
        2,
        &format!(
            "error: `workspaces/c` is not a workspace at commit {}: it needs a package.json and a yarn.lock\n\n\
             hint: the repository has both in: `workspaces/a`, `workspaces/b`",
            &commit[..12]
        ),
    );
    fails(&["repo", "--ref", "mian"], 2, "hint: the nearest it has: `main`");
    fails(&["nowhere"], 2, "");
    fails(
        &["https://u:secret@example.com/x/y"],
        2,
        "error: the repository https://example.com/x/y was given with a login, which source.json would show to everybody\n\n\
         hint: leave the login out: factory uses the credential helpers of git, and a `.netrc`",
    );
    fails(
        &["repo", "--name", "a/b"],
        2,
        "error: `--name` is `a/b`, which cannot be the name of a workspace\n\nhint: give the name of a folder, such as `todo`",
    );
}

#[harness::test]
fn a_directory_of_several_workspaces_gets_one_more() {
    let test = empty();
    let commit = repository(&test, &["workspaces/a", "workspaces/b"]).commit("first");
    test.run(&["init", "repo", "--workspace-path", "workspaces/a", "--name", "first"]).success();
    // Where there is one, the next is named by itself.
    let said = test.run(&["init", "repo", "--workspace-path", "workspaces/b", "--ref", &commit]).success().stderr;
    assert!(
        said.contains(&format!("config/b/source.json written: `workspaces/b` of repo at {}\n", &commit[..12])),
        "{said}"
    );
    assert_eq!(names(&test.path("config")), ["b", "first"]);
    let source = |path: &str, reference: &str| {
        format!(
            "{{\n  \"repo\": \"../../repo\",\n  \"repo-ref\": \"{reference}\",\n  \"workspace-path\": \"{path}\"\n}}\n"
        )
    };
    assert_eq!(test.read("config/first/source.json"), source("workspaces/a", "main"));
    assert_eq!(test.read("config/b/source.json"), source("workspaces/b", &commit));
    // What is locked of the others stays.
    test.config("factory.lock", "");
    let said = test.run(&["init", "repo", "--workspace-path", "workspaces/a", "--name", "third"]).success().stderr;
    assert_eq!(next(&said), [vec!["resolve", "--keep"], vec!["build"]]);
}

#[harness::test]
fn the_layout_of_rhdhs_export_repository_is_kept() {
    let test = empty();
    repository(&test, &["workspaces/a", "workspaces/b"]).commit("first");
    test.write("overlays/versions.json", r#"{"backstage":"1.42.5"}"#);
    fs::create_dir_all(test.path("overlays/workspaces")).unwrap();
    test.run(&["init", "repo", "--workspace-path", "workspaces/a", "--config-dir", "overlays/workspaces"]).success();
    assert_eq!(
        test.read("overlays/workspaces/a/source.json"),
        "{\n  \"repo\": \"../../../repo\",\n  \"repo-ref\": \"main\",\n  \"repo-flat\": false,\n  \
         \"repo-backstage-version\": \"1.42.5\"\n}\n"
    );
    let status = test.run(&["run", "--dry-run", "--config-dir", "overlays/workspaces"]).success().stdout;
    assert!(status.contains("a: ../../../repo at main, workspaces/a (not locked yet)\n"), "{status}");
}

/// What the configuration says already is not recommended.
#[harness::test]
fn the_host_of_a_configuration_is_not_asked_for_again() {
    for (env, is_said) in [("", true), ("FACTORY_HOST_LOCKFILE=host.lock\n", false), ("RHDH_VERSION=1.9\n", false)] {
        let test = empty();
        repository(&test, &["."]).commit("first");
        test.config(".env", env).config("host.lock", "__metadata:\n  version: 8\n");
        let said = test.run(&["init", "repo"]).success().stderr;
        assert_eq!(said.contains("with FACTORY_HOST_LOCKFILE in .env"), is_said, "{env}: {said}");
    }
}

#[harness::test]
fn a_terminal_is_asked() {
    harness::needs(&["script"]);
    let test = empty();
    repository(&test, &["workspaces/a", "workspaces/b"]).commit("first");
    let mut command = Command::new("/usr/bin/script");
    test.prepare(&mut command);
    let inner = format!("{} init", harness::program());
    test.write("answers", "repo\n\nworkspaces/b\n");
    command.env("TERM", "dumb").env("SHELL", "/bin/sh").stdin(fs::File::open(test.path("answers")).unwrap());
    let output = command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]).output().unwrap();
    let said = test.outcome(output).success().stdout.replace('\r', "");
    for question in [
        "repository (URL or path): ",
        "branch, tag or commit [the default branch]: ",
        "the workspaces are:\n  workspaces/a\n  workspaces/b\npath of the workspace: ",
    ] {
        assert!(said.contains(question), "{said}");
    }
    assert!(test.read("config/source.json").contains("\"workspace-path\": \"workspaces/b\""));
}
