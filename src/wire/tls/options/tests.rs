use super::*;

fn parse(
    protocols: &str,
    ciphers: &str,
    tls13_ciphers: &str,
    curve: &str,
) -> Result<TlsOptions, Vec<OptionProblem>> {
    let some = |text| Some(text);
    TlsOptions::parse(
        some(protocols),
        some(ciphers),
        some(tls13_ciphers),
        some(curve),
    )
}

fn classic(list: &str) -> Vec<String> {
    let options = parse("tlsv1.2", list, "", "").unwrap();
    let suites = options.suites.iter();
    suites
        .map(|suite| suite.as_str().unwrap().replace("TLS_ECDHE_", ""))
        .collect()
}

fn refused(result: Result<TlsOptions, Vec<OptionProblem>>) -> TlsOption {
    let problems = result.unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].option
}

#[test]
fn nothing_set_is_the_default_and_warns_of_nothing() {
    let nothing = TlsOptions::parse(None, None, None, None).unwrap();
    assert_eq!(nothing, TlsOptions::default());
    assert_eq!(parse("", " ", "", "").unwrap(), TlsOptions::default());
    assert_eq!(
        parse("secure", "default", "", "auto").unwrap(),
        TlsOptions::default()
    );
    let provider = nothing.provider();
    let all = rustls::crypto::ring::default_provider();
    assert_eq!(provider.cipher_suites.len(), all.cipher_suites.len());
    assert_eq!(provider.kx_groups.len(), all.kx_groups.len());
}

#[test]
fn versions_are_read_as_pgbouncer_reads_them() {
    let only = |text: &str| {
        let versions = parse(text, "", "", "").unwrap().versions();
        let names = versions.iter().map(|v| v.version.as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    };
    let both = "TLSv1_3 TLSv1_2";
    for text in [
        "all",
        "TLSv1",
        "default",
        "tlsv1.2,tlsv1.3",
        "tlsv1.2 tlsv1.3",
        "!tlsv1.0",
    ] {
        assert_eq!(only(text), both, "{text}");
    }
    for text in ["tlsv1.3", "all,!tlsv1.2", "!tlsv1.2", "secure, !TLSV1.2"] {
        assert_eq!(only(text), "TLSv1_3", "{text}");
    }
    assert_eq!(only("tlsv1.1:tlsv1.2"), "TLSv1_2");
}

#[test]
fn old_versions_are_left_out_with_a_warning_and_are_refused_alone() {
    let options = parse("tlsv1.1, tlsv1.2", "", "", "").unwrap();
    assert_eq!(options.warnings().len(), 1);
    assert_eq!(options.warnings()[0].option, TlsOption::Protocols);
    assert!(
        parse("all,!tlsv1.0,!tlsv1.1", "", "", "")
            .unwrap()
            .warnings()
            .is_empty()
    );
    for text in [
        "tlsv1.0",
        "tlsv1.0,tlsv1.1",
        "tlsv1.2,!tlsv1.2",
        "legacy",
        "tlsv1.2,sslv3",
        "!",
    ] {
        assert_eq!(
            refused(parse(text, "", "", "")),
            TlsOption::Protocols,
            "{text}"
        );
    }
}

#[test]
fn openssls_words_choose_what_they_choose_there() {
    // What `openssl ciphers -tls1_2 -s LIST` prints, less what rustls has not.
    let ec = [
        "ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDSA_WITH_AES_128_GCM_SHA256",
    ];
    let rsa = [
        "RSA_WITH_AES_256_GCM_SHA384",
        "RSA_WITH_CHACHA20_POLY1305_SHA256",
        "RSA_WITH_AES_128_GCM_SHA256",
    ];
    assert_eq!(classic("ECDSA"), ec);
    assert_eq!(classic("aRSA"), rsa);
    assert_eq!(classic("HIGH:!aECDSA"), rsa);
    assert_eq!(classic("ALL:-aRSA"), ec);
    assert_eq!(classic("AESGCM+ECDSA"), [ec[0], ec[2]]);
    assert_eq!(
        classic("HIGH:!SHA384:!SHA256").len(),
        6,
        "AEAD suites have no such MAC"
    );
    assert_eq!(classic("HIGH:MEDIUM:+3DES:!aNULL").len(), 6);
    assert_eq!(classic("CHACHA20"), [ec[1], rsa[1]]);
    assert_eq!(classic("HIGH:+AES128:@STRENGTH")[4..], [ec[2], rsa[2]]);
    assert_eq!(classic("ECDHE-RSA-AES128-GCM-SHA256"), [rsa[2]]);
    assert_eq!(
        classic("!ECDSA:ALL"),
        rsa,
        "what is killed does not come back"
    );
    assert_eq!(classic("-ECDSA:ALL").len(), 6);
}

#[test]
fn what_openssl_alone_has_is_left_out_with_a_warning() {
    let options = parse(
        "",
        "ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-SHA:HIHG:!RC4",
        "",
        "",
    )
    .unwrap();
    let [warning] = options.warnings() else {
        panic!("{options:?}");
    };
    assert!(
        warning.text.ends_with("DHE-RSA-AES256-SHA, HIHG"),
        "{}",
        warning.text
    );
}

#[test]
fn a_list_that_leaves_nothing_is_refused() {
    for list in [
        "RC4-SHA",
        "HIGH:!ECDHE",
        "ALL:!HIGH",
        "HIHG",
        "DHE-RSA-AES256-SHA",
    ] {
        assert_eq!(
            refused(parse("", list, "", "")),
            TlsOption::Ciphers,
            "{list}"
        );
    }
    // Without TLS 1.2 the list has nothing to say.
    assert!(parse("tlsv1.3", "RC4-SHA", "", "").is_ok());
    assert_eq!(
        refused(parse("", "", "TLS_NULL", "")),
        TlsOption::Tls13Ciphers
    );
    assert_eq!(refused(parse("", "", "", "secp521r1")), TlsOption::Curve);
}

#[test]
fn suites_of_tls_1_3_have_a_list_of_their_own() {
    let modern = |ciphers, tls13| {
        let options = parse("tlsv1.3", ciphers, tls13, "").unwrap();
        let suites = options.suites.iter();
        suites
            .map(|s| s.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let aes = ["TLS13_AES_128_GCM_SHA256"];
    assert_eq!(modern("", "TLS_AES_128_GCM_SHA256"), aes);
    assert_eq!(modern("TLS_AES_128_GCM_SHA256", ""), aes);
    assert_eq!(modern("HIGH", "").len(), 3);
    let half = parse("", "", "TLS_AES_128_CCM_SHA256:TLS_AES_128_GCM_SHA256", "").unwrap();
    assert_eq!(half.warnings().len(), 1);
}

#[test]
fn curves_have_several_names() {
    for (name, group) in [
        ("prime256v1", NamedGroup::secp256r1),
        ("secp256r1", NamedGroup::secp256r1),
        ("secp384r1", NamedGroup::secp384r1),
        ("x25519", NamedGroup::X25519),
    ] {
        assert_eq!(parse("", "", "", name).unwrap().groups, [group]);
    }
    assert_eq!(parse("", "", "", "none").unwrap(), TlsOptions::default());
}

#[test]
fn options_that_differ_have_texts_that_differ() {
    let texts = [
        parse("", "", "", ""),
        parse("tlsv1.3", "", "", ""),
        parse("", "aRSA", "", ""),
        parse("", "", "TLS_AES_128_GCM_SHA256", ""),
        parse("", "", "", "X25519"),
    ]
    .map(|options| options.unwrap().text());
    for (at, text) in texts.iter().enumerate() {
        assert!(!texts[at + 1..].contains(text), "{text}");
    }
    assert_eq!(
        parse("secure", "HIGH", "", "auto").unwrap().text(),
        texts[0]
    );
}
