use super::*;

fn pairs(text: &str) -> Vec<(String, Option<String>)> {
    let (bindings, broken) = dotenv::parse(text);
    assert_eq!(broken, [0; 0], "{text:?}");
    bindings.into_iter().map(|binding| (binding.key, binding.value)).collect()
}

fn value(text: &str) -> String {
    let mut pairs = pairs(text);
    assert_eq!(pairs.len(), 1, "{text:?}");
    pairs.remove(0).1.unwrap()
}

fn process(pairs: &[(&str, &str)]) -> Env {
    Env::new(pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())))
}

fn layered(process: &Env, text: &str) -> Env {
    let (env, warnings) = process.with_text(text, Path::new("config/.env"), true);
    let is_other = |warning: &Warning| !warning.what.starts_with("factory does not read");
    assert!(!warnings.iter().any(is_other), "{warnings:?}");
    env
}

#[test]
fn values_are_read_as_python_dotenv_reads_them() {
    for (text, expected) in [
        ("A=b", "b"),
        ("A=\"b\"", "b"),
        ("A='b'", "b"),
        ("export A=b", "b"),
        ("  export\tA = b  ", "b"),
        ("'A'=b", "b"),
        ("A=", ""),
        ("A=\n", ""),
        ("A=b # comment", "b"),
        ("A=b#no comment", "b#no comment"),
        ("A=\"b # c\" # comment", "b # c"),
        ("A='b' # comment", "b"),
        ("A= # not a comment", "# not a comment"),
        ("A=b\\nc", "b\\nc"),
        ("A=\"b\\nc\\\"\\\\ \\q\"", "b\nc\"\\ \\q"),
        ("A='b\\nc\\'\\\\'", "b\\nc'\\"),
        ("A=\"b\nc\"", "b\nc"),
        ("A='b\r\nc'\r\n", "b\nc"),
        ("A='C:\\'", "C:\\"),
        ("A=b=c", "b=c"),
        ("A=it's", "it's"),
        ("\u{a0}A=é\u{a0}", "é"),
    ] {
        assert_eq!(value(text), expected, "{text:?}");
    }
}

#[test]
fn comments_blank_lines_and_keys_without_a_value() {
    assert_eq!(
        pairs("# A=1\n\n  # B\nC\nD=1\r\nE=2"),
        [("C".to_owned(), None), ("D".to_owned(), Some("1".to_owned())), ("E".to_owned(), Some("2".to_owned())),]
    );
    assert_eq!(pairs(""), []);
}

#[test]
fn a_line_that_cannot_be_read_is_a_warning_without_its_text() {
    let text = "A=1\n=s3cret\nB=\"s3cret\nC='x'y\nD=2\n'a=b'=s3cret\n";
    let (env, warnings) = process(&[]).with_text(text, Path::new("config/.env"), true);
    assert_eq!(env.from_files().collect::<Vec<_>>(), [("A", "1"), ("D", "2")]);
    let warnings = warnings.iter().filter(|warning| !warning.what.starts_with("factory does not read"));
    let warnings: Vec<_> = warnings.map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [2, 3, 4, 6].map(|line| format!("config/.env:{line}: this line is not `KEY=value` and is skipped"))
    );
}

#[test]
fn references_are_expanded_from_the_file_and_the_layers_below() {
    let below = process(&[("HOME", "/home/u"), ("A", "below"), ("EMPTY", "")]);
    let text = "A=1\nB=${A}-${HOME}\nC='${A}'\nD=$A\nE=${NOPE}|${NOPE:-or}|${EMPTY:-or}\nF=${A:x}${\nG\nH=${G:-or}\nA=2\nI=${A}\n";
    let env = layered(&below, text);
    for (name, expected) in [
        ("A", "2"),
        ("B", "1-/home/u"),
        ("C", "1"),
        ("D", "$A"),
        ("E", "|or|"),
        ("F", "${A:x}${"),
        ("H", ""),
        ("I", "2"),
    ] {
        assert_eq!(env.get(name), Some(expected), "{name}");
    }
    assert_eq!(env.get("G"), None);
}

#[test]
fn a_file_wins_over_the_process_and_the_process_over_the_defaults() {
    assert_eq!(process(&[]).get("RHDH_CLI_VERSION"), Some("latest"));
    assert_eq!(process(&[]).origin("RHDH_CLI_VERSION"), Some(&EnvOrigin::Default));
    let env = process(&[("RHDH_CLI_VERSION", "1.8.0"), ("REGISTRY_URL", "process"), ("X", "process")]);
    let (root, warned) = env.with_text("REGISTRY_URL=root\nREGISTRY_INSECURE=True\n", Path::new("config/.env"), true);
    assert_eq!(
        warned.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["config/.env:1: `REGISTRY_URL` is `root` here and `process` in the environment; the one of this line is used"]
    );
    let (workspace, _) = root.with_text("\nREGISTRY_URL=workspace\nX\n", Path::new("config/todo/.env"), false);
    assert_eq!(workspace.get("RHDH_CLI_VERSION"), Some("1.8.0"));
    assert_eq!(workspace.get("REGISTRY_URL"), Some("workspace"));
    assert_eq!(workspace.get("X"), Some("process"));
    assert!(workspace.is_true("REGISTRY_INSECURE"));
    let origins = ["RHDH_CLI_VERSION", "REGISTRY_URL", "REGISTRY_INSECURE"]
        .map(|name| workspace.origin(name).unwrap().to_string());
    assert_eq!(origins, ["environment", "config/todo/.env:2", "config/.env:2"]);
    // The layer below is untouched.
    assert_eq!(root.get("REGISTRY_URL"), Some("root"));
    let (empty, _) = env.with_text("RHDH_CLI_VERSION=\n", Path::new("config/.env"), true);
    assert_eq!(empty.given("RHDH_CLI_VERSION"), None);
}

fn warnings(text: &str, path: &str, is_root: bool) -> Vec<String> {
    let (_, warnings) = process(&[]).with_text(text, Path::new(path), is_root);
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_variable_without_effect_in_a_file_is_a_warning() {
    let text = "FACTORY_JOBS=4\nREGISTRY_PASSWROD=x\nHELPER_TOKEN=x\nHTTPS_PROXY=http://p\n=\nNPM_CONFIG_REGISTRY=http://r\n\
                FACTORY_NEW=1\nREGISTRY_USER=\nGIT_SSH=x\nAWS_PROFILE=x\nORG=me\nREGISTRY_NAMESPACE=${ORG}\nhtps_proxy=x\n\
                https_proxy=x\nnpm_config__auth=x\nNPM_TOKEN=x\nINPUTS_IMAGE_TAG_PREFIX=x\n";
    let (env, _) = process(&[]).with_text(text, Path::new("config/.env"), true);
    assert_eq!(env.get("FACTORY_JOBS"), Some("4"));
    let of_run: Vec<_> = env.of_run().map(|(name, _)| name).collect();
    assert_eq!(of_run, ["HTTPS_PROXY", "NPM_CONFIG_REGISTRY", "NPM_TOKEN", "https_proxy", "npm_config__auth"]);
    assert_eq!(
        warnings(text, "config/.env", true),
        [
            "config/.env:1: `FACTORY_JOBS` has no effect in a `.env` file: it is read from the environment alone",
            "config/.env:2: factory does not read `REGISTRY_PASSWROD`; did you mean `REGISTRY_PASSWORD`?",
            "config/.env:3: factory does not read `HELPER_TOKEN`, and no build sees it",
            "config/.env:5: this line is not `KEY=value` and is skipped",
            "config/.env:7: factory does not read `FACTORY_NEW`, and no build sees it",
            "config/.env:8: factory does not read `REGISTRY_USER`; did you mean `REGISTRY_USERNAME`?",
            "config/.env:9: `GIT_SSH` has no effect in a `.env` file: it is read from the environment alone",
            "config/.env:13: factory does not read `htps_proxy`; did you mean `HTTPS_PROXY`?",
        ]
    );
}

#[test]
fn what_holds_for_the_whole_run_belongs_into_the_file_at_the_root() {
    let text = "HTTPS_PROXY=http://p\nNPM_CONFIG_REGISTRY=http://r\nNODE_EXTRA_CA_CERTS=/ca.pem\nDOCKER_CONFIG=/d\n";
    assert_eq!(warnings(text, "config/.env", true), [""; 0]);
    assert_eq!(
        warnings(text, "config/todo/.env", false),
        [
            "config/todo/.env:1: `HTTPS_PROXY` is for the push alone in the `.env` file of a workspace: for downloads and \
             builds, set it in that of the configuration directory",
            "config/todo/.env:2: `NPM_CONFIG_REGISTRY` has no effect in the `.env` file of a workspace: set it in that of \
             the configuration directory",
            "config/todo/.env:3: `NODE_EXTRA_CA_CERTS` has no effect in the `.env` file of a workspace: set it in that of \
             the configuration directory",
        ]
    );
}

#[test]
fn a_variable_of_the_original_that_does_nothing_is_named_with_what_does_it() {
    let text = "INPUTS_DESTINATION=/x\nINPUTS_CLI_PACKAGE=@janus-idp/cli\nINPUTS_NEW=1\nWORKSPACE_PATH=x\nLOG_LEVEL=DEBUG\n\
                YARN_NPM_REGISTRY_SERVER=http://r\n";
    assert_eq!(
        warnings(text, ".env", true),
        [
            ".env:1: `INPUTS_DESTINATION` has no effect: give `--output-dir`",
            ".env:2: `INPUTS_CLI_PACKAGE` has no effect: plugins are always exported with `@red-hat-developer-hub/cli`",
            ".env:3: factory does not read `INPUTS_NEW`, and no build sees it",
            ".env:4: `WORKSPACE_PATH` has no effect: write `workspace-path` in source.json, or give `--workspace-path`",
            ".env:5: `LOG_LEVEL` has no effect: give `--log-level`",
            ".env:6: `YARN_NPM_REGISTRY_SERVER` has no effect: set `NPM_CONFIG_REGISTRY`",
        ]
    );
}

#[test]
fn a_missing_file_changes_nothing_and_a_broken_one_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    let env = process(&[("A", "1")]);
    assert_eq!(env.with_file(&path).unwrap(), (env.clone(), vec![]));
    std::fs::write(&path, "\u{feff}A=2\n").unwrap();
    assert_eq!(env.with_file(&path).unwrap().0.get("A"), Some("2"));
    std::fs::write(&path, b"A=1\nB=\xff").unwrap();
    let error = env.with_file(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}:2: is not UTF-8", path.display()));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_read(text in "([A-C'\"\\\\#= \n\r\t]|export |\\$\\{A|:-|\\}|é|\u{a0}|\0)*") {
        let (bindings, broken) = dotenv::parse(&text);
        let lines = text.replace("\r\n", "\n").replace('\r', "\n").split('\n').count();
        for line in bindings.iter().map(|binding| binding.line).chain(broken) {
            proptest::prop_assert!((1..=lines).contains(&line));
        }
        let (env, _) = process(&[("A", "1")]).with_text(&text, Path::new(".env"), true);
        for (name, value) in env.iter() {
            proptest::prop_assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.text.contains('\0'));
        }
    }
}
