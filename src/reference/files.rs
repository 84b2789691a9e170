//! Files that users have uploaded, in memory: whoever has the address of one may read it.

use std::collections::BTreeMap;

use serde_json::json;

use super::refusal::{empty_answer, json_answer, text_answer};
use super::support::Visit;
use crate::contract::guard::GuardKind;
use crate::model::wire::Answer;
use crate::model::{Call, multipart};

/// The place for files; there may be none.
#[derive(Debug, Default)]
pub struct Files {
    /// Whether there is a place.
    pub on: bool,
    kept: BTreeMap<String, Vec<u8>>,
}

/// The file that an accepted call brings.
pub fn brought(call: &Call<'_>) -> Option<Vec<u8>> {
    let guards = &call.operation.guards;
    let file = guards.iter().find_map(|guard| match &guard.kind {
        GuardKind::Picture(file) => Some(file),
        _ => None,
    });
    guards.iter().any(|guard| matches!(guard.kind, GuardKind::Storage(_))).then(|| multipart::content(&call.value(file?)?)).flatten()
}

impl Files {
    /// Keeps a file under a name and tells where it is.
    pub fn keep(&mut self, endpoint: &str, name: String, content: Vec<u8>) -> Answer {
        let url = format!("{endpoint}/files/{name}");
        self.kept.insert(name, content);
        json_answer(200, &json!({"url": url}))
    }
}

/// `GET /api/user-assets/service-status`
pub fn status(visit: &mut Visit<'_>) -> Answer {
    let status = if visit.store.files.on { "ready" } else { "not_configured" };
    json_answer(200, &json!({"status": status, "isExperienceAvatarUploadEnabled": true}))
}

/// `GET /files/{name}`
pub fn read(visit: &mut Visit<'_>) -> Answer {
    let found = visit.path.get("name").and_then(|name| visit.store.files.kept.get(name));
    found.map_or_else(
        || text_answer(404, "Not Found"),
        |content| Answer {
            headers: vec![("content-type".into(), kind(content).into())],
            body: content.clone().into(),
            ..empty_answer(200)
        },
    )
}

/// What the first bytes say.
fn kind(content: &[u8]) -> &'static str {
    match content {
        [0xff, 0xd8, ..] => "image/jpeg",
        [0x89, b'P', ..] => "image/png",
        [b'G', ..] => "image/gif",
        [b'B', ..] => "image/bmp",
        _ => "image/webp",
    }
}
