//! What is wrong in `specs/` is said with file, line and remedy. The folder here is a small one, so that its lines are known.

use super::*;

const ACCOUNT: &str = r#"openapi: 3.1.0
info: {title: Small, version: "1.43"}
components: {}
x-collection: account
x-guards:
  - {authorization: present, else: [401, auth.missing]}
x-refusals:
  field: [400, center.field]
paths:
  /api/my-account:
    patch:
      operationId: UpdateProfile
      summary: Change the account
      requestBody:
        content: {application/json: {schema: {$ref: schemas/update.json}}}
      responses:
        "200": {description: Changed.}
      x-requirements: [ACC-ONE]
      x-guards:
        - {field: name}
      x-answer: {status: 200}
"#;

const MANAGEMENT: &str = "openapi: 3.1.0\ninfo: {}\ncomponents: {}\nx-collection: management\nx-guards: []\npaths: {}\n";

const REQUIREMENTS: &str = "- id: ACC-ONE\n  level: MUST\n  text: One.\n  source: wire\n  guards: [field]\n  checks: [status]\n";

const SIGN_IN: &str = "\
password: [401, auth.missing]
suspended: [401, auth.missing]
unproved: [401, auth.missing]
totp: [400, center.field]
backup-code: [400, center.field]
passkey: [400, center.field]
no-passkey: [400, center.field]
";

fn small() -> Files {
    let mut files = Files::default();
    files.insert("account.openapi.yaml", ACCOUNT);
    files.insert("management.openapi.yaml", MANAGEMENT);
    files.insert("errors.yaml", "auth.missing: {statuses: [401], meaning: None.}\ncenter.field: {statuses: [400], meaning: No.}\n");
    files.insert("requirements.yaml", REQUIREMENTS);
    files.insert("sightings.yaml", "[]\n");
    files.insert("sign-in.yaml", SIGN_IN);
    files.insert("schemas/error.json", "{\"type\": \"object\"}");
    files.insert("schemas/update.json", "{\n  \"type\": \"object\"\n}\n");
    files
}

/// The complaint about the small folder with one text of one file replaced.
fn complaint(file: &str, old: &str, new: &str) -> String {
    let mut files = small();
    let text = files.text(file).unwrap().to_owned();
    assert_eq!(text.matches(old).count(), 1, "{old}");
    files.insert(file, text.replace(old, new));
    load(&files, Version::NEWEST).unwrap_err().to_string()
}

#[test]
fn the_small_folder_is_right() {
    assert_eq!(load(&small(), Version::NEWEST).unwrap().operations.len(), 1);
}

#[test]
fn an_unknown_guard_kind_is_named_with_its_line_and_the_nearest() {
    assert_eq!(
        complaint("account.openapi.yaml", "{field: name}", "{feild: name}"),
        "account.openapi.yaml:20: unknown guard kind `feild`\n  |         - {feild: name}\n  |           ^\n  help: did you mean `field`?"
    );
}

#[test]
fn an_unknown_requirement_is_named_with_the_nearest() {
    assert_eq!(
        complaint("account.openapi.yaml", "[ACC-ONE]", "[ACC-ONEE]"),
        "account.openapi.yaml:18: UpdateProfile: requirement `ACC-ONEE` is not in requirements.yaml\n  help: did you mean `ACC-ONE`?"
    );
}

#[test]
fn a_guard_without_an_answer_is_named_with_both_remedies() {
    assert_eq!(
        complaint("account.openapi.yaml", "{field: name}", "{unique: username}"),
        "account.openapi.yaml:20: UpdateProfile: guard `unique` does not say what it answers\n  \
         help: add `else: [status, code]`, or a default under `x-refusals: unique:`"
    );
}

#[test]
fn a_reference_to_no_file_is_named() {
    assert_eq!(
        complaint("account.openapi.yaml", "schemas/update.json", "schemas/updaet.json"),
        "account.openapi.yaml:15: UpdateProfile: schema: `$ref: schemas/updaet.json` names no file of schemas/\n  \
         help: schemas are JSON Schema 2020-12; `$ref` names a file of schemas/"
    );
}

#[test]
fn a_schema_that_is_no_json_is_named_with_its_line() {
    assert_eq!(
        complaint("schemas/update.json", "\"object\"\n", "\"object\",\n"),
        "schemas/update.json:3: is no JSON: trailing comma at line 3 column 1\n  help: schemas are written in strict JSON"
    );
}

#[test]
fn what_sign_ins_are_refused_for_must_be_listed() {
    assert_eq!(
        complaint("sign-in.yaml", "password: [401, auth.missing]", "password: [401, auth.mising]"),
        "sign-in.yaml:1: error code `auth.mising` is not in errors.yaml\n  help: did you mean `auth.missing`?"
    );
}

#[test]
fn errors_and_statuses_must_be_listed() {
    assert_eq!(
        complaint("account.openapi.yaml", "center.field", "center.feld"),
        "account.openapi.yaml:8: UpdateProfile: error code `center.feld` is not in errors.yaml\n  help: did you mean `center.field`?"
    );
    assert_eq!(
        complaint("account.openapi.yaml", "{status: 200}", "{status: 201}"),
        "account.openapi.yaml:16: UpdateProfile: status 201 can be answered but has no entry in `responses`\n  help: add it with its schema"
    );
    assert_eq!(
        complaint("requirements.yaml", "checks: [status]", "checks: [state, shema]"),
        "requirements.yaml:1: ACC-ONE: `shema` is no check\n  help: did you mean `schema`?"
    );
}

#[test]
fn a_misspelt_key_or_word_is_named_with_its_line() {
    assert_eq!(
        complaint("account.openapi.yaml", "x-answer:", "x-anwser:"),
        "account.openapi.yaml:21: unknown field `x-anwser`\n  |       x-anwser: {status: 200}\n  |       ^\n  help: did you mean `x-answer`?"
    );
    let said = complaint("requirements.yaml", "level: MUST", "level: WILL");
    assert!(said.starts_with("requirements.yaml:2: unknown variant `WILL`"), "{said}");
}
