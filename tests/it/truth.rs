//! Where the truth comes from: `.env` files, the environment and the command line.

use harness::npm_registry::Registry;
use harness::program::Test;
use harness::repository::Repository;

use crate::bad_plugin::workspace;

fn frontend() -> Test {
    workspace(&[("plugins/a", "frontend-plugin", "")], Some("plugins/a:\n"))
}

/// The warnings of an answer.
fn warnings(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| line.starts_with("warning: ")).collect()
}

#[harness::test]
fn a_file_that_wins_over_the_environment_is_named_without_secrets() {
    let mut test = frontend();
    test.config(".env", "RHDH_CLI_VERSION=1.9.1\nREGISTRY_PASSWORD=hunter2\nREGISTRY_URL=quay.io\nPATH_OF_MINE=x\n");
    test.env("RHDH_CLI_VERSION", "1.8.0").env("REGISTRY_PASSWORD", "hunter3").env("REGISTRY_URL", "quay.io");
    let said = test.run(&["resolve"]).success().stderr;
    assert_eq!(
        warnings(&said)[..2],
        [
            "warning: repo: config/.env:1: `RHDH_CLI_VERSION` is `1.9.1` here and `1.8.0` in the environment; the one of \
             this line is used",
            "warning: repo: config/.env:2: `REGISTRY_PASSWORD` has another value in the environment; the one of this line \
             is used",
        ]
    );
    assert!(!said.contains("hunter"), "{said}");
    assert!(!said.contains("`REGISTRY_URL` is"), "{said}");
}

#[harness::test]
fn a_registry_of_the_command_line_has_a_namespace() {
    let test = frontend();
    test.run(&["resolve"]).success();
    test.run(&["build", "--registry", "quay.io"]).fails(
        2,
        "error: `--registry` is `quay.io`, which has no namespace\n\nhint: give both, such as `--registry \
         quay.io/my-organisation`",
    );
    // It stands for both variables.
    let said = test.run(&["build", "--push-images"]).exits(2).stderr;
    assert!(said.contains("error: `REGISTRY_URL` is not set"), "{said}");
    let said = test.run(&["build", "--push-images", "--registry", "quay..io/me"]).stderr;
    assert!(said.contains("`REGISTRY_URL` is `quay..io`, which is not valid"), "{said}");
}

#[harness::test]
fn a_namespace_that_is_named_twice_is_refused() {
    let mut test = frontend();
    test.run(&["resolve"]).success();
    test.env("REGISTRY_URL", "quay.io/me").env("REGISTRY_NAMESPACE", "me");
    let said = test.run(&["build", "--push-images"]).exits(2).stderr;
    let error = "error: `REGISTRY_URL` and `REGISTRY_NAMESPACE` both name `me`: images would go to `quay.io/me/me`\n\nhint: give \
                 the host alone in `REGISTRY_URL`\n";
    assert!(said.ends_with(error), "{said}");
}

#[harness::test]
fn a_mistyped_repository_leaves_the_lock_as_it_is() {
    let test = frontend();
    test.run(&["resolve"]).success();
    let lock = std::fs::read_to_string(test.path("config/factory.lock")).unwrap();
    for keep_going in [&[][..], &["--keep-going"]] {
        let args = ["resolve", "--source-repo", "https://127.0.0.1:1/tpyo", "--workspace-path", "."];
        test.run(&[&args[..], keep_going].concat()).exits(5);
        let now = std::fs::read_to_string(test.path("config/factory.lock")).unwrap();
        assert!(now.contains("name = \"repo\"\ndir = \".\"\n"), "{now}");
        assert!(keep_going.len() == 1 || now == lock, "{now}");
    }
}

#[harness::test]
fn a_word_after_git_program_is_its_value_or_a_workspace() {
    let test = frontend();
    test.run(&["resolve", "--git-program", "sometimes"]).fails(
        2,
        "error: `sometimes` is not a value of `--git-program`, nor a workspace\n\nhint: it is `auto`, `always` or `never`",
    );
    test.run(&["resolve", "--git-program", "repo"]).success();
}

#[harness::test]
fn a_variable_of_npmrc_that_is_not_set_is_named_with_its_line() {
    let mut test = frontend();
    test.env("NPM_CONFIG_REGISTRY", "");
    test.config(".npmrc", "# ours\nregistry=https://${MISSING_HOST}/\n");
    test.run(&["resolve"]).fails(
        2,
        "error: [DIR]/config/.npmrc:2: `registry` names the variable `MISSING_HOST`, which is not set\n\nhint: set `MISSING_HOST`, or \
         write the registry's address",
    );
    test.config(".npmrc", format!("registry={}\ncafile=nowhere.pem\n", Registry::start().url));
    let said = test.run(&["resolve"]).success().stderr;
    assert!(
        said.contains("`cafile` of npm's configuration names `") && said.contains("nowhere.pem`, which does not exist"),
        "{said}"
    );
}

#[harness::test]
fn a_filter_of_a_repositorys_own_configuration_does_not_run() {
    let test = frontend();
    let repo = Repository { dir: test.path("repo") };
    repo.write(".gitattributes", "*.txt filter=own\n").write("a.txt", "one\n").commit("text");
    let ran = test.path("ran");
    repo.git(&["config", "filter.own.clean", &format!("sh -c 'touch {}; cat'", ran.display())]);
    std::fs::write(test.path("repo/a.txt"), "two\n").unwrap();
    let said = test.run(&["resolve"]).success().stderr;
    assert!(said.contains("uncommitted changes in `../repo` are not built: `a.txt`"), "{said}");
    assert!(!ran.exists());
}

const PACKAGE: &str = "{\n  \"name\": \"root\",\n  \"one\": 1,\n  \"two\": 2,\n  \"three\": 3,\n  \"packageManager\": \
                       \"yarn@4.9.2\",\n  \"workspaces\": [\"plugins/*\"]\n}\n";

#[harness::test]
fn patches_are_applied_from_where_their_paths_say_and_with_a_word_about_fuzz() {
    let test = frontend();
    let repo = Repository { dir: test.path("repo") };
    repo.write("package.json", PACKAGE).commit("long");
    // No header of git's, and a file that is new.
    test.config("patches/1.patch", "--- /dev/null\n+++ b/plugins/b/package.json\n@@ -0,0 +1 @@\n+{\"name\":\"b\"}\n");
    // As `diff -u` writes it, with a context that is not the commit's.
    test.config(
        "patches/2.patch",
        "--- old/package.json\n+++ new/package.json\n@@ -1,5 +1,5 @@\n {\n-  \"name\": \"rood\",\n   \"one\": 1,\n-  \"two\": 2,\n\
         +  \"two\": 22,\n   \"three\": 3,\n"
            .replace("-  \"name\": \"rood\",\n", "   \"name\": \"rood\",\n"),
    );
    let said = test.run(&["resolve"]).success().stderr;
    let fuzz = "warning: repo: `patches/2.patch`: hunk 1 of `package.json` does not fit, and was applied at line 1 with fuzz 2";
    assert!(said.contains(fuzz), "{said}");
}
