//! When keys are fetched. Time is tokio's, and paused.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

fn keys(number: u8) -> Keys {
    let x = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        [number; 32],
    );
    let json = format!(r#"{{"keys": [{{"kty": "OKP", "crv": "Ed25519", "x": "{x}"}}]}}"#);
    Keys::parse(json.as_bytes()).unwrap()
}

/// A keyring whose provider answers by the second at which it is asked; `None`: it is down.
fn keyring(provider: fn(u64) -> Option<u8>) -> (Rc<Keyring>, Rc<RefCell<Vec<u64>>>) {
    let began = Instant::now();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = asked.clone();
    let fetch = async move || {
        let second = began.elapsed().as_secs();
        log.borrow_mut().push(second);
        provider(second)
            .map(keys)
            .ok_or(FetchError::Timeout(FETCH_LIMIT))
    };
    let (sender, fetched) = watch::channel(Fetched::default());
    let (wanted, wants) = mpsc::channel(1);
    tokio::task::spawn_local(keep(fetch, Duration::from_secs(600), sender, wants));
    let keyring = Keyring::new(Source::Provider(Provider {
        location: Location::Jwks(ProviderUrl::parse("http://localhost").unwrap()),
        authorities: Vec::new(),
        refresh: Duration::from_secs(600),
    }));
    keyring.live.set(Live { fetched, wanted }).unwrap();
    (Rc::new(keyring), asked)
}

async fn paused(story: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(story).await;
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_at_once_and_then_every_refresh() {
    paused(async {
        let (keyring, asked) = keyring(|second| Some(if second < 600 { 1 } else { 2 }));
        assert!(keyring.keys().is_empty());
        seconds(1).await;
        assert_eq!(*keyring.keys(), keys(1));
        seconds(600).await;
        assert_eq!(*keyring.keys(), keys(2));
        assert_eq!(*asked.borrow(), [0, 600]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_asked_for_at_once() {
    paused(async {
        let (keyring, asked) = keyring(|second| Some(if second < 50 { 1 } else { 2 }));
        seconds(60).await;
        assert_eq!(*keyring.keys(), keys(1));
        assert_eq!(*keyring.refreshed().await, keys(2));
        assert_eq!(*asked.borrow(), [0, 60]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_crowd_with_unknown_keys_causes_one_fetch_in_ten_seconds() {
    paused(async {
        let (keyring, asked) = keyring(|_| Some(1));
        seconds(60).await;
        let crowd = async |keyring: Rc<Keyring>| {
            let crowd = (0..50).map(|_| {
                let keyring = keyring.clone();
                tokio::task::spawn_local(async move { keyring.refreshed().await })
            });
            for one in crowd.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        };
        crowd(keyring.clone()).await;
        assert_eq!(*asked.borrow(), [0, 60]);
        crowd(keyring.clone()).await;
        crowd(keyring.clone()).await;
        assert_eq!(*asked.borrow(), [0, 60, 70, 80]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_kept_while_the_provider_is_down_and_asked_for_again_soon() {
    paused(async {
        let (keyring, asked) = keyring(|second| match second {
            0 => Some(1),
            1..=620 => None,
            _ => Some(2),
        });
        seconds(601).await;
        assert_eq!(*keyring.keys(), keys(1));
        seconds(30).await;
        assert_eq!(*keyring.keys(), keys(2));
        assert_eq!(*asked.borrow(), [0, 600, 630]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_provider_that_is_down_is_told_when_the_try_has_failed() {
    paused(async {
        let (keyring, _) = keyring(|_| None);
        assert!(keyring.refreshed().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_reload_goes_on_with_the_keys_of_the_same_provider() {
    paused(async {
        let (before, _) = keyring(|_| Some(1));
        before.refreshed().await;
        let same = Keyring::new(before.source.clone());
        same.start(Some(&before));
        assert_eq!(*same.keys(), keys(1));
        let Source::Provider(mut provider) = before.source.clone() else {
            panic!("it has a provider");
        };
        provider.location = Location::Jwks(ProviderUrl::parse("http://127.0.0.1:1/other").unwrap());
        let other = Keyring::new(Source::Provider(provider));
        other.start(Some(&before));
        assert!(other.keys().is_empty());
    })
    .await;
}

#[test]
fn metadata_must_be_the_issuers_own() {
    let metadata = |issuer: &str, url: &str| {
        format!(r#"{{"issuer": "{issuer}", "jwks_uri": "{url}"}}"#).into_bytes()
    };
    let issuer = "https://id.example.com";
    let url = "https://id.example.com/keys";
    let good = keys_url(issuer, &metadata(issuer, url)).unwrap();
    assert_eq!(good.to_string(), url);
    for bad in [
        metadata("https://id.example.com/", url),
        metadata("https://mallory.example", url),
        metadata(issuer, "http://id.example.com/keys"),
        metadata(issuer, "keys"),
        br#"{"issuer": "https://id.example.com"}"#.to_vec(),
        b"{".to_vec(),
        b"".to_vec(),
    ] {
        assert!(keys_url(issuer, &bad).is_err());
    }
}
