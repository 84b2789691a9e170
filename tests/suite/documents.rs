//! What README and docs show: every command parses, those that need no target run, links lead somewhere, and the help of
//! each command is the reviewed one.
#![expect(clippy::unwrap_used, reason = "in tests `unwrap` is the shortest honest assertion, in their set-up too")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = "logto-conformance";

/// Commands that need no target, no network and no file, so they are run as they stand.
const OFFLINE: [&str; 5] = ["list", "explain", "spec", "completions", "init"];

fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    pages.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "md")),
    );
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The words of each command in a block of shell, and in code within a sentence.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut in_shell = false;
    for line in page.lines() {
        if let Some(language) = line.trim().strip_prefix("```") {
            in_shell = language == "sh";
            continue;
        }
        let texts: Vec<&str> = if in_shell { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for text in texts {
            let text = text.split(" # ").next().unwrap().split(" > ").next().unwrap().trim();
            let words: Vec<String> = text.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
            let start = match words.first().map(String::as_str) {
                Some(PROGRAM) => 1,
                Some("cargo") if words.get(1).is_some_and(|word| word == "run") => words.iter().position(|word| word == "--").unwrap() + 1,
                _ => continue,
            };
            if words.len() > start {
                found.push(words[start..].to_vec());
            }
        }
    }
    found
}

fn run(dir: &Path, arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_logto-conformance")).args(arguments).current_dir(dir).env_clear().output().unwrap()
}

#[test]
fn every_command_that_is_shown_is_one() {
    let dir = std::env::temp_dir().join(format!("logto-conformance-{}-documents", std::process::id()));
    let mut seen = std::collections::BTreeSet::new();
    for (path, page) in pages() {
        for command in commands(&page) {
            if !seen.insert(command.clone()) {
                continue;
            }
            // A placeholder stands for an address.
            let mut words: Vec<String> =
                command.iter().map(|word| if word == "URL" { "https://logto.example.com".to_owned() } else { word.clone() }).collect();
            // With `--coverage` a plan is made, which a test of the plan does, and `--results` reads a file; the rest needs a target or files.
            if !OFFLINE.contains(&words[0].as_str()) || words.iter().any(|word| ["--coverage", "--results"].contains(&word.as_str())) {
                words.push("--help".to_owned());
            }
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            let output = run(&dir, &words);
            assert!(output.status.success(), "{}: {}\n{}", path.display(), command.join(" "), String::from_utf8_lossy(&output.stderr));
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    assert!(seen.len() > 30, "only {} commands were found", seen.len());
}

#[test]
fn links_lead_to_files() {
    for (path, page) in pages() {
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let file = path.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(file.exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_help_of_each_command_is_the_reviewed_one() {
    let help = |words: &[&str]| {
        let words: Vec<String> = words.iter().chain(&["--help"]).map(|word| (*word).to_owned()).collect();
        String::from_utf8(run(Path::new("."), &words).stdout).unwrap()
    };
    let top = help(&[]);
    insta::assert_snapshot!("program", top);
    let names = top.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = names
        .filter(|line| !line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        insta::assert_snapshot!(name, help(&[name]));
    }
    for form in ["bundle", "schema"] {
        insta::assert_snapshot!(format!("spec-{form}"), help(&["spec", form]));
    }
    insta::assert_snapshot!("report-merge", help(&["report", "merge"]));
}

#[test]
fn init_writes_what_check_reads_and_replaces_nothing() {
    let dir = std::env::temp_dir().join(format!("logto-conformance-{}-init", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for server in ["github", "gitlab", "jenkins"] {
        let output = run(&dir, &words(&format!("init {server} --ci {server}")));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let workflow = std::fs::read_to_string(dir.join("github/.github/workflows/conformance.yml")).unwrap();
    assert!(workflow.contains("logto-conformance check"));
    // Who has a package needs none for the snapshots.
    assert!(dir.join("github/snapshots/Cargo.toml").is_file());
    std::fs::create_dir_all(dir.join("package/inner")).unwrap();
    std::fs::write(dir.join("package/Cargo.toml"), "").unwrap();
    assert!(run(&dir, &words("init package/inner/new")).status.success());
    assert!(dir.join("package/inner/new/waivers.toml").is_file() && !dir.join("package/inner/new/snapshots").exists());
    let again = run(&dir, &words("init github"));
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"));
    // Each setting that is shown as a comment is one.
    let file = dir.join("github/conformance.toml");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("\n#", "\n")
        .replace("{ env = \"LOGTO_CLIENT_ID\" }", "\"x\"")
        .replace("{ env = \"LOGTO_CLIENT_SECRET\" }", "\"x\"");
    let settings: String =
        text.lines().filter(|line| line.contains(" = ") && !line.starts_with(' ')).fold(String::new(), |all, line| all + line + "\n");
    std::fs::write(&file, settings).unwrap();
    let output = run(&dir.join("github"), &words("list"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn the_action_passes_each_input_on_as_the_flag_of_its_name() {
    let action = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let help = String::from_utf8(run(Path::new("."), &["check".to_owned(), "--help".to_owned()]).stdout).unwrap();
    let passed: Vec<(&str, &str)> = action
        .lines()
        .filter_map(|line| line.trim().strip_prefix("LOGTO_CONFORMANCE_")?.split_once(": ${{ inputs."))
        .map(|(variable, rest)| (variable, rest.split(' ').next().unwrap()))
        .collect();
    assert!(passed.len() > 5, "{passed:?}");
    for (variable, input) in passed {
        assert_eq!(variable, input.replace('-', "_").to_uppercase());
        assert!(help.contains(&format!("--{input} ")), "{input} is no flag of `check`");
        assert!(action.contains(&format!("\n  {input}:\n")), "{input} is no input");
    }
}
