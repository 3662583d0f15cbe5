//! Where credentials come from: every source that AWS's tools know, and a sentence where none has any.

use std::fs;

use kiln_tests::{Account, Kiln, Loopback, Outcome, World};

const PIPELINE: &str = "[pipeline]\nname = \"web\"\nregion = \"us-west-2\"\n\n[stages.verify]\nplugin = \"verify-alarms\"\n\
                        with = { alarms = [\"web-5xx\"], bake = \"2m\" }\n";

/// A profile of each kind.
const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://corp.example.com/start
sso_region = us-west-2
sso_registration_scopes = sso:account:access

[profile dev]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = Developer

[profile old]
sso_start_url = https://corp.example.com/start
sso_region = us-west-2
sso_account_id = 111111111111
sso_role_name = Developer

[profile deployer]
role_arn = arn:aws:iam::111111111111:role/deployer
source_profile = dev

[profile program]
credential_process = /bin/cat process.json

[profile keys]
aws_access_key_id = AKIDKEYS
aws_secret_access_key = secret

[profile token]
role_arn = arn:aws:iam::111111111111:role/web
web_identity_token_file = token

[profile broken]
sso_session = nowhere
sso_account_id = 111111111111
sso_role_name = Developer

[profile console]
login_session = arn:aws:iam::111111111111:user/somebody
";

/// Where the AWS CLI keeps the tokens of the session `corp` and of the older form: named by SHA-1 of the name and of the URL.
const TOKENS: [&str; 2] = ["ee0bfd2552fbd840c02cc48b6e823320543c450f", "320c065519a2fc37b0f28a1bd477dc924a630080"];

/// An account, its STS (which says who asks it), and IAM Identity Center.
struct Sources {
    account: Account,
    sts: Loopback,
    sso: Loopback,
}

/// What STS answers, with the credentials that it gives out.
fn sts(request: &str) -> (u16, String) {
    let given = |operation: &str, key: &str| {
        format!(
            "<{operation}Response><{operation}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>\
             <AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/web/x</Arn></AssumedRoleUser>\
             </{operation}Result></{operation}Response>"
        )
    };
    let answer = if request.contains("Action=AssumeRoleWithWebIdentity") {
        given("AssumeRoleWithWebIdentity", "ASIAWEB")
    } else if request.contains("Action=AssumeRole") {
        given("AssumeRole", "ASIAROLE")
    } else {
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::111111111111:assumed-role/web/x</Arn>\
         <UserId>AROA:x</UserId><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            .to_owned()
    };
    (200, answer)
}

/// What IAM Identity Center answers to a token that it knows.
fn sso(request: &str) -> (u16, String) {
    let asked = request.starts_with("GET /federation/credentials?")
        && request.contains("role_name=Developer")
        && request.contains("account_id=111111111111");
    match asked && request.contains("x-amz-sso_bearer_token: known") {
        true => (
            200,
            r#"{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"t","expiration":4070908800000}}"#
                .to_owned(),
        ),
        false => (401, r#"{"__type":"UnauthorizedException","message":"Session token not found or invalid"}"#.to_owned()),
    }
}

impl Sources {
    fn new() -> Self {
        let account = Account::of(&World::of("alarms = [{ name = \"web-5xx\", state = \"OK\" }]"));
        Self { account, sts: Loopback::new(sts), sso: Loopback::new(sso) }
    }

    /// `kiln plan` on a machine without keys in its environment, on which these profiles are.
    fn plan(&self) -> Kiln {
        self.kiln(["plan", "pipeline.toml"]).file("pipeline.toml", PIPELINE)
    }

    /// A command line on such a machine.
    fn kiln<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Kiln {
        let kiln = self.account.kiln(arguments).file("config", CONFIG);
        let home = kiln.directory().join("home");
        fs::create_dir_all(home.join(".aws/sso/cache")).unwrap_or_else(|error| panic!("{error}"));
        let config = kiln.directory().join("config");
        kiln.without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .env("AWS_CONFIG_FILE", &config.display().to_string())
            .env("HOME", &home.display().to_string())
            .env("AWS_ENDPOINT_URL_STS", &self.sts.url())
            .env("AWS_ENDPOINT_URL_SSO", &self.sso.url())
    }

    /// Whose credentials the last plan was made with: what its run could be done with.
    #[track_caller]
    fn acted_as(&self, outcome: &Outcome, key: &str) {
        assert_eq!(outcome.code(), Some(0), "{}", outcome.all());
        let asked = self.sts.asked();
        let last = asked.last().map(String::as_str).unwrap_or_default();
        assert!(last.contains("Action=GetCallerIdentity") && last.contains(&format!("Credential={key}/")), "{last}");
    }
}

/// Sign in as `aws sso login` does.
fn signed_in(kiln: Kiln, token: &str, expires: &str) -> Kiln {
    let cache = kiln.directory().join("home/.aws/sso/cache");
    for name in TOKENS {
        let content = format!(
            r#"{{"startUrl":"https://corp.example.com/start","region":"us-west-2","accessToken":"{token}","expiresAt":"{expires}"}}"#
        );
        fs::write(cache.join(name).with_extension("json"), content).unwrap_or_else(|error| panic!("{error}"));
    }
    kiln
}

/// Nothing of how the SDK keeps its errors is shown.
#[track_caller]
fn in_words(outcome: &Outcome, parts: &[&str]) {
    assert_eq!(outcome.code(), Some(3), "{}", outcome.all());
    for part in parts {
        assert!(outcome.stderr().contains(part), "{part} in {}", outcome.all());
    }
    for odd in
        ["Error {", "source:", "Some(", "CredentialsError", "ProviderError", "DispatchFailure", "cargo feature", "0x"]
    {
        assert!(!outcome.stderr().contains(odd), "{odd} in {}", outcome.all());
    }
}

#[test]
fn profiles_of_sso_give_credentials_after_a_login() {
    let sources = Sources::new();
    for profile in ["dev", "old"] {
        let kiln = signed_in(sources.plan(), "known", "2099-01-01T00:00:00Z");
        sources.acted_as(&kiln.env("AWS_PROFILE", profile).run(), "ASIASSO");
        let kiln = signed_in(sources.plan(), "known", "2099-01-01T00:00:00Z");
        // What somebody names goes before the keys of the environment, as with the AWS CLI.
        let kiln = kiln.env("AWS_ACCESS_KEY_ID", "AKIDOTHER").env("AWS_SECRET_ACCESS_KEY", "s");
        sources.acted_as(&kiln.args(["--profile", profile]).run(), "ASIASSO");
    }
    assert_eq!(sources.sso.asked().len(), 4);
    let kiln = signed_in(sources.plan(), "known", "2099-01-01T00:00:00Z");
    sources.acted_as(&kiln.env("AWS_PROFILE", "deployer").run(), "ASIAROLE");
    assert!(sources.sts.asked().iter().any(|asked| {
        asked.contains("Action=AssumeRole&")
            && asked.contains("Credential=ASIASSO/")
            && asked.contains("role%2Fdeployer")
    }));
    // The same keys without the flag: the environment goes before the profile.
    let kiln = signed_in(sources.plan(), "known", "2099-01-01T00:00:00Z").env("AWS_PROFILE", "dev");
    let kiln = kiln.env("AWS_ACCESS_KEY_ID", "AKIDOTHER").env("AWS_SECRET_ACCESS_KEY", "s");
    sources.acted_as(&kiln.run(), "AKIDOTHER");
}

#[test]
fn without_a_token_the_command_that_signs_in_is_named() {
    let sources = Sources::new();
    for profile in ["dev", "old"] {
        let help = format!("run `aws sso login --profile {profile}`");
        in_words(&sources.plan().env("AWS_PROFILE", profile).run(), &[&help, "it is not signed in"]);
        in_words(&sources.plan().args(["--profile", profile]).run(), &[&help]);
        let refused = signed_in(sources.plan(), "unknown", "2099-01-01T00:00:00Z");
        in_words(&refused.env("AWS_PROFILE", profile).run(), &[&help, "its token is not accepted any more"]);
    }
    let expired = signed_in(sources.plan(), "known", "2020-01-01T00:00:00Z");
    in_words(
        &expired.env("AWS_PROFILE", "dev").run(),
        &[
            "the profile `dev` gets its credentials by SSO, and its token has expired: run `aws sso login --profile dev`",
        ],
    );
    // The profile that is signed in to is the one that the role starts from.
    in_words(
        &sources.plan().env("AWS_PROFILE", "deployer").run(),
        &["the profile `dev`, which `deployer` starts from, gets", "run `aws sso login --profile dev`"],
    );
    in_words(&sources.plan().env("AWS_PROFILE", "console").run(), &["run `aws login --profile console`"]);
    let gone =
        signed_in(sources.plan(), "known", "2099-01-01T00:00:00Z").env("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:9");
    in_words(&gone.env("AWS_PROFILE", "dev").run(), &["127.0.0.1:9 does not answer", "check the network"]);
}

#[test]
fn programs_web_identities_and_containers_give_credentials() {
    let sources = Sources::new();
    let process = r#"{"Version":1,"AccessKeyId":"ASIAPROCESS","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
    sources.acted_as(&sources.plan().file("process.json", process).env("AWS_PROFILE", "program").run(), "ASIAPROCESS");
    sources.acted_as(&sources.plan().args(["--profile", "keys"]).run(), "AKIDKEYS");

    sources.acted_as(&sources.plan().file("token", "a.b.c").args(["--profile", "token"]).run(), "ASIAWEB");
    let role = "arn:aws:iam::111111111111:role/web";
    let kiln = sources.plan().file("token", "a.b.c").env("AWS_WEB_IDENTITY_TOKEN_FILE", "token");
    sources.acted_as(&kiln.env("AWS_ROLE_ARN", role).env("AWS_ROLE_SESSION_NAME", "build").run(), "ASIAWEB");
    let asked = sources.sts.asked();
    assert!(asked.iter().any(|asked| asked.contains("WebIdentityToken=a.b.c")), "{asked:?}");

    let container = Loopback::new(|request| {
        let allowed =
            request.starts_with("GET /creds?x=1 ") && request.to_ascii_lowercase().contains("authorization: let-me-in");
        let credentials =
            r#"{"AccessKeyId":"ASIACONTAINER","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
        if allowed { (200, credentials.to_owned()) } else { (403, "{}".to_owned()) }
    });
    let contained = |token: &str| {
        let kiln = sources.plan().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/creds?x=1", container.url()));
        kiln.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)
    };
    sources.acted_as(&contained("let-me-in").run(), "ASIACONTAINER");
    // No proxy is asked for them; whoever is asked here knows no container.
    let proxy = Loopback::new(|_| (502, String::new()));
    let outcome = contained("let-me-in").env("HTTP_PROXY", &proxy.url()).env("NO_PROXY", "").run();
    assert_eq!(container.asked().len(), 2, "{}", outcome.all());
    assert!(proxy.asked().iter().all(|asked| !asked.contains("/creds")), "{:?}", proxy.asked());
    in_words(&contained("wrong").run(), &["cannot find out whose credentials these are"]);
}

#[test]
fn where_there_are_none_a_sentence_says_so() {
    let sources = Sources::new();
    let nothing = sources.plan().env("AWS_CONFIG_FILE", "/dev/null").run();
    in_words(&nothing, &["NoCredentials: there are none", "AWS_ACCESS_KEY_ID", "`--profile`, AWS_PROFILE"]);
    in_words(&sources.plan().env("AWS_PROFILE", "typo").run(), &["there is no profile `typo` in", "config"]);
    in_words(
        &sources.plan().args(["--profile", "typo"]).run(),
        &[
            "there is no profile `typo` in",
            "the profiles are broken, console, deployer, dev, keys, old, program, token",
        ],
    );
    in_words(&sources.plan().env("AWS_PROFILE", "broken").run(), &["sso-session named `nowhere`", "was not found"]);
    in_words(&sources.plan().env("AWS_PROFILE", "program").run(), &["the profile `program`"]);
    in_words(&sources.plan().file("config", "[profile dev\nx").env("AWS_PROFILE", "dev").run(), &["config"]);
}

#[test]
fn a_region_and_a_profile_can_be_flags() {
    let sources = Sources::new();
    let outcome = sources.plan().args(["--profile", "keys", "--region", "eu-west-1", "--output", "json"]).run();
    assert!(sources.sts.asked().concat().contains("/eu-west-1/sts/"), "{}", outcome.all());
    assert!(!sources.sts.asked().concat().contains("/us-west-2/sts/"), "{}", outcome.all());
    let outcome = sources.plan().args(["--region", "nowhere"]).run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    for command in ["run", "plan", "resume", "undo", "resolve", "show", "runs"] {
        let help = Kiln::new([command, "--help"]).run();
        assert!(help.stdout().contains("--profile") && help.stdout().contains("--region"), "{command}: {}", help.all());
    }
    for command in ["list", "release"] {
        let help = Kiln::new(["lease", command, "--help"]).run();
        assert!(help.stdout().contains("--profile") && help.stdout().contains("--region"), "{command}: {}", help.all());
    }
}

#[test]
fn a_run_goes_on_in_the_region_that_it_began_with() {
    let world = World::parse(
        "account = \"111111111111\"\nregion = \"eu-west-1\"\nseed = 7\nalarms = [{ name = \"web-5xx\", state = \"OK\" }]\n",
    );
    let account = Account::of(&world);
    let began = account
        .kiln(["run", "pipeline.toml", "--region", "eu-west-1", "--detach-after", "10s"])
        .file("pipeline.toml", PIPELINE.replace("2m", "1h").replace("with =", "timeout = \"2h\"\nwith ="))
        .run();
    assert_eq!(began.code(), Some(5), "{}", began.all());
    let url = account.url();
    let went_on = began.then(["resume", "--region", "us-west-2"]).env("AWS_ENDPOINT_URL", &url).run();
    assert_eq!(went_on.code(), Some(0), "{}", went_on.all());
    assert!(went_on.stdout().contains("eu-west-1") && !went_on.stdout().contains("us-west-2"), "{}", went_on.all());
}

#[test]
fn the_doctor_says_who_gave_them() {
    let sources = Sources::new();
    let process = r#"{"Version":1,"AccessKeyId":"ASIAPROCESS","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}"#;
    let doctor = |profile: Option<&str>| {
        let kiln = sources.kiln(["doctor", "--output", "json"]).file("process.json", process).file("token", "a.b.c");
        let kiln = signed_in(kiln, "known", "2099-01-01T00:00:00Z");
        match profile {
            Some(profile) => kiln.env("AWS_PROFILE", profile),
            None => kiln.env("AWS_ACCESS_KEY_ID", "AKIDOTHER").env("AWS_SECRET_ACCESS_KEY", "s"),
        }
    };
    let given = |outcome: &Outcome| {
        let view: serde_json::Value = serde_json::from_str(&outcome.stdout()).unwrap_or_default();
        let seen = view.get("observations").and_then(|seen| seen.as_array()).cloned().unwrap_or_default();
        let of = seen.into_iter().find(|seen| seen.get("subject").is_some_and(|subject| subject == "credentials"));
        let facts = of.and_then(|seen| seen.get("facts").cloned()).unwrap_or_default();
        let fact = |name: &str| facts.get(name).and_then(|fact| fact.as_str()).unwrap_or_default().to_owned();
        (fact("source"), fact("expires"))
    };
    for (profile, source, expires) in [
        (None, "the environment (AWS_ACCESS_KEY_ID)", ""),
        (Some("dev"), "the profile `dev`, signed in to by SSO", "2099-01-01 00:00:00 UTC"),
        (Some("deployer"), "the profile `deployer`", "2099-01-01 00:00:00 UTC"),
        (Some("program"), "the profile `program`, which runs a program", "2099-01-01 00:00:00 UTC"),
        (Some("token"), "the profile `token`, by a web identity", "2099-01-01 00:00:00 UTC"),
        (Some("keys"), "the profile `keys`", ""),
    ] {
        let outcome = doctor(profile).run();
        assert_eq!(given(&outcome), (source.to_owned(), expires.to_owned()), "{}", outcome.all());
    }
    // Where there are none, it says what every command says.
    let out = sources.kiln(["doctor"]).env("AWS_PROFILE", "dev").run();
    assert_eq!(out.code(), Some(3), "{}", out.all());
    assert!(out.stdout().contains("run `aws sso login --profile dev`"), "{}", out.all());
}
