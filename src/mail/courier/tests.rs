//! The courier on a store in a file, a clock that stands still, and a folder for a post.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::config::mail::{Mail as Settings, Sender, Way};
use crate::config::{self, StoreUrl};
use crate::mail::{Facts, Mail};
use crate::model::clock::{ManualClock, Timestamp};
use crate::model::secret::Secret;
use crate::store::Stores;

struct World {
    mail: Mail,
    courier: Courier,
    outbox: Arc<dyn Outbox>,
    clock: Arc<ManualClock>,
    metrics: Arc<Metrics>,
    folder: PathBuf,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("gateward.db");
        let store = config::Store {
            accounts: StoreUrl::Sqlite(file.clone()),
            sessions: StoreUrl::Sqlite(file),
            secret_file: dir.path().join("secret.key"),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            max_staleness: Duration::from_secs(60),
        };
        let metrics = Arc::new(Metrics::new());
        let outbox = Stores::open(&store, &metrics).await.unwrap().outbox;
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_750_000_000)));
        let letters = Letters::new(&Secret::new([7; 32]), outbox.clone(), clock.clone()).unwrap();
        let folder = dir.path().join("sent");
        let settings = Settings {
            way: Way::Folder(folder.clone()),
            from: Sender {
                name: None,
                address: "no-reply@example.com".parse().unwrap(),
            },
            templates: BTreeMap::new(),
        };
        let post = Post::open(&settings, "gate.example").unwrap();
        Self {
            mail: Mail {
                letters: letters.clone(),
                site: "Acme".to_owned(),
                base: "https://gate.example/auth".to_owned(),
            },
            courier: Courier::new(letters, post, BTreeMap::new(), metrics.clone()),
            outbox,
            clock,
            metrics,
            folder,
            _dir: dir,
        }
    }

    async fn write(&self, says: Says) {
        let facts = Facts {
            path: "/reset?token=abc",
            good_for: Some(Duration::from_secs(4 * 24 * 60 * 60)),
            origin: None,
        };
        self.mail
            .write(&"ada@example.com".parse().unwrap(), says, facts)
            .await
            .unwrap();
    }

    /// Carries what is due; returns how much it was.
    async fn round(&self) -> usize {
        let due = self.courier.claim(9).await;
        for letter in &due {
            self.courier.carry(letter).await;
        }
        due.len()
    }

    fn sent(&self) -> usize {
        std::fs::read_dir(&self.folder).map_or(0, Iterator::count)
    }

    fn told(&self, outcome: &str) -> bool {
        let line = format!("gateward_mail_total{{outcome=\"{outcome}\"}} 1");
        self.metrics.render().lines().any(|found| found == line)
    }
}

#[tokio::test]
async fn a_letter_is_carried_once_and_one_to_nobody_is_not() {
    let world = World::new().await;
    world.write(Says::Reset).await;
    world.write(Says::Nothing).await;
    assert_eq!(world.round().await, 2);
    assert_eq!((world.sent(), world.outbox.waiting().await.unwrap()), (1, 0));
    assert_eq!(world.round().await, 0);
    assert!(world.told("sent"));
}

#[tokio::test]
async fn a_letter_that_is_not_taken_is_tried_again_later_each_time_and_given_up_after_three_days() {
    let world = World::new().await;
    world.write(Says::Reset).await;
    // Nothing can be written where a file stands in the folder's place.
    std::fs::remove_dir(&world.folder).unwrap();
    std::fs::write(&world.folder, "in the way").unwrap();
    assert_eq!(world.round().await, 1);
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(world.round().await, 0, "it is put off");
    let mut tries = 1;
    while world.outbox.waiting().await.unwrap() > 0 {
        world.clock.advance(LONGEST_PAUSE + LONGEST_PAUSE / 5);
        assert_eq!(world.round().await, 1);
        tries += 1;
        assert!(tries < 100, "it is tried for ever");
    }
    assert!(world.told("given_up") && tries > 50, "{tries}");
}

#[tokio::test]
async fn a_letter_whose_link_is_of_no_use_any_more_is_not_sent() {
    let world = World::new().await;
    world.write(Says::Reset).await;
    world.clock.advance(Duration::from_secs(5 * 24 * 60 * 60));
    assert_eq!(world.round().await, 1);
    assert_eq!((world.sent(), world.outbox.waiting().await.unwrap()), (0, 0));
    assert!(world.told("expired"));
}

#[tokio::test]
async fn a_letter_at_rest_shows_neither_whom_it_is_for_nor_what_it_says() {
    let world = World::new().await;
    world.write(Says::Reset).await;
    let waiting = world.outbox.claim(world.clock.now(), LEASE, 9).await.unwrap();
    let sealed = String::from_utf8_lossy(&waiting[0].sealed).into_owned();
    assert!(!sealed.contains("ada") && !sealed.contains("token"), "{sealed}");
    assert!(
        world
            .courier
            .letters
            .open(uuid::Uuid::nil(), &waiting[0].sealed)
            .is_none()
    );
}

#[test]
fn pauses_double_up_to_an_hour_and_differ() {
    for (attempts, least) in [(1, 30), (2, 60), (3, 120), (8, 3600), (u32::MAX, 3600)] {
        let pause = pause(attempts).as_secs();
        assert!((least..=least + least / 5).contains(&pause), "{attempts}: {pause}");
    }
}
