//! The report as one HTML page: no other file, no network, for a browser and for a CI server's artefacts.
//!
//! [`view`](self) is what the page shows, as plain values; `page.html.jinja` says where. Every text passes through the
//! template's escaping, so that nothing a target sent can become markup.

mod diagram;
mod heat;
mod view;

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::document::Report;
use crate::contract::Contract;

const TEMPLATES: [(&str, &str); 4] = [
    ("page", include_str!("page.html.jinja")),
    ("parts", include_str!("parts.html.jinja")),
    ("style", include_str!("style.css")),
    ("script", include_str!("script.js")),
];

/// What a page shows beside the report, when it is at hand; it leaves out what is not.
#[derive(Debug, Default)]
pub struct Material {
    /// The sentences of requirements, by id.
    pub sentences: BTreeMap<String, String>,
    /// The `curl` scripts of findings, by id.
    pub scripts: BTreeMap<String, String>,
}

impl Material {
    /// With the contract's sentences.
    pub fn of(contract: &Contract) -> Self {
        let sentences = contract.requirements.iter().map(|requirement| (requirement.id.clone(), requirement.text.clone())).collect();
        Self { sentences, scripts: BTreeMap::new() }
    }
}

/// One page. Equal reports give equal bytes.
pub fn render(report: &Report, material: &Material) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| if matches!(name, "style" | "script") { AutoEscape::None } else { AutoEscape::Html });
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters are distinct"));
    for (name, text) in TEMPLATES {
        environment.add_template(name, text).expect("the templates are part of the program and parse");
    }
    let page = environment.get_template("page").expect("it was added above");
    page.render(Serde(view::Page::of(report, material))).expect("the templates use nothing that a view lacks")
}

#[cfg(test)]
mod tests;
