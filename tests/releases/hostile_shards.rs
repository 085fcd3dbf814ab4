//! Shards that somebody else wrote: what they say is held to the lock, to each other and to the files beside them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use factory::lock::{Integrity, Sha256};
use harness::program::Test;
use harness::repository::git;
use harness::shards::{build_shards, files, join, locks, three};
use serde_json::{Value, json};

fn replace(test: &Test, name: &str, from: &str, to: &str) {
    let was = test.read(name);
    assert!(was.contains(from), "{name}: {was}");
    test.write(name, was.replacen(from, to, 1));
}

fn archive(test: &Test) -> PathBuf {
    let tgz = fs::read_dir(test.path("shard1/three")).unwrap().map(|entry| entry.unwrap().path());
    tgz.into_iter().find(|path| path.extension().is_some_and(|end| end == "tgz")).unwrap()
}

/// How a shard is harmed, the exit code, and what is said.
type Harm = (&'static str, fn(&Test), i32, &'static str);

#[harness::test]
fn what_a_shard_lies_about_is_refused() {
    const FILE: &str = "shard1/shard-1.json";
    let table: [Harm; 11] = [
        (
            "a folder that is not there",
            |test| fs::remove_dir_all(test.path("shard1/three")).unwrap(),
            1,
            ".tgz` is not there\n\nhint: copy the shard's output directory again, or build the shard again",
        ),
        (
            "the exit code of a failure alone",
            |test| replace(test, FILE, "\"exit-code\": 0", "\"exit-code\": 1"),
            1,
            "it has the exit code of a failure, and nothing that failed",
        ),
        (
            "an archive with other bytes",
            |test| fs::write(archive(test), "x").unwrap(),
            1,
            "is not the archive that its shard names",
        ),
        (
            "an archive that is a link",
            |test| {
                let path = archive(test);
                fs::rename(&path, test.path("moved")).unwrap();
                symlink(test.path("moved"), path).unwrap();
            },
            1,
            "is a symbolic link; factory reads only regular files",
        ),
        (
            "an archive elsewhere",
            |test| replace(test, FILE, "\"tgz\": \"three/", "\"tgz\": \"../three/"),
            1,
            "which is not a name of one",
        ),
        (
            "a seal of other bytes",
            |test| replace(test, FILE, "\"inputs\": \"sha256:", "\"inputs\": \"sha256:0000"),
            2,
            "shard1/shard-1.json:",
        ),
        (
            "a layer that is cut",
            |test| {
                let blobs = test.path("shard1/three/oci/blobs/sha256");
                let largest = fs::read_dir(&blobs).unwrap().map(|blob| blob.unwrap().path());
                for blob in largest {
                    let bytes = fs::read(&blob).unwrap();
                    fs::write(&blob, &bytes[..bytes.len() / 2]).unwrap();
                }
            },
            1,
            "is not the one that its shard names",
        ),
        (
            "another list of files",
            |test| fs::write(test.path("shard1/shard-1/factory.lock.d/three/plugins/b/files"), "x").unwrap(),
            1,
            "is not the file that its shard names",
        ),
        (
            "an unknown format",
            |test| replace(test, FILE, "\"version\": 1", "\"version\": 2"),
            2,
            "its format 2 is not one that this factory reads",
        ),
        (
            "another factory",
            |test| replace(test, FILE, "\"factory\": \"", "\"factory\": \"9"),
            2,
            "`shard1/shard-1.json` was built by factory 9",
        ),
        (
            "a file without an end",
            |test| {
                let file = fs::File::create(test.path(FILE)).unwrap();
                file.set_len(1 << 40).unwrap();
            },
            1,
            "is larger than 67108864 bytes",
        ),
    ];
    let test = three();
    for said in build_shards(&test, 2) {
        said.success();
    }
    let (shard, lock) = (files(&test.path("shard1")), locks(&test));
    for (what, harm, code, said) in table {
        fs::remove_dir_all(test.path("shard1")).unwrap();
        for (name, bytes) in &shard {
            test.write(&format!("shard1/{name}"), bytes);
        }
        harm(&test);
        let outcome = join(&test, &["shard1", "shard2"]);
        assert_eq!(outcome.code, code, "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{what}: {}", outcome.stderr);
        assert_eq!(locks(&test), lock, "{what}: neither the lock nor what lies beside it is written");
        assert!(!test.path("joined").exists() || files(&test.path("joined")).is_empty(), "{what}");
    }
}

/// What is done to the row of a plugin in its shard's file, and what is said of it.
type Lie<'a> = (&'static str, &'a dyn Fn(&mut Value), &'static str);

/// Three workspaces, whose plugin `a` has a configuration of its own.
fn with_config() -> Test {
    let test = three();
    test.write("repo/plugins/a/app-config.janus-idp.yaml", "own: [1.50, 'on']\n");
    for args in [["add", "--all"].as_slice(), &["commit", "--quiet", "--message", "config"]] {
        assert!(git(&test.path("repo")).args(args).status().unwrap().success());
    }
    test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
    test
}

/// Changes what shard 2 of 2 says of its two workspaces, `one` and `two`.
fn lie(test: &Test, record: &str, change: &dyn Fn(&mut Value)) {
    let mut record: Value = serde_json::from_str(record).unwrap();
    change(&mut record);
    test.write("shard2/shard-2.json", serde_json::to_string_pretty(&record).unwrap());
}

/// Joins what each lie makes of the shard: it is refused, and nothing is written.
fn refused(test: &Test, lies: &[Lie<'_>]) {
    let (record, before) = (test.read("shard2/shard-2.json"), locks(test));
    for (what, change, said) in lies {
        lie(test, &record, change);
        let outcome = join(test, &["shard1", "shard2"]);
        assert_eq!(outcome.code, 1, "{what}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{what}: {}", outcome.stderr);
        assert_eq!(locks(test), before, "{what}");
        assert!(files(&test.path("joined")).is_empty(), "{what}");
    }
    test.write("shard2/shard-2.json", record);
    join(test, &["shard1", "shard2"]).success();
}

#[harness::test]
fn what_is_sealed_is_all_that_a_shard_can_have() {
    let test = with_config();
    test.run(&["build", "--output-dir", "out"]).success();
    for said in build_shards(&test, 2) {
        said.success();
    }
    // An archive of the shard's own, of which it says no seal.
    let other = |record: &mut Value| {
        let of_two = record["workspaces"][1]["report"]["plugins"][0]["output"].clone();
        let one = &mut record["workspaces"][0];
        for field in ["integrity", "tgz-bytes"] {
            one["report"]["plugins"][0]["output"][field] = of_two[field].clone();
        }
        one["plugins"][0].as_object_mut().unwrap().remove("seal");
    };
    let config = |record: &mut Value| record["workspaces"][0]["plugins"][0]["config"] = json!("own: other\n");
    let no_config = |record: &mut Value| {
        record["workspaces"][0]["plugins"][0].as_object_mut().unwrap().remove("config");
    };
    let another = "has another configuration than the lock has sealed";
    refused(
        &test,
        &[
            ("another archive", &other, "has other digests than the lock has sealed"),
            ("another configuration", &config, another),
            ("no configuration", &no_config, another),
        ],
    );
    assert_eq!(test.read("joined/dynamic-plugins.yaml"), test.read("out/dynamic-plugins.yaml"));
    // An image of the shard's own, of which it says no seal: that may be one of another compression.
    let image = |record: &mut Value| {
        let of_two = record["workspaces"][1]["report"]["plugins"][0]["output"].clone();
        let one = &mut record["workspaces"][0];
        for field in ["digest", "layer-blob"] {
            one["report"]["plugins"][0]["output"][field] = of_two[field].clone();
        }
        one["plugins"][0].as_object_mut().unwrap().remove("seal");
    };
    lie(&test, &test.read("shard2/shard-2.json"), &image);
    let blobs = files(&test.path("shard2/two/oci/blobs"));
    for (name, bytes) in blobs {
        test.write(&format!("shard2/one/oci/blobs/{name}"), bytes);
    }
    let said = join(&test, &["shard1", "shard2"]).success().stderr;
    let warned = "warning: images that are not the ones that the lock has sealed, as with another compression or image \
                  builder: `one/plugins/a`\n";
    assert!(said.contains(warned), "{said}");
}

#[harness::test]
fn what_a_shard_seals_belongs_to_its_pins() {
    let test = with_config();
    for said in build_shards(&test, 2) {
        said.success();
    }
    let lock = test.read("config/factory.lock");
    let (_, of_two) = lock.split_once("path = \"plugins/c\"\n").unwrap();
    let lines = of_two.lines().filter_map(|line| line.strip_prefix("    \"")?.strip_suffix("\","));
    let sources: Vec<&str> = lines.collect();
    assert!(sources.len() > 3, "{lock}");
    refused(
        &test,
        &[
            (
                "a seal of another configuration",
                &|record| record["workspaces"][0]["plugins"][0]["config"] = json!("own: other\n"),
                "is sealed with another configuration than it has",
            ),
            (
                "a time that no lock can have",
                &|record| record["workspaces"][0]["plugins"][0]["seal"]["stamp"]["epoch"] = json!(u64::MAX),
                "has a stamp of something else",
            ),
            (
                "the commit of somebody else",
                &|record| record["workspaces"][0]["plugins"][0]["seal"]["stamp"]["commit"] = json!("a".repeat(40)),
                "has a stamp of something else",
            ),
            (
                "other inputs, in the last workspace",
                &|record| {
                    let seal = &mut record["workspaces"][1]["plugins"][0]["seal"];
                    seal["read"] = json!({"reads": [], "sources": []});
                },
                "was built from other inputs",
            ),
            (
                "a path out of the repository",
                &|record| {
                    let seal = &mut record["workspaces"][1]["plugins"][0]["seal"];
                    seal["read"] = json!({"reads": ["../../etc"], "sources": sources});
                },
                "`../../etc`",
            ),
        ],
    );
}

#[harness::test]
fn no_shard_says_where_images_of_others_are_or_that_failures_are_none() {
    let test = three();
    for said in build_shards(&test, 2) {
        said.success();
    }
    refused(
        &test,
        &[
            (
                "an image elsewhere",
                &|record| {
                    let output = &mut record["workspaces"][0]["report"]["plugins"][0]["output"];
                    let digest = output["digest"].as_str().unwrap();
                    output["pushed"] = json!(format!("evil.example.com/a/x-a@{digest}"));
                },
                "the image of `plugins/b` of workspace `three` was pushed to `nowhere`, and others to `evil.example.com/a`",
            ),
            (
                "an image of another name",
                &|record| {
                    let output = &mut record["workspaces"][0]["report"]["plugins"][0]["output"];
                    let digest = output["digest"].as_str().unwrap();
                    output["pushed"] = json!(format!("quay.io/a/other@{digest}"));
                },
                "an image with another name than the plugin",
            ),
            (
                "a text for an image",
                &|record| {
                    record["workspaces"][0]["report"]["plugins"][0]["output"]["pushed"] = json!("a\n- package: b");
                },
                "an image with another name than the plugin",
            ),
            (
                "a tag that steers a terminal",
                &|record| {
                    record["workspaces"][0]["report"]["plugins"][0]["output"]["image"] = json!("x-a:1.0.0\u{1b}[2J");
                },
                "an image with another name than the plugin",
            ),
            (
                "a failure with the exit code of a success",
                &|record| {
                    record["workspaces"][0]["report"]["plugins"][0]["error"] = json!("failed");
                },
                "it has what failed, and the exit code of a success",
            ),
        ],
    );
}

#[harness::test]
fn the_list_of_files_of_a_new_plugin_is_that_of_its_archive() {
    const LIST: &str = "shard2/shard-2/factory.lock.d/one/plugins/a/files";
    let test = three();
    for said in build_shards(&test, 2) {
        said.success();
    }
    let (list, archive) = (test.read(LIST), fs::read(test.path("shard2/one/x-a-dynamic-1.0.0.tgz")).unwrap());
    let digest = |text: &str| json!(Sha256::of(text).to_string());
    let lied = list.replacen(|c: char| c.is_ascii_hexdigit(), "x", 1);
    test.write(LIST, &lied);
    let another = |record: &mut Value| record["workspaces"][0]["plugins"][0]["seal"]["files"] = digest(&lied);
    lie(&test, &test.read("shard2/shard-2.json"), &|_| {});
    let (record, before) = (test.read("shard2/shard-2.json"), locks(&test));
    let refused = |change: &dyn Fn(&mut Value), said: &str| {
        lie(&test, &record, change);
        join(&test, &["shard1", "shard2"]).fails(1, said);
        assert_eq!(locks(&test), before);
        assert!(files(&test.path("joined")).is_empty());
    };
    refused(
        &another,
        "error: `shard2/shard-2.json` contradicts the lock or another shard: `plugins/a` of `one` has another list of \
         files than its archive\n\n\
         hint: build all shards again from one commit, with the same options",
    );
    // No archive at all, with all digests as they have to be.
    test.write("shard2/one/x-a-dynamic-1.0.0.tgz", "no archive");
    let none = |record: &mut Value| {
        let integrity = json!(Integrity::of("no archive").to_string());
        let one = &mut record["workspaces"][0];
        one["plugins"][0]["seal"]["sealed"]["tgz"] = integrity.clone();
        one["report"]["plugins"][0]["output"]["integrity"] = integrity;
        one["report"]["plugins"][0]["output"]["tgz-bytes"] = json!("no archive".len());
    };
    refused(
        &none,
        "error: `one/x-a-dynamic-1.0.0.tgz` cannot be read as an archive: invalid gzip header\n\n\
         hint: copy the shard's output directory again, or build the shard again",
    );
    test.write("shard2/one/x-a-dynamic-1.0.0.tgz", archive).write(LIST, list).write("shard2/shard-2.json", record);
    join(&test, &["shard1", "shard2"]).success();
}

#[harness::test]
fn what_no_build_leaves_in_the_folder_of_a_shard_is_said_to_come_later() {
    let test = three();
    for said in build_shards(&test, 2) {
        said.success();
    }
    let archive = archive(&test);
    let refused = |what: &str| {
        join(&test, &["shard1", "shard2"]).fails(
            1,
            &format!(
                "error: shard `shard1`: `three/x-b-dynamic-1.0.0.tgz` is {what}; factory reads only regular files that a \
                 build left\n\n\
                 hint: `factory build` leaves no such thing there: it was made later, or when the folder was copied; copy \
                 the shard's output directory again, or build the shard again"
            ),
        );
    };
    fs::rename(&archive, test.path("moved")).unwrap();
    symlink(test.path("moved"), &archive).unwrap();
    refused("a symbolic link");
    fs::remove_file(&archive).unwrap();
    nix::unistd::mkfifo(&archive, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused("a FIFO, a socket or a device");
}
