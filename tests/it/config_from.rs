//! `--config-from metadata`: plugins without a configuration get the example of RHDH's export repository in
//! `dynamic-plugins.yaml`, and nothing else changes.

use std::fs;

use harness::program::Test;
use harness::shards::{build_shards, join, locks, outputs, three};

use harness::schema::fits;

const EXAMPLE: &str = "apiVersion: extensions.backstage.io/v1alpha1
kind: Package
metadata: {name: x-a}
spec:
  packageName: '@x/a'
  appConfigExamples:
    - title: Default configuration
      content:
        zoo:
          url: ${ZOO_URL}
          frequency: &often { minutes: 30 }
        dynamicPlugins:
          frontend:
            x.a:
              mountPoints: [{ mountPoint: entity.page.ci/cards, importName: A }]
              frequency: *often
    - title: Another
      content: { other: true }
";

const FILLED: &str = "  pluginConfig:
    zoo:
      url: ${ZOO_URL}
      frequency:
        minutes: 30
    dynamicPlugins:
      frontend:
        x.a:
          mountPoints:
          - mountPoint: entity.page.ci/cards
            importName: A
          frequency:
            minutes: 30
";

fn list(test: &Test) -> String {
    test.read("out/dynamic-plugins.yaml")
}

/// The example has a plugin `a`; a configuration of the user has `c`.
fn with_metadata() -> Test {
    let test = three();
    let of_c = EXAMPLE.replace("@x/a", "@x/c");
    test.config("one/metadata/x-a.yaml", EXAMPLE).config("two/metadata/x-c.yaml", of_c);
    test
}

#[harness::test]
fn an_example_fills_what_has_no_configuration_and_seals_nothing() {
    let test = with_metadata();
    test.run(&["build", "--output-dir", "out"]).success();
    let (plain, sealed) = (list(&test), locks(&test));
    let said = test.run(&["build", "--output-dir", "out", "--config-from", "metadata"]).success().stderr;
    let note = "neither a configuration nor an example of one in `metadata`: `three plugins/b`\n";
    assert_eq!(said.matches(note).count(), 1, "{said}");
    assert_eq!(locks(&test), sealed);
    let filled = list(&test);
    let (before, after) = plain.split_once("- package: ./three/").unwrap();
    assert_eq!(filled, format!("{before}{FILLED}- package: ./three/{after}"));
    assert!(after.contains("    of: two\n") && !after.contains("zoo"), "{after}");
    // What is built without it again has none.
    test.run(&["build", "--output-dir", "out"]).success();
    assert_eq!(list(&test), plain);
    let variable = [("FACTORY_CONFIG_FROM", "metadata")];
    test.run_with(&["build", "--output-dir", "out", "--frozen"], &variable).success();
    assert_eq!((list(&test), locks(&test)), (filled, sealed));
}

#[harness::test]
fn shards_join_to_the_same_list() {
    let mut test = with_metadata();
    test.config("three/metadata/broken.yaml", "kind: [Package\n");
    test.env("FACTORY_CONFIG_FROM", "metadata");
    let unsealed = locks(&test);
    test.run(&["build", "--output-dir", "out"]).success();
    let sealed = locks(&test);
    for (name, bytes) in &unsealed {
        test.config(name, bytes);
    }
    for said in build_shards(&test, 2) {
        said.success();
    }
    let record = test.read("shard1/shard-1.json");
    fits("schema/factory.shard.schema.json", &serde_json::from_str(&record).unwrap());
    let said = join(&test, &["shard1", "shard2"]).success().stderr;
    assert!(
        said.contains("neither a configuration nor an example of one in `metadata`: `three plugins/b`\n"),
        "{said}"
    );
    assert_eq!(outputs(&test.path("joined")), outputs(&test.path("out")));
    assert_eq!(locks(&test), sealed);
    let other = record.replace("  \"config-from\": \"metadata\",\n", "");
    assert_ne!(other, record);
    test.write("shard1/shard-1.json", other);
    let said = join(&test, &["shard1", "shard2"]).exits(1).stderr;
    assert!(said.contains("it was built with another `--config-from`"), "{said}");
}

#[harness::test]
fn metadata_that_cannot_be_read_fails_no_build() {
    let test = with_metadata();
    let level = |n: usize| format!("x{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 10].join(", "));
    let bomb = (1..12).map(level).collect::<Vec<_>>().concat();
    test.config("one/metadata/a-bomb.yaml", format!("x0: &x0 [a, a, a, a, a, a, a, a]\n{bomb}"))
        .config("one/metadata/b-large.yaml", vec![b' '; (4 << 20) + 1])
        .config("one/metadata/c.txt", "not: read");
    let said = test.run(&["build", "--output-dir", "out", "--config-from", "metadata"]).success().stderr;
    for (file, what) in [("a-bomb", "repetition limit exceeded"), ("b-large", "is larger than")] {
        let warning = format!("warning: no example of a configuration is taken from `one/metadata/{file}.yaml`: ");
        let line = said.lines().find(|line| line.starts_with(&warning)).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains(what), "{line}");
    }
    assert!(list(&test).contains(FILLED));
    fs::remove_dir_all(test.path("config/one/metadata")).unwrap();
    let said = test.run(&["build", "--output-dir", "out", "--config-from", "metadata"]).success().stderr;
    assert!(said.contains("in `metadata`: `one plugins/a`, `three plugins/b`"), "{said}");
}
