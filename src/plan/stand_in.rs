//! What values stand in for while a plan is thought through, before anything is sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::sequence::Facts;
use crate::contract::{Flaw, Source};
use crate::model::{Fresh, Got, passkey_answer, time, totp_code};

/// The moment plans are thought through at; any would do.
pub const PLAN_NOW: i64 = 1_800_000_000_000;

/// Secret of the authenticator app of users in stories.
pub const APP_SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// Where the target stands in plans.
const PLAN_HOST: &str = "plan.example";

/// Values that stand for the run's own objects while planning.
pub fn stand_ins(facts: &Facts) -> Vec<(String, String)> {
    let mut values = vec![("resource".to_owned(), facts.resource.clone()), ("origin".to_owned(), format!("https://{PLAN_HOST}"))];
    for client in ["admin", "first", "third"] {
        let (id, secret) = (format!("plan-{client}"), format!("plan-{client}-secret"));
        values.push((format!("{client}.basic"), STANDARD.encode(format!("{id}:{secret}"))));
        values.push((format!("{client}.wrong"), STANDARD.encode(format!("{id}:lc-wrong-secret"))));
        values.push((format!("{client}.id"), id));
        values.push((format!("{client}.secret"), secret));
    }
    values.push(("admin.token".to_owned(), "plan-admin-token".to_owned()));
    values.push(("machine.token".to_owned(), "plan-machine-token".to_owned()));
    if facts.has_provider {
        values.push(("provider.url".to_owned(), "https://provider.plan.example".to_owned()));
        values.push(("provider.secret".to_owned(), "plan-provider-secret".to_owned()));
    }
    values
}

/// A value of the kind that a deployment makes up.
pub fn stand_in(fresh: Fresh, number: u64, now: i64) -> Value {
    match fresh {
        Fresh::Now => json!(now),
        Fresh::Number => json!(number),
        Fresh::IsoAfter(seconds) => json!(time::iso(now + i64::from(seconds) * 1000)),
        Fresh::MsAfter(seconds) => json!(time::after(now, seconds)),
        Fresh::UserId => json!(format!("u{number:011}")),
        Fresh::SubjectToken => json!(format!("sub_{number:021}")),
        Fresh::PersonalAccessToken => json!(format!("pat_{number:021}")),
        Fresh::IsoNow => json!(time::iso(now)),
        Fresh::TotpSecret => json!(APP_SECRET),
        Fresh::BackupCodes => (0..10).map(|code| json!(format!("{code:010}"))).collect(),
        Fresh::QrCode => json!("data:image/png;base64,"),
        Fresh::RecordId | Fresh::OpaqueToken | Fresh::Jwt | Fresh::Digest | Fresh::Secret => json!(format!("plan{number:017}")),
    }
}

/// The source as it would be, where the target said only what matters to the model.
pub fn completed(source: Source) -> Source {
    match source {
        Source::Passkey { options, record, flaw } => {
            let mut options: Value = serde_json::from_str(&options).unwrap_or_default();
            options["rp"] = json!({"id": PLAN_HOST});
            Source::Passkey { options: options.to_string(), record, flaw }
        }
        other => other,
    }
}

/// What a source would give. Its texts have no symbols any more.
pub fn given_by(source: &Source, number: usize, now: i64) -> Got {
    let text = match source {
        Source::Message { .. } => format!("{:06}", 246_810 + number),
        Source::Totp { secret } => totp_code(secret, now).unwrap_or_default(),
        Source::Passkey { options, flaw, .. } => {
            let options: Value = serde_json::from_str(options).unwrap_or_default();
            let challenge = options.get("challenge").and_then(Value::as_str).unwrap_or_default();
            let challenge = if *flaw == Some(Flaw::WrongChallenge) { "cGxhbg" } else { challenge };
            let host = if *flaw == Some(Flaw::WrongOrigin) { "elsewhere.example" } else { PLAN_HOST };
            passkey_answer(challenge, &format!("https://{host}"), *flaw != Some(Flaw::UserNotVerified)).to_string()
        }
        Source::Consent { page, account, spent, .. } => {
            let back = url::Url::parse(page)
                .ok()
                .and_then(|page| page.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, back)| back.into_owned()));
            let data = json!({"code": format!("plan-{number}"), "state": "lc", "redirectUri": back.unwrap_or_default()}).to_string();
            let identity = json!({"userId": account, "details": {"id": account}});
            let life = if *spent { -3600 } else { 3600 };
            let tokens = json!({"access_token": format!("plan-{number}"), "token_type": "Bearer", "expires_in": life, "renewed": null});
            return Got { text: data, vouched: Some((identity, tokens)) };
        }
    };
    text.into()
}
