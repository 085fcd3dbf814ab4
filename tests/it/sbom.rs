//! `factory sbom`: valid, whole, and the same bytes each time.

use harness::releases;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use factory::audit::closure::PluginClosure;
use factory::yarn::lockfile::YarnLock;
use harness::releases::{Release, factory, release};

struct Fixture {
    root: tempfile::TempDir,
    release: Release,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let release = release(true);
        release.write(&root.path().join("config"));
        Self { root, release }
    }

    fn sbom(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        factory(self.root.path()).arg("sbom").args(args).assert()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_slice(&self.sbom(args).success().get_output().stdout).unwrap()
    }

    /// Every document of a format: the release's first.
    fn documents(&self, format: &str, extension: &str) -> Vec<Value> {
        let dir = self.root.path().join(format);
        self.sbom(&["--format", format, "--output", dir.to_str().unwrap()]).success();
        let mut files = Vec::new();
        collect(&dir, &mut files);
        files.sort_by_key(|path| path.components().count());
        assert!(files.iter().all(|path| path.to_str().unwrap().ends_with(extension)), "{files:?}");
        files.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }

    /// The `name@version` of the closure of todo's backend.
    fn closure(&self) -> BTreeSet<String> {
        let path = "todo/plugins/todo-backend/yarn.lock";
        let (_, text) = self.release.files.iter().find(|(known, _)| known == path).unwrap();
        let packages = PluginClosure::of(&YarnLock::parse(text.as_bytes(), Path::new(path)).unwrap()).packages;
        packages.iter().flat_map(|(name, versions)| versions.iter().map(move |v| format!("{name}@{v}"))).collect()
    }
}

fn collect(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

pub fn cyclonedx_schema(check: impl FnOnce(&jsonschema::Validator)) {
    let read = |name: &str| -> Value {
        let path = harness::project().join("tests/data/schemas").join(name);
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    };
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"] {
        registry = registry.add(format!("http://cyclonedx.org/schema/{name}"), read(name)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = read("bom-1.6.SNAPSHOT.schema.json");
    let validator =
        jsonschema::options().should_validate_formats(true).with_registry(&registry).build(&schema).unwrap();
    check(&validator);
}

#[harness::test]
fn cyclonedx_is_valid() {
    let fixture = Fixture::new();
    let documents = fixture.documents("cyclonedx", ".cdx.json");
    assert_eq!(documents.len(), 11, "the release and its ten plugins");
    cyclonedx_schema(|schema| {
        for document in &documents {
            let errors: Vec<String> =
                schema.iter_errors(document).map(|e| format!("{e} at {}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
        let mut broken = documents[0].clone();
        broken["components"][0]["type"] = "nonsense".into();
        assert!(!schema.is_valid(&broken), "the schema says something");
    });
    for document in &documents {
        references_hold(document);
    }
}

/// What no schema can say: references are unique, and lead to what is there.
fn references_hold(document: &Value) {
    let mut known = BTreeSet::new();
    let components = document["components"].as_array().unwrap();
    for component in components.iter().chain([&document["metadata"]["component"]]) {
        assert!(known.insert(component["bom-ref"].as_str().unwrap()), "{component} twice");
    }
    let mut seen = BTreeSet::new();
    for dependency in document["dependencies"].as_array().unwrap() {
        assert!(seen.insert(dependency["ref"].as_str().unwrap()), "{dependency} twice");
        for on in dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]) {
            assert!(known.contains(on.as_str().unwrap()), "{on} is nowhere");
        }
    }
}

#[harness::test]
fn the_packages_are_those_of_the_closure() {
    let fixture = Fixture::new();
    fixture.documents("cyclonedx", ".cdx.json");
    let path = fixture.root.path().join("cyclonedx/todo/plugins/todo-backend.cdx.json");
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let packages: BTreeSet<String> = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| format!("{}@{}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap()))
        .collect();
    assert_eq!(packages, fixture.closure());
    assert_eq!(document["metadata"]["component"]["name"], "plugin-todo-backend-dynamic");
    assert_eq!(document["metadata"]["component"]["group"], "@x");
    assert_eq!(document["compositions"][0]["aggregate"], "complete");

    fixture.documents("spdx", ".spdx.json");
    let path = fixture.root.path().join("spdx/todo/plugins/todo-backend.spdx.json");
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let packages: BTreeSet<String> = document["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["externalRefs"].is_array())
        .map(|package| format!("{}@{}", package["name"].as_str().unwrap(), package["versionInfo"].as_str().unwrap()))
        .collect();
    assert_eq!(packages, fixture.closure());
}

#[harness::test]
fn a_frontend_says_that_its_packages_are_not_known() {
    let document = Fixture::new().json(&["todo"]);
    let unknown =
        document["compositions"].as_array().unwrap().iter().find(|one| one["aggregate"] == "unknown").unwrap();
    assert_eq!(unknown["dependencies"], serde_json::json!(["plugin:todo/plugins/todo"]));
}

const BUNDLE: &str = "exposes dist .\n\
                      package dist @mf/runtime 0.9.1 tools entry\n\
                      package dist @x/plugin-todo-common 0.2.0 workspace exposes:.\n\
                      package dist express 5.1.0 installed exposes:.\n\
                      package dist react 18.3.1 installed exposes:.\n\
                      package dist react 18.3.1 installed shares:react\n\
                      package dist-scalprum react 18.3.1 installed chunk\n\
                      shares dist react 18.3.1\n";

#[harness::test]
fn a_frontend_has_the_packages_of_its_bundles() {
    let fixture = Fixture::new();
    let mut release = release(true);
    release.seal_bundle("todo", "plugins/todo", BUNDLE);
    release.write(&fixture.root.path().join("config"));
    let documents = fixture.documents("cyclonedx", ".cdx.json");
    cyclonedx_schema(|schema| {
        for document in &documents {
            let errors: Vec<String> =
                schema.iter_errors(document).map(|e| format!("{e} at {}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}");
        }
    });
    documents.iter().for_each(references_hold);
    let path = fixture.root.path().join("cyclonedx/todo/plugins/todo.cdx.json");
    let document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let here = |name: &str| serde_json::json!({ "name": format!("factory:{name}"), "value": "todo/plugins/todo" });
    let embedded = serde_json::json!({ "name": "factory:embedded", "value": "true" });
    let components: Vec<Value> = document["components"].as_array().unwrap().clone();
    let said: Vec<Value> =
        components.iter().map(|one| serde_json::json!([one["purl"], one["bom-ref"], one["properties"]])).collect();
    let common = "plugin:todo/plugins/todo#pkg:npm/%40x/plugin-todo-common@0.2.0";
    let [mf, express, react] = ["pkg:npm/%40mf/runtime@0.9.1", "pkg:npm/express@5.1.0", "pkg:npm/react@18.3.1"];
    assert_eq!(
        Value::from(said),
        serde_json::json!([
            [mf, mf, [here("bundled")]],
            [express, express, [here("bundled")]],
            [react, react, [here("bundled"), here("shared")]],
            [Value::Null, common, [here("bundled"), embedded]],
        ])
    );
    let root =
        &document["dependencies"].as_array().unwrap().iter().find(|one| one["ref"] == "plugin:todo/plugins/todo");
    assert_eq!(root.unwrap()["dependsOn"], serde_json::json!([mf, express, react, common]));
    // All code is known; whether there is data besides, no source map says.
    assert_eq!(document["compositions"][0]["aggregate"], "not_specified");
    // In the release it is one component with that of the backend.
    let all = documents[0]["components"].as_array().unwrap();
    let express: Vec<&Value> = all.iter().filter(|one| one["bom-ref"] == express).collect();
    assert_eq!((express.len(), &express[0]["properties"]), (1, &serde_json::json!([here("bundled")])));

    let document = fixture.json(&["--format", "spdx", "todo"]);
    let linked: Vec<&str> = document["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["relationshipType"] == "STATIC_LINK")
        .map(|one| one["relatedSpdxElement"].as_str().unwrap())
        .collect();
    let names: Vec<&str> = linked.iter().map(|reference| reference.rsplit_once('-').unwrap().0).collect();
    assert_eq!(
        names,
        [
            "SPDXRef-Embedded-SPDXRef-Plugin-todo-plugins-todo-434d232a--x-plugin-todo-common-0.2.0",
            "SPDXRef-npm-express-5.1.0",
            "SPDXRef-npm-mf-runtime-0.9.1",
            "SPDXRef-npm-react-18.3.1"
        ]
    );
    let provenance = fixture.json(&["--format", "provenance", "todo"]);
    let resolved = provenance["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let bundle = resolved.iter().find(|one| one["name"] == "factory.lock.d/todo/plugins/todo/bundle").unwrap();
    let digest = factory::lock::Sha256::of(format!("# factory bundle 1\n{BUNDLE}")).hex();
    assert_eq!(bundle["digest"]["sha256"], digest);
}

#[harness::test]
fn what_is_in_a_part_of_a_frontend_can_be_unknown() {
    let fixture = Fixture::new();
    let mut release = release(true);
    let unknown = "unknown dist/a.js no-map\nunknown dist/b.js source:webpack://x/y%20z\n";
    release.seal_bundle("todo", "plugins/todo", &format!("package dist react 18.3.1 installed chunk\n{unknown}"));
    release.write(&fixture.root.path().join("config"));
    let said = fixture.sbom(&["todo"]).success();
    let (document, said) =
        (said.get_output().stdout.clone(), String::from_utf8_lossy(&said.get_output().stderr).into_owned());
    assert!(
        said.contains("`todo plugins/todo` may have more packages than are known, in `dist/a.js: no-map` and 1 more"),
        "{said}"
    );
    let document: Value = serde_json::from_slice(&document).unwrap();
    let known = document["compositions"].as_array().unwrap();
    let unknown = known.iter().find(|one| one["aggregate"] == "unknown").unwrap();
    assert_eq!(unknown["dependencies"], serde_json::json!(["plugin:todo/plugins/todo"]));
    let text = document.to_string();
    assert!(text.contains("pkg:npm/react@18.3.1") && text.contains("dist/b.js: source:webpack://x/y z"), "{text}");

    // What is not the file that the lock names, or none that is read, is not believed.
    let bundle = fixture.root.path().join("config/factory.lock.d/todo/plugins/todo/bundle");
    fs::write(&bundle, "# factory bundle 1\n").unwrap();
    let said = fixture.sbom(&["todo"]).code(3);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("todo/plugins/todo/bundle: does not match the digest in the lock"), "{said}");
    release.seal_bundle("todo", "plugins/todo", "nonsense\n");
    release.write(&fixture.root.path().join("config"));
    let said = fixture.sbom(&["todo"]).code(3);
    let said = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(said.contains("todo/plugins/todo/bundle: line 2: is no fact"), "{said}");
}

#[harness::test]
fn a_v1_closure_gives_its_checksums() {
    let fixture = Fixture::new();
    let mut release = release(true);
    let integrity = factory::lock::Integrity::of("tarball");
    let text = format!(
        "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\n\
         a@^1.0.0:\n  version \"1.2.3\"\n  resolved \"https://r.example/a/-/a-1.2.3.tgz#0\"\n  integrity {integrity}\n  \
         dependencies:\n    b \"^2.0.0\"\n\nb@^2.0.0:\n  version \"2.0.0\"\n  resolved \"https://r.example/b/-/b-2.0.0.tgz#0\"\n"
    );
    let todo = release.lock.workspace.iter_mut().find(|workspace| workspace.name == "todo").unwrap();
    todo.plugin[1].sealed.as_mut().unwrap().closure = Some(factory::lock::Sha256::of(&text));
    release.files.push(("todo/plugins/todo-backend/yarn.lock".into(), text));
    release.write(&fixture.root.path().join("config"));
    let document = fixture.json(&["todo"]);
    let component = |name: &str| {
        document["components"].as_array().unwrap().iter().find(|component| component["name"] == name).unwrap().clone()
    };
    assert_eq!(component("a")["hashes"][0]["content"], integrity.hex());
    assert_eq!(component("b")["hashes"], Value::Null);
    let depends = |reference: &str| {
        let all = document["dependencies"].as_array().unwrap();
        all.iter().find(|dependency| dependency["ref"] == reference).unwrap()["dependsOn"].clone()
    };
    assert_eq!(depends("pkg:npm/a@1.2.3"), serde_json::json!(["pkg:npm/b@2.0.0"]));
    assert_eq!(depends("plugin:todo/plugins/todo-backend"), serde_json::json!(["pkg:npm/a@1.2.3"]));
}

#[harness::test]
fn equal_releases_give_equal_bytes() {
    for format in ["cyclonedx", "spdx", "provenance"] {
        let bytes = || Fixture::new().sbom(&["--format", format]).success().get_output().stdout.clone();
        let first = bytes();
        assert_eq!(first, bytes(), "{format}");
        let other = Fixture::new();
        releases::release(false).write(&other.root.path().join("config"));
        assert_ne!(first, other.sbom(&["--format", format]).success().get_output().stdout, "{format}");
    }
}

#[harness::test]
fn identifiers_differ_where_the_content_does() {
    let fixture = Fixture::new();
    let mut seen = BTreeSet::new();
    for document in fixture.documents("cyclonedx", ".cdx.json") {
        assert!(seen.insert(document["serialNumber"].as_str().unwrap().to_owned()), "{document}");
    }
}

/// The rules of SPDX 2.3 that its validators hold documents to.
#[harness::test]
fn spdx_is_valid() {
    let fixture = Fixture::new();
    let documents = fixture.documents("spdx", ".spdx.json");
    assert_eq!(documents.len(), 11);
    for document in &documents {
        assert_eq!(document["spdxVersion"], "SPDX-2.3");
        assert_eq!(document["dataLicense"], "CC0-1.0");
        assert_eq!(document["SPDXID"], "SPDXRef-DOCUMENT");
        assert!(document["documentNamespace"].as_str().unwrap().starts_with("urn:uuid:"));
        assert_eq!(document["creationInfo"]["created"].as_str().unwrap().len(), "2026-02-02T02:40:00Z".len());
        let mut known = BTreeSet::from(["SPDXRef-DOCUMENT"]);
        for package in document["packages"].as_array().unwrap() {
            let id = package["SPDXID"].as_str().unwrap();
            let rest = id.strip_prefix("SPDXRef-").unwrap();
            assert!(rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'), "{id}");
            assert!(known.insert(id), "{id} twice");
            assert_eq!(package["filesAnalyzed"], false);
            assert!(package["name"].is_string() && package["downloadLocation"] == "NOASSERTION");
        }
        let mut described = 0;
        for relationship in document["relationships"].as_array().unwrap() {
            for end in ["spdxElementId", "relatedSpdxElement"] {
                assert!(known.contains(relationship[end].as_str().unwrap()), "{relationship}");
            }
            described += usize::from(relationship["relationshipType"] == "DESCRIBES");
        }
        assert_eq!(described, 1);
    }
}

#[harness::test]
fn provenance_names_every_pin() {
    let fixture = Fixture::new();
    let statement = fixture.json(&["todo", "--format", "provenance", "--builder-id", "https://ci.example/rhdh"]);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let predicate = &statement["predicate"];
    assert_eq!(predicate["runDetails"]["builder"]["id"], "https://ci.example/rhdh");
    let definition = &predicate["buildDefinition"];
    assert_eq!(definition["externalParameters"]["plugins"][1]["plugin"], "plugins/todo-backend");
    let subjects: Vec<_> = statement["subject"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(
        subjects,
        [
            "x-plugin-todo-dynamic-0.10.0.tgz",
            "x-plugin-todo:0.10.0",
            "x-plugin-todo-backend-dynamic-1.0.0.tgz",
            "x-plugin-todo-backend:1.0.0"
        ]
    );
    let todo = fixture.release.lock.workspace.iter().find(|workspace| workspace.name == "todo").unwrap();
    let tools = &fixture.release.lock.tools;
    let dependencies = definition["resolvedDependencies"].as_array().unwrap();
    let has = |algorithm: &str, digest: &str| {
        assert!(dependencies.iter().any(|one| one["digest"][algorithm] == digest), "no {algorithm} {digest}");
    };
    has("gitCommit", todo.source.commit.as_ref().unwrap());
    has("sha256", &todo.source.yarn_lock.hex());
    has("sha512", &todo.source.yarn.integrity.unwrap().hex());
    for input in &todo.input {
        has("sha256", &input.sha256.hex());
    }
    for integrity in tools.node.integrity.values().chain([&tools.npm.integrity, &tools.rhdh_cli.integrity]) {
        has("sha512", &integrity.hex());
    }
    has("sha256", &tools.rhdh_cli.tree.hex());
    has("sha256", &fixture.release.lock.rhdh.as_ref().unwrap().lockfile.hex());
    has("sha256", &todo.plugin[1].sealed.as_ref().unwrap().closure.unwrap().hex());
    // In-toto's rule for resource descriptors.
    for dependency in dependencies {
        assert!(dependency["digest"].as_object().is_some_and(|digest| !digest.is_empty()), "{dependency}");
    }
}

#[harness::test]
fn what_is_wrong_is_said() {
    let fixture = Fixture::new();
    let stderr =
        |args: &[&str], code| String::from_utf8(fixture.sbom(args).code(code).get_output().stderr.clone()).unwrap();
    let said = stderr(&["nothing"], 2);
    assert!(said.contains("workspace `nothing` not found in the lock"), "{said}");
    let said = stderr(&["github", "--format", "provenance"], 2);
    assert!(said.contains("no plugin is sealed") && said.contains("run `factory build` first"), "{said}");
    let said = stderr(&["todo", "--format", "provenance", "--builder-id", "me"], 2);
    assert!(said.contains("`me` is not a valid builder URI"), "{said}");
    let said = stderr(&["github"], 0);
    assert!(said.contains("has not been built, so its dependencies are not known"), "{said}");
    let closure = fixture.root.path().join("config/factory.lock.d/todo/plugins/todo-backend/yarn.lock");
    fs::write(&closure, "other").unwrap();
    let said = stderr(&["todo"], 3);
    assert!(said.contains("does not match the digest in the lock"), "{said}");
    fs::remove_file(&closure).unwrap();
    assert!(stderr(&["todo"], 3).contains("not found; the lock requires it"));
    fs::remove_file(fixture.root.path().join("config/factory.lock")).unwrap();
    assert!(stderr(&[], 3).contains("there is no lock"));
}
