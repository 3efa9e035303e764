//! One store outage from beginning to end, and what each kind of request came to, in the words of the table.
//!
//! Nothing here knows what is promised: a word says what happened. Only limits are asserted: nobody waits longer than a store call may take, no request of
//! the background traffic fails, and after the store's return everything is back within `BACK`.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use super::actors::Actors;
use super::site::{Down, GUESSES, How, MAX_STALENESS, Site};
use super::traffic::Traffic;
use crate::world::Answer;

/// What the table speaks of, row by row.
pub const ROWS: [&str; 12] = [
    "proxied, the token was seen by this gateway before; `revocation = \"cached\"`",
    "the same, `\"strict\"`",
    "proxied, the token is new to this gateway; `\"cached\"`",
    "the same, `\"strict\"`",
    "public route",
    "sign-in",
    "registration",
    "refresh",
    "change of password",
    "silent renewal of a proxied request",
    "sign-out",
    "limits on attempts",
];

/// The words for one outage, in the order of the rows.
pub type Column = [String; ROWS.len()];

/// What a store call may take by default: 250 ms to connect and 1 s in all.
const LIMIT: Duration = Duration::from_millis(1250);
/// What a machine that runs all tests at once may add.
const SLACK: Duration = Duration::from_millis(1750);
/// After so long everything works again: five seconds, and what a machine may add that signs in the people of many tests at once. Alone it takes less
/// than one.
const BACK: Duration = Duration::from_secs(5 + 10);
/// What the gateway says when nothing is wrong.
const WHOLE: &str = "accounts ok\nfeed ok\nkeys ok\nsessions ok\nready\n";

/// Watches one outage.
pub async fn observe(site: &mut Site, down: Down, how: How, name: &str) -> Column {
    let mut actors = Actors::arrive(site, name).await;
    let traffic = Traffic::begin(&site.world, &actors.traffic);
    let broken_at = Instant::now();
    site.break_down(down, how);
    let seen = During::observe(&mut actors, broken_at).await;
    // Probes are asked by a thread of their own: whoever held up a task with them would hold up the traffic's clock too.
    block_in_place(|| the_gateway_says_so(site, down));
    let back_at = site.mend(down, how).await;
    let later = Later::observe(site, &actors, back_at).await;
    let tally = traffic.tally().await;

    println!(
        "{down:?} {how:?}: {} requests at {:.0}/s, the longest {:?}; back after {:?}",
        tally.served, tally.rate, tally.worst, later.back_after
    );
    assert!(tally.failed.is_empty(), "{down:?} {how:?}: {:?}", tally.failed);
    assert!(tally.served > 200, "{down:?} {how:?}: hardly any traffic");
    assert!(
        tally.worst < LIMIT + SLACK,
        "{down:?} {how:?}: one took {:?}",
        tally.worst
    );
    assert!(
        later.back_after < BACK,
        "{down:?} {how:?}: back after {:?}",
        later.back_after
    );
    seen.in_words(&later)
}

/// Answers while the store was down.
struct During {
    known: [Answer; 2],
    strict: Answer,
    new: NewTokens,
    new_strict: Answer,
    public: [Answer; 2],
    sign_in: Answer,
    registration: Answer,
    refresh: Answer,
    password: Answer,
    renewal: Answer,
    sign_out: Answer,
    guesses: usize,
}

struct NewTokens {
    first: Answer,
    /// The last answer to another token that was shown again and again, and how long after the fault.
    last: Answer,
    after: Duration,
}

impl During {
    async fn observe(actors: &mut Actors, broken_at: Instant) -> Self {
        let [new, shown_often, new_strict] = [actors.unseen(), actors.unseen(), actors.unseen()];
        let actors = &*actors;
        let seen = actors.known.access.as_str();
        let known = timed(actors.get("/things", seen)).await;
        let first = timed(actors.get("/things", &new)).await;
        let strict = timed(actors.get("/strict", seen)).await;
        let new_strict = timed(actors.get("/strict", &new_strict)).await;
        let public = timed(actors.public()).await;
        let sign_in = timed(actors.signs_in()).await;
        let registration = timed(actors.registers()).await;
        let refresh = timed(actors.refreshes()).await;
        let password = timed(actors.changes_password()).await;
        let renewal = timed(actors.is_renewed()).await;
        let sign_out = timed(actors.signs_out()).await;
        let guesses = actors.guesses(2 * GUESSES).await;
        let (last, after) = show_again(actors, &shown_often, broken_at).await;
        Self {
            known: [known, timed(actors.get("/things", seen)).await],
            strict,
            new: NewTokens { first, last, after },
            new_strict,
            public: [public, timed(actors.public()).await],
            sign_in,
            registration,
            refresh,
            password,
            renewal,
            sign_out,
            guesses,
        }
    }

    fn in_words(&self, later: &Later) -> Column {
        [
            both(&self.known),
            plain(&self.strict),
            self.new.in_words(),
            plain(&self.new_strict),
            both(&self.public),
            spent(&self.sign_in, &later.sign_in),
            spent(&self.registration, &later.registration),
            spent(&self.refresh, &later.refresh),
            spent(&self.password, &later.password),
            spent(&self.renewal, &later.renewal),
            left(&self.sign_out),
            limited(self.guesses),
        ]
    }
}

impl NewTokens {
    fn in_words(&self) -> String {
        match (self.first.status, self.last.status) {
            (200, 200) => "goes on".to_owned(),
            (200, 503) if self.after >= MAX_STALENESS => "goes on for `max_staleness`, then 503".to_owned(),
            (first, last) => format!("{first}, then {last} after {:?}", self.after),
        }
    }
}

/// Shows a token until it is no longer let through, or until that was to be expected.
async fn show_again(actors: &Actors, token: &str, broken_at: Instant) -> (Answer, Duration) {
    loop {
        let answer = timed(actors.get("/things", token)).await;
        let after = broken_at.elapsed();
        if answer.status != 200 || after > MAX_STALENESS + Duration::from_secs(4) {
            return (answer, after);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Answers to the same once the store is back.
struct Later {
    back_after: Duration,
    sign_in: Answer,
    registration: Answer,
    refresh: Answer,
    password: Answer,
    renewal: Answer,
}

impl Later {
    async fn observe(site: &Site, actors: &Actors, back_at: Instant) -> Self {
        let refresh = until_done(back_at, || actors.refreshes()).await;
        let renewal = until_done(back_at, || actors.is_renewed()).await;
        until_done(back_at, || actors.get("/strict", &actors.known.access)).await;
        let sign_in = until_done(back_at, || actors.signs_in()).await;
        let registration = until_done(back_at, || actors.registers()).await;
        let password = until_done(back_at, || actors.changes_password()).await;
        Self {
            back_after: block_in_place(|| whole_again(site, back_at)),
            sign_in,
            registration,
            refresh,
            password,
            renewal,
        }
    }
}

/// Waits until the gateway says that nothing is wrong, and tells how long after the store's return.
fn whole_again(site: &Site, back_at: Instant) -> Duration {
    let report = || site.world.admin("/readyz?verbose").text();
    let mut said = report();
    while said != WHOLE && back_at.elapsed() < BACK {
        std::thread::sleep(Duration::from_millis(50));
        said = report();
    }
    let back_after = back_at.elapsed();
    assert_eq!(said, WHOLE);
    assert!(site.world.metric("gateward_revocation_feed_up", &[]) > 0.0);
    assert!(site.world.metric("gateward_revocation_lag_seconds", &[]) < 1.0);
    back_after
}

/// Asks again as long as the store is the reason, and it may still be.
async fn until_done<F: Future<Output = Answer>>(back_at: Instant, ask: impl Fn() -> F) -> Answer {
    loop {
        let answer = ask().await;
        if answer.status != 503 || back_at.elapsed() > BACK {
            return answer;
        }
        // Guesses are limited, and each of these counts.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Probes and metrics name what is down, and the gateway stays in service.
fn the_gateway_says_so(site: &Site, down: Down) {
    let probe = site.world.admin("/readyz?verbose");
    let report = probe.text();
    assert_eq!(probe.status, 200, "{report}");
    assert_eq!(site.world.admin("/readyz").text(), "degraded\n");
    assert_eq!(site.world.admin("/livez").status, 200);
    for (store, is_down) in [("accounts", down.accounts()), ("sessions", down.sessions())] {
        let label = format!("store=\"{store}\"");
        assert_eq!(report.contains(&format!("{store} failed: ")), is_down, "{report}");
        assert_eq!(
            site.world.metric("gateward_store_up", &[&label]) < 1.0,
            is_down,
            "{store}"
        );
        if is_down {
            assert!(
                site.world.metric("gateward_store_errors_total", &[&label]) > 0.0,
                "{store}"
            );
        }
    }
    assert_eq!(report.contains("feed failed: "), down.sessions(), "{report}");
    let feed_up = site.world.metric("gateward_revocation_feed_up", &[]);
    let lag = site.world.metric("gateward_revocation_lag_seconds", &[]);
    assert_eq!(feed_up < 1.0, down.sessions());
    assert_eq!(
        lag >= MAX_STALENESS.as_secs_f64() / 2.0,
        down.sessions(),
        "{lag} s behind"
    );
}

async fn timed(ask: impl Future<Output = Answer>) -> Answer {
    let began = Instant::now();
    let answer = ask.await;
    let took = began.elapsed();
    assert!(
        took < LIMIT + SLACK,
        "{took:?} for {}: {}",
        answer.status,
        answer.text()
    );
    answer
}

fn both(answers: &[Answer; 2]) -> String {
    let [first, last] = [plain(&answers[0]), plain(&answers[1])];
    if first == last {
        first
    } else {
        format!("{first}, later {last}")
    }
}

fn plain(answer: &Answer) -> String {
    match answer.status {
        200 => "goes on".to_owned(),
        503 => unavailable(answer),
        other => format!("{other} {}", answer.text()),
    }
}

/// What an operation answered, and what doing it again later shows that it had cost.
fn spent(during: &Answer, later: &Answer) -> String {
    if (200..300).contains(&during.status) {
        return "works".to_owned();
    }
    let cookies = if during.cookies().is_empty() { "kept" } else { "cleared" };
    let cost = match later.status {
        200..300 => "nothing spent".to_owned(),
        401 if later.text().contains("\"code\":\"invalid_token\"") => "then 401: sign in again".to_owned(),
        other => format!("then {other} {}", later.text()),
    };
    format!("{}, cookies {cookies}, {cost}", unavailable(during))
}

fn left(answer: &Answer) -> String {
    let cleared = answer.cookies().len() == 2 && answer.cookies().iter().all(|cookie| cookie.is_cleared());
    match answer.status {
        204 if cleared => "works".to_owned(),
        503 if cleared && answer.text().contains("may live on") => {
            format!("{}, cookies cleared: the session may live on", unavailable(answer))
        }
        other => format!("{other} {}", answer.text()),
    }
}

fn limited(guesses: usize) -> String {
    match guesses {
        GUESSES => "hold".to_owned(),
        other => format!("{other} of {GUESSES}"),
    }
}

fn unavailable(answer: &Answer) -> String {
    let promised = answer.status == 503
        && answer.text().contains("\"code\":\"store_unavailable\"")
        && answer.headers.contains_key("retry-after");
    if promised {
        "503".to_owned()
    } else {
        format!("{} {}", answer.status, answer.text())
    }
}
