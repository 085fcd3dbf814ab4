//! Pushes with skopeo and buildah, in place of which stand programs that write down what they were asked.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use factory::image::{OciRegistry, PushOptions, Pushed, Pusher};
use factory::{Error, Result};
use harness::docker_registry::{PAIR, PASSWORD, USER, block_on, options, variables};
use harness::package::Made;
use tempfile::TempDir;

use super::{LOGIN, plugin};

const REFERENCE: &str = "registry.example/team/x-plugin-todo:1.2.3";

/// A folder of programs, and what they write down.
struct Fixture {
    dir: TempDir,
    made: Made,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = plugin(&dir);
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("manifest"), &made.image.manifest).unwrap();
        Self { dir, made }
    }

    /// A program that writes its arguments and login down, and then does this, with `$DIR` as its folder.
    fn program(&self, name: &str, script: &str) -> &Self {
        let log = "for last; do :; done\n{ echo \"$@\" | sed \"s|$TMPDIR|TMP|g\"; } >> \"$DIR/log\"\n";
        let login =
            "[ ! -e \"$TMPDIR/auth.json\" ] || { cp \"$TMPDIR/auth.json\" \"$DIR/login\"; env > \"$DIR/env\"; }\n";
        let text =
            format!("#!/bin/sh\nPATH=/usr/bin:/bin\nDIR='{}'\n{log}{login}{script}\n", self.dir.path().display());
        // By another process: a file that this one has open for writing cannot be run, and other tests fork meanwhile.
        let (source, program) = (self.path("script"), self.path("bin").join(name));
        fs::write(&source, text).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).unwrap();
        let copied = std::process::Command::new("cp").args([&source, &program]).status().unwrap();
        assert!(copied.success());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn registry(&self, more: &[(&str, &str)]) -> OciRegistry {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let own = [("PATH", path.as_str()), ("SSL_CERT_FILE", "/ca.crt"), ("SECRET", "planted-secret")];
        OciRegistry::from_variables(&variables("registry.example", &[&own[..], more].concat())).unwrap()
    }

    fn push(&self, pusher: Pusher, more: &[(&str, &str)]) -> Result<Pushed> {
        self.push_with(&PushOptions { pusher, ..options() }, more)
    }

    fn push_with(&self, options: &PushOptions, more: &[(&str, &str)]) -> Result<Pushed> {
        block_on(self.registry(more).push(&self.made.image, options))
    }

    /// What was run since the last time.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(str::to_owned).collect()
    }
}

fn told(error: &Error) -> (String, String) {
    assert!(!format!("{error:?}").contains(PASSWORD) && !format!("{error:?}").contains(PAIR), "{error:?}");
    (error.to_string(), error.hint().unwrap_or_default())
}

const NOTHING: &str = "echo 'time=\"x\" level=fatal msg=\"reading manifest: manifest unknown\"' >&2; exit 1";
const SKOPEO_STORES: &str =
    "case $1 in copy) touch \"$DIR/there\";; inspect) [ -e \"$DIR/there\" ] && cat \"$DIR/manifest\" || { ";

fn skopeo_that_stores() -> String {
    format!("{SKOPEO_STORES}{NOTHING}; }};; esac")
}

#[harness::test]
fn skopeo_gets_the_layout_and_the_login_and_nothing_else() {
    let fixture = Fixture::new();
    fixture.program("skopeo", &skopeo_that_stores());
    let pushed = fixture.push(Pusher::Skopeo, &LOGIN).unwrap();
    let image = &fixture.made.image;
    assert_eq!((pushed.reference.as_str(), pushed.digest, pushed.already_there), (REFERENCE, image.digest, false));
    assert_eq!(pushed.pinned, format!("registry.example/team/x-plugin-todo@{}", image.digest));
    assert_eq!(pushed.bytes_uploaded, image.layer_len + (image.config.len() + image.manifest.len()) as u64);
    let inspect = format!("inspect --raw --authfile TMP/auth.json --tls-verify=true docker://{REFERENCE}");
    assert_eq!(
        fixture.log(),
        [
            inspect.clone(),
            format!(
                "copy --quiet --preserve-digests --retry-times=3 --dest-authfile TMP/auth.json --dest-tls-verify=true \
                 oci:layout:x-plugin-todo:1.2.3 docker://{REFERENCE}"
            ),
            inspect.clone(),
        ]
    );
    let login = fs::read_to_string(fixture.path("login")).unwrap();
    assert_eq!(login, format!(r#"{{"auths":{{"registry.example":{{"auth":"{PAIR}"}}}}}}"#));
    let env = fs::read_to_string(fixture.path("env")).unwrap();
    assert!(env.contains("SSL_CERT_FILE=/ca.crt\n") && env.contains("HOME="), "{env}");
    for secret in [PASSWORD, PAIR, USER, "planted-secret"] {
        assert!(!env.contains(secret), "{env}");
    }

    // What is there is not sent again.
    let again = fixture.push(Pusher::Skopeo, &[("REGISTRY_INSECURE", "true")]).unwrap();
    assert_eq!((again.already_there, again.bytes_uploaded), (true, 0));
    assert_eq!(fixture.log(), [inspect.replace("=true", "=false")]);
    assert_eq!(fs::read_to_string(fixture.path("login")).unwrap(), r#"{"auths":{}}"#);
}

#[harness::test]
fn a_tag_does_not_move_by_itself_with_skopeo_either() {
    let fixture = Fixture::new();
    let other = factory::lock::Sha256::of("{}");
    fixture.program("skopeo", "case $1 in copy) touch \"$DIR/there\";; inspect) [ -e \"$DIR/there\" ] && cat \"$DIR/manifest\" || printf '{}';; esac");
    let error = fixture.push(Pusher::Skopeo, &[]).unwrap_err();
    let ours = fixture.made.image.digest;
    assert_eq!(
        told(&error).0,
        format!("`{REFERENCE}` already names another image: {other}, and this build made {ours}")
    );
    assert_eq!(fixture.log().len(), 1);
    let overwrite = PushOptions { pusher: Pusher::Skopeo, overwrite: true, ..options() };
    assert!(!fixture.push_with(&overwrite, &[]).unwrap().already_there);
    assert_eq!(fixture.log().len(), 3);

    // What is read back decides.
    fixture.program("skopeo", &format!("case $1 in inspect) {NOTHING};; esac"));
    let success = format!("the registry reported success for `{REFERENCE}`, but ");
    let error = fixture.push(Pusher::Skopeo, &[]).unwrap_err();
    assert_eq!(told(&error).0, success.clone() + "there is nothing under that tag");
    fixture.program("skopeo", "case $1 in inspect) printf '{}';; esac");
    let error = fixture.push_with(&overwrite, &[]).unwrap_err();
    assert_eq!(told(&error).0, format!("{success}the tag names {other} instead of {ours}"));
}

#[harness::test]
fn what_skopeo_complains_of_is_said_without_the_login() {
    let fixture = Fixture::new();
    let check = "check the login, the namespace and the network; some registries want the repository created first";
    for complaint in ["name unknown", "not found", "unauthorized: x", "Denied", "authentication required"] {
        let script = format!("case $1 in copy) exit 3;; inspect) echo 'Error: {complaint}' >&2; exit 1;; esac");
        fixture.program("skopeo", &script);
        let error = fixture.push(Pusher::Skopeo, &[]).unwrap_err();
        assert_eq!(told(&error), (format!("skopeo cannot push `{REFERENCE}`: no message"), check.to_owned()));
    }
    fixture.program("skopeo", &format!("echo 'Error: {PASSWORD} at {PAIR}' >&2; exit 1"));
    let error = fixture.push(Pusher::Skopeo, &LOGIN).unwrap_err();
    assert_eq!(told(&error), (format!("skopeo cannot read `{REFERENCE}`: *** at ***"), check.to_owned()));
    assert_eq!(error.exit_code(), 5);
}

#[harness::test]
fn a_check_runs_the_program_alone() {
    let fixture = Fixture::new();
    let names = [fixture.made.image.name.clone()];
    let bin = fixture.path("bin").display().to_string();
    let check = |pusher| {
        let options = PushOptions { pusher, ..options() };
        block_on(fixture.registry(&[("PATH", &bin)]).check_access(&names, &options))
    };
    let error = check(Pusher::Buildah).unwrap_err();
    let missing = ("`buildah` is not installed".to_owned(), "install it, or leave out `--image-pusher`".to_owned());
    assert_eq!(told(&error), missing);
    fixture.program("buildah", "exit 0").program("skopeo", "echo broken >&2; exit 1");
    check(Pusher::Buildah).unwrap();
    assert_eq!(fixture.log(), ["--version"]);
    let error = check(Pusher::Skopeo).unwrap_err();
    assert_eq!(told(&error).0, "skopeo cannot be run `skopeo`: broken");
}

#[harness::test]
fn buildah_pushes_what_it_pulled_from_the_layout() {
    let fixture = Fixture::new();
    let image = &fixture.made.image;
    let (id, theirs) = (image.config_digest.hex(), factory::lock::Sha256::of("theirs"));
    let script = format!(
        "for arg; do case $arg in pull|push|inspect) verb=$arg;; esac; done\n\
         case $verb in\n\
         push) touch \"$DIR/there\";;\n\
         inspect) echo {theirs};;\n\
         pull) case $last in oci:*) echo {id};; *) [ -e \"$DIR/there\" ] && echo {id} || {{ {NOTHING}; }};; esac;;\n\
         esac"
    );
    fixture.program("buildah", &script);
    let pushed = fixture.push(Pusher::Buildah, &LOGIN).unwrap();
    assert_eq!((pushed.digest, pushed.already_there), (theirs, false));
    let store = "--storage-driver=vfs --root TMP/store --runroot TMP/run";
    let pull =
        format!("{store} pull --quiet --policy=always --authfile TMP/auth.json --tls-verify=true docker://{REFERENCE}");
    assert_eq!(
        fixture.log(),
        [
            pull.clone(),
            format!("{store} pull --quiet oci:layout:x-plugin-todo:1.2.3"),
            format!(
                "{store} push --quiet --format=oci --authfile TMP/auth.json --tls-verify=true {id} docker://{REFERENCE}"
            ),
            pull.clone(),
            format!("{store} inspect --type=image --format={{{{.FromImageDigest}}}} {id}"),
        ]
    );
    assert!(fixture.push(Pusher::Buildah, &LOGIN).unwrap().already_there);

    // An image with another config is another image.
    fixture.program("buildah", &script.replace(&format!("echo {id} ||"), "echo other ||"));
    let error = fixture.push(Pusher::Buildah, &[]).unwrap_err();
    let ours = image.digest;
    assert_eq!(
        told(&error).0,
        format!("`{REFERENCE}` already names another image: {theirs}, and this build made {ours}")
    );
    fixture.program("buildah", &script.replace(&format!("echo {theirs}"), "echo none"));
    let error = fixture.push(Pusher::Buildah, &[]).unwrap_err();
    assert_eq!(told(&error).0, format!("buildah cannot inspect `{REFERENCE}`: no message"));
    fs::remove_file(fixture.path("there")).unwrap();
    fixture.program("buildah", &script.replace(&format!("oci:*) echo {id}"), "oci:*) exit 1"));
    let error = fixture.push(Pusher::Buildah, &[]).unwrap_err();
    assert_eq!(told(&error).0, "buildah cannot read `oci:layout:x-plugin-todo:1.2.3`: no message");
}

#[harness::test]
fn a_token_that_no_program_can_send_is_not_handed_to_one() {
    let fixture = Fixture::new();
    fixture.program("skopeo", &skopeo_that_stores());
    let auth = fixture.path("given.json");
    fs::write(&auth, r#"{"auths":{"registry.example":{"registrytoken":"planted-token"}}}"#).unwrap();
    let named = [("REGISTRY_AUTH_FILE", auth.to_str().unwrap())];
    let error = fixture.push(Pusher::Skopeo, &named).unwrap_err();
    let cannot = format!("the `registrytoken` of `{}` cannot be handed to skopeo", auth.display());
    assert_eq!(told(&error), (cannot, "log in with a password, or leave out `--image-pusher`".to_owned()));
    assert_eq!(fixture.log(), [""; 0]);
    fs::write(&auth, r#"{"auths":{"registry.example":{"identitytoken":"planted-refresh"}}}"#).unwrap();
    fixture.push(Pusher::Skopeo, &named).unwrap();
    let login = fs::read_to_string(fixture.path("login")).unwrap();
    let expected = r#"{"auths":{"registry.example":{"auth":"dG9rZW46dG9rZW4=","identitytoken":"planted-refresh"}}}"#;
    assert_eq!(login, expected);
    assert!(Path::new(&auth).exists());
}
