//! Arguments of a list and computed ones as one.

use super::listed::listed_plugin;
use super::*;
use crate::lock::{ArgsFrom, ArgsOrigin, Argument};

fn merged(listed: &str, computed: &ComputedArgs, made: &[&str]) -> MergedArgs {
    let listed = Argument::from_line(listed).unwrap();
    merge(&listed, computed, |argument| made.contains(&argument.to_string().as_str()))
}

fn texts(merged: &MergedArgs) -> Vec<String> {
    merged.args.iter().map(ToString::to_string).collect()
}

#[test]
fn what_no_computation_makes_is_kept() {
    use ArgsFrom::{Computed, PluginsList};
    let computed = listed_plugin(false);
    let made = args(&computed);
    let alone = merged("", &computed, &[]);
    assert_eq!((texts(&alone), &alone.origin), (made.clone(), &ArgsOrigin::All(Computed)));

    let found = merged("--minify --embed-package plain --ignore-version-check x", &computed, &[]);
    assert_eq!(
        texts(&found),
        [&made[..], &["--minify", "--embed-package plain", "--ignore-version-check x"].map(str::to_owned)].concat()
    );
    let origin = [vec![Computed; made.len()], vec![PluginsList; 3]].concat();
    assert_eq!(found.origin, ArgsOrigin::Each(origin));
    assert_eq!(found.why[made.len()], "listed in plugins-list.yaml");
    assert_eq!(
        lines(&found.diagnostics),
        ["warning: `--ignore-version-check x` does nothing: rhdh-cli refuses no range of this package"]
    );
    // The same again, in the order of the list.
    let again = merged(&format!("--minify {} --embed-package plain", made.join(" ")), &computed, &[]);
    assert_eq!(texts(&again)[0], "--minify");
    // What was computed once and is no more goes, and slips in flags are mended.
    let listed = "--embed-package old plain -embed-package lib";
    assert_eq!(
        texts(&merged(listed, &computed, &["--embed-package old"])),
        [&made[..], &["--embed-package plain".to_owned()]].concat()
    );
    let kept = merged(listed, &computed, &[]);
    assert!(texts(&kept).contains(&"--embed-package old".to_owned()));
    let said = "warning: `--embed-package old` is not a package of the export";
    assert_eq!(lines(&kept.diagnostics), [said]);
    assert_eq!(kept.diagnostics[0].kind.hint().as_deref(), Some("remove it from plugins-list.yaml"));
}

#[test]
fn a_choice_of_the_users_replaces_what_is_computed() {
    let computed = listed_plugin(true);
    assert!(args(&computed).contains(&"--suppress-native-package must".to_owned()));
    for choice in ["--allow-native-package must", "--shared-package must"] {
        let found = merged(choice, &computed, &[]);
        assert!(!texts(&found).contains(&"--suppress-native-package must".to_owned()), "{:?}", texts(&found));
        assert!(texts(&found).contains(&choice.to_owned()));
        assert_eq!(lines(&found.diagnostics), [""; 0]);
    }
    let shared = texts(&merged("--shared-package lib @backstage/new", &computed, &[]));
    for gone in ["--embed-package lib", "--embed-package @backstage/new", "--shared-package !@backstage/new"] {
        assert!(!shared.contains(&gone.to_owned()), "{shared:?}");
    }
    let stubbed = texts(&merged("--suppress-native-package sqlite", &computed, &[]));
    assert!(!stubbed.iter().any(|arg| arg.ends_with(" db") || arg == "--shared-package sqlite"), "{stubbed:?}");
}

#[test]
fn what_a_hint_asked_for_settles_it() {
    let wants = |name: &str, range: &str| json!({ "name": name, "version": "1.0.0", "peerDependencies": { "@backstage/config": range }, "dependencies": { "@backstage/errors": "^1" }, "private": true });
    let dependencies = json!({ "@s/u": "workspace:^", "@s/v": "workspace:^" });
    let of = |one: &str, other: &str| {
        repository(plugin(&dependencies), &[("@backstage/errors 1.0.0", ""), ("@backstage/config 1.0.0", "")])
            .workspace("plugins/u", wants("@s/u", one))
            .workspace("plugins/v", wants("@s/v", other))
            .compute()
    };
    let apart = of("^1.2.0", "^2.0.0");
    assert_eq!(
        lines(&apart.diagnostics),
        [
            "error: the embedded packages require `@backstage/config` in versions that exclude each other: `^1.2.0`, and \
          `^2.0.0` for `@s/v`"
        ]
    );
    assert_eq!(lines(&merged("--ignore-version-check @backstage/config", &apart, &[]).diagnostics), [""; 0]);
    // Versions are in both; rhdh-cli looks at the least of each alone.
    let together = of("^1.2.0 || ^3.0.0", "^1.0.0 <1.1.0 || >=3.1.0");
    assert_eq!(
        lines(&together.diagnostics),
        [
            "error: the embedded packages require `@backstage/config` as `^1.2.0 || ^3.0.0`, and `@s/v` as `^1.0.0 <1.1.0 \
          || >=3.1.0`: versions of it are in both, but rhdh-cli's own rule refuses them, since the least of `^1.0.0 \
          <1.1.0 || >=3.1.0`, 1.0.0, is not in `^1.2.0 || ^3.0.0`"
        ]
    );
    assert_eq!(lines(&of("^1.2.0", ">=1.3").diagnostics), [""; 0]);
}

#[test]
fn what_no_registry_has_of_the_workspace_is_embedded() {
    let private =
        json!({ "name": "@s/u", "version": "1.0.0", "private": true, "dependencies": { "@s/v": "workspace:^" } });
    let public = json!({ "name": "@s/v", "version": "0.3.0" });
    let of = |answer: Option<bool>| {
        let repository = repository(plugin(&json!({ "@s/u": "workspace:^" })), &[])
            .workspace("plugins/u", private.clone())
            .workspace("plugins/v", public.clone());
        match answer {
            Some(is_published) => repository.answer("@s/v 0.3.0", is_published.into()),
            None => repository,
        }
        .compute()
    };
    let unasked = of(None);
    assert_eq!(args(&unasked), ["--embed-package @s/u"]);
    assert_eq!(
        unasked.args[0].reason.to_string(),
        "@s/u (plugins/u) is a private package of the workspace, which no registry has"
    );
    let [request] = &unasked.manifest_requests[..] else { panic!("{:?}", unasked.manifest_requests) };
    assert_eq!((request.name.as_str(), request.purpose), ("@s/v", ManifestPurpose::Published));

    let missing = of(Some(false));
    assert_eq!(args(&missing), ["--embed-package @s/u", "--embed-package @s/v"]);
    assert_eq!(
        missing.args[1].reason.to_string(),
        "@s/v (plugins/v) is a package of the workspace, and the npm registry has no version 0.3.0"
    );
    assert_eq!(lines(&missing.diagnostics), [""; 0]);

    let published = of(Some(true));
    assert_eq!(args(&published), ["--embed-package @s/u"]);
    assert_eq!(
        lines(&published.diagnostics),
        ["warning: `@s/v` (plugins/v) comes from the registry in version 0.3.0, not from the checkout"]
    );
}
