//! Logins: passwords, tokens and their servers.

use harness::docker_registry::PAIR;
use harness::http::Response;
use harness::oci_registry::{FakeRegistry, Habits, Login, Reaction, TOKEN, error};
use serde_json::json;

use super::{LOGIN, REPOSITORY, check, plugin, push, said};

fn with_token(answer: &serde_json::Value) -> FakeRegistry {
    FakeRegistry::with(Habits { login: Login::Token(answer.to_string()), ..Habits::default() })
}

#[harness::test]
fn a_password_is_sent_with_every_request_but_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() });
    push(&server.registry(&LOGIN), &made).unwrap();
    let sent: Vec<_> = server.requests().iter().map(|request| request.header("authorization")).collect();
    assert_eq!((&sent[0], sent.len()), (&None, 12));
    assert!(sent[1..].iter().all(|sent| *sent == Some(format!("Basic {PAIR}"))), "{sent:?}");

    // Some let anybody read, and ask for the login only when something is pushed.
    let server = FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() });
    server.say("GET v2", 1, 200);
    push(&server.registry(&LOGIN), &made).unwrap();
}

#[harness::test]
fn a_token_is_fetched_once_used_and_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    for answer in [
        json!({ "token": TOKEN }),
        json!({ "access_token": TOKEN, "token": null, "expires_in": null, "issued_at": null }),
        json!({ "token": TOKEN, "expires_in": 300 }),
        json!({ "token": TOKEN, "expires_in": -1 }),
        json!({ "token": TOKEN, "expires_in": u64::MAX }),
    ] {
        let server = with_token(&answer);
        server.say("GET token", 2, 503);
        push(&server.registry(&LOGIN), &made).unwrap_or_else(|error| panic!("{answer}: {error:?}"));
        assert_eq!((server.count("GET token"), server.left()), (2 + 1, 0), "{answer}");
        let others = server.requests().into_iter().filter(|request| request.target.contains("team"));
        for request in others.filter(|request| !request.target.starts_with("/token")) {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}")), "{}", request.target);
        }
    }
    let server = with_token(&json!({ "token": TOKEN, "expires_in": 0 }));
    push(&server.registry(&LOGIN), &made).unwrap();
    assert_eq!(server.count("GET token"), server.requests().len() / 3, "each request needs a new one");
}

#[harness::test]
fn a_token_server_that_is_named_late_is_asked_then() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let server = with_token(&json!({ "token": TOKEN }));
    server.say("GET v2", 1, 200).say("GET manifest", 1, 404);
    push(&server.registry(&LOGIN), &made).unwrap();
    assert_eq!(server.count("GET token"), 1);
    assert_eq!(
        server.kinds()[..7],
        ["GET v2", "GET manifest", "HEAD blob", "GET token", "HEAD blob", "POST upload", "PUT blob"]
    );
}

#[harness::test]
fn a_token_that_is_refused_or_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let cannot = format!("cannot push to `HOST/{REPOSITORY}`: ");
    let of = |server: &FakeRegistry| said(&check(&server.registry(&LOGIN), &made).unwrap_err(), server);
    let mine = "the login is from `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`: check that it is right and may push to \
                `team/x-plugin-todo`; some registries want the repository created first";
    let server = with_token(&json!({ "token": TOKEN }));
    let denied = error(401, "UNAUTHORIZED", &format!("you said {PAIR} and {}", super::LOGIN[1].1));
    server.on("GET token", 1, Reaction::Say(denied));
    let why = "its token server answered 401 Unauthorized: UNAUTHORIZED: you said *** and ***";
    assert_eq!(of(&server), (cannot.clone() + why, mine.to_owned()));

    let other = "push with another program: `--image-pusher skopeo`";
    for answer in [json!({}), json!({ "token": null }), json!({ "token": "a b" }), json!([])] {
        let why = "its token server answered without a token";
        assert_eq!(of(&with_token(&answer)), (cannot.clone() + why, other.to_owned()), "{answer}");
    }
    // As much of the answer is read as a token may need.
    let padded = |bytes: usize| json!({ "padding": "x".repeat(bytes), "token": TOKEN });
    check(&with_token(&padded(60_000)).registry(&LOGIN), &made).unwrap();
    let why = "its token server sent more than 64 KiB, the limit";
    let hint = "check that `REGISTRY_URL` is the address of a registry";
    assert_eq!(of(&with_token(&padded(64 * 1024))), (cannot.clone() + why, hint.to_owned()));
    // A registry does not take its own token: it is not asked for another one again and again.
    let server = with_token(&json!({ "token": "planted-other" }));
    let error = check(&server.registry(&LOGIN), &made).unwrap_err();
    assert!(!format!("{error:?}").contains("planted-other"));
    assert_eq!(said(&error, &server), (cannot + "the registry answered 401 Unauthorized", mine.to_owned()));
    assert_eq!(server.kinds(), ["GET v2", "GET token", "POST upload"]);
}

#[harness::test]
fn an_auth_file_is_read_as_other_programs_write_it() {
    let dir = tempfile::tempdir().unwrap();
    let made = plugin(&dir);
    let file = dir.path().join("auth.json");
    let named = [("REGISTRY_AUTH_FILE", file.to_str().unwrap())];
    let server = FakeRegistry::with(Habits { login: Login::Password, ..Habits::default() });
    let nulls = json!({
        "auth": format!("{}\n{}\n", &PAIR[..20], &PAIR[20..]),
        "identitytoken": null, "registrytoken": null, "username": null, "password": null,
    });
    let text = json!({
        "auths": { "other.example": null, &server.address: nulls },
        "credHelpers": null, "credsStore": null,
    });
    std::fs::write(&file, text.to_string()).unwrap();
    check(&server.registry(&named), &made).unwrap();
    std::fs::write(&file, r#"{"auths":null,"credHelpers":{"other.example":null}}"#).unwrap();
    let (message, _) = said(&check(&server.registry(&named), &made).unwrap_err(), &server);
    assert_eq!(message, format!("cannot push to `HOST/{REPOSITORY}`: the registry answered 401 Unauthorized"));

    // A refresh token is exchanged, a registry's token is sent as it is.
    let server = with_token(&json!({ "token": TOKEN }));
    let auth = |entry: serde_json::Value| {
        std::fs::write(&file, json!({ "auths": { &server.address: entry } }).to_string()).unwrap();
    };
    auth(json!({ "registrytoken": TOKEN }));
    check(&server.registry(&named), &made).unwrap();
    assert_eq!(server.kinds(), ["POST upload", "DELETE upload"]);
    auth(json!({ "identitytoken": "planted-refresh" }));
    server.on("POST token", 1, Reaction::Say(Response::status(200).body(json!({ "token": TOKEN }).to_string())));
    check(&server.registry(&named), &made).unwrap();
    let [post] = &server.of("POST token")[..] else { panic!("{:?}", server.kinds()) };
    assert!(String::from_utf8_lossy(&post.body).ends_with("&refresh_token=planted-refresh"));
    assert_eq!(post.header("authorization"), None);
}
