//! Reading and checking `specs/`. Whatever is wrong is said with file, line and remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Not as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{Document, RawMedia, RawOperation};
use super::guard::{Guard, GuardKind, Refusal, Status};
use super::operation::{Operation, Origin, Parameter};
use super::requirement::{ErrorCode, Requirement, Sighting};
use super::schema::{Schema, resolve};
use super::sign_in::SignInRefusals;
use super::version::Version;
use super::yaml;
use super::{Contract, Prefixes, glob};

static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/specs");

/// The documents a contract consists of.
pub const DOCUMENTS: [&str; 2] = ["account.openapi.yaml", "management.openapi.yaml"];

/// Something in `specs/` is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// File below the specification folder.
    pub file: String,
    /// Line, counted from 1, if it can be told.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub remedy: String,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what)?,
            None => write!(f, "{}: {}", self.file, self.what)?,
        }
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.remedy) }
    }
}

/// Texts of the specification folder by relative path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, String>);

impl Files {
    /// The specifications compiled into this program.
    pub fn embedded() -> Self {
        fn walk(dir: &Dir<'_>, files: &mut BTreeMap<String, String>) {
            for file in dir.files() {
                if let Some(text) = file.contents_utf8() {
                    files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
                }
            }
            for inner in dir.dirs() {
                walk(inner, files);
            }
        }
        let mut files = BTreeMap::new();
        walk(&EMBEDDED, &mut files);
        Self(files)
    }

    /// The specifications of a folder laid out as `specs/`.
    pub fn read(dir: &Path) -> Result<Self, SpecError> {
        let mut files = BTreeMap::new();
        for sub in ["", "schemas"] {
            let folder = dir.join(sub);
            let fail = |path: PathBuf, error: &std::io::Error| SpecError {
                file: path.display().to_string(),
                line: None,
                what: format!("cannot be read: {error}"),
                remedy: "name a folder laid out as the project's specs/".into(),
            };
            let entries = std::fs::read_dir(&folder).map_err(|error| fail(folder.clone(), &error))?;
            for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
                let text = std::fs::read_to_string(entry.path()).map_err(|error| fail(entry.path(), &error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                files.insert(if sub.is_empty() { name } else { format!("{sub}/{name}") }, text);
            }
        }
        Ok(Self(files))
    }

    /// Replaces or adds one file; used to try changes of the contract.
    pub fn insert(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.insert(name.into(), text.into());
    }

    /// The text of one file.
    pub fn text(&self, file: &str) -> Result<&str, SpecError> {
        self.0.get(file).map(String::as_str).ok_or_else(|| SpecError {
            file: file.to_owned(),
            line: None,
            what: "is missing".into(),
            remedy:
                "the specification folder needs the documents, errors.yaml, requirements.yaml, sightings.yaml, sign-in.yaml and schemas/"
                    .into(),
        })
    }

    /// Parses one YAML file.
    pub fn yaml<T: DeserializeOwned>(&self, file: &str) -> Result<T, SpecError> {
        yaml::parse(file, self.text(file)?)
    }

    /// The schema files by name, parsed.
    pub fn schemas(&self) -> Result<BTreeMap<String, Value>, SpecError> {
        let schemas = self.0.iter().filter_map(|(path, text)| Some((path, path.strip_prefix("schemas/")?, text)));
        schemas
            .map(|(path, name, text)| match serde_json::from_str(text) {
                Ok(value) => Ok((name.to_owned(), value)),
                Err(error) => Err(SpecError {
                    file: path.clone(),
                    line: Some(error.line()),
                    what: format!("is no JSON: {error}"),
                    remedy: "schemas are written in strict JSON".into(),
                }),
            })
            .collect()
    }

    fn error(&self, file: &str, near: &[&str], what: String, remedy: impl Into<String>) -> SpecError {
        let text = self.0.get(file).map_or("", String::as_str);
        let mut line = None;
        let mut lines = text.lines().enumerate();
        for needle in near {
            if let Some((index, _)) = lines.find(|(_, content)| content.contains(needle)) {
                line = Some(index + 1);
            } else {
                // Not below the operation: then it is in what the document states for all of them.
                line = text.lines().position(|content| content.contains(needle)).map_or(line, |index| Some(index + 1));
                break;
            }
        }
        SpecError { file: file.to_owned(), line, what, remedy: remedy.into() }
    }
}

/// Reads, checks and assembles a contract for one version.
pub(super) fn load(files: &Files, version: Version) -> Result<Contract, SpecError> {
    let codes: BTreeMap<String, ErrorCode> = files.yaml("errors.yaml")?;
    let sentences: Vec<Arc<Requirement>> = files.yaml("requirements.yaml")?;
    let (requirements, others): (Vec<_>, Vec<_>) =
        sentences.into_iter().partition(|requirement| alive(version, requirement.since, requirement.until));
    let sightings: Vec<Sighting> = files.yaml("sightings.yaml")?;
    let sign_in: Arc<SignInRefusals> = Arc::new(files.yaml("sign-in.yaml")?);
    let schemas = files.schemas()?;
    let error = resolve(&error_reference(), &schemas, &mut Vec::new()).and_then(Schema::compile);
    let error = error.map_err(|what| files.error("schemas/error.json", &[], what, "it describes the body of every error"))?;
    let mut operations = Vec::new();
    let mut prefixes = Prefixes::new();
    for file in DOCUMENTS {
        let document: Document = files.yaml(file)?;
        if !document.openapi.starts_with("3.1") {
            return Err(files.error(file, &["openapi:"], format!("is OpenAPI {}", document.openapi), "write `openapi: 3.1.0`"));
        }
        prefixes.extend(document.prefixes.iter().map(|prefix| (prefix.clone(), document.collection)));
        for (path, item) in &document.paths {
            for (method, raw) in item {
                if alive(version, raw.since, raw.until) {
                    let assembly = Assembly { files, file, document: &document, schemas: &schemas, version, codes: &codes, error: &error };
                    let mut operation = assembly.operation(path, method, raw)?;
                    operation.requirements.retain(|id| !others.iter().any(|other| other.id == *id));
                    operations.push(Arc::new(operation));
                }
            }
        }
    }
    operations.sort_by(|a, b| (a.collection, &a.path, &a.method).cmp(&(b.collection, &b.path, &b.method)));
    let (requirements, codes, sightings) = (Arc::new(requirements), Arc::new(codes), Arc::new(sightings));
    let contract = Contract { version, operations, requirements, codes, sign_in, sightings, prefixes };
    check(files, &contract)?;
    Ok(contract)
}

fn alive(version: Version, since: Option<Version>, until: Option<Version>) -> bool {
    since.is_none_or(|since| version >= since) && until.is_none_or(|until| version < until)
}

/// Whether a shared guard has nothing to look at: no body is declared, or no input at all.
fn is_idle(guard: &Guard, raw: &RawOperation) -> bool {
    let body = raw.request_body.is_some();
    match guard.kind {
        GuardKind::MaxBody(_) | GuardKind::Parsable(_) => !body,
        GuardKind::ValidInput(_) => !body && raw.parameters.iter().all(|parameter| is_free(&parameter.schema)),
        GuardKind::NoNul(_) => !body && raw.parameters.is_empty(),
        _ => false,
    }
}

/// Whether every text fits a schema.
fn is_free(schema: &Value) -> bool {
    schema.as_object().is_some_and(|keywords| {
        keywords.keys().all(|keyword| matches!(keyword.as_str(), "type" | "description")) && schema["type"] == "string"
    })
}

/// How an error's body is referred to.
pub(super) fn error_reference() -> Value {
    serde_json::json!({"$ref": "schemas/error.json"})
}

struct Assembly<'a> {
    files: &'a Files,
    file: &'a str,
    document: &'a Document,
    schemas: &'a BTreeMap<String, Value>,
    version: Version,
    codes: &'a BTreeMap<String, ErrorCode>,
    /// Schema of an error's body.
    error: &'a Schema,
}

impl Assembly<'_> {
    fn operation(&self, path: &str, method: &str, raw: &RawOperation) -> Result<Operation, SpecError> {
        let id = raw.operation_id.as_str();
        let near = |what: String, needle: &str, remedy: &str| {
            self.files.error(self.file, &[&format!("operationId: {id}"), needle], format!("{id}: {what}"), remedy)
        };
        if !["get", "put", "post", "patch", "delete"].contains(&method) {
            return Err(near(format!("`{method}` is no method"), method, "write get, put, post, patch or delete"));
        }
        let mut guards = Vec::new();
        let shared = || self.document.guards.iter().filter(|guard| raw.shared_guards.include(guard.kind.name()));
        let access = shared().filter(|guard| !guard.kind.reads_input()).map(|guard| (guard, true));
        let input = shared().filter(|guard| guard.kind.reads_input()).map(|guard| (guard, true));
        let early = raw.early_guards.iter().map(|guard| (guard, false));
        for (guard, shared) in access.chain(early).chain(input).chain(raw.guards.iter().map(|guard| (guard, false))) {
            if alive(self.version, guard.since, guard.until) && !(shared && is_idle(guard, raw)) {
                guards.push(self.guard(id, guard, shared)?);
            }
        }
        let mut parameters = Vec::new();
        for parameter in &raw.parameters {
            let schema = self.schema(id, &parameter.schema)?;
            parameters.push(Parameter { name: parameter.name.clone(), place: parameter.place, required: parameter.required, schema });
        }
        for segment in path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
            if !raw.parameters.iter().any(|parameter| parameter.name == segment) {
                return Err(near(
                    format!("path parameter `{segment}` is not declared"),
                    "parameters",
                    "add it to `parameters` with `in: path`",
                ));
            }
        }
        let body = match &raw.request_body {
            Some(body) => match body.content.iter().next() {
                Some((content_type, media)) => Some((content_type.clone(), self.media(id, media)?)),
                None => return Err(near("the request body has no content".into(), "requestBody", "name one content type")),
            },
            None => None,
        };
        let mut responses = BTreeMap::new();
        for (status, response) in &raw.responses {
            if !alive(self.version, response.since, None) {
                continue;
            }
            let number = status.parse().map_err(|_| near(format!("`{status}` is no status"), status, "write a number in quotes"))?;
            let json = response.content.iter().find(|(kind, _)| kind.contains("json")).map(|(_, media)| self.media(id, media));
            responses.insert(number, json.transpose()?);
        }
        for guard in &guards {
            for status in self.statuses(guard.refusal()) {
                let json = matches!(guard.kind, GuardKind::MaxBody(_)).not().then(|| self.error.clone());
                let known = responses.entry(status).or_insert(None);
                if known.is_none() {
                    *known = json;
                }
            }
        }
        let operation = Operation {
            id: id.to_owned(),
            collection: self.document.collection,
            origin: Origin::Contract,
            method: method.to_ascii_uppercase(),
            path: path.to_owned(),
            summary: raw.summary.clone(),
            since: raw.since,
            until: raw.until,
            parameters,
            body,
            guards,
            effects: raw.effects.clone(),
            answers: raw.answers.clone(),
            responses,
            requirements: raw.requirements.clone(),
            harm: raw.harm.clone(),
            cases: raw.cases.clone(),
            tries: raw.tries.clone(),
        };
        if operation.answers.is_empty() {
            return Err(near("has no successful answer".into(), "x-answer", "write `x-answer: {status: 200}`"));
        }
        if let Some(answer) = operation.answers.iter().find(|answer| !operation.responses.contains_key(&answer.status)) {
            return Err(near(
                format!("status {} can be answered but has no entry in `responses`", answer.status),
                "responses",
                "add it with its schema",
            ));
        }
        Ok(operation)
    }

    /// What statuses a refusal comes with: its own, or those of the codes that it may have.
    fn statuses(&self, refusal: &Refusal) -> Vec<u16> {
        match refusal.status {
            Status::Exact(status) => vec![status],
            Status::AnyRefusal => {
                let fits = |code: &str| refusal.code.as_deref().is_some_and(|pattern| glob(pattern, code));
                let statuses = self.codes.iter().filter(|(code, _)| fits(code)).flat_map(|(_, known)| known.statuses.iter().copied());
                statuses.filter(|status| refusal.status.admits(*status)).collect()
            }
        }
    }

    fn guard(&self, id: &str, guard: &Guard, shared: bool) -> Result<Guard, SpecError> {
        let mut guard = guard.clone();
        guard.shared = shared;
        if let GuardKind::Fits(rule) = &mut guard.kind {
            rule.schema = Some(self.schema(id, &rule.raw)?);
        }
        if guard.refusal.is_none() {
            guard.refusal = self.document.refusals.get(guard.kind.name()).cloned();
        }
        if guard.refusal.is_none() {
            let kind = guard.kind.name();
            return Err(self.files.error(
                self.file,
                &[&format!("operationId: {id}"), kind],
                format!("{id}: guard `{kind}` does not say what it answers"),
                format!("add `else: [status, code]`, or a default under `x-refusals: {kind}:`"),
            ));
        }
        Ok(guard)
    }

    fn media(&self, id: &str, media: &RawMedia) -> Result<Schema, SpecError> {
        self.schema(id, &media.schema)
    }

    fn schema(&self, id: &str, raw: &Value) -> Result<Schema, SpecError> {
        resolve(raw, self.schemas, &mut Vec::new()).and_then(Schema::compile).map_err(|what| {
            let needle = raw.get("$ref").and_then(Value::as_str).unwrap_or("schema");
            self.files.error(
                self.file,
                &[&format!("operationId: {id}"), needle],
                format!("{id}: schema: {what}"),
                "schemas are JSON Schema 2020-12; `$ref` names a file of schemas/",
            )
        })
    }
}

/// Cross-checks between the files.
fn check(files: &Files, contract: &Contract) -> Result<(), SpecError> {
    let document = |operation: &Operation| format!("{}.openapi.yaml", operation.collection);
    let mut seen = BTreeSet::new();
    for operation in &contract.operations {
        let near = |needle: &str, what: String, remedy: &str| {
            files.error(
                &document(operation),
                &[&format!("operationId: {}", operation.id), needle],
                format!("{}: {what}", operation.id),
                remedy,
            )
        };
        if !seen.insert(&operation.id) {
            return Err(near("operationId", "is defined twice".into(), "an operationId is unique across both documents"));
        }
        if operation.requirements.is_empty() {
            return Err(near("x-requirements", "names no requirement".into(), "every operation is evidence for at least one"));
        }
        for id in &operation.requirements {
            if contract.requirement(id).is_none() {
                let hint = nearest(id, contract.requirements.iter().map(|requirement| requirement.id.as_str()));
                return Err(near(id, format!("requirement `{id}` is not in requirements.yaml"), &hint));
            }
        }
        for (name, given) in operation.cases.values().chain(operation.tries.values()).flat_map(|case| &case.given) {
            let known = contract.operation(&given.operation);
            if known.is_none_or(|known| !known.cases.contains_key(&given.case)) {
                let cases = contract.operations.iter().flat_map(|known| known.cases.keys().map(|case| format!("{}.{case}", known.id)));
                let cases: Vec<String> = cases.collect();
                let wrong = format!("{}.{}", given.operation, given.case);
                let hint = nearest(&wrong, cases.iter().map(String::as_str));
                return Err(near(&wrong, format!("`{name}` is given by `{wrong}`, which is no case"), &hint));
            }
        }
        for guard in &operation.guards {
            check_refusal(contract, guard.refusal()).map_err(|(code, what, remedy)| near(&code, what, &remedy))?;
        }
    }
    for refusal in contract.sign_in.all() {
        check_refusal(contract, refusal).map_err(|(code, what, remedy)| files.error("sign-in.yaml", &[&code], what, &remedy))?;
    }
    for requirement in contract.requirements.iter() {
        let near = |what: String, remedy: &str| {
            files.error("requirements.yaml", &[&requirement.id], format!("{}: {what}", requirement.id), remedy)
        };
        if requirement.checks.is_empty() && requirement.excluded.is_none() {
            return Err(near("is covered by no check".into(), "name its `checks`, or say why not with `excluded:`"));
        }
        let own = contract.operations.iter().any(|operation| operation.requirements.contains(&requirement.id));
        if !own && !requirement.id.starts_with("GEN-") && !requirement.document && requirement.excluded.is_none() {
            return Err(near("no operation names it".into(), "add it to an operation's `x-requirements`"));
        }
        for kind in &requirement.guards {
            if !GuardKind::NAMES.contains(&kind.as_str()) {
                return Err(near(format!("`{kind}` is no guard kind"), &nearest(kind, GuardKind::NAMES.iter().copied())));
            }
        }
        for check in &requirement.checks {
            if !super::CHECKS.contains(&check.as_str()) {
                return Err(near(format!("`{check}` is no check"), &nearest(check, super::CHECKS.iter().copied())));
            }
        }
    }
    Ok(())
}

/// That errors.yaml knows the code of a refusal with its status; else the code, what is wrong, and what to do.
fn check_refusal(contract: &Contract, refusal: &Refusal) -> Result<(), (String, String, String)> {
    let Some(code) = refusal.code.as_deref().filter(|code| !code.ends_with('*')) else { return Ok(()) };
    let (what, remedy) = match contract.codes.get(code) {
        None => (format!("error code `{code}` is not in errors.yaml"), nearest(code, contract.codes.keys().map(String::as_str))),
        Some(known) if !known.statuses.iter().any(|status| refusal.status.admits(*status)) => {
            (format!("`{code}` does not come with status {}", refusal.status), "see its `statuses` in errors.yaml".to_owned())
        }
        Some(_) => return Ok(()),
    };
    Err((code.to_owned(), what, remedy))
}

/// `did you mean …?` with the candidate that differs least.
pub fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    closest(wrong, candidates, 1).first().map_or_else(String::new, |candidate| format!("did you mean `{candidate}`?"))
}

/// The candidates that differ least, letter case aside, at most `count` of them; none that has nothing in common.
pub fn closest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>, count: usize) -> Vec<&'a str> {
    let wrong = wrong.to_lowercase();
    let alike = |candidate: &'a str| {
        let distance = distance(&wrong, &candidate.to_lowercase());
        (distance < wrong.chars().count().max(candidate.chars().count())).then_some((distance, candidate))
    };
    let mut ranked: Vec<(usize, &str)> = candidates.filter_map(alike).collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(count).map(|(_, candidate)| candidate).collect()
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
