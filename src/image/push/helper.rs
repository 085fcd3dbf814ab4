//! Credential helpers: `docker-credential-<name>`, a program that reads a server's name and prints JSON.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::credential::CredentialKind;
use super::registry::Variables;
use super::secret::Secret;
use crate::{Error, Result};

/// A helper may ask its user to unlock a keyring.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Asks a helper for the credential of a server; none if it has none.
///
/// Helpers are the user's own programs, and find their keyrings and clouds through the environment: they get all of
/// it but what is ours (`REGISTRY_…`, `FACTORY_…`).
pub(super) async fn get(name: &str, server: &str, variables: &Variables) -> Result<Option<CredentialKind>> {
    let program = format!("docker-credential-{name}");
    let fails = |what: String| {
        Error::network(
            format!("the credential helper `{}` for `{server}` {what}", program.escape_debug()),
            format!("try it by hand: `echo {server} | {} get`", program.escape_debug()),
        )
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(fails("is not a valid program name".to_owned()));
    }
    let ours = |name: &str| name.starts_with("REGISTRY_") || name.starts_with("FACTORY_");
    let mut child = Command::new(&program)
        .arg("get")
        .env_clear()
        .envs(variables.iter().filter(|(name, _)| !ours(name)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fails(format!("cannot be run: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input may still succeed: its exit code decides.
        let _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
    }
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .map_err(|_| fails(format!("gave no answer for {} seconds", PATIENCE.as_secs())))?
        .map_err(|error| fails(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        // The one error the protocol has a text for (docker-credential-helpers, `errCredentialsNotFoundMessage`).
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(fails(format!("failed ({})", output.status)));
    }
    // The output may hold the secret: none of it is shown.
    let answer: HelperAnswer = serde_json::from_slice(&output.stdout)
        .map_err(|_| fails("returned something that is not a credential".to_owned()))?;
    if answer.username == "<token>" {
        return Ok(Some(CredentialKind::Identity(Secret::new(answer.secret))));
    }
    Ok(Some(CredentialKind::Password { username: answer.username, password: Secret::new(answer.secret) }))
}
