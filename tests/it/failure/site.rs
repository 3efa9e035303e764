//! A gateway on a PostgreSQL and a Redis of its own, and what can happen to the two.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::servers::line::Line;
use crate::servers::postgres::{PASSWORD as DATABASE_PASSWORD, Postgres, USER};
use crate::servers::redis::Redis;
use crate::world::{Config, Upstream, World};

/// 32 bytes that every gateway of an installation knows.
pub const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
/// `store.max_staleness` here.
pub const MAX_STALENESS: Duration = Duration::from_secs(3);
/// Guesses that an account's limit lets through from one address.
pub const GUESSES: usize = 12;

/// Which stores are down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Down {
    Sessions,
    Accounts,
    Both,
    /// The sessions store, which comes back without its data.
    Emptied,
}

impl Down {
    pub fn sessions(self) -> bool {
        self != Self::Accounts
    }

    pub fn accounts(self) -> bool {
        matches!(self, Self::Accounts | Self::Both)
    }
}

/// What happened to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// SIGSTOP: connections stand, nothing answers.
    Stopped,
    /// SIGKILL; later started again.
    Killed,
    /// The way to them went silent; they are well.
    Hanging,
}

/// A gateway and its stores.
pub struct Site {
    pub world: World,
    pub redis: Redis,
    postgres: Option<Postgres>,
    ways: Option<(Line, Line)>,
}

impl Site {
    /// Servers that can be stopped and killed.
    pub async fn start(upstream: &Upstream) -> Self {
        let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let redis = Redis::with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let world = gateway(upstream, redis.port, postgres.port).await;
        Self {
            world,
            redis,
            postgres: Some(postgres),
            ways: None,
        }
    }

    /// Servers behind ways that can go silent.
    pub async fn start_behind_lines(upstream: &Upstream) -> Self {
        let shared = tokio::task::spawn_blocking(|| Postgres::shared().port).await.unwrap();
        let redis = Redis::start();
        let (to_redis, to_postgres) = (Line::to(redis.port).await, Line::to(shared).await);
        let world = gateway(upstream, to_redis.port, to_postgres.port).await;
        Self {
            world,
            redis,
            postgres: None,
            ways: Some((to_redis, to_postgres)),
        }
    }

    pub fn break_down(&mut self, down: Down, how: How) {
        match how {
            How::Stopped => self.signal(down, "STOP"),
            How::Killed => self.signal(down, "KILL"),
            How::Hanging => self.each_way(down, Line::stall),
        }
    }

    /// Puts it right again; returns when the stores were back.
    pub async fn mend(&mut self, down: Down, how: How) -> Instant {
        match how {
            How::Stopped => self.signal(down, "CONT"),
            How::Hanging => self.each_way(down, Line::release),
            How::Killed => tokio::task::block_in_place(|| self.start_again(down)),
        }
        if let (How::Killed, true, Some(postgres)) = (how, down.accounts(), &self.postgres) {
            // It listens before it has recovered.
            drop(Postgres::connect(postgres.port, "postgres").await);
        }
        Instant::now()
    }

    fn signal(&self, down: Down, name: &str) {
        if down.sessions() {
            self.redis.signal(name);
        }
        if let (true, Some(postgres)) = (down.accounts(), &self.postgres) {
            postgres.signal(name);
        }
    }

    fn start_again(&mut self, down: Down) {
        if down.sessions() {
            self.redis.down();
            if down == Down::Emptied {
                self.redis.lose();
            }
            self.redis.up();
        }
        if let (true, Some(postgres)) = (down.accounts(), &mut self.postgres) {
            postgres.down();
            postgres.up();
        }
    }

    fn each_way(&self, down: Down, what: impl Fn(&Line)) {
        let (to_redis, to_postgres) = self.ways.as_ref().expect("a site behind lines");
        if down.sessions() {
            what(to_redis);
        }
        if down.accounts() {
            what(to_postgres);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A server of which a part stands still does not stop.
        if let Some(postgres) = &self.postgres {
            postgres.signal("CONT");
        }
    }
}

async fn gateway(upstream: &Upstream, redis: u16, postgres: u16) -> World {
    let database = Postgres::new_database(postgres).await;
    let mut world = stopped_gateway(upstream, redis, postgres, &database);
    tokio::task::block_in_place(|| world.up());
    world
}

/// A gateway that was not started yet, with the limits that a file without a word about them has.
pub fn stopped_gateway(upstream: &Upstream, redis: u16, postgres: u16, database: &str) -> World {
    let world = World::stopped(upstream, |config| {
        config
            .set(
                "store.accounts",
                format!("postgres://{USER}@127.0.0.1:{postgres}/{database}"),
            )
            .set("store.accounts_password_file", "db.password")
            .set("store.sessions", format!("redis://127.0.0.1:{redis}"))
            .set("store.max_staleness", format!("{}s", MAX_STALENESS.as_secs()))
            .set("tokens.issuer", "https://site.example.com")
            .set("auth.limits.per_account_ip", format!("{GUESSES}/1m"))
            .remove("store.timeout");
        strict_route(config);
    });
    std::fs::create_dir(world.dir().join("data")).unwrap();
    let secret = world.dir().join("data/secret.key");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(world.dir().join("db.password"), DATABASE_PASSWORD).unwrap();
    world
}

fn strict_route(config: &mut Config) {
    config.route("strict", "path = \"/strict\"\nrevocation = \"strict\"");
}
