//! Redis for tests: one server, or a cluster of three.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{Pool, Server, free_port, wait_for_port, wait_until};

/// One server without persistence.
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    arguments: Vec<String>,
    dir: TempDir,
    server: Option<Server>,
}

impl Redis {
    /// An empty one.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// An empty one with more arguments.
    pub fn with(more: &[&str]) -> Self {
        let port = free_port();
        let dir = TempDir::new().unwrap();
        let usual = [
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let mut redis = Self {
            port,
            arguments: usual
                .iter()
                .chain(more)
                .map(|argument| (*argument).to_owned())
                .collect(),
            dir,
            server: None,
        };
        redis.up();
        redis
    }

    /// Starts it again: with what it has written, if it was told to write.
    pub fn up(&mut self) {
        let folder = self.dir.path().to_str().unwrap();
        let pid_file = format!("{folder}/pid");
        // To hold another version, or Valkey, to the same promises.
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let mut command = vec![program.as_str(), "--dir", folder, "--pidfile", &pid_file];
        command.extend(self.arguments.iter().map(String::as_str));
        self.server = Some(Server::start(&command, self.dir.path(), &self.log()));
        wait_for_port(self.port, &self.log());
    }

    /// Stops it.
    pub fn down(&mut self) {
        self.server = None;
    }

    /// Takes away what it has written, while it is down.
    pub fn lose(&self) {
        assert!(self.server.is_none(), "it is up");
        std::fs::remove_dir_all(self.dir.path().join("appendonlydir")).unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.path().join("pid")).unwrap();
        let done = Command::new("kill")
            .args([&format!("-{name}"), pid.trim()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// A connection behind the store's back.
    pub fn intruder(&self) -> redis::Connection {
        self.try_intruder().unwrap()
    }

    /// The same with a server that may be busy with something else.
    pub fn try_intruder(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(("127.0.0.1", self.port))?.get_connection()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// Somebody who knows where the master is.
pub struct Sentinel {
    /// Where it is asked.
    pub port: u16,
    _server: Server,
    _dir: TempDir,
}

impl Sentinel {
    /// Calls the server at a port `main`, and quickly puts a replica in its place when it is gone. `more`: further lines of its configuration.
    pub fn watching(master: u16, more: &str) -> Self {
        let (port, dir) = (free_port(), TempDir::new().unwrap());
        let (file, log) = (dir.path().join("sentinel.conf"), dir.path().join("log"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n{more}\n"
        );
        std::fs::write(&file, text).unwrap();
        let command = ["redis-server", file.to_str().unwrap(), "--sentinel"];
        let server = Server::start(&command, dir.path(), &log);
        wait_for_port(port, &log);
        Self {
            port,
            _server: server,
            _dir: dir,
        }
    }
}

/// Three masters that share the slots.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// An empty one.
    pub fn start() -> Self {
        let nodes: Vec<Redis> = (0..3)
            .map(|_| {
                let bus = free_port().to_string();
                Redis::with(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    &bus,
                    "--cluster-node-timeout",
                    "5000",
                ])
            })
            .collect();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .arg("--cluster-yes")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for node in &nodes {
            wait_until(&node.log(), || {
                let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut node.intruder()).unwrap();
                info.contains("cluster_state:ok")
            });
        }
        Self { nodes }
    }
}

static SINGLES: Pool<Redis> = Pool::new();
static CLUSTERS: Pool<Cluster> = Pool::new();

/// An empty server, lent.
pub struct LentRedis(Option<Redis>);

impl LentRedis {
    pub fn new() -> Self {
        let redis = SINGLES.take().unwrap_or_else(Redis::start);
        empty(&redis);
        Self(Some(redis))
    }

    pub fn get(&self) -> &Redis {
        self.0.as_ref().unwrap()
    }
}

impl Drop for LentRedis {
    fn drop(&mut self) {
        SINGLES.give(self.0.take().unwrap());
    }
}

/// An empty cluster, lent.
pub struct LentCluster(Option<Cluster>);

impl LentCluster {
    pub fn new() -> Self {
        let cluster = CLUSTERS.take().unwrap_or_else(Cluster::start);
        cluster.nodes.iter().for_each(empty);
        Self(Some(cluster))
    }

    pub fn get(&self) -> &Cluster {
        self.0.as_ref().unwrap()
    }
}

impl Drop for LentCluster {
    fn drop(&mut self) {
        CLUSTERS.give(self.0.take().unwrap());
    }
}

fn empty(redis: &Redis) {
    let _: () = redis::cmd("FLUSHALL").query(&mut redis.intruder()).unwrap();
}
