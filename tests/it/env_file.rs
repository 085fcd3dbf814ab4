//! `.env` files: what they set for the whole run, what is wrong in them, and what the original's variables do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use harness::npm_registry::Registry;
use harness::program::Test;

use harness::two_workspaces::{Setup, said};

const TODO: &str = r#"{"repo":"https://example.com/plugins","repo-ref":"main","workspace-path":"workspaces/todo"}"#;

fn single() -> Test {
    let test = Test::with_path();
    test.config("source.json", TODO).config("plugins-list.yaml", "plugins/todo:\n");
    test
}

/// The lines of the doctor about npm's registry.
fn npm_check(test: &Test, variables: &[(&str, &str)]) -> String {
    let said = test.run_with(&["doctor"], variables);
    let line = said.stdout.lines().find(|line| line.contains("npm"));
    line.unwrap_or_else(|| panic!("{}{}", said.stdout, said.stderr)).to_owned()
}

#[harness::test]
fn npms_registry_can_stand_in_the_env_file_and_wins_over_the_environment() {
    let (test, registry) = (single(), Registry::start());
    test.config(".env", format!("NPM_CONFIG_REGISTRY={}\n", registry.url));
    let expected = "ok    npm registry: has @red-hat-developer-hub/cli 1.9.1";
    assert_eq!(npm_check(&test, &[]), expected);
    assert_eq!(npm_check(&test, &[("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1/")]), expected);
    assert_eq!(npm_check(&test, &[("npm_config_registry", "http://127.0.0.1:1/")]), expected);
    assert_eq!(registry.asked().len(), 3);
}

#[harness::test]
fn a_login_of_npmrc_can_come_from_the_env_file() {
    let test = single();
    let (address, requests) = answer_with("200 OK", "{}");
    test.write("home/.npmrc", format!("registry=http://{address}/\n//{address}/:_authToken=${{NPM_TOKEN}}\n"));
    test.config(".env", "NPM_TOKEN=planted-hunter2\n");
    let said = test.run(&["doctor", "--log-level", "DEBUG"]);
    let sent = requests.recv().unwrap();
    assert!(sent.contains("authorization: Bearer planted-hunter2\r\n"), "{sent}");
    assert!(!format!("{said:?}").contains("planted-hunter2"), "{said:?}");
}

#[harness::test]
fn a_proxy_in_the_env_file_is_used_in_either_case_of_its_name() {
    let nobody = "http://127.0.0.1:1";
    for (name, known) in [("HTTP_PROXY", false), ("http_proxy", false), ("HTTP_PROXY", true), ("http_proxy", true)] {
        let test = single();
        let (address, requests) = answer_with("404 Not Found", "");
        let (address, registry) = (format!("http://{address}"), "http://registry.invalid/");
        test.config(".env", format!("{name}={address}\nNPM_CONFIG_REGISTRY={registry}\n"));
        // The environment has another one, in one case of its name or in both.
        let there = |variable: &str| if known && variable == name { address.clone() } else { nobody.to_owned() };
        let (upper, lower) = (there("HTTP_PROXY"), there("http_proxy"));
        let variables = [("HTTP_PROXY", upper.as_str()), ("http_proxy", &lower), ("NPM_CONFIG_REGISTRY", registry)];
        let said = npm_check(&test, &variables);
        let sent = requests.recv().unwrap();
        assert!(sent.starts_with("GET http://registry.invalid/@red-hat-developer-hub%2fcli HTTP/1.1\r\n"), "{sent}");
        assert!(said.ends_with("the npm registry answered 404 Not Found"), "{said}");
    }
}

#[harness::test]
fn no_proxy_exempts_a_registry_that_is_given_by_its_address() {
    let (test, registry) = (single(), Registry::start());
    for hosts in ["*", "example.com, *", "127.0.0.1", "127.0.0.0/8"] {
        for name in ["NO_PROXY", "no_proxy"] {
            let nobody = "http://127.0.0.1:1";
            let variables = [
                ("NPM_CONFIG_REGISTRY", registry.url.as_str()),
                ("HTTP_PROXY", nobody),
                ("http_proxy", nobody),
                (name, hosts),
            ];
            assert_eq!(
                npm_check(&test, &variables),
                "ok    npm registry: has @red-hat-developer-hub/cli 1.9.1",
                "{name}={hosts}"
            );
        }
    }
}

#[harness::test]
fn a_run_without_such_settings_is_not_started_again() {
    let test = single();
    test.config(".env", "REGISTRY_URL=quay.io\nHTTP_PROXY=http://proxy.example\n");
    for variables in [&[][..], &[("HTTP_PROXY", "http://proxy.example")]] {
        let said = test.run_with(&["run", "--dry-run", "--log-level", "DEBUG"], variables);
        assert_eq!(said.code, 0, "{}", said.stderr);
        // Where a value comes from is known in both.
        assert!(said.stderr.contains("HTTP_PROXY=http://proxy.example from config/.env:2"), "{}", said.stderr);
    }
    // A file that cannot be read is reported as it always was.
    test.config(".env", b"A=1\nB=\xff");
    let said = test.run(&["run", "--dry-run"]);
    assert_eq!((said.code, said.stderr.lines().next()), (2, Some("error: config/.env:2: is not UTF-8")));
}

/// Every command that reads the configuration names what is wrong in a `.env` file, with the workspace where there are
/// several.
#[harness::test]
fn a_skipped_line_and_a_variable_that_does_nothing_are_named_by_every_command() {
    let test = single();
    test.config(".env", "REGISTRY_URL: quay.io\nREGISTRY_USER=me\nINPUTS_DESTINATION=/x\n");
    let expected = "warning: todo: config/.env:1: this line is not `KEY=value` and is skipped\n\
                    warning: todo: config/.env:2: factory does not read `REGISTRY_USER`; did you mean `REGISTRY_USERNAME`?\n\
                    warning: todo: config/.env:3: `INPUTS_DESTINATION` has no effect: give `--output-dir`\n";
    let lock = include_str!("../../factory.lock.example");
    test.config("factory.lock", lock);
    for command in
        [&["run", "--dry-run"][..], &["build"], &["fetch"], &["verify"], &["doctor", "--offline"], &["status"]]
    {
        let stderr = test.run(command).stderr;
        assert_eq!(stderr.matches(expected).count(), 1, "{command:?}: {stderr}");
    }
    let stderr = test.run_with(&["resolve"], &[("NPM_CONFIG_REGISTRY", "nowhere")]).stderr;
    assert_eq!(stderr.matches(expected).count(), 1, "{stderr}");

    let setup = Setup::new();
    setup.workspace("alpha", "main");
    setup.workspace("beta", "main");
    setup.write("beta/.env", "REGISTRY_URL: quay.io\n");
    let file = setup.config().join("beta/.env");
    let line = format!("warning: beta: {}:1: this line is not `KEY=value` and is skipped\n", file.display());
    assert!(said(&setup.run(&["run", "--dry-run"])).contains(&line));
    assert!(said(&setup.run(&["build", "beta"])).contains(&line));
    assert!(!said(&setup.run(&["build", "alpha"])).contains(&line));
}

#[harness::test]
fn the_originals_variables_in_the_environment_are_named_with_what_replaces_them() {
    let test = single();
    let said = test.run_with(
        &["run", "--dry-run"],
        &[("INPUTS_PUSH_CONTAINER_IMAGE", "true"), ("INPUTS_PLUGINS_FILE", "x"), ("INPUTS_OF_MINE", "x")],
    );
    insta::assert_snapshot!(said.stderr, @r"
    warning: environment variable `INPUTS_PLUGINS_FILE` has no effect: the list is always `plugins-list.yaml` in the workspace's configuration
    warning: environment variable `INPUTS_PUSH_CONTAINER_IMAGE` has no effect: give `--push-images`
    1 plugin in 1 workspace would be built; 1 workspace would be resolved first
    ");
}

#[harness::test]
fn the_originals_tag_prefix_is_that_of_the_images() {
    let test = single();
    test.config("versions.json", r#"{"backstage":"1.49.4","node":"24.14.0","cli":"1.10.8"}"#);
    let tagged = |args: &[&str], variables: &[(&str, &str)]| {
        let said = test.run_with(&[&["run", "--dry-run"], args].concat(), variables);
        let is_said = |line: &&str| line.starts_with("warning") && !line.ends_with("the one of this line is used");
        assert_eq!(said.stderr.lines().filter(is_said).count(), 0, "{}", said.stderr);
        said.stdout.lines().find_map(|line| Some(line.split_once(", images tagged ")?.1.to_owned())).unwrap_or_default()
    };
    let inputs = ("INPUTS_IMAGE_TAG_PREFIX", "pr_7__");
    assert_eq!(tagged(&[], &[]), "next__<version>");
    assert_eq!(tagged(&[], &[inputs]), "pr_7__<version>");
    assert_eq!(tagged(&["--tag-prefix", "mine-"], &[inputs]), "mine-<version>");
    assert_eq!(tagged(&["--tag-prefix", ""], &[inputs]), "");
    test.config(".env", "INPUTS_IMAGE_TAG_PREFIX=\"file_\"\n");
    assert_eq!(tagged(&[], &[inputs]), "file_<version>");
    test.config(".env", "INPUTS_IMAGE_TAG_PREFIX=\n");
    assert_eq!(tagged(&[], &[inputs]), "next__<version>");
}

/// A server that sends each request's head to the test and gives this answer.
fn answer_with(status: &'static str, body: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).unwrap_or(0) > 2 {}
            let _ = sender.send(head);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, requests)
}
