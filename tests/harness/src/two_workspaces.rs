//! A configuration of two workspaces, and the repository that both are in.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::npm_registry::Registry;
use crate::repository::Repository;

/// A configuration with a repository of two workspaces beside it.
pub struct Setup {
    pub dir: tempfile::TempDir,
    pub registry: Registry,
    pub source: Repository,
}

pub fn package(name: &str, role: &str) -> String {
    format!(r#"{{"name": "@acme/{name}", "version": "1.2.3", "backstage": {{"role": "{role}"}}}}"#)
}

impl Setup {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Repository::init(&dir.path().join("source"));
        for workspace in ["alpha", "beta"] {
            let at = |path: &str| format!("workspaces/{workspace}/{path}");
            source
                .write(
                    &at("package.json"),
                    r#"{"name": "root", "packageManager": "yarn@4.9.2", "workspaces": ["plugins/*"]}"#,
                )
                .write(&at("yarn.lock"), "__metadata:\n  version: 8\n  cacheKey: 10c0\n")
                .write(&at("plugins/one/package.json"), package(&format!("{workspace}-one"), "frontend-plugin"))
                .write(&at("plugins/two/package.json"), package(&format!("{workspace}-two"), "backend-plugin"));
        }
        source.commit("first");
        let setup = Self { dir, registry: Registry::start(), source };
        fs::create_dir_all(setup.config()).unwrap();
        Registry::lay_tree(&setup.config());
        setup
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.config().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn workspace(&self, name: &str, reference: &str) {
        let source =
            format!(r#"{{"repo": "../../source", "repo-ref": "{reference}", "workspace-path": "workspaces/{name}"}}"#);
        self.write(&format!("{name}/source.json"), &source);
        self.write(
            &format!("{name}/plugins-list.yaml"),
            "plugins/one:\nplugins/two: --embed-package @acme/x @acme/y\n",
        );
    }

    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(crate::program())
            .args(args)
            .arg("--config-dir")
            .arg(self.config())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("NPM_CONFIG_REGISTRY", &self.registry.url)
            .env("FACTORY_CACHE_DIR", self.dir.path().join("cache"))
            .output()
            .unwrap()
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub fn lock(&self) -> String {
        fs::read_to_string(self.config().join("factory.lock")).unwrap()
    }
}

pub fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
