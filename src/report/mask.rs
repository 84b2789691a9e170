//! The door through which free text loses its secrets before any format is written.

use serde_json::Value;

use super::document::{Finding, Report};

impl Report {
    /// The same report with `mask` applied to all text that may come from the target, the configuration or an error.
    ///
    /// Masking comes before rendering, because each format escapes text and a secret may not survive that in one piece.
    /// Words of closed sets, ids of the contract and counts are left alone: a short secret that equals one of them must not
    /// destroy the report.
    #[must_use]
    pub fn masked(mut self, mask: impl Fn(&str) -> String) -> Self {
        let apply = |text: &mut String| *text = mask(text);
        apply(&mut self.target.endpoint);
        self.facts.values_mut().for_each(|fact| each_string(fact, &apply));
        self.findings.iter_mut().chain(&mut self.warnings).for_each(|finding| each_text(finding, &apply));
        self.requirements.iter_mut().flat_map(|row| &mut row.operations).filter_map(|row| row.note.as_mut()).for_each(apply);
        for row in &mut self.outcomes {
            row.code.iter_mut().for_each(apply);
            row.properties.iter_mut().for_each(apply);
        }
        for row in self.untestable.iter_mut().chain(&mut self.out_of_scope) {
            apply(&mut row.reason);
            apply(&mut row.fix);
        }
        self.abstained.iter_mut().for_each(|row| apply(&mut row.reason));
        self.errors.iter_mut().for_each(apply);
        let idle = self.partition.iter_mut().filter_map(|partition| partition.idle_waivers.as_mut());
        idle.flatten().for_each(|waiver| apply(&mut waiver.text));
        self
    }
}

fn each_text(finding: &mut Finding, apply: &impl Fn(&mut String)) {
    apply(&mut finding.cause);
    apply(&mut finding.expected);
    apply(&mut finding.actual);
    finding.sequence.iter_mut().for_each(apply);
}

fn each_string(value: &mut Value, apply: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => apply(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, apply)),
        Value::Object(members) => {
            let old = std::mem::take(members);
            for (mut name, mut member) in old {
                apply(&mut name);
                each_string(&mut member, apply);
                members.insert(name, member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{IdleWaiver, Partition, document::Report, json, sample};
    use serde_json::json;

    /// A canary in every free text of the full sample.
    fn canaries() -> Report {
        let mut report = sample::full();
        report.target.endpoint = "https://user:canary@logto.example".to_owned();
        report.facts.insert("nested".to_owned(), json!([{"canary": ["canary"]}]));
        for finding in report.findings.iter_mut().chain(&mut report.warnings) {
            for text in [&mut finding.cause, &mut finding.expected, &mut finding.actual] {
                text.push_str(" canary");
            }
            finding.sequence.push("canary".to_owned());
        }
        for row in report.requirements.iter_mut().flat_map(|row| &mut row.operations) {
            row.note = Some("canary".to_owned());
        }
        for row in &mut report.outcomes {
            row.code = Some("canary".to_owned());
            row.properties.push("canary".to_owned());
        }
        for row in report.untestable.iter_mut().chain(&mut report.out_of_scope) {
            row.reason.push_str(" canary");
            row.fix.push_str(" canary");
        }
        report.abstained.iter_mut().for_each(|row| row.reason.push_str(" canary"));
        report.errors.push("canary".to_owned());
        let idle = IdleWaiver { requirement: "*".to_owned(), operation: "*".to_owned(), text: "canary".to_owned() };
        report.partition = Some(Partition { index: 1, of: 2, plan: "0".to_owned(), idle_waivers: Some(vec![idle]) });
        report
    }

    #[test]
    fn no_free_text_keeps_a_secret() {
        assert!(json::render(&canaries()).contains("canary"));
        let masked = canaries().masked(|text| text.replace("canary", "***"));
        assert!(!json::render(&masked).contains("canary"));
    }

    #[test]
    fn closed_sets_survive_a_short_secret() {
        let masked = sample::full().masked(|text| text.replace("pass", "***"));
        assert!(json::read(&json::render(&masked)).is_ok());
        assert_eq!(masked.requirements, sample::full().requirements);
    }
}
