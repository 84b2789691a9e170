//! A reduced sequence as a small sequence diagram: who sends what to the target.

use serde::Serialize;

use crate::report::document::Finding;
use crate::report::line::printable;

/// A diagram: lifelines from left to right, the target last, and messages from top to bottom.
#[derive(Debug, Serialize)]
pub(super) struct Diagram {
    /// The personas.
    pub personas: Vec<String>,
    /// Lifelines, the target's included.
    pub width: usize,
    pub messages: Vec<Message>,
}

/// One thing that is sent, or that happens.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    pub number: usize,
    /// The sender's lifeline, counted from 1; absent when nobody sends.
    pub from: Option<usize>,
    /// Lifelines it spans.
    pub span: usize,
    /// The sender's name.
    pub persona: String,
    /// Method, or the whole text.
    pub head: String,
    pub body: String,
}

impl Diagram {
    /// Reads the lines of a finding's sequence, `persona: METHOD /target body`.
    pub(super) fn of(finding: &Finding) -> Option<Self> {
        if finding.sequence.is_empty() {
            return None;
        }
        let lines: Vec<(Option<String>, String)> = finding.sequence.iter().map(|line| parts(&printable(line))).collect();
        let mut personas: Vec<String> = Vec::new();
        for (persona, _) in &lines {
            if let Some(persona) = persona.as_ref().filter(|persona| !personas.contains(persona)) {
                personas.push(persona.clone());
            }
        }
        let width = personas.len() + 1;
        let messages = lines.into_iter().enumerate().map(|(index, (persona, text))| {
            let from = persona.as_ref().and_then(|persona| personas.iter().position(|known| known == persona)).map(|place| place + 1);
            let (head, body) = request(&text);
            Message {
                number: index + 1,
                from,
                span: from.map_or(width, |from| width + 1 - from),
                persona: persona.unwrap_or_default(),
                head,
                body,
            }
        });
        let messages = messages.collect();
        Some(Self { personas, width, messages })
    }
}

/// Who, and what.
fn parts(line: &str) -> (Option<String>, String) {
    let is_name = |word: &str| !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    match line.split_once(": ") {
        Some((persona, rest)) if is_name(persona) => (Some(persona.to_owned()), rest.to_owned()),
        _ => (None, line.to_owned()),
    }
}

/// `METHOD /target`, and the body.
fn request(text: &str) -> (String, String) {
    let is_method = |word: &str| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_uppercase());
    let mut words = text.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(method), Some(target), body) if is_method(method) => (format!("{method} {target}"), body.unwrap_or_default().to_owned()),
        _ => (text.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn of(lines: &[&str]) -> Diagram {
        let sequence = lines.iter().map(|line| (*line).to_owned()).collect();
        Diagram::of(&Finding { sequence, ..sample::finding() }).unwrap()
    }

    #[test]
    fn personas_stand_in_the_order_in_which_they_send() {
        let diagram =
            of(&["admin: POST /api/users {\"a\": 1}", "user: PATCH /api/my-account {}", "601 seconds pass", "admin: GET /api/users"]);
        assert_eq!((diagram.personas.join(" "), diagram.width), ("admin user".to_owned(), 3));
        let places: Vec<(Option<usize>, usize)> = diagram.messages.iter().map(|message| (message.from, message.span)).collect();
        assert_eq!(places, [(Some(1), 3), (Some(2), 2), (None, 3), (Some(1), 3)]);
        assert_eq!((diagram.messages[0].head.as_str(), diagram.messages[0].body.as_str()), ("POST /api/users", "{\"a\": 1}"));
        assert_eq!(diagram.messages[2].head, "601 seconds pass");
    }

    #[test]
    fn what_a_target_sent_stays_on_its_line() {
        let diagram = of(&["user: PATCH /x {\"name\": \"a\n\u{202e}b: c\"}"]);
        assert_eq!(diagram.messages[0].body, "{\"name\": \"a\\n\\u{202e}b: c\"}");
    }

    #[test]
    fn no_sequence_is_no_diagram() {
        assert!(Diagram::of(&Finding { sequence: Vec::new(), ..sample::finding() }).is_none());
    }
}
