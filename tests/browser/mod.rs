//! A headless Chromium, driven over its own protocol through a pair of pipes: no driver, no port, no package.
//!
//! The main type is [`Browser`].

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the browser may take to answer: the machine may be busy with the rest of the test suite.
const PATIENCE: Duration = Duration::from_secs(90);
/// What Chromium is called by those who package it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// So that it talks to nobody, and needs neither a screen nor a sandbox of its own.
const FLAGS: [&str; 13] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
];

/// A browser with one page. It ends when it is dropped.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// A browser; none where `KILN_BROWSER=skip` says that there shall be none.
    pub(crate) fn start() -> Option<Self> {
        let program = match std::env::var_os("KILN_BROWSER") {
            Some(skip) if skip == "skip" => {
                eprintln!("SKIPPED: KILN_BROWSER=skip, so nothing was looked at in a browser");
                return None;
            }
            Some(program) if !program.is_empty() => PathBuf::from(program),
            _ => installed().unwrap_or_else(|| {
                panic!(
                    "no Chromium was found: install it (Debian: apt-get install chromium), name it in KILN_BROWSER, \
                     or set KILN_BROWSER=skip to leave out the tests that need it"
                )
            }),
        };
        let profile = tempfile::tempdir().unwrap_or_else(|error| panic!("a profile: {error}"));
        // Chromium takes its commands from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#, "browser"])
            .arg(&program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let input = child.stdin.take().unwrap_or_else(|| panic!("a pipe to the browser"));
        let output = child.stdout.take().unwrap_or_else(|| panic!("a pipe from the browser"));
        let messages = messages(output);
        let mut browser =
            Self { child, input, messages, events: Vec::new(), session: None, last: 0, _profile: profile };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = self.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            self.call(domain, json!({}));
        }
    }

    /// Open a file and wait until it is loaded.
    pub(crate) fn open(&mut self, path: &Path) {
        self.navigate(&format!("file://{}", path.display()));
    }

    fn navigate(&mut self, url: &str) {
        self.events.clear();
        let answer = self.call("Page.navigate", json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.until(|event| event["method"] == "Page.loadEventFired");
    }

    /// Show the page on a screen of this size, in this scheme (`light`, `dark`) and for this medium (`screen`, `print`).
    pub(crate) fn show(&mut self, width: u32, height: u32, scheme: &str, medium: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": medium, "features": features }));
    }

    /// Whether pages may run scripts, from the next one on.
    pub(crate) fn scripts(&mut self, may: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({ "value": !may }));
    }

    /// The value of a JavaScript expression.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Press a key.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("no test pressed {other} so far"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Type into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Point at a place of the screen.
    pub(crate) fn point(&mut self, x: f64, y: f64) {
        self.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// The page on paper; the number of sheets.
    pub(crate) fn sheets(&mut self) -> usize {
        use base64::Engine as _;
        let answer = self.call("Page.printToPDF", json!({ "printBackground": true }));
        let bytes = base64::prelude::BASE64_STANDARD
            .decode(answer["data"].as_str().unwrap_or_default())
            .unwrap_or_else(|error| panic!("a PDF: {error}"));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.matches("/Type /Page\n").count()
    }

    /// What the page complained of since it was opened: errors and warnings, exceptions, violations of its policy, and
    /// anything that it tried to load.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // Whatever was sent before this answer has arrived.
        self.call("Runtime.getIsolateId", json!({}));
        let mut complaints = Vec::new();
        for event in &self.events {
            let of = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => complaints.push(of["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => complaints.push(of.to_string()),
                "Log.entryAdded" => complaints.push(of["entry"].to_string()),
                "Network.requestWillBeSent" => {
                    let url = of["request"]["url"].as_str().unwrap_or_default();
                    if of["type"] != "Document" && !url.starts_with("data:") {
                        complaints.push(format!("it asked for {url}"));
                    }
                }
                "Page.javascriptDialogOpening" => complaints.push(format!("a dialog: {of}")),
                _ => {}
            }
        }
        complaints
    }

    /// Keep a picture of the whole page, where `KILN_SCREENSHOTS` names a directory for it.
    pub(crate) fn picture(&mut self, name: &str) {
        use base64::Engine as _;
        let Some(directory) = std::env::var_os("KILN_SCREENSHOTS") else { return };
        let answer = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let picture = base64::prelude::BASE64_STANDARD.decode(answer["data"].as_str().unwrap_or_default());
        let path = Path::new(&directory).join(format!("{name}.png"));
        std::fs::write(&path, picture.unwrap_or_default())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap_or_else(|error| panic!("{method}: the browser is gone: {error}"));
        let answer = self.until(|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The next message that is `wanted`; all others are kept as events.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(index) = self.events.iter().position(&wanted) {
            return self.events.remove(index);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(left) {
                Ok(message) if wanted(&message) => return message,
                Ok(message) => self.events.push(message),
                Err(RecvTimeoutError::Timeout) => panic!("the browser did not answer within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the browser ended: {:?}", self.child.try_wait()),
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its pipes, too; what has ended already need not be ended.
        let _ = self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first Chromium on the search path.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| directories.iter().map(move |directory| directory.join(name))).find(|it| it.is_file())
}

/// Messages end with a NUL.
fn messages(output: impl Read + Send + 'static) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            if let Ok(message) = serde_json::from_slice(&bytes)
                && sender.send(message).is_err()
            {
                return;
            }
            bytes.clear();
        }
    });
    receiver
}
