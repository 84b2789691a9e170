use super::*;

/// A tenant in which nothing was made yet.
fn tenant() -> State {
    let mut state = State::closed();
    state.insert(Key::account_center(), Entity::from_json(&json!({"tenantId": "default"})));
    state
}

#[test]
fn only_some_kinds_of_applications_have_secrets() {
    for (kind, has_secret) in [("SPA", false), ("Native", false), ("Traditional", true), ("MachineToMachine", true), ("Protected", true)] {
        let mut state = tenant();
        let key = create_application(&json!({"type": kind, "name": "lc"}), &mut state);
        let secrets: Vec<&Entity> = state.all(Kind::ApplicationSecret).map(|(_, secret)| secret).collect();
        assert_eq!(secrets.len(), usize::from(has_secret), "{kind}");
        assert!(secrets.iter().all(|secret| secret.text("owner") == Some(Some(&key.id))), "{kind}");
        let application = state.get(&key).unwrap();
        assert_eq!(application.known("clientSecret"), (!has_secret).then_some(&Value::Null), "{kind}");
    }
}

#[test]
fn what_protects_an_application_is_made_by_the_deployment() {
    let metadata = |kind: &str| {
        let mut state = tenant();
        let key = create_application(&json!({"type": kind, "protectedAppMetadata": {"subDomain": "lc"}}), &mut state);
        ["protectedAppMetadata", "oidcClientMetadata"].map(|name| state.get(&key).unwrap().known(name).cloned())
    };
    assert_eq!(metadata("Protected"), [None, None]);
    let own = json!({"redirectUris": [], "postLogoutRedirectUris": []});
    assert_eq!(metadata("SPA"), [Some(Value::Null), Some(own)]);
}

/// A tenant with the factories of three connectors, and a connector from each.
fn with_connectors() -> State {
    let mut state = tenant();
    for (factory, kind, standard) in
        [("lc-email", "Email", json!(true)), ("lc-sms", "Sms", json!(false)), ("lc-social", "Social", json!(false))]
    {
        let known = json!({"type": kind, "isStandard": standard, "name": {"en": factory}});
        state.insert(Key::new(Kind::ConnectorFactory, factory), Entity::from_json(&known));
        state.insert(Key::new(Kind::Connector, kind), Entity::from_json(&json!({"connectorId": factory, "type": kind})));
    }
    state
}

#[test]
fn a_connector_for_messages_takes_the_place_of_its_kind() {
    for (factory, left) in [
        ("lc-email", vec!["Sms", "Social", "new"]),
        ("lc-sms", vec!["Email", "Social", "new"]),
        ("lc-social", vec!["Email", "Sms", "Social", "new"]),
    ] {
        let mut state = with_connectors();
        create_connector(&json!({"connectorId": factory, "id": "new"}), &mut state);
        assert_eq!(state.all(Kind::Connector).map(|(id, _)| id).collect::<Vec<_>>(), left, "{factory}");
    }
}

#[test]
fn only_of_a_standard_connector_is_it_said_that_it_is_one() {
    for (factory, standard) in [("lc-email", Some(true)), ("lc-social", None)] {
        let mut state = with_connectors();
        let key = create_connector(&json!({"connectorId": factory}), &mut state);
        assert_eq!(state.get(&key).unwrap().flag("isStandard"), standard, "{factory}");
    }
}

#[test]
fn an_enterprise_connector_speaks_as_its_provider_does() {
    for (provider, speaks) in [("SAML", "saml"), ("AzureAD", "saml"), ("OIDC", "oidc"), ("Okta", "oidc"), ("GoogleWorkspace", "oidc")] {
        let mut state = tenant();
        let key = create_sso_connector(&json!({"providerName": provider}), &mut state);
        assert_eq!(state.get(&key).unwrap().text("providerType"), Some(Some(speaks)), "{provider}");
    }
}

#[test]
fn domains_are_kept_in_small_letters() {
    let mut state = tenant();
    let input = json!({"providerName": "OIDC", "connectorName": "LC", "domains": ["LC.Example", "other.example"]});
    let key = create_sso_connector(&input, &mut state);
    let connector = state.get(&key).unwrap();
    assert_eq!(connector.known("domains"), Some(&json!(["lc.example", "other.example"])));
    assert_eq!(connector.text("connectorName"), Some(Some("LC")));
}

#[test]
fn what_says_nothing_is_not_kept() {
    for (given, kept) in [
        (json!({"a": null, "b": "", "c": [], "d": {}}), json!({})),
        (json!({"a": {"b": {"c": ""}}}), json!({})),
        (json!({"a": [null, "", [], {}, {"b": ""}, "x"]}), json!({"a": ["x"]})),
        (json!({"a": 0, "b": false, "c": " "}), json!({"a": 0, "b": false, "c": " "})),
        (json!(["x", ""]), json!(["x"])),
        (json!("x"), json!("x")),
    ] {
        assert_eq!(clean(&given), kept, "{given}");
    }
}
