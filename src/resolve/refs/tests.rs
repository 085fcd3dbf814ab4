use super::*;
use std::path::Path;

fn id(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn found(name: &str, digit: char) -> Advertised {
    Advertised { name: name.to_owned(), target: id(digit), peeled: None, symbolic: None }
}

fn refs() -> Refs {
    Refs {
        url: SourceUrl::parse("https://example.com/a/b", Path::new("/")).unwrap(),
        refs: vec![
            Advertised { symbolic: Some("refs/heads/main".to_owned()), ..found("HEAD", '1') },
            found("refs/heads/main", '1'),
            found("refs/heads/release-1.9", '2'),
            found("refs/heads/both", '3'),
            Advertised { peeled: Some(id('4')), ..found("refs/tags/v6.13.0", '5') },
            found("refs/tags/v6.13.1", '6'),
            found("refs/tags/both", '7'),
            found("refs/pull/12/head", '8'),
            found("refs/heads/abcdef1", '9'),
        ],
    }
}

#[track_caller]
fn resolved(requested: &str) -> (String, Option<String>) {
    let resolution = refs().resolve(requested).unwrap();
    assert_eq!(resolution.warning, None);
    (resolution.commit, resolution.name)
}

#[test]
fn each_kind_of_request() {
    let named = |digit, name: &str| (id(digit), Some(name.to_owned()));
    assert_eq!(resolved(""), named('1', "refs/heads/main"));
    assert_eq!(resolved("HEAD"), named('1', "refs/heads/main"));
    assert_eq!(resolved("release-1.9"), named('2', "refs/heads/release-1.9"));
    assert_eq!(resolved("v6.13.0"), named('4', "refs/tags/v6.13.0"), "an annotated tag is its commit");
    assert_eq!(resolved("tags/both"), named('7', "refs/tags/both"));
    assert_eq!(resolved("refs/pull/12/head"), named('8', "refs/pull/12/head"));
    assert_eq!(resolved("abcdef1"), named('9', "refs/heads/abcdef1"), "a branch wins over a short commit");
    assert_eq!(resolved(&id('A')), (id('a'), None));
    assert_eq!(resolved("88888888"), (id('8'), None));
}

#[test]
fn a_branch_and_tag_of_one_name_is_the_branch_with_a_warning() {
    let both = refs().resolve("both").unwrap();
    assert_eq!(both.commit, id('3'));
    assert_eq!(
        both.warning.unwrap(),
        "`both` is a branch and a tag of `https://example.com/a/b`; the branch is used: write `refs/tags/both` for the tag"
    );
}

#[test]
fn an_unknown_ref_names_the_nearest() {
    let error = refs().resolve("v6.31.0").unwrap_err();
    assert_eq!(error.to_string(), "the repository `https://example.com/a/b` has no branch, tag or commit `v6.31.0`");
    assert_eq!(error.hint().unwrap(), "the nearest it has: `v6.13.0`, `v6.13.1`, `abcdef1`");
    let near = |name: &str| refs().resolve(name).unwrap_err().hint().unwrap();
    assert_eq!(near("origin/main"), "write `main`: `origin/main` is what a clone calls it");
    assert_eq!(near("upstream/v6.13.0"), "write `v6.13.0`: `upstream/v6.13.0` is what a clone calls it");
    assert!(near("origin/mian").starts_with("the nearest it has: `main`"), "{}", near("origin/mian"));
    assert!(near("6.13.0").starts_with("the nearest it has: `v6.13.0`"));
    assert!(near("refs/heads/mian").starts_with("the nearest it has: `main`"));
}

#[test]
fn short_commits_must_be_advertised_and_one() {
    let error = refs().resolve("0123456").unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "give all 40 digits of the commit: finding it by fewer would take the whole history"
    );
    let mut two = refs();
    two.refs.push(Advertised { target: format!("{}0", "8".repeat(39)), ..found("refs/pull/13/head", '8') });
    let error = two.resolve("8888888").unwrap_err().to_string();
    assert!(error.starts_with("`8888888` matches 2 commits of `https://example.com/a/b`: "), "{error}");
}

#[test]
fn an_empty_repository_says_so() {
    let empty = Refs { refs: Vec::new(), ..refs() };
    for requested in ["", "main"] {
        assert_eq!(
            empty.resolve(requested).unwrap_err().to_string(),
            "the repository `https://example.com/a/b` is empty"
        );
    }
}
