//! Pushing with skopeo or buildah, for registries that our own client cannot push to.
//!
//! They get the image as an OCI layout and the login in a temporary file (0600), and read back what they
//! pushed.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tracing::info;

use super::auth_file;
use super::credential::{Credential, CredentialKind, basic_auth};
use super::options::{PushOptions, Pusher};
use super::pushed::{Pushed, not_stored, tag_taken};
use super::registry::OciRegistry;
use super::secret::Redaction;
use super::tagged::TaggedImage;
use crate::image::external_program::{self, ProgramOutput};
use crate::image::layout::Layout;
use crate::image::manifest::Image;
use crate::image::name::ImageName;
use crate::lock::Sha256;
use crate::{Error, Result};

const INSTEAD: &str = "leave out `--image-pusher`";

/// Whether the program is there and a login can be found; only a push shows whether the registry takes it.
pub(super) async fn check(registry: &OciRegistry, name: &ImageName, pusher: Pusher) -> Result<()> {
    let pusher = ExternalPusher::new(registry, name, pusher).await?;
    let version = pusher.run(&["--version"]).await?;
    if version.success { Ok(()) } else { Err(pusher.failed("be run", pusher.program, &version)) }
}

pub(super) async fn push(registry: &OciRegistry, image: &Image, options: &PushOptions) -> Result<Pushed> {
    let pusher = ExternalPusher::new(registry, &image.name, options.pusher).await?;
    let layout = pusher.folder.path().join("layout");
    let (image_there, layout_there) = (image.clone(), layout.clone());
    let added = tokio::task::spawn_blocking(move || Layout::open(&layout_there)?.add(&image_there)).await;
    added.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    let reference = registry.reference(&image.name, &image.tag);
    // Relative, since buildah makes a name of the path, and only lower-case letters may be in one.
    let source = format!("oci:layout:{}", image.reference());
    let target = format!("docker://{reference}");

    let found = pusher.read(image, &target).await?;
    if let Some(RemoteImage { digest, same: false, manifest }) = &found
        && !options.overwrite
    {
        let other = TaggedImage::of(manifest);
        let origin = other.origin();
        // It is of use where all of it is there.
        let is_same = other.same_content_as(TaggedImage::of(&image.manifest));
        if !is_same || !pusher.is_whole(&registry.pinned(&image.name, *digest)).await? {
            return Err(tag_taken(&reference, *digest, &origin, image.digest));
        }
        return Ok(Pushed {
            pinned: registry.pinned(&image.name, *digest),
            reference,
            digest: *digest,
            already_there: true,
            same_content: Some(manifest.clone()),
            bytes_uploaded: 0,
        });
    }
    let already_there = found.as_ref().is_some_and(|found| found.same);
    let digest = match found {
        Some(found) if found.same => found.digest,
        _ => {
            pusher.push(&source, &target).await?;
            match pusher.read(image, &target).await? {
                Some(found) if found.same => found.digest,
                Some(found) => {
                    let other = format!("the tag names {} instead of {}", found.digest, image.digest);
                    return Err(not_stored(&reference, &other));
                }
                None => return Err(not_stored(&reference, "there is nothing under that tag")),
            }
        }
    };
    info!("pushed `{reference}` with {}", pusher.program);
    Ok(Pushed {
        pinned: registry.pinned(&image.name, digest),
        reference,
        digest,
        already_there,
        same_content: None,
        // What of it was there already, the programs do not say.
        bytes_uploaded: if already_there {
            0
        } else {
            image.layer_len + (image.config.len() + image.manifest.len()) as u64
        },
    })
}

/// What a tag names.
struct RemoteImage {
    digest: Sha256,
    /// It is our image: byte for byte, or for buildah, whose compressor is another, by its config.
    same: bool,
    /// Its manifest; buildah does not show it.
    manifest: Vec<u8>,
}

struct ExternalPusher<'a> {
    registry: &'a OciRegistry,
    program: &'static str,
    folder: TempDir,
    login: String,
    redaction: Redaction,
}

impl<'a> ExternalPusher<'a> {
    async fn new(registry: &'a OciRegistry, name: &ImageName, pusher: Pusher) -> Result<Self> {
        let repository = registry.repository(name);
        let credential = auth_file::find(registry, &repository).await?;
        let program = if pusher == Pusher::Buildah { "buildah" } else { "skopeo" };
        let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
        let file = folder.path().join("auth.json");
        write_login(&file, registry.host(), program, &credential)?;
        let redaction = credential.kind.redaction();
        Ok(Self { registry, program, folder, login: file.display().to_string(), redaction })
    }

    async fn push(&self, source: &str, target: &str) -> Result<()> {
        let output = if self.program == "skopeo" {
            let tls = format!("--dest-tls-verify={}", !self.registry.insecure());
            let arguments = [
                "copy",
                "--quiet",
                "--preserve-digests",
                "--retry-times=3",
                "--dest-authfile",
                &self.login,
                &tls,
                source,
                target,
            ];
            self.run(&arguments).await?
        } else {
            let pulled = self.buildah(&["pull", "--quiet", source]).await?;
            if !pulled.success {
                return Err(self.failed("read", source, &pulled));
            }
            let tls = format!("--tls-verify={}", !self.registry.insecure());
            self.buildah(&["push", "--quiet", "--format=oci", "--authfile", &self.login, &tls, &pulled.line(), target])
                .await?
        };
        if output.success { Ok(()) } else { Err(self.failed("push", target, &output)) }
    }

    /// What the registry has under the tag; none where there is nothing or we may not see it.
    async fn read(&self, image: &Image, target: &str) -> Result<Option<RemoteImage>> {
        let tls = format!("--tls-verify={}", !self.registry.insecure());
        if self.program == "skopeo" {
            let output = self.run(&["inspect", "--raw", "--authfile", &self.login, &tls, target]).await?;
            if !output.success {
                return self.nothing(target, &output);
            }
            let (digest, same) = (Sha256::of(&output.stdout), output.stdout == image.manifest);
            return Ok(Some(RemoteImage { digest, same, manifest: output.stdout }));
        }
        let output =
            self.buildah(&["pull", "--quiet", "--policy=always", "--authfile", &self.login, &tls, target]).await?;
        if !output.success {
            return self.nothing(target, &output);
        }
        // buildah's name of an image is the digest of its config, which holds the digests of its contents.
        let id = output.line();
        let format = ["inspect", "--type=image", "--format={{.FromImageDigest}}", &id];
        let digest = self.buildah(&format).await?;
        match digest.line().parse() {
            Ok(digest) => Ok(Some(RemoteImage { digest, same: id == image.config_digest.hex(), manifest: vec![] })),
            Err(_) => Err(self.failed("inspect", target, &digest)),
        }
    }

    /// Whether the registry has all of an image. skopeo has no way to ask but to fetch it.
    async fn is_whole(&self, image: &str) -> Result<bool> {
        let tls = format!("--src-tls-verify={}", !self.registry.insecure());
        let (source, retries) = (format!("docker://{image}"), "--retry-times=3");
        let arguments = [
            "copy",
            "--quiet",
            "--preserve-digests",
            retries,
            "--src-authfile",
            &self.login,
            &tls,
            &source,
            "dir:whole",
        ];
        let output = self.run(&arguments).await?;
        let complaint = output.complaint().to_lowercase();
        let is_missing = || ["blob unknown", "404 (not found)"].iter().any(|known| complaint.contains(known));
        if output.success || is_missing() { Ok(output.success) } else { Err(self.failed("read", &source, &output)) }
    }

    /// None when the registry has no such tag, or hides the repository from this login.
    fn nothing(&self, target: &str, output: &ProgramOutput) -> Result<Option<RemoteImage>> {
        let known =
            ["manifest unknown", "name unknown", "not found", "unauthorized", "denied", "authentication required"];
        let complaint = output.complaint().to_lowercase();
        if known.iter().any(|known| complaint.contains(known)) {
            Ok(None)
        } else {
            Err(self.failed("read", target, output))
        }
    }

    /// Runs buildah with a temporary image store.
    async fn buildah(&self, arguments: &[&str]) -> Result<ProgramOutput> {
        let store = self.folder.path().join("store").display().to_string();
        let run = self.folder.path().join("run").display().to_string();
        self.run(&[&["--storage-driver=vfs", "--root", &store, "--runroot", &run], arguments].concat()).await
    }

    async fn run(&self, arguments: &[&str]) -> Result<ProgramOutput> {
        let temporary = self.folder.path().display().to_string();
        let environment = external_program::environment(self.registry.variables().iter(), &temporary);
        external_program::run(self.program, arguments, self.folder.path(), &environment, INSTEAD).await
    }

    fn failed(&self, verb: &str, what: &str, output: &ProgramOutput) -> Error {
        let complaint = self.redaction.apply(&output.complaint());
        Error::network(
            format!("{} cannot {verb} `{}`: {complaint}", self.program, what.trim_start_matches("docker://")),
            "check the login, the namespace and the network; some registries want the repository created first",
        )
    }
}

/// Writes the login as the programs read it, mode 0600.
fn write_login(file: &Path, host: &str, program: &str, credential: &Credential) -> Result<()> {
    let entry = match &credential.kind {
        CredentialKind::None => Value::Null,
        CredentialKind::Password { username, password } => json!({ "auth": basic_auth(username, password) }),
        // They read a refresh token only beside an `auth`, whatever that is.
        CredentialKind::Identity(token) => json!({ "auth": "dG9rZW46dG9rZW4=", "identitytoken": token.reveal() }),
        CredentialKind::Bearer(_) => {
            return Err(Error::usage(
                format!("the `registrytoken` of {} cannot be handed to {program}", credential.source),
                format!("log in with a password, or {INSTEAD}"),
            ));
        }
    };
    let auths = if entry.is_null() { json!({}) } else { json!({ host: entry }) };
    let mut open = fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut out = open.write(true).create_new(true).open(file).map_err(Error::io("create", file))?;
    out.write_all(json!({ "auths": auths }).to_string().as_bytes()).map_err(Error::io("write", file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::secret::Secret;
    use super::*;

    fn written(kind: CredentialKind) -> Result<Value> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.json");
        let credential = Credential { kind, source: "`a`".to_owned() };
        write_login(&file, "quay.io", "skopeo", &credential)?;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        Ok(serde_json::from_slice(&fs::read(&file).unwrap()).unwrap())
    }

    #[test]
    fn the_login_is_written_for_the_programs_alone() {
        let password = CredentialKind::Password { username: "u".to_owned(), password: Secret::new("p") };
        assert_eq!(written(password).unwrap(), json!({ "auths": { "quay.io": { "auth": "dTpw" } } }));
        assert_eq!(written(CredentialKind::None).unwrap(), json!({ "auths": {} }));
        let identity = written(CredentialKind::Identity(Secret::new("t"))).unwrap();
        assert_eq!(identity["auths"]["quay.io"]["identitytoken"], "t");
        let error = written(CredentialKind::Bearer(Secret::new("t"))).unwrap_err();
        assert_eq!(error.to_string(), "the `registrytoken` of `a` cannot be handed to skopeo");
    }
}
