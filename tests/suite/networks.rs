//! Proxies and certificates, as the environment names them to every AWS tool.

use kiln_tests::{Account, Kiln, Loopback, Outcome, Proxy, Secured, World};

/// A name that nobody can resolve: only a proxy knows the way.
const NOWHERE: &str = "aws.invalid";

const PIPELINE: &str = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.verify]\nplugin = \"verify-alarms\"\n\
                        with = { alarms = [\"web-5xx\"], bake = \"2m\" }\n";

fn account() -> Account {
    Account::of(&World::of("alarms = [{ name = \"web-5xx\", state = \"OK\" }]"))
}

/// `kiln plan` by an endpoint.
fn plan(endpoint: &str) -> Kiln {
    Kiln::new(["plan", "pipeline.toml", "--endpoint-url", endpoint]).file("pipeline.toml", PIPELINE)
}

#[track_caller]
fn has(outcome: &Outcome, code: i32, parts: &[&str]) {
    assert_eq!(outcome.code(), Some(code), "{}", outcome.all());
    for part in parts {
        assert!(outcome.all().contains(part), "{part} in {}", outcome.all());
    }
}

#[test]
fn http_goes_by_the_proxy_that_either_spelling_names() {
    let account = account();
    for variable in ["HTTP_PROXY", "http_proxy"] {
        let proxy = Proxy::to(&account.url());
        // An address without a scheme is one of HTTP, as it is to the AWS CLI.
        for address in [proxy.url(), proxy.host()] {
            has(&plan(&format!("http://{NOWHERE}")).env(variable, &address).run(), 0, &[]);
        }
        let asked = proxy.asked();
        assert!(asked.len() >= 4, "{asked:?}");
        assert!(asked.iter().all(|asked| asked.starts_with("POST http://aws.invalid/")), "{asked:?}");
    }
}

#[test]
fn what_goes_to_loopback_goes_by_the_proxy_too_unless_no_proxy_names_it() {
    let account = account();
    let proxy = Proxy::to(&account.url());
    let planned = |exceptions: Option<(&str, &str)>| {
        let kiln = plan(&account.url()).env("HTTP_PROXY", &proxy.url());
        let kiln = match exceptions {
            Some((variable, names)) => kiln.env(variable, names),
            None => kiln,
        };
        has(&kiln.run(), 0, &[]);
        proxy.asked().len()
    };
    let by_proxy = planned(None);
    assert!(by_proxy > 0, "boto3 asks the proxy in the same environment");
    let port = account.url().rsplit(':').next().unwrap_or_default().to_owned();
    let with_port = format!("localhost, 127.0.0.1:{port}");
    for names in ["127.0.0.1", "example.com, 127.0.0.0/8", "*", with_port.as_str()] {
        assert_eq!(planned(Some(("NO_PROXY", names))), by_proxy, "{names}");
        assert_eq!(planned(Some(("no_proxy", names))), by_proxy, "{names}");
    }
    assert!(planned(Some(("NO_PROXY", "127.0.0.1:1, 27.0.0.1, example.com"))) > by_proxy);
    // An empty variable in lower case takes back what the other says.
    let before = proxy.asked().len();
    has(&plan(&account.url()).env("HTTP_PROXY", &proxy.url()).env("http_proxy", "").run(), 0, &[]);
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn https_goes_by_connect_and_by_the_certificates_that_are_named() {
    let account = account();
    let secured = Secured::before(&account.url(), &[NOWHERE]);
    let proxy = Proxy::to(&secured.url());
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let kiln = plan(&format!("https://{NOWHERE}")).file("ca.pem", secured.authority());
        // What goes before and behind the certificates, as bundles have it.
        let kiln = kiln.file("bundle.pem", format!("# corporate\n{}\n# end\n", secured.authority()));
        has(&kiln.env(variable, &proxy.url()).env("AWS_CA_BUNDLE", "bundle.pem").run(), 0, &[]);
    }
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.starts_with("CONNECT aws.invalid:443 ")), "{asked:?}");

    let another = Secured::before(&account.url(), &[NOWHERE]);
    let kiln = plan(&format!("https://{NOWHERE}")).file("ca.pem", another.authority());
    let outcome = kiln.env("HTTPS_PROXY", &proxy.url()).env("AWS_CA_BUNDLE", "ca.pem").run();
    let by = format!("aws.invalid does not answer by way of the proxy {}", proxy.url());
    has(&outcome, 3, &[&by, "UnknownIssuer", "AWS_CA_BUNDLE for a proxy", "(set: HTTPS_PROXY, AWS_CA_BUNDLE)"]);
}

#[test]
fn a_bundle_of_certificates_counts_without_a_proxy_as_well() {
    let account = account();
    let secured = Secured::before(&account.url(), &["127.0.0.1"]);
    let planned = || plan(&secured.url()).file("ca.pem", secured.authority());
    has(&planned().env("AWS_CA_BUNDLE", "ca.pem").run(), 0, &[]);
    let missing = planned().env("AWS_CA_BUNDLE", "nowhere.pem").run();
    has(
        &missing,
        3,
        &["cannot read nowhere.pem, which AWS_CA_BUNDLE names", "No such file", "-----BEGIN CERTIFICATE-----"],
    );
    let empty = planned().file("empty.pem", "nothing\n").env("AWS_CA_BUNDLE", "empty.pem").run();
    has(&empty, 3, &["empty.pem, which AWS_CA_BUNDLE names, holds no certificate in PEM"]);
    let torn = secured.authority().replace("-----END", "----END");
    let torn = planned().file("torn.pem", torn).env("AWS_CA_BUNDLE", "torn.pem").run();
    has(&torn, 3, &["torn.pem, which AWS_CA_BUNDLE names, holds no"]);
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let odd_alone = planned().file("odd.pem", odd).env("AWS_CA_BUNDLE", "odd.pem").run();
    has(&odd_alone, 3, &["odd.pem, which AWS_CA_BUNDLE names, holds no certificate that can be used"]);
    let beside =
        planned().file("both.pem", format!("{odd}{}", secured.authority())).env("AWS_CA_BUNDLE", "both.pem").run();
    has(&beside, 0, &[]);
    for outcome in [missing, empty, odd_alone] {
        assert!(!outcome.all().contains("panicked"), "{}", outcome.all());
    }
}

#[test]
fn a_proxy_that_refuses_or_is_not_there_is_named_without_its_password() {
    let asks = Loopback::new(|_| (407, String::new()));
    let with_password = asks.url().replace("http://", "http://user:hunter%202@");
    let outcome = plan(&format!("http://{NOWHERE}")).env("HTTP_PROXY", &with_password).run();
    has(&outcome, 3, &[&format!("by way of the proxy {}", asks.url()), "it wants a user and a password"]);
    assert_eq!(asks.asked().len(), 1, "it will not have it otherwise the next time");
    assert!(
        asks.asked().concat().to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpodw50zxigmg=="),
        "{:?}",
        asks.asked()
    );
    assert!(!outcome.all().contains("hunter"), "{}", outcome.all());

    let fails = Loopback::new(|_| (502, String::new()));
    let outcome = plan(&format!("http://{NOWHERE}")).env("HTTP_PROXY", &fails.url()).run();
    has(&outcome, 3, &["HTTP 502", "perhaps a proxy", "HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "(set: HTTP_PROXY)"]);

    for (variable, scheme) in [("HTTP_PROXY", "http"), ("HTTPS_PROXY", "https")] {
        let kiln = plan(&format!("{scheme}://{NOWHERE}"))
            .file("ca.pem", Secured::before("http://127.0.0.1:9", &["x"]).authority());
        let outcome = kiln.env(variable, "http://user:hunter2@127.0.0.1:9").env("AWS_CA_BUNDLE", "ca.pem").run();
        has(&outcome, 3, &["by way of the proxy http://127.0.0.1:9", "Connection refused"]);
        for odd in ["hunter2", "DispatchFailure", "Error {", "source:", "Some("] {
            assert!(!outcome.stderr().contains(odd), "{odd} in {}", outcome.all());
        }
    }
    let outcome = plan("http://127.0.0.1:9").env("HTTPS_PROXY", "socks5://user:hunter2@127.0.0.1:9").run();
    has(
        &outcome,
        3,
        &["HTTPS_PROXY is \"socks5://127.0.0.1:9\", which names no proxy", "write it as http://HOST:PORT"],
    );
    assert!(!outcome.all().contains("hunter2"), "{}", outcome.all());
}

#[test]
fn an_endpoint_that_is_not_there_is_named_in_a_sentence() {
    for endpoint in ["http://127.0.0.1:9", "http://aws.invalid"] {
        let outcome = plan(endpoint).run();
        let host = endpoint.trim_start_matches("http://");
        has(&outcome, 3, &[&format!("{host} does not answer"), "check the network", "(none is set)"]);
        for odd in ["DispatchFailure", "ConnectorError", "Error {", "source:", "Some(", "kind:"] {
            assert!(!outcome.stderr().contains(odd), "{odd} in {}", outcome.all());
        }
    }
}

#[test]
fn a_password_of_an_endpoint_is_shown_nowhere() {
    // Nothing listens there.
    let refused = plan("http://user:hunter2@127.0.0.1:9").run();
    has(&refused, 3, &["127.0.0.1:9 does not answer"]);
    assert!(!refused.all().contains("hunter2"), "{}", refused.all());
    let account = account();
    let endpoint = account.url().replace("http://", "http://user:hunter2@");
    let run = account.kiln(["run", "pipeline.toml", "--report", "page.html", "--endpoint-url", &endpoint]);
    let outcome = run.file("pipeline.toml", PIPELINE).run();
    has(&outcome, 0, &[]);
    assert!(!outcome.all().contains("hunter2"), "{}", outcome.all());
    let left = String::from_utf8_lossy(&outcome.left_behind()).into_owned();
    let page = std::fs::read_to_string(outcome.directory().join("page.html")).unwrap_or_default();
    assert!(page.contains(account.url().as_str()) && !left.contains("hunter2"), "{page}");
}
