//! A server's own certificate, self-signed and `CA:TRUE`, as `openssl req -x509` makes it: what each kind of server that
//! has one is told, and that it is trusted when it is named. Registries of images: `tests/it/oci/refused.rs`.

use harness::certificate::self_signed;
use harness::git_server::{Behaviour, Server};
use harness::npm_registry::Registry;
use harness::program::Test;
use harness::repository::Repository;

#[harness::test]
fn an_npm_registrys_own_certificate_is_trusted_when_it_is_named() {
    let mut test = Test::new();
    let (tls, pem) = self_signed(&test.path(""), "IP:127.0.0.1");
    let registry = Registry::with_tls(tls);
    test.env("NPM_CONFIG_REGISTRY", &registry.url);
    let distrusted = test.run(&["doctor"]).stdout;
    assert!(
        distrusted.contains(
            "the npm registry's certificate is one of a CA (basicConstraints `CA:TRUE`): name its own file in \
             `SSL_CERT_FILE`, or give the npm registry one with `CA:FALSE`"
        ),
        "{distrusted}"
    );
    assert_eq!(registry.asked(), [""; 0]);
    let trusted = test.run_with(&["doctor"], &[("SSL_CERT_FILE", pem.to_str().unwrap())]).stdout;
    assert!(trusted.contains("npm registry: has @red-hat-developer-hub/cli 1.9.1"), "{trusted}");
    assert_eq!(registry.asked(), ["/@red-hat-developer-hub%2fcli"]);
}

/// Each way in which npm is told whom to trust.
#[harness::test]
fn certificates_of_npms_configuration_are_trusted() {
    let mut test = Test::new();
    let (tls, pem) = self_signed(&test.path(""), "IP:127.0.0.1");
    let registry = Registry::with_tls(tls);
    let path = pem.to_str().unwrap();
    let bytes = std::fs::read_to_string(&pem).unwrap();
    let in_a_line = bytes.trim().replace('\n', "\\n");
    test.env("HOME", test.path("home").display());
    std::fs::create_dir_all(test.path("home")).unwrap();
    std::fs::copy(&pem, test.path("home/ca.pem")).unwrap();
    let (cafile, quoted) = (format!("cafile={path}"), format!("ca=\"{in_a_line}\""));
    let of_others = format!("ca[]=\"none\"\nca[]=\"{in_a_line}\"");
    for (npmrc, variables) in [
        (cafile.as_str(), &[][..]),
        ("cafile=~/ca.pem", &[]),
        (&quoted, &[]),
        (&of_others, &[]),
        (&format!("ca={in_a_line}"), &[]),
        ("strict-ssl=false", &[]),
        ("", &[("npm_config_strict_ssl", "false")]),
        ("", &[("npm_config_ca", &bytes)]),
        ("", &[("NODE_EXTRA_CA_CERTS", path)]),
    ] {
        test.write("home/.npmrc", format!("registry={}\n{npmrc}\n", registry.url));
        let said = test.run_with(&["doctor"], variables).stdout;
        assert!(said.contains("ok    npm registry: has @red-hat-developer-hub/cli 1.9.1"), "{npmrc}: {said}");
    }
    // What cannot be read is as if it were not there, and said.
    for (npmrc, variables, expected) in [
        ("cafile=nowhere", &[][..], None),
        ("ca=none", &[], Some("`ca` or `cafile` of npm names no certificates in PEM")),
        ("", &[("NODE_EXTRA_CA_CERTS", "/etc/passwd")], Some("NODE_EXTRA_CA_CERTS names no certificates in PEM")),
    ] {
        test.write("home/.npmrc", format!("registry={}\n{npmrc}\n", registry.url));
        let said = test.run_with(&["doctor"], variables);
        assert!(said.stdout.contains("FAIL  npm package `@red-hat-developer-hub/cli`: "), "{npmrc}: {}", said.stdout);
        let warning = expected.map(|warning| format!("WARN {warning}\n")).unwrap_or_default();
        assert!(said.stderr.contains(&warning), "{npmrc}: {}", said.stderr);
    }
}

#[harness::test]
fn a_git_servers_own_certificate_is_trusted_when_it_is_named() {
    harness::needs(&["git"]);
    let mut test = Test::new();
    let repository = Repository::init(&test.path("r"));
    repository.commit("first");
    let (tls, pem) = self_signed(&test.path(""), "IP:127.0.0.1");
    let server = Server::start(&test.path(""), Behaviour { tls: Some(tls), ..Behaviour::default() });
    let url = server.url("r");
    test.config("source.json", format!(r#"{{"repo": "{url}", "repo-ref": "main", "workspace-path": "."}}"#));
    let distrusted = test.run(&["doctor"]).stdout;
    assert!(
        distrusted.contains(
            "its certificate is not trusted: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))\n      fix: the \
             server's certificate is one of a CA (basicConstraints `CA:TRUE`): name its own file in `SSL_CERT_FILE`, or give \
             the server one with `CA:FALSE`"
        ),
        "{distrusted}"
    );
    assert_eq!(server.log(), [""; 0]);
    // Without the `git` program, which is not in this test's `PATH`.
    test.env("SSL_CERT_FILE", pem.display());
    let trusted = test.run(&["doctor"]).stdout;
    assert!(trusted.contains(&format!("repository: {url} answers")), "{trusted}");
    assert_eq!(server.log().len(), 2);
}
