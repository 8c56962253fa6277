use std::time::{Duration, Instant};

use super::*;
use crate::auth::identity::Identity;
use crate::policy::admission::Policy;
use crate::policy::grant::Origin;
use crate::pool::settings::lookup::Lookup;
use crate::pool::settings::users::{UserPool, UserSettings};
use crate::pool::settings::{
    PoolMode, PoolSettings, ServerAddress, ServerCredentials, ServerTls, TEMPLATE,
};

fn name(name: &str) -> DatabaseName {
    DatabaseName::new(name)
}

fn database(name: &str) -> DatabaseSettings {
    DatabaseSettings {
        name: DatabaseName::new(name),
        hosts: ServerAddress::Tcp("127.0.0.1".into(), 1).into(),
        dbname: name.into(),
        server: None,
        max_connections: None,
        max_clients: None,
        connect_query: None,
        lookup: Lookup::default(),
        startup_parameters: BTreeMap::new(),
        pool: PoolSettings::default(),
        tls: ServerTls::default(),
    }
}

fn settings(databases: impl IntoIterator<Item = DatabaseSettings>) -> PoolsSettings {
    let (template, databases): (Vec<_>, Vec<_>) = databases
        .into_iter()
        .partition(|database| database.name.as_str() == TEMPLATE);
    PoolsSettings {
        databases: databases
            .into_iter()
            .map(|database| (database.name.clone(), Arc::new(database)))
            .collect(),
        template: template.into_iter().next().map(Arc::new),
        ..PoolsSettings::default()
    }
}

fn pool(pools: &Pools, user: &str, database: &str) -> Member {
    let identity = Identity::trusted(UserName::new(user));
    let now = SystemTime::UNIX_EPOCH;
    let admission = Policy::default().admit(identity, Origin::default(), name(database), now);
    pools.pool_for(&admission.unwrap(), None, None).unwrap()
}

fn names(pools: &Pools) -> Vec<String> {
    let databases = pools.databases();
    databases
        .iter()
        .map(|known| known.name.to_string())
        .collect()
}

#[test]
fn a_disabled_database_takes_no_new_clients() {
    let pools = Pools::new(settings([database("shop")]), 1);
    let place = || pools.client_place(&database("shop"), 10).map(drop);
    assert!(pools.disable(&name("shop")) && !pools.disable(&name("shop")));
    assert!(pools.is_disabled(&name("shop")));
    let error = place().unwrap_err();
    assert_eq!(error.to_string(), "database \"shop\" is disabled");
    assert!(pools.enable(&name("shop")) && !pools.enable(&name("shop")));
    assert_eq!(place(), Ok(()));
}

#[test]
fn a_kill_is_undone_by_name_and_by_resuming_all_and_a_pause_by_name_is_not() {
    let pools = Pools::new(settings([database("bank"), database("shop")]), 1);
    let (bank, shop) = (name("bank"), name("shop"));
    let pool = pool(&pools, "ann", "shop");
    pools.kill(None);
    assert!(pools.is_paused(Some(&bank)) && pools.is_paused(Some(&shop)) && pool.is_paused());
    assert!(!pools.is_paused(None));
    assert!(pools.resume(Some(&bank)) && !pools.is_paused(Some(&bank)));
    assert!(pools.resume(None) && !pool.is_paused() && !pools.resume(None));
    pools.pause(Some(&shop));
    pools.kill(Some(&bank));
    assert!(pools.resume(None));
    assert!(pools.is_paused(Some(&shop)) && !pools.is_paused(Some(&bank)));
}

#[tokio::test]
async fn without_servers_nothing_is_waited_for() {
    let pools = Pools::new(settings([database("shop")]), 1);
    let _pool = pool(&pools, "ann", "shop");
    pools.wait_close(None).await;
    pools.wait_empty(Some(&name("shop"))).await;
}

#[test]
fn a_database_is_made_from_the_template_and_forgotten_when_nobody_has_used_it() {
    let mut template = database(TEMPLATE);
    template.pool.size = 3;
    let pools = Pools::new(settings([database("shop"), template.clone()]), 1);
    assert!(pools.has_database("new") && names(&pools) == ["shop"]);
    let member = pool(&pools, "ann", "new");
    assert_eq!(
        (member.settings().size, &*member.database().dbname),
        (3, "new")
    );
    assert!(pools.is_automatic(&name("new")) && names(&pools) == ["new", "shop"]);
    let limit = PoolsSettings::default().autodb_idle_timeout.unwrap();
    let later = Instant::now() + limit;
    pools.state().forget_automatic(later);
    assert_eq!(names(&pools), ["new", "shop"], "a client is in it");
    drop(member);
    pools.state().forget_automatic(later + limit / 2);
    assert_eq!(names(&pools), ["new", "shop"]);
    pools.state().forget_automatic(later + limit);
    assert_eq!(names(&pools), ["shop"]);
    assert!(pools.all().is_empty());
    // With another template it is another database.
    let member = pool(&pools, "ann", "new");
    template.dbname = "other".into();
    pools.reload(settings([database("shop"), template]));
    assert!(member.is_closed());
    assert_eq!(pool(&pools, "ann", "new").database().dbname, "other");
    pools.reload(settings([database("shop")]));
    assert!(names(&pools) == ["shop"] && pools.all().is_empty());
}

#[test]
fn what_is_set_for_the_server_user_comes_before_the_database() {
    let mut forced = database("forced");
    let user = UserName::new("owner");
    forced.server = Some(ServerCredentials { user, secret: None });
    let mut of = settings([database("shop"), forced]);
    let own = UserSettings {
        query_wait_timeout: Some(None),
        pool: UserPool {
            mode: Some(PoolMode::Statement),
            size: Some(1),
            query_timeout: Some(Duration::from_secs(1)),
            ..UserPool::default()
        },
        ..UserSettings::default()
    };
    of.users = Arc::new([(UserName::new("owner"), own)].into());
    let pools = Pools::new(of, 1);
    for (user, database, is_own) in [
        ("owner", "shop", true),
        ("ann", "forced", true),
        ("ann", "shop", false),
    ] {
        let pool = pool(&pools, user, database);
        let settings = pool.settings();
        assert_eq!(
            settings.mode == PoolMode::Statement,
            is_own,
            "{user} {database}"
        );
        assert_eq!(settings.size == 1, is_own, "{user} {database}");
        assert_eq!(
            settings.query_timeout.is_some(),
            is_own,
            "{user} {database}"
        );
        assert_eq!(settings.reserve_size, PoolSettings::default().reserve_size);
    }
    // The wait is the login user's.
    let forced = pool(&pools, "ann", "forced");
    assert_eq!(forced.query_wait_timeout("owner"), None);
    let common = PoolSettings::default().query_wait_timeout;
    assert_eq!(forced.query_wait_timeout("ann"), common);
}

#[test]
fn a_pool_goes_on_unless_its_settings_change_and_keeps_what_it_has_counted() {
    let pools = Pools::new(settings([database("shop")]), 1);
    let first = pool(&pools, "ann", "shop");
    pools.reload(settings([database("shop"), database("bank")]));
    assert!(!first.is_closed());
    first.stats().of(0).xacts.add(7);
    let mut changed = database("shop");
    changed.pool.size = 1;
    pools.reload(settings([changed.clone()]));
    assert!(first.is_closed());
    let second = pool(&pools, "ann", "shop");
    assert_eq!(
        (second.settings().size, second.stats().total().xacts),
        (1, 7)
    );
    changed.dbname = "other".into();
    pools.reload(settings([changed]));
    assert!(second.is_closed());
    assert_eq!(pool(&pools, "ann", "shop").stats().total().xacts, 7);
}

#[test]
fn a_pool_that_nobody_is_in_is_forgotten_after_a_while() {
    let mut of = settings([database("shop")]);
    of.pool_idle_timeout = Some(Duration::from_secs(60));
    let pools = Pools::new(of, 1);
    let member = pool(&pools, "ann", "shop");
    let now = Instant::now();
    let after = |seconds| {
        pools
            .state()
            .forget_pools(now + Duration::from_secs(seconds));
        pools.all().len()
    };
    assert_eq!(after(100), 1);
    drop(member);
    assert_eq!(after(101), 1);
    assert_eq!(after(160), 1);
    assert_eq!(after(161), 0);
}

#[tokio::test]
async fn a_database_that_a_stranger_names_is_gone_when_the_lookup_is_over() {
    let pools = Pools::new(settings([database("shop"), database(TEMPLATE)]), 1);
    assert!(pools.trial(&name("shop")).await.is_none(), "it is listed");
    let (any, asker) = (name("any"), UserName::new("asker"));
    let (_, asking) = Lookup::default().question();
    let (one, two) = (pools.trial(&any).await, pools.trial(&any).await);
    let lookup = pools.lookup_pool(&any, &asker, None, asking).unwrap();
    drop(one.unwrap());
    assert!(!lookup.is_closed() && names(&pools) == ["any", "shop"]);
    drop(two.unwrap());
    assert!(lookup.is_closed() && names(&pools) == ["shop"]);
    assert!(pools.all().is_empty() && pools.state().databases.is_empty());
    // It stays once somebody was let in.
    let trial = pools.trial(&any).await.unwrap();
    let lookup = pools.lookup_pool(&any, &asker, None, asking).unwrap();
    let _member = pool(&pools, "ann", "any");
    drop(trial);
    assert!(!lookup.is_closed() && names(&pools) == ["any", "shop"]);
    assert!(pools.trial(&any).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn few_databases_are_on_trial_at_a_time_and_others_wait_for_their_turn() {
    let pools = Pools::new(settings([database(TEMPLATE)]), 1);
    let mut trials = Vec::new();
    for number in 0..trial::MOST_TRIALS {
        trials.push(pools.trial(&name(&number.to_string())).await.unwrap());
    }
    let late = name("late");
    let mut waits = std::pin::pin!(pools.trial(&late));
    let soon = Duration::from_secs(1);
    let waited = tokio::time::timeout(soon, &mut waits).await;
    assert!(waited.is_err() && names(&pools).len() == trial::MOST_TRIALS);
    // Another client of one of those needs no place of its own.
    trials.push(pools.trial(&name("0")).await.unwrap());
    drop(trials.remove(1));
    assert!(waits.await.is_some() && names(&pools).len() == trial::MOST_TRIALS - 1);
}
