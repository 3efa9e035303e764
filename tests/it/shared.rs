//! PostgreSQL and Redis as gateways share them: a database and a server that nobody else uses, and gateways on both.

use crate::servers::postgres::{PASSWORD as DATABASE_PASSWORD, Postgres, USER};
use crate::servers::redis::LentRedis;
use crate::world::{Config, Upstream, World};

/// 32 bytes that every gateway on them knows.
pub const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

/// Whose tokens they are, whichever gateway makes them.
pub const ISSUER: &str = "https://site.example.com";

/// Both stores, empty at first.
pub struct SharedStores {
    /// PostgreSQL's port.
    pub port: u16,
    /// The database on it.
    pub database: String,
    /// Redis.
    pub redis: LentRedis,
}

impl SharedStores {
    pub async fn new() -> Self {
        let port = tokio::task::spawn_blocking(|| Postgres::shared().port).await.unwrap();
        Self {
            port,
            database: Postgres::new_database(port).await,
            redis: LentRedis::new(),
        }
    }

    /// A gateway's folder with everything it needs to work on them; none runs.
    pub fn stopped(&self, upstream: &Upstream, change: impl FnOnce(&mut Config)) -> World {
        let accounts = format!("postgres://{USER}@127.0.0.1:{}/{}", self.port, self.database);
        let world = World::stopped(upstream, |config| {
            config.set("store.accounts", accounts);
            config.set("store.accounts_password_file", "db.password");
            config.set("store.sessions", format!("redis://127.0.0.1:{}", self.redis.get().port));
            // The machine that runs the tests may be busy.
            config.set("store.connect_timeout", "15s");
            config.set("store.timeout", "20s");
            config.set("tokens.issuer", ISSUER);
            change(config);
        });
        write_secret(&world, SECRET);
        std::fs::write(world.dir().join("db.password"), DATABASE_PASSWORD).unwrap();
        world
    }

    /// A gateway that runs on them.
    pub fn gateway(&self, upstream: &Upstream) -> World {
        let mut world = self.stopped(upstream, |_| ());
        world.up();
        world
    }
}

/// Puts a secret where a world's gateway looks for it.
pub fn write_secret(world: &World, secret: &str) {
    std::fs::create_dir_all(world.dir().join("data")).unwrap();
    std::fs::write(world.dir().join("data/secret.key"), secret).unwrap();
}
