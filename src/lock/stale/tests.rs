use super::*;
use crate::error::Error;
use crate::lock::UnresolvedWorkspace;
use crate::lock::text::tests::sample;
use crate::lock::{ArgsFrom, ArgsOrigin, Rhdh, Sha256};

/// What was asked for when the lock was made.
fn requested(lock: &Lock) -> Requested {
    let workspaces = lock.workspace.iter().map(|workspace| RequestedWorkspace {
        name: workspace.name.clone(),
        dir: workspace.dir.clone(),
        repo: workspace.source.repo.clone(),
        requested: workspace.source.requested.clone(),
        path: workspace.source.path.clone(),
        local: workspace.source.local,
        inputs: workspace.input.clone(),
        listed: Some(workspace.plugin.iter().map(|plugin| (plugin.path.clone(), plugin.args.clone())).collect()),
        node: Some("22".into()),
        npm: Some("11".into()),
        cli: Some("latest".into()),
        rhdh: None,
        host_lockfile: None,
    });
    Requested { workspaces: workspaces.collect() }
}

/// The reasons after a change of what is asked for `todo`, the first of two workspaces.
fn after(change: impl FnOnce(&mut RequestedWorkspace)) -> Vec<String> {
    let lock = sample();
    let mut wanted = requested(&lock);
    change(&mut wanted.workspaces[0]);
    reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect()
}

#[test]
fn what_was_asked_for_is_not_stale() {
    assert_eq!(after(|_| ()), [""; 0]);
    // No version, and no list, asks for nothing.
    let unset = |wanted: &mut RequestedWorkspace| {
        (wanted.node, wanted.npm, wanted.cli, wanted.listed) = (None, None, None, None);
    };
    assert_eq!(after(unset), [""; 0]);
}

#[test]
fn a_field_is_named_as_it_is_written_with_both_values() {
    type Change = fn(&mut RequestedWorkspace);
    let changes: [(Change, &str); 9] = [
        (|w| w.dir = "done".into(), "its folder is now `done`, the lock was made for `todo`"),
        (
            |w| w.repo = "../x".into(),
            "its repository is now `../x`, the lock was made for `https://example.com/plugins`",
        ),
        (|w| w.requested = "v1".into(), "repo-ref is now `v1`, the lock was made for `main`"),
        (|w| w.requested = String::new(), "repo-ref is now the default branch, the lock was made for `main`"),
        (|w| w.path = ".".into(), "workspace-path is now `.`, the lock was made for `workspaces/todo`"),
        (|w| w.local = true, "use-local is now `true`, the lock was made for nothing"),
        (|w| w.node = Some("24".into()), "NODE_VERSION is now `24`, the lock was made for `22`"),
        (|w| w.npm = Some("12".into()), "NPM_VERSION is now `12`, the lock was made for `11`"),
        (|w| w.cli = Some("1.9.0".into()), "RHDH_CLI_VERSION is now `1.9.0`, the lock was made for `latest`"),
    ];
    for (change, reason) in changes {
        assert_eq!(after(change), [format!("workspace `todo`: {reason}")]);
    }
}

#[test]
fn a_file_is_new_changed_or_gone() {
    let input = |path: &str| Input { path: path.into(), sha256: Sha256::of("new"), executable: false };
    assert_eq!(
        after(|wanted| wanted.inputs.push(input("patches/2.patch"))),
        ["workspace `todo`: patches/2.patch is new since `factory resolve`"]
    );
    let changed = ["workspace `todo`: patches/1.patch changed since `factory resolve`"];
    assert_eq!(after(|wanted| wanted.inputs = vec![input("patches/1.patch")]), changed);
    assert_eq!(after(|wanted| wanted.inputs[0].executable = true), changed);
    assert_eq!(
        after(|wanted| wanted.inputs.clear()),
        ["workspace `todo`: patches/1.patch was removed since `factory resolve`"]
    );
}

#[test]
fn a_list_has_another_plugin_or_other_arguments() {
    fn listed(wanted: &mut RequestedWorkspace) -> &mut BTreeMap<String, Vec<Argument>> {
        wanted.listed.as_mut().unwrap()
    }
    assert_eq!(
        after(|wanted| drop(listed(wanted).insert("plugins/c".into(), Vec::new()))),
        ["workspace `todo`: plugins-list.yaml lists `plugins/c` since `factory resolve`"]
    );
    assert_eq!(
        after(|wanted| drop(listed(wanted).remove("plugins/a"))),
        ["workspace `todo`: plugins-list.yaml no longer lists `plugins/a`"]
    );
    assert_eq!(
        after(|wanted| listed(wanted).get_mut("plugins/a").unwrap().truncate(1)),
        ["workspace `todo`: plugins-list.yaml gives `plugins/a` other arguments since `factory resolve`"]
    );
}

#[test]
fn tools_of_a_workspace_are_held_against_its_own() {
    let mut lock = sample();
    let wanted = requested(&lock);
    let mut own = lock.tools.clone();
    own.node.requested = "20".into();
    lock.workspace[1].tools = Some(own);
    let texts: Vec<_> = reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["workspace `acr`: NODE_VERSION is now `22`, the lock was made for `20`"]);
}

#[test]
fn a_cli_is_for_a_host() {
    let after = |host: Option<&str>, rhdh: &str| {
        let mut lock = sample();
        lock.tools.rhdh_cli.host = host.map(|host| host.parse().unwrap());
        // Nothing is computed.
        lock.workspace.remove(1);
        for plugin in &mut lock.workspace[0].plugin {
            plugin.args_from = ArgsOrigin::All(ArgsFrom::PluginsList);
        }
        let mut wanted = requested(&lock);
        (wanted.workspaces[0].rhdh, wanted.workspaces[0].cli) = (Some(rhdh.to_owned()), None);
        reasons(&lock, &wanted, true).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    // Locks that do not say it stay as fresh as they were.
    for (host, fresh) in [(Some("1.10"), "1.10"), (Some("1.10"), "1.10.4"), (None, "1.9")] {
        assert_eq!(after(host, fresh), [""; 0]);
    }
    assert_eq!(
        after(Some("1.10"), "1.9"),
        ["workspace `todo`: RHDH_VERSION is now `1.9`, the lock was made for `1.10`"]
    );
    assert_eq!(
        after(Some("1.10"), "main"),
        ["workspace `todo`: RHDH_VERSION is now `main`, the lock was made for `1.10`"]
    );
}

#[test]
fn a_host_that_was_a_file_is_named() {
    let mut lock = sample();
    lock.rhdh = Some(Rhdh { requested: "a".into(), commit: None, version: None, lockfile: Sha256::of("") });
    let mut wanted = requested(&lock);
    wanted.workspaces[0].rhdh = Some("1.9".to_owned());
    let text = reasons(&lock, &wanted, true)[0].to_string();
    assert_eq!(text, "workspace `todo`: RHDH_VERSION is now `1.9`, the lock was made for `a`");
}

#[test]
fn workspaces_come_and_go_in_the_order_of_their_names() {
    let lock = sample();
    let mut wanted = requested(&lock);
    wanted.workspaces[1].name = "zoo".into();
    let added = StaleReason::Added { workspace: "zoo".into() };
    let removed = StaleReason::Removed { workspace: "acr".into() };
    assert_eq!(reasons(&lock, &wanted, true), [removed.clone(), added.clone()]);
    assert_eq!(removed.to_string(), "workspace `acr`: is no longer in the configuration");
    assert_eq!(added.to_string(), "workspace `zoo`: is new since `factory resolve`");
    // Of a part of the configuration nothing follows for the others.
    assert_eq!(reasons(&lock, &wanted, false), [added]);

    // What could not be resolved is stale when something else is asked for.
    let mut lock = lock;
    let error = Error::usage("`main` is not a branch", "write `master`");
    lock.unresolved.push(UnresolvedWorkspace::new("zoo", wanted.workspaces[1].digest(), &error));
    assert_eq!(reasons(&lock, &wanted, false), []);
    wanted.workspaces[1].inputs.clear();
    let changed = reasons(&lock, &wanted, false);
    assert_eq!(changed, [StaleReason::Unresolved { workspace: "zoo".into() }]);
    assert_eq!(
        changed[0].to_string(),
        "workspace `zoo`: could not be resolved, and was changed since `factory resolve`"
    );
}
