//! Configurations of npm, and a registry that tells what it is asked for: npm and factory send the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::http::{Request, Response, listen};

/// A package of no scope.
const PLAIN: &str = "left-pad";
/// One of the scope `@s`.
const SCOPED: &str = "@s/a";

/// One configuration. In its texts `HOST` is the server's address.
pub struct Configuration {
    pub what: &'static str,
    pub user: &'static str,
    pub project: &'static str,
    pub global: &'static str,
    pub variables: &'static [(&'static str, &'static str)],
    pub package: &'static str,
    /// What the server is asked for, and the login that it sees.
    pub asked: &'static str,
}

const fn user(what: &'static str, user: &'static str, asked: &'static str) -> Configuration {
    Configuration { what, user, asked, project: "", global: "", variables: &[], package: PLAIN }
}

/// `u:p`
const PAIR: &str = "/r/npm/left-pad Basic dTpw";
const TOKEN: &str = "/r/npm/left-pad Bearer t";
const NOBODY: &str = "/r/npm/left-pad";

/// Each with what the registry is asked for.
pub const CONFIGURATIONS: &[Configuration] = &[
    user("no login", "registry=http://HOST/r/npm/", NOBODY),
    user("without a slash", "registry=http://HOST/r/npm", NOBODY),
    user("token of the registry", "registry=http://HOST/r/npm/\n//HOST/r/npm/:_authToken=t", TOKEN),
    user("token of the host", "registry=http://HOST/r/npm/\n//HOST/:_authToken=t", TOKEN),
    user("token of a folder above", "registry=http://HOST/r/npm/\n//HOST/r/:_authToken=t", TOKEN),
    user("a folder without its slash", "registry=http://HOST/r/npm/\n//HOST/r:_authToken=t", TOKEN),
    user("the host without a slash", "registry=http://HOST/r/npm/\n//HOST:_authToken=t", TOKEN),
    user(
        "the nearest folder wins",
        "registry=http://HOST/r/npm/\n//HOST/:_authToken=x\n//HOST/r/npm/:_authToken=t",
        TOKEN,
    ),
    user("token of a folder beside", "registry=http://HOST/r/npm/\n//HOST/r/other/:_authToken=t", NOBODY),
    user("token of a folder below", "registry=http://HOST/r/npm/\n//HOST/r/npm/x/:_authToken=t", NOBODY),
    user("token of another host", "registry=http://HOST/r/npm/\n//example.com/:_authToken=t", NOBODY),
    user("token of another port", "registry=http://HOST/r/npm/\n//127.0.0.1/:_authToken=t", NOBODY),
    user("_auth", "registry=http://HOST/r/npm/\n//HOST/r/npm/:_auth=dTpw", PAIR),
    user("username and _password", "registry=http://HOST/r/npm/\n//HOST/:username=u\n//HOST/:_password=cA==", PAIR),
    user(
        "_password without its padding",
        "registry=http://HOST/r/npm/\n//HOST/:username=u\n//HOST/:_password=cA",
        PAIR,
    ),
    user("username alone", "registry=http://HOST/r/npm/\n//HOST/:username=u", NOBODY),
    user(
        "a token comes before a password",
        "registry=http://HOST/r/npm/\n//HOST/:_auth=x\n//HOST/:_authToken=t",
        TOKEN,
    ),
    user(
        "a password that is near before a token above",
        "registry=http://HOST/r/npm/\n//HOST/r/:_auth=dTpw\n//HOST/:_authToken=t",
        PAIR,
    ),
    user("an empty token is none", "registry=http://HOST/r/npm/\n//HOST/r/:_authToken=\n//HOST/:_authToken=t", TOKEN),
    user("userinfo of the address", "registry=http://u:p@HOST/r/npm/", PAIR),
    user("a login before userinfo", "registry=http://u:x@HOST/r/npm/\n//HOST/:_authToken=t", TOKEN),
    user(
        "blanks, comments and quotes",
        "# c\n; c\n  registry = 'http://HOST/r/npm/' \n\"//HOST/:_authToken\" = \"t\"\n",
        TOKEN,
    ),
    user("a comment behind", "registry=http://HOST/r/npm/ ; mine\n//HOST/:_authToken=t # mine", TOKEN),
    user("CRLF and a byte order mark", "\u{feff}registry=http://HOST/r/npm/\r\n//HOST/:_authToken=t\r\n", TOKEN),
    user("a section is another thing", "registry=http://HOST/r/npm/\n[x]\n//HOST/:_authToken=t", NOBODY),
    user(
        "the last line wins",
        "registry=http://HOST/no/\nregistry=http://HOST/r/npm/\n//HOST/:_authToken=x\n//HOST/:_authToken=t",
        TOKEN,
    ),
    user("${VAR}", "registry=http://HOST/r/npm/\n//HOST/:_authToken=${TOK}", TOKEN),
    user("${VAR?}", "registry=http://HOST/r/npm/\n//HOST/:_authToken=${TOK?}", TOKEN),
    user("${VAR?} of nothing", "registry=http://HOST/r/npm/\n//HOST/:_authToken=${NOT?}", NOBODY),
    user(
        "${VAR} of nothing stays",
        "registry=http://HOST/r/npm/\n//HOST/:_authToken=${NOT}",
        "/r/npm/left-pad Bearer ${NOT}",
    ),
    user(
        "a backslash before ${VAR}",
        "registry=http://HOST/r/npm/\n//HOST/:_authToken=\\${TOK}",
        "/r/npm/left-pad Bearer ${TOK}",
    ),
    user("${VAR} in a name and in part", "registry=http://HOST/${DIR}/npm/\n//HOST/${DIR}/:_auth=d${PAIR}", PAIR),
    Configuration {
        package: SCOPED,
        ..user(
            "a scope's registry",
            "registry=http://HOST/no/\n@s:registry=http://HOST/r/npm/\n//HOST/r/:_authToken=t\n//HOST/no/:_authToken=x",
            "/r/npm/@s%2fa Bearer t",
        )
    },
    Configuration {
        package: SCOPED,
        ..user("another scope's", "registry=http://HOST/r/npm/\n@o:registry=http://HOST/no/", "/r/npm/@s%2fa")
    },
    Configuration {
        project: "registry=http://HOST/r/npm/",
        ..user("the project's comes before the user's", "registry=http://HOST/no/\n//HOST/:_authToken=t", TOKEN)
    },
    Configuration {
        project: "//HOST/:_authToken=",
        ..user("what is empty there is none", "registry=http://HOST/r/npm/\n//HOST/:_authToken=t", NOBODY)
    },
    Configuration {
        global: "registry=http://HOST/no/\n//HOST/:_authToken=t",
        ..user("the user's before the global one", "registry=http://HOST/r/npm/", TOKEN)
    },
    Configuration { global: "registry=http://HOST/r/npm/\n//HOST/:_authToken=t", ..user("the global one", "", TOKEN) },
    Configuration {
        variables: &[("NPM_CONFIG_REGISTRY", "http://HOST/r/npm/")],
        project: "registry=http://HOST/no/",
        ..user("variables come first", "//HOST/:_authToken=t", TOKEN)
    },
    Configuration {
        variables: &[("npm_config_//HOST/:_authToken", "t")],
        ..user("a login in a variable", "registry=http://HOST/r/npm/\n//HOST/:_authToken=x", TOKEN)
    },
    Configuration {
        variables: &[("NPM_CONFIG_USERCONFIG", "FOLDER/other")],
        global: "",
        project: "",
        ..user("another user's file", "registry=http://HOST/no/", TOKEN)
    },
    Configuration {
        variables: &[("npm_config_@s:registry", "http://HOST/r/npm/")],
        package: SCOPED,
        ..user("a scope in a variable", "registry=http://HOST/no/", "/r/npm/@s%2fa")
    },
];

/// What a server was asked for, with the login that it saw.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// A server that has nothing, and tells what it is asked for and by whom.
pub fn server() -> (String, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let host = listen(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        let login = request.header("authorization").map(|login| format!(" {login}")).unwrap_or_default();
        log.lock().unwrap().push(request.target + &login);
        let answer = Response::status(200).header("content-type", "application/json").body("{\"versions\":{}}");
        let _ = stream.write_all(&answer.bytes(&request.method));
    });
    (host, seen)
}

impl Configuration {
    /// Writes the files; the variables. The working directory is `project/inner`.
    pub fn lay(&self, folder: &Path, host: &str) -> BTreeMap<String, String> {
        fs::create_dir_all(folder.join("project/inner")).unwrap();
        fs::write(folder.join("project/package.json"), "{}").unwrap();
        let filled = |text: &str| text.replace("HOST", host).replace("FOLDER", folder.to_str().unwrap());
        let write = |name: &str, text: &str| fs::write(folder.join(name), filled(text)).unwrap();
        write(".npmrc", self.user);
        write("global", self.global);
        write("other", "registry=http://HOST/r/npm/\n//HOST/:_authToken=t");
        if !self.project.is_empty() {
            write("project/.npmrc", self.project);
        }
        let mut variables: BTreeMap<String, String> = [
            ("HOME", folder.to_str().unwrap()),
            ("npm_config_globalconfig", folder.join("global").to_str().unwrap()),
            ("TOK", "t"),
            ("DIR", "r"),
            ("PAIR", "Tpw"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.extend(self.variables.iter().map(|(name, value)| (filled(name), filled(value))));
        variables
    }
}
