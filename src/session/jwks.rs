//! The keys of the identity provider: where they come from and when they are fetched. A thread
//! of its own does that, so no client waits but the one whose token needs a newer key.

mod fetch;

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::auth::jwt::Keys;
use fetch::FetchError;
pub use fetch::{ProviderUrl, UrlError};

/// The keys at the moment.
#[derive(Debug)]
pub struct Keyring {
    source: Source,
    live: OnceLock<Live>,
}

/// Where keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// They were read from a file.
    File(Arc<Keys>),
    /// They are fetched.
    Provider(Provider),
}

/// Whom to ask for keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// The document to get.
    pub location: Location,
    /// Authorities that the system does not know.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How often they are fetched.
    pub refresh: Duration,
}

/// The document that has the keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// The JWK Set that this issuer's metadata names, OpenID Connect Discovery 1.0 section 4.
    Discover {
        /// The issuer, as it must call itself.
        issuer: String,
        /// Its `/.well-known/openid-configuration`.
        metadata: ProviderUrl,
    },
    /// The JWK Set itself.
    Jwks(ProviderUrl),
}

/// The two ends of the thread that fetches, which ends when nobody holds them any more.
#[derive(Clone, Debug)]
struct Live {
    fetched: watch::Receiver<Fetched>,
    wanted: mpsc::Sender<()>,
}

#[derive(Clone, Debug, Default)]
struct Fetched {
    keys: Arc<Keys>,
    /// Fetches that have ended, well or not.
    attempts: u64,
}

impl Keyring {
    /// A keyring that has not fetched anything yet.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            live: OnceLock::new(),
        }
    }

    /// Begins to fetch keys, or goes on with what an earlier keyring of the same source has.
    pub fn start(&self, before: Option<&Self>) {
        let Source::Provider(provider) = &self.source else {
            return;
        };
        let same = before.filter(|before| before.source == self.source);
        let inherited = same.and_then(|before| before.live.get()).cloned();
        let live = match inherited.map_or_else(|| start(provider.clone()), Ok) {
            Ok(live) => live,
            Err(error) => {
                error!(%error, "cannot fetch the identity provider's keys");
                return;
            }
        };
        // Set already: started twice, and the first thread goes on.
        let _ = self.live.set(live);
    }

    /// The keys at the moment, none before the first fetch.
    pub fn keys(&self) -> Arc<Keys> {
        match (&self.source, self.live.get()) {
            (Source::File(keys), _) => keys.clone(),
            (Source::Provider(_), Some(live)) => live.fetched.borrow().keys.clone(),
            (Source::Provider(_), None) => Arc::default(),
        }
    }

    /// The keys after one more try to fetch them. As tries have ten seconds between them,
    /// that may take as long, and the time of a fetch besides. Cancel safe.
    pub async fn refreshed(&self) -> Arc<Keys> {
        if let Some(live) = self.live.get() {
            let mut fetched = live.fetched.clone();
            let attempts = fetched.borrow().attempts;
            // Full: somebody else waits for the same.
            let _ = live.wanted.try_send(());
            // An error: the thread is gone, and with it all hope of newer keys.
            let _ = fetched.wait_for(|f| f.attempts > attempts).await;
        }
        self.keys()
    }
}

fn start(provider: Provider) -> io::Result<Live> {
    let (sender, fetched) = watch::channel(Fetched::default());
    let (wanted, wants) = mpsc::channel(1);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new().name("jwks".into()).spawn(move || {
        let tls = provider.tls();
        let fetch = async || provider.fetch(tls.as_ref()).await;
        runtime.block_on(keep(fetch, provider.refresh, sender, wants));
    })?;
    Ok(Live { fetched, wanted })
}

/// Fetches at once, then every `refresh`, and when somebody wants it. Keys are kept while the
/// provider has no new ones to give.
async fn keep(
    mut fetch: impl AsyncFnMut() -> Result<Keys, FetchError>,
    refresh: Duration,
    fetched: watch::Sender<Fetched>,
    mut wants: mpsc::Receiver<()>,
) {
    loop {
        let got = fetch().await;
        // Who has asked meanwhile waits for this very attempt.
        while wants.try_recv().is_ok() {}
        let pause = if got.is_ok() {
            refresh
        } else {
            refresh.min(RETRY)
        };
        fetched.send_modify(|fetched| {
            fetched.attempts += 1;
            match got {
                Ok(keys) if keys != *fetched.keys => {
                    info!(
                        keys = keys.len(),
                        "the identity provider's keys have changed"
                    );
                    fetched.keys = Arc::new(keys);
                }
                Ok(_) => {}
                Err(error) => warn!(
                    %error, kept = fetched.keys.len(),
                    "cannot fetch the identity provider's keys"
                ),
            }
        });
        let ended = Instant::now();
        let mut next = ended + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(next) => break,
                wanted = wants.recv() => match wanted {
                    Some(()) => next = next.min(ended + LEAST_PAUSE),
                    None => return,
                },
            }
        }
    }
}

impl Provider {
    async fn fetch(&self, tls: Result<&Arc<ClientConfig>, &rustls::Error>) -> Fetch {
        let tls = tls.map_err(|error| FetchError::Tls(error.clone()))?;
        tokio::time::timeout(FETCH_LIMIT, self.fetch_with(tls))
            .await
            .unwrap_or(Err(FetchError::Timeout(FETCH_LIMIT)))
    }

    async fn fetch_with(&self, tls: &Arc<ClientConfig>) -> Fetch {
        let url = match &self.location {
            Location::Discover { issuer, metadata } => {
                let document = fetch::get(metadata, tls).await?;
                keys_url(issuer, &document)
                    .map_err(|why| FetchError::Unusable(metadata.clone(), why))?
            }
            Location::Jwks(url) => url.clone(),
        };
        let document = fetch::get(&url, tls).await?;
        Keys::parse(&document).map_err(|error| FetchError::Unusable(url, error.to_string()))
    }

    /// What checks the provider's certificate: the system's authorities and our own.
    fn tls(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // The system's that rustls cannot read concern others than this provider.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for authority in &self.authorities {
            roots.add(authority.clone())?;
        }
        client_config(roots).map(Arc::new)
    }
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The `jwks_uri` of a provider's metadata, which must be this issuer's own: OpenID Connect
/// Discovery 1.0 section 4.3.
fn keys_url(issuer: &str, metadata: &[u8]) -> Result<ProviderUrl, String> {
    let metadata: serde_json::Value =
        serde_json::from_slice(metadata).map_err(|_| "it is no JSON".to_owned())?;
    let text = |name| metadata.get(name).and_then(serde_json::Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(format!("its issuer is not {issuer:?}"));
    }
    let url = text("jwks_uri").ok_or("it has no jwks_uri")?;
    ProviderUrl::parse(url).map_err(|error| format!("jwks_uri: {error}"))
}

type Fetch = Result<Keys, FetchError>;

/// Tries that clients cause have this much time between them.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// After a try that failed comes the next.
const RETRY: Duration = Duration::from_secs(30);
/// For metadata and keys together.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
