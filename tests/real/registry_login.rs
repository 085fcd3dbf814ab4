//! Builds whose registry wants a login: a front before the machine's registry, at an `http://` address.

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use factory::interrupt::Interrupt;
use factory::npm::registry::NpmRegistry;
use harness::http::{Request, Response, listen};

use crate::cache;
use crate::greeting::{Greeting, alone, assert_code, first, needs, same, stderr};

const TOKEN: &str = "planted-hunter2";

/// The machine's registry behind a login, with its documents naming this address.
struct Front {
    host: String,
    /// What was asked for, with the status that was answered.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Front {
    fn start() -> Self {
        let upstream = NpmRegistry::of_machine(Path::new("/nowhere"), &Interrupt::default()).unwrap().addresses().base;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = reqwest::Client::new();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        let host = listen(move |stream| {
            let answered = serve(&stream, |request| {
                let host = request.header("host").unwrap();
                let url = format!("{upstream}{}", request.target.strip_prefix("/npm").unwrap());
                let accept = request.header("accept").unwrap_or_else(|| "*/*".into());
                let answer = runtime.block_on(async {
                    let answer = client.get(url).header("accept", accept).send().await?;
                    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                    Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?.to_vec()))
                });
                let Ok((status, headers, mut body)) = answer else { return Response::status(502) };
                let kind = headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
                if kind.contains("json") {
                    body = String::from_utf8(body).unwrap().replace(&upstream, &format!("http://{host}/npm")).into();
                }
                Response::status(status).header("content-type", &kind).body(body)
            });
            log.lock().unwrap().extend(answered);
        });
        Self { host, asked }
    }
}

/// Answers one request, if its login is right.
fn serve(mut stream: &TcpStream, answer: impl FnOnce(&Request) -> Response) -> Option<String> {
    let request = Request::read(&mut BufReader::new(stream))?;
    let is_right = request.header("authorization").as_deref() == Some("Bearer planted-hunter2");
    let answer = if is_right { answer(&request) } else { Response::status(401) };
    let _ = stream.write_all(&answer.bytes(&request.method));
    Some(format!("{} {}", request.target, answer.status))
}

/// With npm configured to the front, and nothing of the machine's own configuration.
fn configured(mut command: Command, home: &Path, front: &Front, token: &str) -> Command {
    let host = &front.host;
    fs::create_dir_all(home).unwrap();
    fs::write(home.join(".npmrc"), format!("registry=http://{host}/npm/\n//{host}/:_authToken={token}\n")).unwrap();
    for name in ["NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig"] {
        command.env_remove(name);
    }
    command.env("HOME", home);
    command
}

/// Files below a folder that have a text in them, whatever they are; it is a regular expression.
pub fn with_text(folder: &Path, text: &str) -> String {
    let found = Command::new("grep").args(["-rlaE", text]).arg(folder).output().unwrap();
    String::from_utf8(found.stdout).unwrap()
}

#[harness::test]
fn what_is_built_through_a_login_is_what_is_built_without() {
    needs();
    let _alone = alone();
    let (first, front) = (first(), Front::start());
    let mut greeting = Greeting::new().sealed();
    greeting.cache = greeting.path("cache");
    cache::link_to(&greeting.cache, "");
    fs::remove_dir_all(greeting.cache.join("yarn")).unwrap();
    // What is not sealed asks the registry in its export too.
    let path = greeting.config().join("factory.lock");
    let sealed = fs::read_to_string(&path).unwrap();
    let mut lock = greeting.lock();
    for plugin in &mut lock.workspace[0].plugin {
        plugin.sealed = None;
    }
    fs::write(&path, lock.to_text()).unwrap();

    let output = greeting.path("login");
    let command = |token| {
        let mut command = greeting.command(&["build", "--log-level", "DEBUG"]);
        command.arg("--output-dir").arg(&output);
        configured(command, &greeting.path("home"), &front, token)
    };
    let refused = command("wrong").output().unwrap();
    assert_code(&refused, 1);
    let hint =
        "\nhint: the login in npm's configuration is not accepted: renew it with `npm login`; see the whole output";
    assert!(stderr(&refused).contains(hint), "{}", stderr(&refused));
    // What factory cannot fetch itself is left to yarn, which says why; all the rest has the bytes of yarn's own zips.
    let fetched = |said: &str| said.lines().find_map(|line| Some(line.split_once(" fetch packages: ")?.1.to_owned()));
    let of_refused = fetched(&stderr(&refused)).unwrap();
    assert!(of_refused.starts_with("0 packages, ") && of_refused.contains(" left to yarn"), "{of_refused}");

    let built = command(TOKEN).output().unwrap();
    assert_code(&built, 0);
    let of_built = fetched(&stderr(&built)).unwrap();
    assert!(of_built.contains(" packages") && !of_built.contains("left"), "{of_built}");
    same(&first.output, &output);
    assert_eq!(fs::read_to_string(&path).unwrap(), sealed);
    let asked = front.asked.lock().unwrap();
    let refused = |line: &&String| line.ends_with(" 401");
    let without_login = asked.iter().rev().take_while(|line| !refused(line)).count();
    assert!(without_login > 100, "{}", asked.len());
    // Neither the login nor the addresses of forwarders are left anywhere.
    for folder in [&output, &greeting.config(), &greeting.cache] {
        for text in [TOKEN, "127[.]0[.]0[.]1:[0-9]+/[0-9a-f]{32}"] {
            assert_eq!(with_text(folder, text), "");
        }
    }
    assert!(!stderr(&built).contains(TOKEN));
}
