//! Logins in the text of a repository: no output has them, and no lock.

use std::fs;

use harness::program::Test;

#[harness::test]
fn no_login_in_the_text_of_a_repository_is_shown_however_odd_it_is() {
    let test = Test::with_path();
    let repos = [
        "https://me:s3cret@127.0.0.1:1/a",
        "https://me:s3@cret@127.0.0.1:1/a",
        "https://me%3As3cret@127.0.0.1:1/a",
        "HTTPS://me:s3cret@127.0.0.1:1/a",
        "https://me:s3cret %zz@127.0.0.1:1/a",
        "https://me:s3cret?x#y@127.0.0.1:1/a",
        "https://me:x/s3cret@127.0.0.1:1/a",
        "https://me:1/s3cret@127.0.0.1:1/a",
        "https://me:s3cret%40127.0.0.1:1/a",
        "https:///me:s3cret@127.0.0.1:1/a",
        "https:me:s3cret@127.0.0.1:1/a",
        "//me:s3cret@127.0.0.1:1/a",
        "https://127.0.0.1:1/a?private_token=s3cret",
        "https://127.0.0.1:1/a.git#s3cret",
        "ssh://git:s3cret@127.0.0.1:1/a",
        "SSH://git:s3cret@127.0.0.1:1/a",
        "git:s3cret@127.0.0.1:a",
        "git:x/s3cret@127.0.0.1:a",
        "ftp://me:s3cret@127.0.0.1:1/a",
        "git://me:s3cret@127.0.0.1:1/a",
    ];
    for (number, repo) in repos.iter().enumerate() {
        let json = serde_json::json!({"repo": repo, "workspace-path": "."}).to_string();
        test.config(&format!("w{number}/source.json"), json);
    }
    let check = |args: &[&str]| {
        let outcome = test.run_with(args, &[("GIT_SSH_COMMAND", "false")]);
        assert!(!outcome.stdout.contains("s3cret") && !outcome.stderr.contains("s3cret"), "{args:?}: {outcome:?}");
        outcome
    };
    for command in ["doctor", "status"] {
        check(&[command, "--log-level", "DEBUG"]);
    }
    check(&["--dry-run"]);
    fs::create_dir(test.path("other")).unwrap();
    for repo in repos {
        check(&["--dry-run", "--config-dir", "other", "--workspace-path", ".", "--source-repo", repo]);
    }
    let args = ["--dry-run", "--config-dir", "other", "--workspace-path", ".", "--source-repo", repos[6]];
    check(&args).fails(
        2,
        "error: the repository of `--source-repo` has a character in its user name or password that has to be encoded (`%2F` \
         for `/`, `%40` for `@`)",
    );
}

#[harness::test]
fn a_lock_with_a_login_in_it_is_refused_without_showing_it() {
    let test = Test::new();
    let lock = fs::read_to_string(harness::project().join("factory.lock.example")).unwrap();
    let repo = lock.lines().find(|line| line.starts_with("repo = ")).unwrap();
    test.config("source.json", r#"{"repo": "https://example.com/a", "workspace-path": "."}"#);
    for (number, text) in
        ["https://me:s3cret@example.com/a", "https://example.com/a?token=s3cret"].into_iter().enumerate()
    {
        test.config("factory.lock", lock.replacen(repo, &format!("repo = \"{text}\""), 1));
        for command in ["build", "status", "sbom", "verify"] {
            let outcome = test.run(&[command]);
            assert!(!outcome.stdout.contains("s3cret") && !outcome.stderr.contains("s3cret"), "{command}: {outcome:?}");
            let why = "has a user name, a password or a query, which no lock has";
            assert!(outcome.stderr.contains(why) && outcome.code == 3, "{number} {command}: {outcome:?}");
        }
    }
}
