//! The HTML report in a real browser: it lays out without overflow, complains about nothing, and its filter works.
//!
//! Needs Chromium (`CHROMIUM` names another program); without one the test says so and passes.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use logto_conformance::contract::{Contract, Version};
use logto_conformance::report::html::{Material, render};
use logto_conformance::report::{Report, json};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The browser, if there is one.
fn browser() -> Option<PathBuf> {
    let runs =
        |name: &Path| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    let asked = std::env::var_os("CHROMIUM").map(PathBuf::from);
    asked.into_iter().chain(NAMES.map(PathBuf::from)).find(|name| runs(name))
}

/// A folder of its own; gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("logto-conformance-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A report of a run with many operations, requirements and findings, with text that would like to be markup.
fn large() -> Report {
    let mut report = json::read(include_str!("html/deviating.json")).unwrap();
    let finding = report.findings[0].clone();
    for number in 0..200 {
        let mut finding = finding.clone();
        finding.id = format!("guard-{number:06}");
        finding.cause = format!("</script><img src=x onerror=alert({number})> {}", "long".repeat(60));
        report.findings.push(finding);
    }
    report
}

/// What the page says of itself in a frame of this width: document's width, findings shown before and after a search.
const PROBE: &str = r#"<!doctype html><title>probe</title><iframe id="page" src="page.html" width="WIDTH" height="900"></iframe><pre id="result">never loaded</pre>
<script>
addEventListener("load", () => {
  const page = document.getElementById("page").contentDocument;
  const shown = () => page.querySelectorAll("article.finding:not([hidden])").length;
  const before = shown();
  page.getElementById("search").value = "FINDING";
  page.getElementById("filter").dispatchEvent(new Event("input"));
  const unnamed = [...page.querySelectorAll("a, button, input, select")].filter((it) => !(it.textContent.trim() || it.getAttribute("aria-label") || it.labels?.length)).length;
  const ids = [...page.querySelectorAll("[id]")].map((it) => it.id);
  document.getElementById("result").textContent =
    ["RESULT", page.documentElement.scrollWidth, before, shown(), unnamed, ids.length - new Set(ids).size, page.querySelectorAll("img").length].join(" ");
});
</script>"#;

#[test]
fn a_browser_shows_the_page() {
    let Some(browser) = browser() else {
        eprintln!("SKIPPED: no Chromium found (tried {}); the HTML report was not shown in a browser", NAMES.join(", "));
        return;
    };
    let folder = Folder::new("html");
    let report = large();
    let contract = Contract::embedded(Version::NEWEST).unwrap();
    let material = Material {
        scripts: report.findings.iter().map(|finding| (finding.id.clone(), "#!/bin/sh\ncurl -sS \"$target\"\n".to_owned())).collect(),
        ..Material::of(&contract)
    };
    std::fs::write(folder.0.join("page.html"), render(&report, &material)).unwrap();
    for width in [400, 1280] {
        let probe = folder.0.join("probe.html");
        std::fs::write(&probe, PROBE.replace("WIDTH", &width.to_string()).replace("FINDING", &report.findings[0].id)).unwrap();
        let output = Command::new(&browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--allow-file-access-from-files",
                "--enable-logging=stderr",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", folder.0.join("profile").display()))
            .arg(format!("file://{}", probe.display()))
            .output()
            .unwrap();
        let (page, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        let result = page.split_once("RESULT ").unwrap_or_else(|| panic!("the page did not load: {page}\n{log}")).1;
        let numbers: Vec<usize> = result.split('<').next().unwrap().split(' ').map(|word| word.trim().parse().unwrap()).collect();
        let [wide, before, after, unnamed, repeated, images] = numbers[..] else { panic!("{result}") };
        assert!(wide <= width, "the page is {wide} wide in a window of {width}");
        assert_eq!(before, report.findings.len() + report.warnings.len());
        assert_eq!(after, 1, "the search finds one finding by its id");
        assert_eq!((unnamed, repeated, images), (0, 0, 0), "controls without name, repeated ids, markup that a target sent");
    }
}
