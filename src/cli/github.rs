//! What a GitHub workflow shows of a run by itself: annotations, and the step summary.

use std::io::Write as _;

use super::{Failure, print};
use crate::report::{Report, github, markdown};

/// Writes annotations to standard output and the summary to `$GITHUB_STEP_SUMMARY`, when a workflow runs this.
pub(super) fn tell(report: &Report) -> Result<(), Failure> {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return Ok(());
    }
    print(&github::annotations(report))?;
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(markdown::render(report).as_bytes()));
    written.map_err(|error| Failure::Usage(format!("failed to write {}: {error}", path.display())))
}
