//! npm's configuration, as npm itself finds it: variables, the project's `.npmrc`, the user's, the global and the builtin
//! one, the first that says something wins. Which registry, which login, whom to trust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use super::npmrc::{Setting, Settings, expand, parse};
use super::registry_login::RegistryLogin;
use crate::error::{Error, Place, Result};
use crate::user_file;

/// Where npm looks for its configuration.
#[derive(Clone, Debug)]
pub struct NpmSurroundings {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The working directory.
    pub folder: PathBuf,
    /// A folder whose `.npmrc` comes before that of the working directory: factory's configuration directory.
    pub config_dir: Option<PathBuf>,
}

/// npm's configuration.
#[derive(Clone, Debug, Default)]
pub struct NpmSettings {
    /// The first wins.
    layers: Vec<Settings>,
    /// The files that were read.
    files: Vec<PathBuf>,
    folder: PathBuf,
    home: Option<PathBuf>,
}

impl NpmSurroundings {
    /// Those of this process.
    pub fn of_process(config_dir: &Path) -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            folder: std::env::current_dir().unwrap_or_default(),
            config_dir: Some(config_dir.to_path_buf()),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// `npm_config_…`, in either case. Names of hosts are kept as they are, in others `_` is `-`.
    fn of_variables(&self) -> Settings {
        let mut settings = Settings::new();
        // The lower case comes last, and wins.
        for (name, value) in &self.variables {
            let start = "npm_config_".len();
            let prefix = name.get(..start).filter(|prefix| prefix.eq_ignore_ascii_case("npm_config_"));
            let Some(key) = prefix.map(|_| &name[start..]).filter(|key| !key.is_empty() && !value.is_empty()) else {
                continue;
            };
            let key = if key.starts_with("//") {
                key.to_owned()
            } else {
                let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
                format!("{first}{}", rest.replace('_', "-")).to_lowercase()
            };
            let value = expand(value.trim(), |name| self.variable(name));
            let setting = match key.as_str() {
                "ca" if value.contains("\n\n") => Setting::Many(value.split("\n\n").map(str::to_owned).collect()),
                _ if value == "null" => Setting::One(String::new()),
                _ => Setting::One(value),
            };
            settings.insert(key, setting);
        }
        settings
    }

    fn of_file(&self, path: &Path) -> Settings {
        read_text(path).map(|text| parse(&text, |name| self.variable(name))).unwrap_or_default()
    }

    /// The folder of the project that the working directory is in (`loadLocalPrefix` of `@npmcli/config`): npm does not
    /// say it, and takes the nearest one with a `package.json` or `node_modules`.
    fn project(&self) -> &Path {
        let is_project = |folder: &&Path| folder.join("package.json").is_file() || folder.join("node_modules").is_dir();
        self.folder.ancestors().find(is_project).unwrap_or(&self.folder)
    }

    /// The file that `name` is found as in `PATH`, without links.
    fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = self.variables.get("PATH")?;
        std::env::split_paths(folders).map(|folder| folder.join(name)).find_map(|file| file.canonicalize().ok())
    }
}

impl NpmSettings {
    /// Reads the variables and all files. What cannot be read is as if it were not there, as for npm.
    pub fn read(from: &NpmSurroundings) -> Self {
        let mut settings = Self {
            layers: vec![from.of_variables()],
            folder: from.folder.clone(),
            home: from.path("HOME"),
            files: vec![],
        };
        let users = |settings: &Self| {
            let default = settings.home.as_ref().map(|home| home.join(".npmrc"));
            settings.path("userconfig").or(default)
        };
        let user = users(&settings);
        let of_project = from.config_dir.as_deref().into_iter().chain([from.project()]);
        let mut seen: Vec<PathBuf> = user.clone().into_iter().collect();
        for file in of_project.map(|folder| from.folder.join(folder).join(".npmrc")) {
            if !seen.contains(&file) {
                settings.layers.push(from.of_file(&file));
                settings.files.push(file.clone());
                seen.push(file);
            }
        }
        let user = users(&settings);
        settings.layers.extend(user.iter().map(|file| from.of_file(file)));
        settings.files.extend(user);
        let prefix = || {
            let of_node = from.program("node").and_then(|node| Some(node.parent()?.parent()?.to_path_buf()));
            settings.path("prefix").or_else(|| from.path("PREFIX")).or(of_node)
        };
        let global = settings.path("globalconfig").or_else(|| prefix().map(|prefix| prefix.join("etc/npmrc")));
        let builtin = from.program("npm").and_then(|npm| Some(npm.parent()?.parent()?.join("npmrc")));
        for file in [global, builtin].into_iter().flatten() {
            settings.layers.push(from.of_file(&file));
            settings.files.push(file);
        }
        settings
    }

    /// What a single text says, with no variable set.
    pub fn of_text(text: &str) -> Self {
        Self { layers: vec![parse(text, |_| None)], ..Self::default() }
    }

    fn get(&self, name: &str) -> Option<&Setting> {
        self.layers.iter().find_map(|layer| layer.get(name))
    }

    /// The text that is set, if it is not empty.
    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Setting::One(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let text = self.text(name)?;
        let path = match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        };
        Some(self.folder.join(path))
    }

    /// The registry of all packages whose scope has none; none where nothing but npm's own default says it.
    pub fn registry(&self) -> Option<&str> {
        let of = |layer: &'_ Settings| matches!(layer.get("registry"), Some(Setting::One(text)) if !text.is_empty());
        // An empty one is as none.
        let Some(Setting::One(text)) = self.layers.iter().find(|layer| of(layer))?.get("registry") else { return None };
        Some(text)
    }

    /// Refuses an address with a variable that is not set, and says which line has it.
    pub fn check_variables(&self, name: &str, address: &str) -> Result<()> {
        let Some((_, rest)) = address.split_once("${") else { return Ok(()) };
        let variable = rest.split('}').next().unwrap_or_default().escape_debug();
        let is_it = |line: &str| {
            let line = line.split_once('=').filter(|(key, _)| key.trim().trim_matches(['"', '\'']) == name);
            line.is_some_and(|(_, value)| value.contains("${"))
        };
        let place = self.files.iter().find_map(|file| {
            let line = read_text(file)?.lines().position(is_it)?;
            Some(Place::line(file, line + 1))
        });
        let what = format!("`{}` names the variable `{variable}`, which is not set", name.escape_debug());
        let hint = format!("set `{variable}`, or write the registry's address");
        Err(match place {
            Some(place) => Error::config(place, what, hint),
            None => Error::usage(format!("npm's configuration: {what}"), hint),
        })
    }

    /// The registries of scopes, by `@scope`.
    pub fn scopes(&self) -> BTreeMap<&str, &str> {
        let names = self.layers.iter().flat_map(BTreeMap::keys).filter(|name| name.starts_with('@'));
        let scope = |name: &'_ String| name.strip_suffix(":registry").map(str::len);
        names.filter_map(|name| Some((&name[..scope(name)?], self.text(name)?))).collect()
    }

    /// What is sent to `url`: the login of the nearest folder above it that has one (`getAuth` of npm-registry-fetch).
    pub fn login(&self, url: &Url) -> Option<RegistryLogin> {
        let mut key = key_of_host(url)? + url.path();
        while key.len() > 2 {
            let of = |name: &str| self.text(&format!("{key}:{name}"));
            if let Some(token) = of("_authToken") {
                return RegistryLogin::bearer(token);
            }
            if let Some(auth) = of("_auth") {
                return RegistryLogin::basic(auth);
            }
            if let (Some(name), Some(password)) = (of("username"), of("_password")) {
                return RegistryLogin::of_password(name, password);
            }
            let is_folder = key.ends_with('/');
            let end = if is_folder { key.len() - 1 } else { key.rfind('/').map_or(0, |slash| slash + 1) };
            key.truncate(end);
        }
        None
    }

    /// True where any folder of the host of `url` has a login.
    pub fn has_login_at(&self, url: &Url) -> bool {
        let Some(host) = key_of_host(url) else { return false };
        let names = self.layers.iter().flat_map(BTreeMap::keys).filter_map(|name| name.strip_prefix(&host));
        names
            .filter(|rest| rest.starts_with(['/', ':']))
            .any(|rest| [":_authToken", ":_auth", ":_password"].into_iter().any(|kind| rest.ends_with(kind)))
    }

    /// A login that npm refuses: one that does not say for which registry it is.
    pub fn login_of_no_registry(&self) -> Option<&'static str> {
        ["_authToken", "_auth", "_password"].into_iter().find(|name| self.text(name).is_some())
    }

    /// False for `strict-ssl=false`: certificates of registries are not checked.
    pub fn checks_certificates(&self) -> bool {
        self.text("strict-ssl") != Some("false")
    }

    /// The certificates of `ca` and of the file `cafile`, in PEM; the file's win.
    pub fn authorities(&self) -> Option<String> {
        let file = self.path("cafile");
        if let Some(file) = file.as_ref().filter(|file| !file.exists()) {
            tracing::warn!("`cafile` of npm's configuration names `{}`, which does not exist", file.display());
        }
        let of_file = file.and_then(|file| read_text(&file));
        let own = || match self.get("ca")? {
            Setting::One(text) => Some(text.clone()),
            Setting::Many(texts) => Some(texts.join("\n")),
        };
        let pem = of_file.or_else(own)?.replace("\\n", "\n");
        Some(pem).filter(|pem| !pem.trim().is_empty())
    }
}

/// What the names of settings of a host begin with: `//host`, `//host:port`.
fn key_of_host(url: &Url) -> Option<String> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("//{}{port}", url.host_str()?))
}

/// The text of a regular file.
pub(super) fn read_text(path: &Path) -> Option<String> {
    match user_file::read(path, user_file::SETTINGS) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!("`{}` cannot be read: {error}", path.display());
            }
            None
        }
    }
}
