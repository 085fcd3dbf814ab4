//! What an entry of a cache repository counts for: other commits of the same content, other folders without isolation; and
//! how much of a repository is read that has more than anybody needs.

use harness::docker_registry::block_on;
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Reaction};
use harness::program::{Outcome, outputs};
use harness::repository::Repository;

use factory::image::{ImageName, MOST_TAGS, OciRepository, RepositoryAccess, Retries};

use super::cache_repo::{Shared, said};

const SIGNED: [&str; 4] = ["--cache-mode", "read-write", "--cache-sign-key", "own"];
const TRUSTED: [&str; 2] = ["--cache-trust", "own.pub"];

/// The plugins that came from the repository; the others were built.
fn taken(outcome: &Outcome) -> Vec<String> {
    let lines = outcome.stderr.lines().filter(|line| line.starts_with('✓') && line.contains(" fetch from "));
    let names = lines.map(|line| line.split("plugins/").nth(1).unwrap().split(' ').next().unwrap().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[harness::test]
fn what_is_not_sealed_is_found_at_another_commit_of_the_same_content() {
    let reads = "cat ../other/exported.sh > dist-dynamic/read\n";
    let plugins =
        [("alone", "frontend-plugin", ""), ("other", "frontend-plugin", ""), ("reader", "frontend-plugin", reads)];
    let shared = Shared::of(&plugins, FakeRegistry::start()).stored();
    assert!(shared.test.read("config/factory.lock").contains("\nreads = [\n    \"plugins/other\",\n]\n"));
    assert_eq!(shared.tags("unsealed-").len(), 3);
    let first = outputs(&shared.test.path("first"));

    // Nothing that either is built from: but what the export of one reads is not known before it is built.
    let repo = Repository { dir: shared.test.path("repo") };
    repo.write("README.md", "# Read me\n").commit("readme");
    let moved = |shared: &Shared| {
        shared.unseal();
        shared.test.run(&["resolve", "--host-lockfile", "config/host.lock"]).success();
        shared.test.read("config/factory.lock")
    };
    let unsealed = moved(&shared);
    let outcome = shared.again(&TRUSTED).success();
    assert_eq!(taken(&outcome), ["alone", "other"]);
    assert!(said(&outcome, &shared).is_empty(), "{}", outcome.stderr);
    let (sealed, made) = (shared.test.read("config/factory.lock"), outputs(&shared.test.path("out")));
    assert_ne!(sealed, unsealed);

    // The bytes of a build of that commit, whose image says so; only logs tell which it was.
    assert_eq!(moved(&shared), unsealed);
    shared.again(&["--cache-repo", ""]).success();
    assert_eq!((shared.test.read("config/factory.lock"), outputs(&shared.test.path("out"))), (sealed, made.clone()));
    assert_ne!(made, first, "the image names the commit");

    // What it read is another one.
    repo.write("plugins/other/exported.sh", "# Changed\n").commit("changed");
    moved(&shared);
    let outcome = shared.again(&TRUSTED).success();
    assert_eq!(taken(&outcome), ["alone"]);
}

#[harness::test]
fn what_was_built_without_isolation_counts_where_the_folders_are_the_same() {
    let shared = Shared::new();
    let off = ["--isolation", "off"];
    let bare = [&off[..], &SIGNED].concat();
    shared.run(&bare).success();
    let sealed = shared.test.read("config/factory.lock");
    assert!(sealed.contains("\nroot = "), "{sealed}");
    let bare_tags = shared.tags("");
    assert_eq!((shared.tags("inputs-").len(), shared.tags("unsealed-").len()), (2, 2));

    // Another folder: nothing is there, and without tools nothing can be built.
    shared.unseal();
    let outcome = shared.elsewhere(&[&off[..], &TRUSTED].concat());
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("fetch from "), "{}", outcome.stderr);
    assert!(said(&outcome, &shared).iter().all(|line| !line.contains("cache")), "{}", outcome.stderr);

    // The same one.
    shared.unseal();
    let outcome = shared.again(&[&off[..], &TRUSTED].concat()).success();
    assert!(outcome.stderr.contains("✓ repo plugins/a fetch from "), "{}", outcome.stderr);
    assert_eq!(shared.test.read("config/factory.lock"), sealed);

    // Who has the seals is held to them, wherever it was built.
    let outcome = shared.elsewhere(&[]).success();
    assert!(outcome.stderr.contains("✓ repo plugins/a fetch from "), "{}", outcome.stderr);

    // Builds in a build root neither take it nor find their own places taken.
    shared.unseal();
    let outcome = shared.again(&[&SIGNED[..], &TRUSTED].concat()).success();
    let is_isolated = !shared.test.read("out/build-report.json").contains("\"isolation\": \"none\"");
    assert_eq!(outcome.stderr.contains("✓ repo plugins/a export: "), is_isolated, "{}", outcome.stderr);
    assert!(said(&outcome, &shared).iter().all(|line| !line.contains("refused")), "{}", outcome.stderr);
    let kinds = if is_isolated { 4 } else { 2 };
    assert_eq!((shared.tags("inputs-").len(), shared.tags("unsealed-").len()), (kinds, kinds));
    assert!(bare_tags.iter().all(|tag| shared.tags("").contains(tag)));
}

/// A page of the list of tags, which names the next one.
fn page(tags: &[String]) -> Response {
    let body = serde_json::json!({"name": "team/cache", "tags": tags}).to_string();
    Response::status(200).header("Link", "</v2/team/cache/tags/list?n=1000&last=x>; rel=\"next\"").body(body)
}

#[harness::test]
fn a_repository_with_more_tags_than_anybody_needs_is_read_to_a_limit() {
    let registry = FakeRegistry::start();
    let variables =
        [("REGISTRY_URL", registry.address.as_str()), ("REGISTRY_NAMESPACE", "team"), ("REGISTRY_INSECURE", "true")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let tags = |kind: &'static str| {
        let registry = factory::image::OciRegistry::from_variables(&variables).unwrap();
        let name = ImageName::of_package("cache").unwrap();
        let repository = OciRepository::new(registry, name, RepositoryAccess::Read, Retries::default());
        block_on(repository.tags(|tag| tag.starts_with(kind))).unwrap()
    };
    let third = |kind: &str, number: usize| -> Vec<String> {
        (0..=MOST_TAGS / 3).map(|place| format!("{kind}-{number}-{place}")).collect()
    };
    // More of what is wanted than is kept: what comes after is not asked for.
    for number in 0..4 {
        registry.on("GET tags", 1, Reaction::Say(page(&third("wanted", number))));
    }
    let found = tags("wanted-");
    assert_eq!((found.tags.len(), found.is_cut, registry.left()), (MOST_TAGS, true, 1));
    // Others are not kept, and the same one again is no other; the last page is the registry's own.
    registry.forget();
    for number in [0, 1, 1, 2] {
        registry.on("GET tags", 1, Reaction::Say(page(&third("other", number))));
    }
    registry.on("GET tags", 1, Reaction::Say(page(&["wanted-1".to_owned()])));
    let found = tags("wanted-");
    assert_eq!((found.tags.into_iter().collect::<Vec<_>>(), found.is_cut), (vec!["wanted-1".to_owned()], false));
}

#[harness::test]
fn pages_of_tags_without_an_end_are_said_by_those_who_count_and_remove() {
    let shared = Shared::new().stored();
    let repository = format!("oci://{}/team/cache", shared.registry.address);
    let endless = page(&shared.tags("inputs-"));
    let cache = |args: &[&str]| {
        shared.registry.forget();
        shared.registry.on("GET tags", 600, Reaction::Say(endless.clone()));
        let outcome = shared.test.run(&[&["cache"], args, &["--cache-repo", &repository]].concat()).success();
        assert_eq!(shared.registry.left(), 100);
        (outcome.stdout, outcome.stderr)
    };
    let address = &shared.registry.address;
    let more = format!(
        "warning: the cache repository `{address}/team/cache` has more tags than are read (100000 of builds, on 500 pages)"
    );
    let (stdout, stderr) = cache(&["size"]);
    assert_eq!(stdout, format!("builds      2     0.0 MB  {address}/team/cache\n"));
    assert_eq!(stderr, format!("{more}, and the others are not counted\n"));
    assert_eq!(
        cache(&["prune", "--older-than", "1"]).1,
        format!(
            "removed 0 entries, 0.0 MB\n{more}, and the others are not looked at: only the registry's own rules of \
             retention can remove them\n"
        )
    );
    assert_eq!(
        cache(&["prune", "--older-than", "0"]).1,
        format!("removed 2 entries, 0.0 MB\n{more}: run this again for the others\n")
    );
}

#[harness::test]
fn entries_that_lie_about_their_size_are_counted() {
    let shared = Shared::new().stored();
    for tag in shared.tags("inputs-") {
        let mut contents = shared.registry.contents();
        let manifest = &mut contents.manifests.get_mut(&tag).unwrap().1;
        let mut lie: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        lie["layers"][0]["size"] = u64::MAX.into();
        *manifest = lie.to_string().into_bytes();
    }
    let repository = format!("oci://{}/team/cache", shared.registry.address);
    let size = shared.test.run(&["cache", "size", "--cache-repo", &repository]).success().stdout;
    assert!(size.starts_with("builds      4 18446744073709.5 MB "), "{size}");
}
