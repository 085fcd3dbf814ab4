//! Two releases of a made-up set of plugins, with the files beside their locks.

use std::fs;
use std::path::{Path, PathBuf};

use factory::lock::companions::FOLDER_NAME;
use factory::lock::text::{FILE_NAME, REVISION, VERSION};
use factory::lock::{
    ArgsFrom, ArgsOrigin, Argument, Input, Integrity, Lock, Node, Plugin, Rhdh, RhdhCli, Role, Sealed, Sha256, Source,
    Tool, Tools, Workspace, Yarn, YarnFrom,
};

/// A lock with its companions, in memory.
pub struct Release {
    pub lock: Lock,
    pub files: Vec<(String, String)>,
}

/// A commit made of one digit.
pub fn commit(digit: &str) -> String {
    digit.repeat(40)
}

pub fn tools(node: &str, cli: &str, tree: &str) -> Tools {
    let tool = |requested: &str, version: &str| Tool {
        requested: requested.into(),
        version: version.into(),
        integrity: Integrity::of(version),
    };
    Tools {
        node: Node {
            requested: node.split('.').next().unwrap().into(),
            version: node.into(),
            integrity: ["linux-arm64", "linux-x64"].map(|p| (p.to_owned(), Integrity::of(format!("{p}{node}")))).into(),
        },
        npm: tool("11", "11.6.0"),
        rhdh_cli: RhdhCli {
            host: None,
            requested: "latest".into(),
            version: cli.into(),
            integrity: Integrity::of(cli),
            tree: Sha256::of(tree),
        },
    }
}

pub fn workspace(name: &str, repo: &str, path: &str, digit: &str, epoch: u64) -> Workspace {
    Workspace {
        problem: vec![],
        unlisted: vec![],
        name: name.into(),
        dir: name.into(),
        recipe: 1,
        tools: None,
        source: Source {
            repo: repo.into(),
            requested: "main".into(),
            commit: Some(commit(digit)),
            local: false,
            epoch,
            path: path.into(),
            backstage: Some("1.45.3".into()),
            yarn: Yarn {
                from: YarnFrom::PackageManager,
                version: "4.9.2".into(),
                integrity: Some(Integrity::of("yarn 4.9.2")),
                path: None,
            },
            yarn_lock: Sha256::of(format!("yarn.lock at {digit}")),
        },
        effective: None,
        sealed: None,
        input: Vec::new(),
        plugin: Vec::new(),
    }
}

pub fn plugin(path: &str, name: &str, version: &str, role: Role) -> Plugin {
    Plugin {
        path: path.into(),
        name: name.into(),
        version: version.into(),
        role,
        args_from: ArgsOrigin::All(ArgsFrom::Computed),
        args: Vec::new(),
        why: Vec::new(),
        scalprum: None,
        sources: Vec::new(),
        reads: Vec::new(),
        stamp: None,
        sealed: None,
    }
}

pub fn input(path: &str, text: &str) -> Input {
    Input { path: path.into(), sha256: Sha256::of(text), executable: false }
}

/// Outputs that are told apart by `text`.
pub fn sealed(text: &str, closure: Option<&str>) -> Sealed {
    Sealed {
        closure: closure.map(Sha256::of),
        bundle: None,
        tgz: Integrity::of(format!("tgz {text}")),
        image: Sha256::of(format!("image {text}")),
        layer: Sha256::of(format!("layer {text}")),
        config: None,
        root: None,
    }
}

/// A closure: the plugin's own peers, then `name version`s.
pub fn closure(plugin: &str, peers: &[&str], packages: &[(&str, &str)]) -> String {
    let mut text = format!(
        "__metadata:\n  version: 8\n\n\"{plugin}-dynamic@workspace:.\":\n  version: 0.0.0-use.local\n  \
         resolution: \"{plugin}-dynamic@workspace:.\"\n"
    );
    let section = |text: &mut String, name: &str, entries: Vec<(String, String)>| {
        if !entries.is_empty() {
            text.push_str(&format!("  {name}:\n"));
            for (name, range) in entries {
                text.push_str(&format!("    \"{name}\": \"{range}\"\n"));
            }
        }
    };
    section(&mut text, "dependencies", packages.iter().map(|(n, v)| ((*n).into(), format!("npm:{v}"))).collect());
    section(&mut text, "peerDependencies", peers.iter().map(|n| ((*n).into(), "*".into())).collect());
    for (name, version) in packages {
        text.push_str(&format!(
            "\n\"{name}@npm:{version}\":\n  version: {version}\n  resolution: \"{name}@npm:{version}\"\n"
        ));
    }
    text
}

/// A host's yarn.lock.
pub fn host(packages: &[(&str, &str)]) -> String {
    let mut text = String::from("__metadata:\n  version: 8\n");
    for (name, version) in packages {
        text.push_str(&format!(
            "\n\"{name}@npm:^{version}\":\n  version: {version}\n  resolution: \"{name}@npm:{version}\"\n"
        ));
    }
    text
}

pub fn package_lock(packages: &[(&str, &str)]) -> String {
    let packages: serde_json::Map<String, serde_json::Value> = packages
        .iter()
        .map(|(name, version)| (format!("node_modules/{name}"), serde_json::json!({ "version": version })))
        .collect();
    serde_json::json!({ "lockfileVersion": 3, "packages": packages }).to_string()
}

pub fn old_host() -> String {
    host(&[
        ("@backstage/backend-plugin-api", "1.4.3"),
        ("@backstage/catalog-model", "1.7.5"),
        ("@backstage/plugin-catalog-node", "1.20.0"),
        ("@backstage/plugin-signals-node", "0.1.25"),
        ("@backstage/ui", "0.9.1"),
        ("isolated-vm", "5.0.1"),
        ("jest", "29.7.0"),
    ])
}

pub fn new_host() -> String {
    host(&[
        ("@backstage/backend-plugin-api", "1.5.0"),
        ("@backstage/catalog-model", "1.7.5"),
        ("@backstage/filter-predicates", "0.1.1"),
        ("@backstage/plugin-catalog-node", "2.1.0"),
        ("@backstage/ui", "0.13.2"),
        ("isolated-vm", "6.0.2"),
        ("jest", "30.3.0"),
    ])
}

const COMMUNITY: &str = "https://github.com/backstage/community-plugins";

struct Builder {
    release: Release,
}

impl Builder {
    /// Seals the last plugin of a workspace.
    fn seal(&mut self, workspace: &mut Workspace, output: &str, closure: Option<String>, files: &str) {
        let name = workspace.name.clone();
        let plugin = workspace.plugin.last_mut().unwrap();
        plugin.sealed = Some(sealed(output, closure.as_deref()));
        if let Some(closure) = closure {
            self.release.files.push((format!("{name}/{}/yarn.lock", plugin.path), closure));
        }
        self.release.files.push((format!("{name}/{}/files", plugin.path), files.to_owned()));
    }
}

/// The release that was (`false`) and the one that is (`true`).
pub fn release(is_new: bool) -> Release {
    let pick = |old: &'static str, new: &'static str| if is_new { new } else { old };
    let tree = if is_new {
        package_lock(&[("@red-hat-developer-hub/cli", "1.10.8"), ("webpack", "6.0.0"), ("tar", "7.5.0")])
    } else {
        package_lock(&[("@red-hat-developer-hub/cli", "1.9.1"), ("webpack", "5.99.0"), ("rimraf", "5.0.10")])
    };
    let lock = Lock {
        version: VERSION,
        revision: REVISION,
        rhdh: Some(Rhdh {
            requested: pick("1.9", "1.10").into(),
            commit: Some(commit(pick("8", "9"))),
            version: Some(pick("1.9.8", "1.10.2").into()),
            lockfile: Sha256::of(if is_new { new_host() } else { old_host() }),
        }),
        tools: tools(pick("22.20.0", "24.14.0"), pick("1.9.1", "1.10.8"), &tree),
        workspace: Vec::new(),
        unresolved: Vec::new(),
    };
    let files = vec![(format!("rhdh-cli/{}/package-lock.json", pick("1.9.1", "1.10.8")), tree)];
    let mut b = Builder { release: Release { lock, files } };
    let mut all = Vec::new();

    let mut todo = workspace(
        "todo",
        COMMUNITY,
        "workspaces/todo",
        pick("1", "2"),
        if is_new { 1_770_000_000 } else { 1_763_000_000 },
    );
    todo.source.backstage = Some(pick("1.45.3", "1.49.4").into());
    todo.input = vec![input("patches/1-fix.patch", pick("old", "new"))];
    todo.input.push(if is_new {
        input("plugins/todo/overlay/src/wording.ts", "words")
    } else {
        input("plugins/todo/scalprum-config.json", "{}")
    });
    todo.plugin.push(plugin("plugins/todo", "@x/plugin-todo", "0.10.0", Role::FrontendPlugin));
    b.seal(&mut todo, "todo", None, "1111 dist/index.js\n");
    let mut backend =
        plugin("plugins/todo-backend", "@x/plugin-todo-backend", pick("0.14.2", "1.0.0"), Role::BackendPlugin);
    backend.args =
        vec![Argument::new("--embed-package", pick("@x/plugin-todo-common", "@backstage/plugin-signals-node"))];
    backend.why = vec![
        pick(
            "@x/plugin-todo-common depends on @backstage/catalog-model",
            "@backstage/plugin-signals-node is not in the RHDH 1.10 host lockfile",
        )
        .into(),
    ];
    todo.plugin.push(backend);
    let peers = ["@backstage/backend-plugin-api", "@backstage/plugin-catalog-node"];
    let packages: &[(&str, &str)] = if is_new {
        &[("express", "5.1.0"), ("knex", "3.1.1"), ("pg", "8.11.0"), ("same", "1.0.0")]
    } else {
        &[("express", "4.22.1"), ("knex", "3.1.0"), ("moment", "2.30.1"), ("same", "1.0.0")]
    };
    let text = closure("@x/plugin-todo-backend", &peers, packages);
    b.seal(
        &mut todo,
        pick("backend 1", "backend 2"),
        Some(text),
        pick("1111 dist/a.js\n2222 node_modules/express\n", "1111 dist/b.js\n3333 node_modules/express\n"),
    );
    all.push(todo);

    // Tools of their own keep these two as they were: their inputs are equal.
    for (name, output) in [("acr", pick("acr 1", "acr 2")), ("quay", "quay")] {
        let mut same = workspace(name, COMMUNITY, &format!("workspaces/{name}"), "3", 1_763_000_000);
        same.tools = Some(tools("22.20.0", "1.9.1", "its own tree"));
        same.plugin.push(plugin("plugins/a", &format!("@x/plugin-{name}"), "1.0.0", Role::FrontendPlugin));
        b.seal(
            &mut same,
            output,
            None,
            if output == "acr 2" { "bbbb dist-scalprum/main.js\n" } else { "aaaa dist-scalprum/main.js\n" },
        );
        all.push(same);
    }

    let mut aws = workspace(
        pick("aws-codebuild", "backstage-plugins-for-aws"),
        "https://github.com/awslabs/backstage-plugins-for-aws",
        ".",
        pick("4", "5"),
        if is_new { 1_770_000_000 } else { 1_763_000_000 },
    );
    aws.plugin.push(plugin("plugins/codebuild/backend", "@aws/codebuild-backend", "0.1.0", Role::BackendPlugin));
    if is_new {
        aws.plugin.push(plugin("plugins/ecs/backend", "@aws/ecs-backend", "0.1.0", Role::BackendPlugin));
    }
    all.push(aws);

    let mut argocd = workspace(
        "argocd",
        pick("https://github.com/old/argocd", "https://gitlab.com/new/argocd"),
        ".",
        pick("6", "7"),
        1_763_000_000,
    );
    argocd.plugin.push(plugin("plugins/argocd", "@x/plugin-argocd", "1.0.0", Role::FrontendPlugin));
    all.push(argocd);

    let mut gitlab = workspace(
        "gitlab",
        "git@gitlab.com:group/gitlab.git",
        ".",
        pick("a", "b"),
        if is_new { 1_760_000_000 } else { 1_763_000_000 },
    );
    gitlab.source.requested = pick("v6.13.0", "v6.12.1").into();
    gitlab.plugin.push(plugin(".", "@x/plugin-gitlab", pick("6.13.0", "6.12.1"), Role::FrontendPlugin));
    all.push(gitlab);

    let actions = plugin("plugins/github-actions", "@x/plugin-github-actions", "0.7.0", Role::FrontendPlugin);
    if is_new {
        let mut github = workspace("github", COMMUNITY, "workspaces/github", "c", 1_770_000_000);
        let mut discussions = plugin(
            "plugins/search-backend-module-discussions",
            "@x/plugin-discussions",
            "0.1.0",
            Role::BackendPluginModule,
        );
        discussions.args = vec![Argument::new("--suppress-native-package", "cpu-features")];
        discussions.why = vec!["cpu-features has the marker `nan`, reached by ssh2 → cpu-features, optional".into()];
        github.plugin = vec![actions, discussions];
        all.push(github);
    } else {
        let mut github = workspace("github-actions", COMMUNITY, "workspaces/github-actions", "d", 1_763_000_000);
        github.plugin.push(actions);
        all.push(github);
        let mut ocm = workspace("ocm", COMMUNITY, "workspaces/ocm", "e", 1_763_000_000);
        ocm.plugin.push(plugin("plugins/ocm", "@x/plugin-ocm", "5.0.0", Role::FrontendPlugin));
        ocm.plugin.push(plugin("plugins/ocm-backend", "@x/plugin-ocm-backend", "5.0.0", Role::BackendPlugin));
        all.push(ocm);
    }
    b.release.lock.workspace = all;
    b.release.lock = Lock::from_text(&b.release.lock.to_text(), Path::new("factory.lock")).unwrap();
    b.release
}

impl Release {
    /// Seals what is in the bundles of a frontend plugin: facts, a line each.
    pub fn seal_bundle(&mut self, workspace: &str, plugin: &str, facts: &str) {
        let text = format!("# factory bundle 1\n{facts}");
        let locked = self.lock.workspace.iter_mut().find(|locked| locked.name == workspace).unwrap();
        let locked = locked.plugin.iter_mut().find(|locked| locked.path == plugin).unwrap();
        locked.sealed.as_mut().unwrap().bundle = Some(Sha256::of(&text));
        self.files.push((format!("{workspace}/{plugin}/bundle"), text));
    }

    /// Writes the lock and what belongs beside it into a folder.
    pub fn write(&self, dir: &Path) -> PathBuf {
        for (path, text) in &self.files {
            let path = dir.join(FOLDER_NAME).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(dir).unwrap();
        let path = dir.join(FILE_NAME);
        fs::write(&path, self.lock.to_text()).unwrap();
        path
    }
}

/// Compares with a golden file; `FACTORY_GOLDEN=write` writes it instead, as `FACTORY_UPDATE_SCHEMAS=1` does a schema.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = crate::project().join(name);
    let is_schema = name.starts_with("schema/") && std::env::var_os("FACTORY_UPDATE_SCHEMAS").is_some();
    if is_schema || std::env::var_os("FACTORY_GOLDEN").is_some_and(|wanted| wanted == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{name} is not what was made; with FACTORY_GOLDEN=write it is written anew:\n{text}");
}

/// `factory`, cut off from the machine's settings.
pub fn factory(dir: &Path) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(crate::program());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["FACTORY_", "GIT_", "RHDH_", "NODE_", "NPM_", "CLICOLOR"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).env("HOME", dir).env_remove("NO_COLOR");
    command
}
