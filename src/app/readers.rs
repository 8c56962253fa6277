//! At start and after a reload: whether roles that may only read have servers whose user is as
//! poor as that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::policy::admission::Policy;
use crate::policy::role::{ReadOnly, Role};
use crate::pool::privileges::{excess, remedy};
use crate::pool::{Pool, Pools};

/// Looks at the server users of every role that may only read, and warns of each privilege that
/// a reader has no use for.
pub(super) async fn inspect(pools: Arc<Pools>, policy: Arc<Policy>) {
    let readers = policy.roles.values();
    let readers = readers.filter(|role| role.read_only == ReadOnly::Always);
    for role in readers {
        for pool in pools.of_reader(role) {
            inspect_pool(role, &pool).await;
        }
    }
}

async fn inspect_pool(role: &Role, pool: &Pool) {
    let (user, database) = (pool.user(), pool.database_name());
    for _ in 0..TRIES {
        if pool.is_closed() {
            return; // a reload has replaced it, and looks itself
        }
        let asked = async {
            let mut lease = pool.checkout().await.map_err(|error| error.to_string())?;
            let found = excess(lease.server())
                .await
                .map_err(|error| error.to_string())?;
            drop(lease.release(Instant::now()));
            Ok::<_, String>(found)
        };
        match asked.await {
            Ok(found) if found.is_empty() => {
                debug!(role = %role.name, %user, %database, "the server user may only read");
                return;
            }
            Ok(found) => {
                for problem in &found {
                    warn!(
                        role = %role.name, %user, %database, %problem,
                        "the server user of a read_only role may do more than read"
                    );
                }
                let dbname = &pool.database().dbname;
                info!(role = %role.name, sql = %remedy(user.as_str(), dbname), "this makes it poor enough");
                return;
            }
            Err(error) => {
                debug!(role = %role.name, %user, %database, %error, "server user not inspected yet");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    }
    warn!(role = %role.name, %user, %database, "the server user could not be inspected: no server");
}

/// How often a database is asked that cannot be reached.
const TRIES: u32 = 60;
const TRY_AGAIN: Duration = Duration::from_secs(10);
