//! The page about a run, as `kiln run --report` writes it and as people see it: in a real browser.

use std::path::{Path, PathBuf};

use kiln_runner::event::{Event, EventKind};
use kiln_runner::files::{Destination, Kept};
use kiln_runner::report::{Comparison, Html, Origin, Report};
use kiln_tests::{Account, World};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::web_service::pipeline;

/// A run whose tasks crash: it has a failure, an undo, failed calls and stages that are not run.
fn crashing() -> (Account, World) {
    let world = World::web_service().add(
        "task-behaviours",
        r#"family = "web"
           from-revision = 2
           crash-after = "5s"
           exit-code = 137
           reason = "OutOfMemoryError: Container killed due to memory usage""#,
    );
    (Account::of(&world), world)
}

/// The page of a real run, beside the account before and after.
struct Page {
    directory: tempfile::TempDir,
    path: PathBuf,
    events: Vec<Event>,
    before: Value,
    after: Value,
}

impl Page {
    fn of_run(account: &Account, code: i32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.html");
        let report = path.display().to_string();
        let before = account.state();
        let arguments = ["run", &pipeline(), "--input", "commit=4f2a9c1", "--output", "json", "--report", &report];
        let outcome = account.kiln(arguments).run();
        assert_eq!(outcome.code(), Some(code), "{}", outcome.all());
        let events = outcome.events().into_iter().map(|event| serde_json::from_value(event).unwrap()).collect();
        Self { directory, path, events, before, after: account.state() }
    }

    /// The same run, with its account, as a rehearsal's page shows it.
    fn with_account(&self) -> PathBuf {
        let path = self.directory.path().join("account.html");
        let comparison = Comparison { before: self.before.clone(), after: self.after.clone() };
        write(&path, &self.events, Some(comparison));
        path
    }
}

fn write(path: &Path, events: &[Event], comparison: Option<Comparison>) {
    let mut page = Html::new(Destination::new(path, Kept::default()).unwrap(), comparison)
        .origin(Origin::Simulated { seed: 2026 });
    let delivery = page.delivery();
    for event in events {
        page.event(event);
    }
    page.finish();
    delivery.written().unwrap();
}

/// Of all text that can be seen: what stands out less from its ground than WCAG 2 asks for (AA), and where.
const FAINT: &str = r#"(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const bytes = (colour, under) => {
    canvas.clearRect(0, 0, 1, 1);
    if (under) { canvas.fillStyle = `rgb(${under})`; canvas.fillRect(0, 0, 1, 1); }
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    return layers.reduce((under, layer) => bytes(layer, under), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => { const c = part / 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const faint = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("svg, script, style")) continue;
    const under = ground(element);
    const over = bytes(getComputedStyle(element).color, under);
    const [high, low] = [light(over), light(under)].sort((a, b) => b - a);
    const ratio = (high + .05) / (low + .05);
    seen += 1;
    if (ratio < 4.5) faint.set(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`, node.textContent.trim().slice(0, 40));
  }
  return { seen, faint: Array.from(faint).map((entry) => entry.join(": ")) };
})()"#;

/// How much wider than the screen the page is, and what is.
const TOO_WIDE: &str = r#"(() => {
  const width = document.documentElement.clientWidth;
  const wide = Array.from(document.querySelectorAll("body *"))
    .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > width + 3)
    .map((element) => `${element.tagName}.${element.getAttribute("class")}`);
  return { by: document.documentElement.scrollWidth - width, wide: wide.slice(0, 5) };
})()"#;

/// Calls that take more than a line although they have no error to tell.
const BROKEN_ROWS: &str = r#"Array.from(document.querySelectorAll("table.calls tbody tr:not(.f)"))
  .filter((row) => row.getBoundingClientRect().height > 34).map((row) => row.innerText).slice(0, 3)"#;

const SHOWN_ROWS: &str =
    r#"Array.from(document.querySelectorAll("table.calls tbody tr")).filter((row) => row.checkVisibility()).length"#;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_page_of_a_failed_run_is_good_to_look_at_and_to_work_with() {
    let (account, _) = crashing();
    let page = Page::of_run(&account, 1);
    let Some(mut browser) = Browser::start() else { return };
    for (name, path) in [("run", page.path.clone()), ("account", page.with_account())] {
        looks_good(&mut browser, &path, name);
    }
    the_table_is_filtered(&mut browser, &page.path, &page.events);
    the_keyboard_suffices(&mut browser, &page.path);
    bars_explain_themselves(&mut browser, &page.path);
    it_is_whole_without_scripts(&mut browser, &page.path);
    it_prints(&mut browser, &page.path);
}

#[test]
fn the_page_of_a_run_that_is_done_is_good_to_look_at() {
    let account = Account::of(&World::web_service());
    let page = Page::of_run(&account, 0);
    let text = std::fs::read_to_string(&page.path).unwrap();
    assert!(text.contains("5 stages: 5 done") && text.contains("not on AWS"));
    let Some(mut browser) = Browser::start() else { return };
    looks_good(&mut browser, &page.with_account(), "done");
    let changed = browser.value("document.getElementById('account').innerText");
    let changed = changed.as_str().unwrap_or_default().to_owned();
    for part in ["service web", "task-definition", "build", "image", "task-definition/web:2", "removed"] {
        assert!(changed.contains(part), "{part} in {changed}");
    }
}

fn looks_good(browser: &mut Browser, path: &Path, name: &str) {
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        for width in [1280, 768, 400, 320] {
            browser.show(width, 900, scheme, "screen");
            browser.open(path);
            browser.picture(&format!("{name}-{width}-{scheme}"));
            // What is folded must fit as well.
            browser.value("for (const details of document.querySelectorAll('details')) details.open = true");
            let wide = browser.value(TOO_WIDE);
            assert!(wide["by"] == 0 && wide["wide"] == json!([]), "{name} at {width}: {wide}");
            let contrast = browser.value(FAINT);
            assert!(number(&contrast["seen"]) > 100, "{contrast}");
            assert_eq!(contrast["faint"], json!([]), "{name} at {width}, {scheme}");
            if width == 1280 {
                let broken = browser.value(BROKEN_ROWS);
                assert_eq!(broken, json!([]), "each call takes one line where there is room");
            }
            assert_eq!(browser.complaints(), [""; 0], "{name} at {width}, {scheme}");
        }
        grounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds.first(), grounds.last(), "dark is another colour than light");
}

fn the_table_is_filtered(browser: &mut Browser, path: &Path, events: &[Event]) {
    let calls: Vec<(&str, bool, bool)> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Call { write, error, .. } => {
                Some((event.stage.as_ref().map_or("", |stage| stage.as_str()), *write, error.is_some()))
            }
            _ => None,
        })
        .collect();
    let count = |wanted: &dyn Fn(&(&str, bool, bool)) -> bool| calls.iter().filter(|call| wanted(call)).count() as u64;
    browser.show(1280, 900, "light", "screen");
    browser.open(path);
    let set = |id: &str, property: &str, value: Value| {
        format!(
            "(() => {{ const it = document.getElementById('{id}'); it.{property} = {value}; \
             it.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        )
    };
    assert_eq!(number(&browser.value(SHOWN_ROWS)), calls.len() as u64);
    let writes = count(&|call| call.1);
    let failed = count(&|call| call.2);
    assert!(writes > 0 && failed > 0 && writes < calls.len() as u64, "{writes} writes, {failed} failed");

    browser.value(&set("only-writes", "checked", json!(true)));
    assert_eq!(number(&browser.value(SHOWN_ROWS)), writes);
    let told = browser.value("document.getElementById('matching').value");
    assert_eq!(told, json!(format!("{writes} of {} calls", calls.len())));
    browser.value(&set("only-writes", "checked", json!(false)));
    browser.value(&set("only-failed", "checked", json!(true)));
    assert_eq!(number(&browser.value(SHOWN_ROWS)), failed);
    browser.value(&set("only-failed", "checked", json!(false)));
    browser.value(&set("of-stage", "value", json!("deploy")));
    assert_eq!(number(&browser.value(SHOWN_ROWS)), count(&|call| call.0 == "deploy"));
    browser.value(&set("of-stage", "value", json!("")));

    browser.value("document.getElementById('of-text').focus()");
    browser.write("registertask DEPLOY");
    assert_eq!(number(&browser.value(SHOWN_ROWS)), 1);

    // A tick leads to its call even where the filter hides it, and a stage to its own calls.
    let tick = "document.querySelector('svg.track a').dispatchEvent(new MouseEvent('click', { bubbles: true }))";
    browser.value(tick);
    browser.value("new Promise((resolve) => setTimeout(resolve, 100))");
    assert_eq!(browser.value("document.querySelector('tr:target').checkVisibility()"), json!(true));
    browser.value("document.querySelector('a.calls-of[data-stage=build]').click()");
    assert_eq!(number(&browser.value(SHOWN_ROWS)), count(&|call| call.0 == "build"));
    assert_eq!(browser.complaints(), [""; 0]);
}

fn the_keyboard_suffices(browser: &mut Browser, path: &Path) {
    browser.show(1280, 900, "light", "screen");
    browser.open(path);
    let (mut explained, mut opened, mut filtered) = (false, false, false);
    for _ in 0..60 {
        browser.press("Tab");
        let focus = browser.value(
            "(() => { const it = document.activeElement; return [it.tagName, it.getAttribute('class') ?? '', it.id]; })()",
        );
        let ringed = browser.value(
            "(() => { const it = document.activeElement; if (it === document.body) return true; \
             const style = getComputedStyle(it.matches('g') ? it.firstElementChild : it); \
             return it.matches('g') ? style.strokeWidth === '2.5px' : style.outlineStyle !== 'none'; })()",
        );
        assert_eq!(ringed, json!(true), "the focus can be seen on {focus}");
        let (tag, class, id) = (&focus[0], focus[1].as_str().unwrap_or_default(), &focus[2]);
        if tag == "g" && class.starts_with("seg") {
            let tip = "Array.from(document.querySelectorAll('.tip')).filter((tip) => tip.checkVisibility()).length";
            explained |= number(&browser.value(tip)) == 1;
        }
        if tag == "SUMMARY" && !opened {
            let open = "document.activeElement.parentElement.open";
            let before = browser.value(open);
            browser.press("Enter");
            opened = browser.value(open) != before;
        }
        if id == "of-text" {
            browser.write("no such call");
            filtered = number(&browser.value(SHOWN_ROWS)) == 0;
            break;
        }
    }
    assert!(explained && opened && filtered, "explained {explained}, opened {opened}, filtered {filtered}");
}

fn bars_explain_themselves(browser: &mut Browser, path: &Path) {
    for width in [1280, 400] {
        browser.show(width, 900, "dark", "screen");
        browser.open(path);
        let places = browser.value(
            "Array.from(document.querySelectorAll('.seg rect')).map((bar) => { bar.scrollIntoView({ block: 'center' }); \
             const box = bar.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })",
        );
        let bars = places.as_array().map_or(0, Vec::len);
        assert!(bars >= 4, "{places}");
        for index in 0..bars {
            // Each is scrolled to again: the screen does not show all of them at once.
            let place = browser.value(&format!(
                "(() => {{ const bar = document.querySelectorAll('.seg rect')[{index}]; bar.scrollIntoView({{ block: 'center' }}); \
                 const box = bar.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
            ));
            browser.point(place[0].as_f64().unwrap_or_default(), place[1].as_f64().unwrap_or_default());
            let tips = browser.value(
                "Array.from(document.querySelectorAll('.tip')).filter((tip) => tip.checkVisibility()).map((tip) => tip.innerText)",
            );
            assert_eq!(tips.as_array().map(Vec::len), Some(1), "bar {index} at {width}: {tips}");
            let wide = browser.value(TOO_WIDE);
            assert_eq!(wide["by"], 0, "bar {index} at {width}: {wide}");
        }
        browser.picture(&format!("tip-{width}"));
    }
}

fn it_is_whole_without_scripts(browser: &mut Browser, path: &Path) {
    browser.show(1280, 900, "light", "screen");
    browser.scripts(false);
    browser.open(path);
    // The test's own expressions run all the same.
    let rows = number(&browser.value(SHOWN_ROWS));
    assert_eq!(rows, number(&browser.value("document.querySelectorAll('table.calls tbody tr').length")));
    assert!(rows > 20);
    assert_eq!(browser.value("document.getElementById('filters').checkVisibility()"), json!(false));
    assert_eq!(browser.value("document.querySelector('.trouble').checkVisibility()"), json!(true));
    browser.scripts(true);
}

fn it_prints(browser: &mut Browser, path: &Path) {
    browser.show(800, 1100, "light", "print");
    browser.open(path);
    assert_eq!(browser.value("document.getElementById('filters').checkVisibility()"), json!(false));
    let folded = "Array.from(document.querySelectorAll('details:not([open]) > :not(summary)')).filter((it) => it.getBoundingClientRect().height === 0).length";
    assert_eq!(browser.value(folded), json!(0), "nothing is folded on paper");
    assert!((2..60).contains(&browser.sheets()));
}

/// Text that would do harm if any part of the page took it for anything but text.
const HOSTILE: &str = "</script></style></title><script>document.title='harm'</script><img src=x onerror=\"document.title='harm'\"><svg onload=alert(1)>\"' onfocus=alert(2) autofocus x='";

#[test]
fn hostile_text_does_nothing_in_a_browser() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hostile.html");
    let mut events = Vec::new();
    let mut tell = |stage: Option<&str>, kind: Value| {
        let seq = events.len();
        let event =
            json!({ "seq": seq, "at": 1_795_453_200_000_u64 + seq as u64 * 900, "stage": stage, "event": kind });
        events.push(serde_json::from_value::<Event>(event).unwrap());
    };
    let failure = json!({ "kind": HOSTILE, "message": HOSTILE, "help": HOSTILE, "details": [HOSTILE, HOSTILE] });
    tell(
        None,
        json!({ "type": "run-started", "run": "019a9c1e-7a00-7c3e-8f00-5a5b5c5d5e5f", "pipeline": "web", "file": HOSTILE,
            "account": "111111111111", "region": "us-west-2",
            "stages": [{ "name": "a", "plugin": HOSTILE, "environment": null, "needs": [] }] }),
    );
    tell(Some("a"), json!({ "type": "stage-started", "attempt": 1 }));
    tell(Some("a"), json!({ "type": "stage-progress", "message": HOSTILE, "done": 1, "total": 2 }));
    tell(Some("a"), json!({ "type": "stage-log", "level": "error", "message": HOSTILE }));
    tell(
        Some("a"),
        json!({ "type": "call", "action": HOSTILE, "write": true, "millis": 800, "request_id": HOSTILE, "error": HOSTILE }),
    );
    tell(Some("a"), json!({ "type": "stage-retrying", "attempt": 1, "attempts": 2, "delay": 900, "failure": failure }));
    tell(Some("a"), json!({ "type": "stage-started", "attempt": 2 }));
    tell(None, json!({ "type": "warning", "message": HOSTILE, "help": HOSTILE }));
    tell(
        Some("a"),
        json!({ "type": "stage-finished", "outcome": "failed", "outputs": { HOSTILE: [HOSTILE, { HOSTILE: HOSTILE }] },
            "failure": failure, "millis": 5_000, "calls": 1 }),
    );
    tell(Some("a"), json!({ "type": "undo-started" }));
    tell(Some("a"), json!({ "type": "undo-finished", "result": { "Err": failure } }));
    tell(None, json!({ "type": "run-finished", "outcome": "failed", "millis": 9_000, "calls": 1, "journal": HOSTILE }));
    let comparison = Comparison {
        before: json!({ "ecs": { "services": { HOSTILE: { "x": HOSTILE } } } }),
        after: json!({ "ecs": { "services": { HOSTILE: { "x": [HOSTILE] }, "new": { HOSTILE: HOSTILE } } } }),
    };
    write(&path, &events, Some(comparison));
    let Some(mut browser) = Browser::start() else { return };
    for width in [1280, 400, 320] {
        browser.show(width, 900, "light", "screen");
        browser.open(&path);
        assert_eq!(browser.complaints(), [""; 0]);
        assert_eq!(browser.value("document.title"), json!("web failed · kiln"));
        assert_eq!(browser.value("document.querySelectorAll('script, img, [onload], [onfocus]').length"), json!(1));
        let wide = browser.value(TOO_WIDE);
        assert!(wide["by"] == 0 && wide["wide"] == json!([]), "{width}: {wide}");
    }
    browser.value("document.querySelector('td.action').textContent");
    assert_eq!(browser.value("document.querySelector('td.answer .id').textContent"), json!(HOSTILE));
}

/// The policy of the page is what stops that which its escaping would miss.
#[test]
fn the_policy_stops_a_script_that_is_not_the_pages_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tampered.html");
    write(&path, &[], None);
    let page = std::fs::read_to_string(&path).unwrap();
    let added =
        "<footer><script>document.title='harm'</script><img src=\"http://127.0.0.1:9/x.png\"><p style=\"color:red\">";
    std::fs::write(&path, page.replacen("<footer>", added, 1)).unwrap();
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&path);
    assert_eq!(browser.value("document.title"), json!("No run was started · kiln"));
    let complaints = browser.complaints();
    assert!(
        complaints.iter().filter(|complaint| complaint.contains("Content Security Policy")).count() >= 3,
        "{complaints:?}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_run() {
    let account = Account::of(&World::web_service());
    let arguments = ["run", &pipeline(), "--input", "commit=4f2a9c1", "--report", "missing/out.html"];
    let outcome = account.kiln(arguments).run();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.all());
    assert!(outcome.stderr().contains("cannot write a report to missing/out.html"), "{}", outcome.all());
    assert_eq!(account.effects().len(), 0);
}
