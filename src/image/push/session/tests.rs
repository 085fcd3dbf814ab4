use super::*;

fn registry(url: &str) -> OciRegistry {
    let variables = [("REGISTRY_URL", url), ("REGISTRY_NAMESPACE", "team"), ("HOME", "/nonexistent")];
    OciRegistry::from_variables(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn retries() -> Retries {
    let pause = Duration::from_millis(1);
    Retries {
        attempts: 5,
        first_pause: pause,
        longest_pause: Duration::from_secs(9),
        stall: pause,
        ..Retries::default()
    }
}

#[test]
fn an_address_that_never_answered_is_tried_twice_and_a_busy_registry_more_often() {
    let (registry, retries) = (registry("registry.invalid"), retries());
    let name = ImageName::of_package("a").unwrap();
    let attempts = |has_answered: bool, error: &PushError| {
        let session = block_on(RegistrySession::open(&registry, &name, &retries)).unwrap();
        session.has_answered.store(has_answered, Ordering::Relaxed);
        let mut attempts = 0;
        let failed = block_on(session.with_retries("trying", || {
            attempts += 1;
            let error = error.clone();
            async { Err::<(), _>(error) }
        }));
        assert_eq!(failed.unwrap_err().what, error.what);
        attempts
    };
    let busy = PushError::transient("busy");
    let gone = PushError { is_unreachable: true, ..PushError::transient("gone") };
    assert_eq!((attempts(false, &gone), attempts(true, &gone)), (2, 5));
    assert_eq!((attempts(false, &busy), attempts(true, &busy)), (5, 5));
    assert_eq!((attempts(false, &PushError::permanent("no")), attempts(true, &PushError::permanent("no"))), (1, 1));
    // As long as it asks for at most.
    let wait = |seconds| PushError { retry_after: Some(Duration::from_secs(seconds)), ..busy.clone() };
    assert_eq!(attempts(true, &wait(0)), 5);
    let session = block_on(RegistrySession::open(&registry, &name, &retries)).unwrap();
    let error = block_on(session.with_retries("trying", || async { Err::<(), _>(wait(10)) })).unwrap_err();
    assert_eq!(error.what, "busy, and asks to wait 10 seconds");
    let retries = Retries { longest_pause: Duration::ZERO, ..retries.clone() };
    let session = block_on(RegistrySession::open(&registry, &name, &retries)).unwrap();
    let error = block_on(session.with_retries("trying", || async { Err::<(), _>(wait(0)) })).unwrap_err();
    assert_eq!(error.what, "busy", "it was given the pause that it asked for");
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    assert_eq!(usable(Duration::from_secs(300)), Duration::from_secs(225));
    assert_eq!(usable(Duration::ZERO), Duration::ZERO);
}

#[test]
fn the_address_of_docker_hub_is_not_its_name() {
    for (url, address) in [
        ("docker.io", "https://index.docker.io/"),
        ("quay.io", "https://quay.io/"),
        ("localhost:5000", "https://localhost:5000/"),
        ("[::1]:5000", "https://[::1]:5000/"),
    ] {
        assert_eq!(base(&registry(url), "https").unwrap().as_str(), address);
    }
}

#[test]
fn the_login_is_for_the_registrys_own_address() {
    let (registry, retries) = (registry("r.example"), retries());
    let session = block_on(RegistrySession::open(&registry, &ImageName::of_package("a").unwrap(), &retries)).unwrap();
    let is_own = |url: &str| session.is_own(&Url::parse(url).unwrap());
    assert!(is_own("https://r.example/v2/x") && is_own("https://r.example:443/"));
    for url in ["http://r.example/", "https://r.example:444/", "https://a.r.example/", "https://r.example.com/"] {
        assert!(!is_own(url), "{url}");
    }
    assert_eq!(session.url("manifests/1").unwrap().as_str(), "https://r.example/v2/team/a/manifests/1");
}
