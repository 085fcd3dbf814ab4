//! npm's configuration: what a registry is asked for, and by whom. npm's own answers: `tests/real/npmrc.rs`.

use factory::interrupt::Interrupt;
use factory::npm::registry::NpmRegistry;
use factory::npm::settings::{NpmSettings, NpmSurroundings};
use harness::npm_configuration::{CONFIGURATIONS, server};
use harness::npm_registry::Registry;
use harness::program::Test;

#[harness::test]
fn registries_are_asked_as_npm_is_configured_to() {
    let (host, seen) = server();
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (number, configuration) in CONFIGURATIONS.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        let variables = configuration.lay(&folder, &host);
        let from = NpmSurroundings { variables, folder: folder.join("project/inner"), config_dir: None };
        let registry = NpmRegistry::new(NpmSettings::read(&from), &Interrupt::default()).unwrap();
        runtime.block_on(registry.packument(configuration.package)).unwrap();
        let asked = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(asked, [configuration.asked], "{}", configuration.what);
    }
}

/// The line of the doctor about npm's registry.
fn npm_check(test: &Test, variables: &[(&str, &str)]) -> String {
    let said = test.run_with(&["doctor"], variables).stdout;
    said.lines().skip_while(|line| !line.contains("npm")).take(2).collect::<Vec<_>>().join("\n")
}

/// As `docs/configuration.md` lists them, the first wins.
#[harness::test]
fn every_file_of_npms_is_read_in_its_order() {
    let (test, registry) = (Test::with_path(), Registry::start());
    let right = format!("registry={}\n", registry.url);
    let found = "ok    npm registry: has @red-hat-developer-hub/cli 1.9.1";
    let (user, prefix) = (test.path("user"), test.path("prefix"));
    let variables =
        [("NPM_CONFIG_USERCONFIG", user.to_str().unwrap()), ("npm_config_prefix", prefix.to_str().unwrap())];
    for file in ["prefix/etc/npmrc", "user", ".npmrc", "config/.npmrc"] {
        test.write(file, &right);
        assert!(npm_check(&test, &variables).starts_with(found), "{file}");
        test.write(file, "registry=http://127.0.0.1:1/\n");
    }
    let all = [&variables[..], &[("npm_config_registry", registry.url.as_str())]].concat();
    assert!(npm_check(&test, &all).starts_with(found));
}

#[harness::test]
fn the_hint_of_a_refused_login_says_what_is_wrong_with_it() {
    let test = Test::new();
    let host = harness::http::listen(|mut stream| {
        use std::io::Write as _;
        let request = harness::http::Request::read(&mut std::io::BufReader::new(&stream));
        let answer = harness::http::Response::status(401).bytes(&request.map(|one| one.method).unwrap_or_default());
        let _ = stream.write_all(&answer);
    });
    for (npmrc, hint) in [
        ("", "log in to the registry with `npm login`, or set its `_authToken` in `.npmrc`"),
        (
            "//HOST/:_authToken=planted-hunter2",
            "the login in npm's configuration is not accepted: renew it with `npm login`",
        ),
        (
            "_authToken=planted-hunter2",
            "`_authToken` in npm's configuration is of no registry: write it as `//<host>/<path>/:_authToken`",
        ),
        (
            "_auth=planted-hunter2",
            "`_auth` in npm's configuration is of no registry: write it as `//<host>/<path>/:_auth`",
        ),
    ] {
        test.write("home/.npmrc", format!("registry=http://HOST/\n{npmrc}\n").replace("HOST", &host));
        let said = test.run(&["doctor", "--log-level", "DEBUG"]);
        assert!(
            said.stdout.contains(&format!("Said\n      fix: {hint}\n")) || said.stdout.contains(hint),
            "{}",
            said.stdout
        );
        assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
    }
}

#[harness::test]
fn what_is_no_address_is_named() {
    let test = Test::new();
    for (npmrc, error) in [
        ("registry=nowhere", "the npm registry that npm is configured to use is not an http(s) address"),
        ("registry=http://a.invalid\n@s:registry=ftp://x", "the npm registry of `@s` is not an http(s) address"),
    ] {
        test.write("home/.npmrc", npmrc);
        let said = npm_check(&test, &[]);
        assert!(said.starts_with(&format!("FAIL  {error}\n")), "{said}");
    }
}
