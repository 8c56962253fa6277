use proptest::prelude::*;

use super::*;

fn read(text: &str) -> LdapOptions {
    text.parse().unwrap()
}

fn refused(text: &str) -> LdapOptionsError {
    match text.parse::<LdapOptions>() {
        Ok(options) => panic!("{text} became {options:?}"),
        Err(error) => error,
    }
}

fn search(options: &LdapOptions) -> &Search {
    match &options.lookup {
        UserLookup::Search(search) => search,
        UserLookup::Simple { .. } => panic!("{options:?}"),
    }
}

fn servers(options: &LdapOptions) -> String {
    let servers = options.servers.iter();
    servers
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_simple_bind_makes_the_name_of_a_prefix_and_a_suffix() {
    let options =
        read(r#"ldapserver=ldap.example.net ldapprefix="cn=" ldapsuffix=", dc=example, dc=net""#);
    assert_eq!(servers(&options), "ldap.example.net:389");
    assert_eq!(options.transport, Transport::Plain);
    let name = options.lookup.name_of("alice").unwrap();
    assert_eq!(name, "cn=alice, dc=example, dc=net");
}

#[test]
fn quotes_may_stand_around_the_value_or_around_the_whole_pair() {
    for text in [
        r#"ldapserver="a",ldapsuffix="@x y""#,
        r#""ldapserver=a" "ldapsuffix=@x y""#,
        "ldapserver=a\t,  ldapsuffix=\"@x y\"  ",
    ] {
        assert_eq!(read(text).lookup.name_of("u").unwrap(), "u@x y", "{text}");
    }
    let quoted = read(r#"ldapserver=a ldapsuffix="@""x""""#);
    assert_eq!(quoted.lookup.name_of("u").unwrap(), "u@\"x\"");
}

#[test]
fn a_user_cannot_write_itself_into_another_part_of_a_name() {
    let options = read(r#"ldapserver=a ldapprefix="uid=" ldapsuffix=",dc=x""#);
    let name = options.lookup.name_of("bob,ou=admins").unwrap();
    assert_eq!(name, "uid=bob\\2cou\\3dadmins,dc=x");
    let domain = read(r#"ldapserver=a ldapprefix="CORP\""#);
    assert_eq!(domain.lookup.name_of("bob").unwrap(), "CORP\\bob");
}

#[test]
fn a_user_cannot_write_itself_into_a_filter() {
    let options = read(r#"ldapserver=a ldapbasedn="dc=x" ldapsearchattribute=cn"#);
    assert_eq!(search(&options).filter_for("bob"), "(cn=bob)");
    assert_eq!(search(&options).filter_for("*"), "(cn=\\2a)");
    assert_eq!(
        search(&options).filter_for("x)(|(uid=*"),
        "(cn=x\\29\\28|\\28uid=\\2a)"
    );
    let twice = read(
        r#"ldapserver=a ldapbasedn=dc=x ldapsearchfilter="(|(uid=$username)(mail=$username))""#,
    );
    assert_eq!(
        search(&twice).filter_for("b\\"),
        "(|(uid=b\\5c)(mail=b\\5c))"
    );
    // Replaced once: a user called "$username" is nothing special.
    assert_eq!(search(&options).filter_for("$username"), "(cn=$username)");
}

#[test]
fn a_search_has_defaults() {
    let options = read("ldapserver=a ldapbasedn=dc=x");
    let search = search(&options);
    assert_eq!(
        (search.base.as_str(), search.scope),
        ("dc=x", SearchScope::Sub)
    );
    assert_eq!(search.filter_for("bob"), "(uid=bob)");
    assert!(search.bind.is_none());
    assert!(options.lookup.name_of("bob").is_none());
    let filter = read("ldapserver=a ldapbasedn=dc=x ldapsearchfilter=uid=$username");
    assert_eq!(super::tests::search(&filter).filter_for("bob"), "(uid=bob)");
}

#[test]
fn a_url_says_the_same() {
    let options = read(
        r#"ldapurl="ldaps://ldap.example.net:1636/dc=example,dc=net?uid?sub?(objectClass=*)""#
            .replace("?(objectClass=*)", "")
            .as_str(),
    );
    assert_eq!(servers(&options), "ldap.example.net:1636");
    assert_eq!(options.transport, Transport::Tls);
    assert_eq!(search(&options).base, "dc=example,dc=net");
    assert_eq!(search(&options).filter_for("bob"), "(uid=bob)");
    let options = read("ldapurl=\"ldap://h/ou=a%20b,dc=x??one?(mail=$username)\" ldaptls=1");
    assert_eq!(servers(&options), "h:389");
    assert_eq!(options.transport, Transport::StartTls);
    assert_eq!(search(&options).base, "ou=a b,dc=x");
    assert_eq!(search(&options).scope, SearchScope::One);
    assert_eq!(search(&options).filter_for("bob"), "(mail=bob)");
    assert_eq!(
        servers(&read("ldapurl=ldap://[::1]:1389/dc=x")),
        "[::1]:1389"
    );
    let prefix = read("ldapurl=ldap://h ldapprefix=cn=");
    assert_eq!(prefix.lookup.name_of("a").unwrap(), "cn=a");
}

#[test]
fn several_servers_may_have_ports_of_their_own() {
    let options =
        read(r#"ldapserver="a b:1389 10.0.0.1 [::1]:7 fe80::1" ldapport=3389 ldapsuffix=x"#);
    assert_eq!(
        servers(&options),
        "a:3389 b:1389 10.0.0.1:3389 [::1]:7 [fe80::1]:3389"
    );
    assert_eq!(
        servers(&read("ldapserver=a ldapscheme=ldaps ldapsuffix=x")),
        "a:636"
    );
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    use LdapOptionsError as E;
    assert_eq!(
        refused("ldapserver=a ldapprefix=x ldapbasedn=dc=x"),
        E::Mixed
    );
    assert_eq!(refused("ldapurl=ldap://a/dc=x ldapsuffix=x"), E::Mixed);
    assert_eq!(refused("ldapserver=a"), E::NoLookup);
    assert_eq!(refused("ldapprefix=x"), E::NoServer);
    assert_eq!(refused("ldapserver=\"  \" ldapprefix=x"), E::NoServer);
    assert_eq!(
        refused("ldapserver=a ldapbasedn=x ldapbinddn=y"),
        E::HalfBind
    );
    assert_eq!(
        refused("ldapserver=a ldapbasedn=x ldapsearchattribute=u ldapsearchfilter=(u=$username)"),
        E::TwoFilters
    );
    assert_eq!(
        refused("ldapserver=a ldapscheme=ldaps ldaptls=1 ldapprefix=x"),
        E::TwoTls
    );
    assert_eq!(refused("ldapserver=a ldapprefix"), E::NoPair);
    assert_eq!(refused("ldapserver=a ldapprefix=\"x"), E::Unclosed);
    assert_eq!(refused("ldaphost=a"), E::Unknown("ldaphost".into()));
}

#[test]
fn values_that_their_keys_cannot_have_are_refused() {
    for (text, key) in [
        ("ldapport=0", "ldapport"),
        ("ldapport=ldap", "ldapport"),
        ("ldapscheme=http", "ldapscheme"),
        ("ldaptls=yes", "ldaptls"),
        ("ldapserver=a/b ldapprefix=x", "ldapserver"),
        ("ldapserver=a:b ldapprefix=x", "ldapserver"),
        ("ldapsearchattribute=a)(b", "ldapsearchattribute"),
        ("ldapsearchfilter=(uid=$username", "ldapsearchfilter"),
        ("ldapurl=ldap://", "ldapurl"),
        ("ldapurl=http://a/dc=x", "ldapurl"),
        ("ldapurl=ldap://a/dc=x?uid?deep", "ldapurl"),
        ("ldapurl=ldap://me@a/dc=x", "ldapurl"),
        ("ldapurl=ldap://a/dc=%zz", "ldapurl"),
        ("ldapurl=ldap://a/dc=x?uid?sub??ext", "ldapurl"),
    ] {
        let refused = refused(text);
        let of_key = matches!(refused, LdapOptionsError::Value(of, _) if of == key);
        assert!(of_key, "{text}: {refused:?}");
    }
}

#[test]
fn no_password_is_shown() {
    let options = read("ldapserver=a ldapbasedn=x ldapbinddn=y ldapbindpasswd=hunter2");
    assert!(!format!("{options:?}").contains("hunter2"));
    let (_, password) = search(&options).bind.as_ref().unwrap();
    assert_eq!(password.expose(), "hunter2");
    assert!(
        !refused("ldapbindpasswd=hunter2")
            .to_string()
            .contains("hunter2")
    );
    assert!(!refused("hunter2").to_string().contains("hunter2"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(ldap(server|url|port|basedn|prefix|searchfilter)=|ldap://|[\"%?:/\\[\\](),=$ ]|\\PC){0,12}") {
        let _ = text.parse::<LdapOptions>();
    }

    #[test]
    fn no_user_leaves_the_condition_it_is_in(user in "\\PC*") {
        let options = read("ldapserver=a ldapbasedn=dc=x");
        let filter = search(&options).filter_for(&user);
        let inner = &filter["(uid=".len()..filter.len() - 1];
        prop_assert!(!inner.contains(['(', ')', '*']));
    }
}
