//! What editors and shells are told: schemas of the configuration, completions, manual pages.

use std::fs;
use std::path::Path;
use std::process::Command;

use factory::config::PluginsList;
use factory::config::source_json::SourceJson;
use harness::program::Test;
use serde_json::Value;

fn validator(name: &str) -> jsonschema::Validator {
    let schema = fs::read_to_string(harness::project().join("schema").join(name)).unwrap();
    jsonschema::draft7::new(&serde_json::from_str(&schema).unwrap()).unwrap()
}

/// Whether factory takes a text, and whether its schema does.
fn source_json(text: &str) -> (bool, bool) {
    let value: Value = serde_json::from_str(text).unwrap();
    (SourceJson::parse(text, Path::new("source.json")).is_ok(), validator("source.schema.json").is_valid(&value))
}

fn plugins_list(text: &str) -> (bool, bool) {
    let value: Value = yaml_serde::from_str(text).unwrap();
    let read = PluginsList::parse(text, Path::new("plugins-list.yaml"));
    (read.is_ok(), validator("plugins-list.schema.json").is_valid(&value))
}

#[harness::test]
fn the_schema_of_source_json_takes_what_factory_takes() {
    for (text, taken) in [
        (r#"{"$schema":"./source.schema.json","repo":"https://example.com/a/b","repo-ref":"main"}"#, true),
        (r#"{"repo":"../repo","repo-ref":null,"workspace-path":"workspaces/todo"}"#, true),
        (r#"{"repo":"git@example.com:a/b.git","repo-ref":"","workspace-path":"."}"#, true),
        (r#"{"repo":"x","repo-flat":false,"repo-backstage-version":"1.42.5"}"#, true),
        (r#"{"repo":"x","repo-flat":"true","note":1}"#, true),
        (r#"{"repo":"x","workspace-path":"a..b/..c"}"#, true),
        ("{}", false),
        ("[]", false),
        (r#"{"repo":5}"#, false),
        (r#"{"repo":""}"#, false),
        (r#"{"repo":"--upload-pack=x"}"#, false),
        (r#"{"repo":"x","repo-ref":"-x"}"#, false),
        (r#"{"repo":"x","repo-flat":"yes"}"#, false),
        (r#"{"repo":"x","repo-flat":1}"#, false),
        (r#"{"repo":"x","workspace-path":"../x"}"#, false),
        (r#"{"repo":"x","workspace-path":"a/.."}"#, false),
        (r#"{"repo":"x","workspace-path":"/x"}"#, false),
        (r#"{"repo":"x","repo-backstage-version":1}"#, false),
    ] {
        assert_eq!(source_json(text), (taken, taken), "{text}");
    }
}

#[harness::test]
fn the_schema_of_plugins_lists_takes_what_factory_takes() {
    for (text, taken) in [
        ("", true),
        ("# yaml-language-server: $schema=plugins-list.schema.json\nplugins/a:\n", true),
        ("plugins/a: --embed-package b\nplugins/b: ''\n.:\n", true),
        ("plugins/..a: ~\n", true),
        ("- plugins/a\n", false),
        ("plugins/a: [b]\n", false),
        ("../a:\n", false),
        ("a/../../b:\n", false),
        ("/a:\n", false),
    ] {
        assert_eq!(plugins_list(text), (taken, taken), "{text}");
    }
}

#[harness::test]
fn the_schemas_take_the_files_of_the_export_repository() {
    let overlays = harness::needs_folder("FACTORY_SHARED_DATA", "shared/data").join("overlays");
    let mut count = 0;
    for branch in ["main", "release-1.9", "release-1.10"] {
        for workspace in fs::read_dir(overlays.join(branch).join("workspaces")).unwrap() {
            let workspace = workspace.unwrap().path();
            for (name, check) in
                [("source.json", source_json as fn(&str) -> (bool, bool)), ("plugins-list.yaml", plugins_list)]
            {
                let Ok(text) = fs::read_to_string(workspace.join(name)) else { continue };
                assert_eq!(check(&text), (true, true), "{}", workspace.join(name).display());
                count += 1;
            }
        }
    }
    assert!(count > 300, "only {count} files were read");
}

#[harness::test]
fn each_schema_has_an_id_and_is_printed() {
    let test = Test::new();
    let names = test.run(&["schema"]).success().stdout;
    assert_eq!(
        names,
        "source.json\nplugins-list.yaml\nfactory.lock\nbuild-report.json\nshard\nplan\ndiff\ndoctor\nstatus\nverify\noutdated\nwhy\ncheck-refs\naudit\naudit-patch\n"
    );
    for name in names.lines() {
        let schema: Value = serde_json::from_str(&test.run(&["schema", name]).success().stdout).unwrap();
        assert_eq!(schema["$id"], format!("urn:factory:schema:{name}"));
    }
}

#[harness::test]
fn every_field_of_a_schema_is_described() {
    fn undescribed(path: &str, value: &Value, found: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        for (name, field) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if field.get("description").is_none() {
                found.push(format!("{path}/{name}"));
            }
        }
        for (name, inner) in object {
            undescribed(&format!("{path}/{name}"), inner, found);
        }
    }
    for file in fs::read_dir(harness::project().join("schema")).unwrap() {
        let path = file.unwrap().path();
        let schema = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut found = Vec::new();
        undescribed("", &schema, &mut found);
        assert_eq!(found, [""; 0], "{}", path.display());
    }
}

/// What bash is offered behind these words.
fn offered(test: &Test, words: &[&str]) -> Vec<String> {
    let mut command = test.command(&["--"]);
    command.args(words).env("FACTORY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let outcome = test.outcome(command.output().unwrap()).success();
    outcome.stdout.lines().map(str::to_owned).collect()
}

#[harness::test]
fn workspaces_are_completed_from_the_configuration_and_the_lock() {
    let test = Test::new();
    for name in ["todo", "tech-radar"] {
        test.config(&format!("{name}/source.json"), r#"{"repo":"x","workspace-path":"."}"#);
    }
    test.config("broken/source.json", "{");
    let config = test.path("config");
    let config = config.to_str().unwrap();
    assert_eq!(offered(&test, &["factory", "--config-dir", config, "build", "t"]), ["tech-radar", "todo"]);
    assert_eq!(offered(&test, &["factory", "resolve", &format!("--config-dir={config}"), "b"]), ["broken"]);
    let lock = harness::project().join("factory.lock.example");
    let words = ["factory", "diff", "--lock-file", lock.to_str().unwrap(), "--workspace", ""];
    assert!(offered(&test, &words).contains(&"todo".to_owned()), "{:?}", offered(&test, &words));
    let words = ["factory", "build", "--lock-file", lock.to_str().unwrap(), "--plugin", "plugins/g"];
    assert!(
        offered(&test, &words).iter().all(|path| path.starts_with("plugins/g")) && !offered(&test, &words).is_empty()
    );
    assert_eq!(offered(&test, &["factory", "build", "--froz"]), ["--frozen"]);
}

#[harness::test]
fn bash_completes_with_the_script() {
    harness::needs(&["bash"]);
    let test = Test::new();
    test.config("todo/source.json", r#"{"repo":"x","workspace-path":"."}"#);
    test.write("complete.bash", test.run(&["completions", "bash"]).success().stdout);
    let folder = Path::new(harness::program()).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let asks = "source complete.bash; COMP_WORDS=(factory build to); COMP_CWORD=2; COMP_TYPE=9; COMP_LINE='factory build to'; \
                COMP_POINT=16; f=$(complete -p factory | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f factory to build; echo \"${COMPREPLY[@]}\"";
    let mut command = Command::new("bash");
    command.args(["-c", asks]).current_dir(test.path("")).env("PATH", path).env_remove("FACTORY_CONFIG_DIR");
    let outcome = test.outcome(command.output().unwrap());
    assert_eq!(outcome.stdout.trim(), "todo", "{}", outcome.stderr);
}

#[harness::test]
fn manual_pages_are_printed_and_written() {
    let test = Test::new();
    let page = test.run(&["man", "build"]).success().stdout;
    assert!(page.contains(".TH factory-build 1") && page.contains("\\-\\-frozen"), "{page}");
    assert!(page.contains("\n.SH EXAMPLES\n"), "{page}");
    test.run(&["man", "--output-dir", test.path("man").to_str().unwrap()]).success();
    let names = harness::program::names(&test.path("man"));
    assert!(names.contains(&"factory.1".to_owned()) && names.contains(&"factory-diff.1".to_owned()), "{names:?}");
    let page = test.run(&["man", "cache", "prune"]).success().stdout;
    assert!(page.contains(".TH factory-cache-prune 1") && page.contains("\\-\\-max\\-size"), "{page}");
    for name in ["factory-cache-prune.1", "factory-cache-keygen.1", "factory-lock-merge.1"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    // Each option has its text, and the first lines are those of `--help`.
    for name in names {
        let page = test.read(&format!("man/{name}"));
        assert!(!page.contains("\\fR\n\n"), "{name}: {page}");
    }
    assert!(test.read("man/factory-join.1").contains("\n.SH SYNOPSIS\n\\fBfactory join\\fR [OPTIONS] [SHARD]...\n"));
    let said = "error: there is no command `cache prun`\n\nhint: see `factory --help`\n";
    test.run(&["man", "cache", "prun"]).fails(2, said);
    assert_eq!(offered(&test, &["factory", "man", "res"]), ["resolve"]);
    assert_eq!(offered(&test, &["factory", "man", "cache", "p"]), ["prune"]);
    let behind_build = offered(&test, &["factory", "man", "build", ""]);
    assert!(behind_build.iter().all(|word| word.starts_with("--")), "{behind_build:?}");
    test.run(&["man", "bild"]).fails(2, "error: there is no command `bild`\n\nhint: see `factory --help`\n");
}
