use super::*;
use std::fs;

fn parse(repo: &str) -> Result<SourceUrl> {
    SourceUrl::parse(repo, Path::new("/nowhere"))
}

fn message(repo: &str) -> String {
    parse(repo).unwrap_err().to_string()
}

#[test]
fn remote_urls_lose_their_secrets_but_not_the_ssh_user() {
    for (written, shown) in [
        ("https://github.com/backstage/community-plugins", "https://github.com/backstage/community-plugins"),
        ("https://user:s3cret@example.com/a/b.git", "https://example.com/a/b.git"),
        ("https://s3cret@example.com/a/b", "https://example.com/a/b"),
        ("http://user:s3cret@example.com:8080/a/b", "http://example.com:8080/a/b"),
        ("ssh://git:s3cret@example.com:2222/a/b", "ssh://git@example.com:2222/a/b"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("  https://example.com/a ", "https://example.com/a"),
    ] {
        let url = parse(written).unwrap();
        assert_eq!(url.without_userinfo(), shown);
        assert_eq!(format!("{url}"), shown);
        assert!(!format!("{url:?}").contains("s3cret"));
        assert!(!url.canonical().contains("s3cret"));
        assert_eq!(url.local_path(), None);
    }
}

#[test]
fn spellings_of_one_repository_are_one() {
    let same = |a: &str, b: &str| assert_eq!(parse(a).unwrap().canonical(), parse(b).unwrap().canonical());
    same("https://github.com/a/b", "https://github.com/a/b.git");
    same("https://github.com/a/b", "https://GitHub.com:443/a/b/");
    same("https://github.com/a/b", "https://user:pw@github.com/a/b.git/");
    same("ssh://git@example.com/a/b", "ssh://git@example.com:22/a/b.git");
    let differ = |a: &str, b: &str| assert_ne!(parse(a).unwrap().canonical(), parse(b).unwrap().canonical());
    differ("https://github.com/a/b", "https://github.com/a/c");
    differ("https://github.com/a/b", "http://github.com/a/b");
    // Relative to the home folder, and absolute.
    differ("git@example.com:a/b", "ssh://git@example.com/a/b");
}

#[test]
fn other_schemes_and_options_are_refused() {
    assert_eq!(message(""), "the repository's URL is empty");
    assert_eq!(message("-uploadpack=touch /tmp/x"), "`-uploadpack=touch /tmp/x` is not a repository URL");
    assert_eq!(
        message("ext::sh -c evil"),
        "cannot use the repository `ext::sh -c evil`: its scheme is none of `https`, `http`, `ssh` and `file`"
    );
    for bad in
        ["fd::3", "ftp://example.com/a", "foo://example.com/a", "git://example.com/a", "ssh://-oProxyCommand=x/a"]
    {
        let error = parse(bad).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot use the repository `{bad}`: ")), "{error}");
        assert_eq!(error.hint().as_deref(), Some(HINT));
        assert_eq!(error.exit_code(), 2);
    }
    for bad in ["https://", "https:///a/b", "git@-x:a", "-x@host:a", "host:-a", "https://a/\nb", "file://server/a"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert!(!message("ftp://me:s3cret@example.com/a").contains("s3cret"));
    assert!(!message("https://me:s3cret@:99999/a").contains("s3cret"));
}

#[test]
fn owner_and_name_are_answered_with_an_address() {
    let hint = |repo: &str| SourceUrl::parse(repo, Path::new("/")).unwrap_err().hint().unwrap();
    for repo in ["backstage/community-plugins", "github.com/backstage/community-plugins"] {
        assert_eq!(
            hint(repo),
            "there is no folder of this name; for a repository of a forge write its address: \
             `https://github.com/backstage/community-plugins`"
        );
    }
    assert!(hint("gitlab.example.com/a/b/").ends_with("`https://gitlab.example.com/a/b`"));
    assert_eq!(hint("../source"), HINT);
    assert_eq!(hint("workspaces/a/b"), HINT);
}

#[test]
fn paths_are_relative_to_the_configuration_and_must_be_repositories() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("clone/.git")).unwrap();
    fs::create_dir_all(root.join("clone/config/todo")).unwrap();
    fs::create_dir_all(root.join("bare.git/objects")).unwrap();
    fs::write(root.join("bare.git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::create_dir_all(root.join("plain")).unwrap();
    let base = root.join("clone/config/todo");

    let up = SourceUrl::parse("../..", &base).unwrap();
    assert_eq!(up.without_userinfo(), "../..");
    assert_eq!(up.local_path(), Some(root.join("clone").as_path()));
    let url = format!("file://{}", root.join("clone").display());
    assert_eq!(SourceUrl::parse(&url, &base).unwrap().canonical(), up.canonical());
    assert_eq!(SourceUrl::parse("../../../bare.git", &base).unwrap().name(), "bare");

    let inside = SourceUrl::parse("..", &base).unwrap_err();
    assert_eq!(
        inside.to_string(),
        format!("`..` is a folder inside the repository `{}`", root.join("clone").display())
    );
    assert_eq!(inside.hint().unwrap(), "name the repository itself and set the workspace path to `config`");
    let missing = SourceUrl::parse("../nope", &base).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!("cannot use the repository `../nope`: there is no `{}`", root.join("clone/config/nope").display())
    );
    let plain = SourceUrl::parse("../../../plain", &base).unwrap_err().to_string();
    assert!(plain.starts_with("`../../../plain` is not a git repository"), "{plain}");
}

#[test]
fn secrets_are_found_in_foreign_text() {
    assert_eq!(
        without_secrets("fatal: unable to access 'https://me:pw@host/a/': no, see http://host/@x"),
        "fatal: unable to access 'https://***@host/a/': no, see http://host/@x"
    );
    assert_eq!(without_secrets("ssh://git@host/a"), "ssh://git@host/a");
    let url = parse("https://me:pw@d@host/a").unwrap();
    assert_eq!(url.redact("bad password pw@d"), "bad password ***");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_no_password_is_shown(
        text in ".{0,60}",
        scheme in "(https|http|ssh|git|ext|file)?(://|::|:)?",
        account in "([a-z@:%/]{0,6}:?S3CRET)?",
    ) {
        let repo = format!("{scheme}{account}@{text}");
        match parse(&repo) {
            Ok(url) => {
                let shown = format!("{url} {url:?} {} {}", url.canonical(), url.name());
                // Before the `@` of an ssh address stands a user, which is no secret, and a path is one anyway.
                proptest::prop_assert!(url.is_ssh() || !account_is_in_authority(&repo) || !shown.contains("S3CRET"), "{shown}");
            }
            Err(error) => {
                let said = error.to_string();
                proptest::prop_assert!(!said.is_empty());
                proptest::prop_assert!(!account_is_in_authority(&repo) || is_user(&repo) || !said.contains("S3CRET"), "{said}");
            }
        }
    }
}

/// The user of an ssh address is shown.
fn is_user(repo: &str) -> bool {
    repo.starts_with("ssh")
}

fn account_is_in_authority(repo: &str) -> bool {
    // A path may have `://` in it, and is no secret.
    let rest = repo.split_once("://").filter(|(scheme, _)| !scheme.contains('/')).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split('/').next()).is_some_and(|part| part.contains("S3CRET"))
}
