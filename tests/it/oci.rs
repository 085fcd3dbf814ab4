//! Pushes to a registry on loopback that has the habits of others.

mod attach;
mod external;
mod habits;
mod login;
mod push;
mod refused;

use factory::image::{OciRegistry, Pushed};
use factory::{Error, Result};
use harness::docker_registry::{PAIR, PASSWORD, USER, block_on, options};
use harness::oci_registry::{FakeRegistry, TOKEN};
use harness::package::{Made, make_small};
use tempfile::TempDir;

/// The repository that the image is pushed to.
const REPOSITORY: &str = "team/x-plugin-todo";
pub(super) const LOGIN: [(&str, &str); 2] = [("REGISTRY_USERNAME", USER), ("REGISTRY_PASSWORD", PASSWORD)];

fn plugin(dir: &TempDir) -> Made {
    make_small(dir.path(), "@x/plugin-todo", "1.2.3")
}

fn push(registry: &OciRegistry, made: &Made) -> Result<Pushed> {
    block_on(registry.push(&made.image, &options()))
}

fn check(registry: &OciRegistry, made: &Made) -> Result<()> {
    block_on(registry.check_access(std::slice::from_ref(&made.image.name), &options()))
}

/// The message and the hint of an error about the network, with the registry's address as `HOST`.
fn said(error: &Error, server: &FakeRegistry) -> (String, String) {
    assert_eq!(error.exit_code(), 5, "{error:?}");
    for secret in [PASSWORD, PAIR, TOKEN] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    let text = |text: &str| text.replace(&server.address, "HOST");
    (text(&error.to_string()), text(&error.hint().unwrap_or_default()))
}

/// Nothing secret is in what a server was sent.
fn knows_no_secret(server: &FakeRegistry) {
    for request in server.requests() {
        let text = format!("{} {:?} {}", request.target, request.headers, String::from_utf8_lossy(&request.body));
        for secret in [USER, PASSWORD, PAIR, TOKEN] {
            assert!(!text.contains(secret), "{secret} in {} {}", request.method, request.target);
        }
    }
}
