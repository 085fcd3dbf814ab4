//! A server's own certificate, self-signed and `CA:TRUE`, as `openssl req -x509` makes it: what each kind of server that
//! has one is told, and that it is trusted when it is named. Registries of images: `tests/it/oci/refused.rs`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use factory::resolve::refs;
use factory::store::Store;
use factory::store::git::{Network, SourceUrl};
use harness::certificate::self_signed;
use harness::git_server::{Behaviour, Server};
use harness::npm_registry::Registry;
use harness::program::Test;

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

#[harness::test]
fn a_git_servers_own_certificate_is_told_from_an_unknown_one() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, _) = self_signed(dir.path(), "IP:127.0.0.1");
    let server = Server::start(dir.path(), Behaviour { tls: Some(tls), ..Behaviour::default() });
    let store = Store::open(dir.path().join("cache")).unwrap();
    let url = SourceUrl::parse(&server.url("r"), Path::new("/")).unwrap();
    let error = refs::resolve(&store, &url, "main", &Network::default(), &AtomicBool::new(false)).unwrap_err();
    let message = format!("cannot list the refs of `{url}`: its certificate is not trusted: ");
    assert!(error.to_string().starts_with(&message), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "the server's certificate is one of a CA (basicConstraints `CA:TRUE`): give the server one with `CA:FALSE`, or use \
         `--git-program` and name the certificate in `GIT_SSL_CAINFO`"
    );
}
