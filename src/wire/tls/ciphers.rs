//! OpenSSL's lists of cipher suites, over the suites that rustls has.
//! <https://docs.openssl.org/3.0/man1/openssl-ciphers/>

use rustls::CipherSuite;

/// What a list comes to.
#[derive(Debug)]
pub(super) struct List {
    /// The suites of TLS 1.2 it leaves, in its order.
    pub(super) suites: Vec<CipherSuite>,
    /// Words that were to add something, and did not.
    pub(super) idle: Vec<String>,
}

/// All suites, the preferred ones first.
pub(super) fn all() -> Vec<CipherSuite> {
    let modern = MODERN.iter().map(|(suite, _)| *suite);
    modern.chain(CLASSIC.iter().map(|c| c.suite)).collect()
}

/// The words of a list.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split([':', ',', ';', ' ', '\t']);
    words.filter(|word| !word.is_empty())
}

/// The suite of TLS 1.3 of this name.
pub(super) fn modern(name: &str) -> Option<CipherSuite> {
    let mut known = MODERN.iter();
    known
        .find(|(_, known)| known.eq_ignore_ascii_case(name))
        .map(|(suite, _)| *suite)
}

/// The suites of TLS 1.3 that a list for all versions names; all of them if it names none.
pub(super) fn modern_in(text: &str) -> Vec<CipherSuite> {
    let named: Vec<_> = words(text).filter_map(modern).collect();
    if named.is_empty() {
        return MODERN.iter().map(|(suite, _)| *suite).collect();
    }
    named
}

/// The suites of TLS 1.2 that a list leaves.
pub(super) fn classic(text: &str) -> List {
    let mut list = Active::default();
    for word in words(text) {
        list.apply(word);
    }
    List {
        suites: list.active.iter().map(|c| c.suite).collect(),
        idle: list.idle,
    }
}

/// A list while it is read.
#[derive(Default)]
struct Active {
    active: Vec<&'static Classic>,
    /// Taken away for good by `!`.
    killed: Vec<&'static Classic>,
    idle: Vec<String>,
}

impl Active {
    fn apply(&mut self, word: &str) {
        if word.starts_with('@') {
            return; // strength and security level: all suites here are of the highest
        }
        let mut chars = word.chars();
        match chars.next() {
            Some('!') => {
                let named = matching(chars.as_str());
                self.active.retain(|c| !holds(&named, c));
                self.killed.extend(named);
            }
            Some('-') => {
                let named = matching(chars.as_str());
                self.active.retain(|c| !holds(&named, c));
            }
            Some('+') => {
                let named = matching(chars.as_str());
                let (last, first) = self.active.iter().partition(|c| holds(&named, c));
                self.active = first;
                self.active.extend::<Vec<_>>(last);
            }
            Some(_) | None => self.add(word),
        }
    }

    fn add(&mut self, word: &str) {
        let named = matching(word);
        // What TLS 1.3 has is not for this list to say, nor an error in it.
        if named.is_empty() && modern(word).is_none() {
            self.idle.push(word.to_owned());
        }
        for suite in named {
            if !holds(&self.active, suite) && !holds(&self.killed, suite) {
                self.active.push(suite);
            }
        }
    }
}

fn holds(list: &[&'static Classic], one: &Classic) -> bool {
    list.iter().any(|other| other.suite == one.suite)
}

/// The suites that a word names: what all of its parts, with `+` between them, name.
fn matching(word: &str) -> Vec<&'static Classic> {
    CLASSIC
        .iter()
        .filter(|suite| word.split('+').all(|part| suite.is(part)))
        .collect()
}

/// A suite of TLS 1.2.
struct Classic {
    suite: CipherSuite,
    /// OpenSSL's and the standard's name.
    names: [&'static str; 2],
    /// The kinds OpenSSL counts it under, besides those of all.
    kinds: &'static [&'static str],
}

impl Classic {
    fn is(&self, word: &str) -> bool {
        let mut words = self.names.iter().chain(self.kinds).chain(OF_ALL);
        words.any(|known| known.eq_ignore_ascii_case(word))
    }
}

/// Kinds that every suite here is of. `default`, `secure`, `fast` and `normal` are PgBouncer's
/// words for the library's default.
const OF_ALL: &[&str] = &[
    "all", "default", "secure", "fast", "normal", "high", "tlsv1.2", "ecdhe", "eecdh", "kecdhe",
    "keecdh",
];

const MODERN: &[(CipherSuite, &str)] = &[
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        "TLS_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        "TLS_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
];

/// In the order of OpenSSL's default.
const CLASSIC: &[Classic] = &[
    Classic {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        names: [
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ],
        kinds: &[
            "ecdsa",
            "aecdsa",
            "aes",
            "aes256",
            "aesgcm",
            "fips",
            "suiteb128",
            "suiteb192",
        ],
    },
    Classic {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        names: [
            "ECDHE-RSA-AES256-GCM-SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        ],
        kinds: &["arsa", "aes", "aes256", "aesgcm", "fips"],
    },
    Classic {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        names: [
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ],
        kinds: &["ecdsa", "aecdsa", "chacha20"],
    },
    Classic {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        names: [
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ],
        kinds: &["arsa", "chacha20"],
    },
    Classic {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        names: [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ],
        kinds: &[
            "ecdsa",
            "aecdsa",
            "aes",
            "aes128",
            "aesgcm",
            "fips",
            "suiteb128",
        ],
    },
    Classic {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        names: [
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ],
        kinds: &["arsa", "aes", "aes128", "aesgcm", "fips"],
    },
];
