//! What this machine allows: tried once, with a program that does nothing.

use super::enter::PROC_STAYS;
use super::env;
use super::root::{self, Isolation};
use crate::error::{Error, Result};
use crate::store::Store;

/// Finds out once what this machine grants, with what is to be said of it: why there is no isolation, or what it lacks.
pub async fn probe(store: &Store, choice: root::IsolationChoice) -> Result<(Isolation, Option<String>)> {
    if choice == root::IsolationChoice::Off {
        build_umask();
        return Ok((Isolation::None, None));
    }
    let mut why = String::new();
    let order = if nix::unistd::Uid::effective().is_root() {
        vec![Isolation::Namespaces, Isolation::UserNamespaces]
    } else {
        vec![Isolation::UserNamespaces]
    };
    for isolation in order {
        match try_isolation(store, isolation).await {
            Ok(note) => return Ok((isolation, note)),
            Err(e) => why = e,
        }
    }
    if choice == root::IsolationChoice::Required {
        return Err(Error::usage(
            format!("namespaces are not available on this machine: {why}"),
            "allow user namespaces (sysctl `kernel.unprivileged_userns_clone`, a container's security profile), or use `--isolation auto`",
        ));
    }
    build_umask();
    Ok((Isolation::None, Some(why)))
}

/// A build root sets the umask of its children; without one they inherit factory's own.
fn build_umask() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
}

/// What there is to say of it, if it works.
async fn try_isolation(store: &Store, isolation: Isolation) -> Result<Option<String>, String> {
    let scratch = store.scratch().map_err(|e| e.to_string())?;
    let (tmp, mount) = (scratch.path().join("tmp"), scratch.path().join("root"));
    for folder in [&tmp, &mount] {
        std::fs::create_dir(folder).map_err(|e| e.to_string())?;
    }
    let mut root = root::Root::new(isolation, mount);
    root.show(&tmp, "tmp", true);
    let env = env::ChildEnv::base(0);
    let entered = root.command(std::path::Path::new("/usr/bin/true"), &[], &tmp, &env, false);
    let mut child = tokio::process::Command::new(&entered.program)
        .args(&entered.args)
        .env_clear()
        .envs(env.iter())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| e.to_string())?;
    let _lifeline = child.stdin.take();
    let output = child.wait_with_output().await.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(Some(said).filter(|said| said == PROC_STAYS)) } else { Err(said) }
}
