//! Configurations that do not say what was meant: a merge that is not ended, a misspelt field or variable, a repository
//! whose yarn.lock does not have what is in it.

use harness::program::Test;
use harness::repository::Repository;
use harness::workspace::scripted;

const RESOLVE: [&str; 3] = ["resolve", "--host-lockfile", "config/host.lock"];

fn workspace() -> Test {
    scripted(&[("a".to_owned(), "frontend-plugin", String::new())], "")
}

#[harness::test]
fn conflict_markers_are_named_in_every_file_of_the_configuration() {
    for (file, before, ours, theirs) in [
        ("source.json", "", r#"{"repo": "../repo", "workspace-path": "."}"#, r#"{"repo": "../repo"}"#),
        ("plugins-list.yaml", "", "plugins/a:", "plugins/b:"),
        (".env", "NPM_VERSION=11\n", "NODE_VERSION=22", "NODE_VERSION=20"),
    ] {
        let test = workspace();
        test.run(&RESOLVE).success();
        let lock = test.read("config/factory.lock");
        test.config(file, format!("{before}<<<<<<< HEAD\n{ours}\n=======\n{theirs}\n>>>>>>> topic\n"));
        let line = before.lines().count() + 1;
        let error = format!(
            "error: config/{file}:{line}: has the conflict markers of a merge\n\nhint: end the merge of this file first: \
             keep what is right of both sides, without the markers, and `git add` it\n"
        );
        for command in [&["resolve", "--keep"][..], &["build"]] {
            test.run(command).fails(2, &error);
        }
        assert_eq!(test.read("config/factory.lock"), lock, "{file}");
    }
}

#[harness::test]
fn a_misspelt_variable_of_factorys_own_is_named_with_the_one_that_was_meant() {
    let test = workspace();
    test.config(".env", "FACTORY_HOSTLOCKFILE=host.lock\nFACTORY_OUTPUTDIR=x\nFACTORY_OUTPUT_DIR=x\n");
    let said = test.run(&RESOLVE).success().stderr;
    for warning in [
        "config/.env:1: factory does not read `FACTORY_HOSTLOCKFILE`; did you mean `FACTORY_HOST_LOCKFILE`?\n",
        "config/.env:2: factory does not read `FACTORY_OUTPUTDIR`; `FACTORY_OUTPUT_DIR`, if that is meant, is read from the \
         environment alone\n",
        "config/.env:3: `FACTORY_OUTPUT_DIR` has no effect in a `.env` file: it is read from the environment alone\n",
    ] {
        assert!(said.contains(&format!("warning: repo: {warning}")), "{said}");
    }
}

#[harness::test]
fn a_misspelt_workspace_path_is_named() {
    let test = workspace();
    let source = r#"{"repo": "../repo", "repo-ref": "main", "workspace-paht": "."}"#;
    let what =
        "nothing says which folder of the repository is the workspace, and the field `workspace-paht` is not known";
    test.config("source.json", source);
    test.run(&RESOLVE)
        .fails(2, &format!("error: config/source.json: {what}\n\nhint: did you mean `workspace-path`?\n"));
}

#[harness::test]
fn a_new_plugin_that_the_yarn_lock_does_not_have_is_named() {
    let test = workspace();
    assert!(!test.run(&RESOLVE).success().stderr.contains("yarn.lock"));
    let repo = Repository { dir: test.path("repo") };
    let manifest =
        |name: &str| format!(r#"{{"name":"@x/{name}","version":"1.0.0","backstage":{{"role":"backend-plugin"}}}}"#);
    // The second is none of the workspaces.
    for folder in ["plugins/new", "wrappers/own"] {
        repo.write(&format!("{folder}/package.json"), manifest(folder.rsplit('/').next().unwrap()));
    }
    repo.commit("new");
    let said = test.run(&RESOLVE).success().stderr;
    let warning = "warning: repo: not in yarn.lock, though `workspaces` of package.json takes it in: plugins/new; a build fails \
                   in `yarn install`: run that in the repository and commit its yarn.lock\n";
    assert!(said.contains(warning), "{said}");
    assert!(!said.contains("wrappers/own"), "{said}");
}
