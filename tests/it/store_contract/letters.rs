//! What a store promises about letters that wait.

use std::collections::BTreeSet;

use gateward::store::outbox::Letter;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Bed, MINUTE, SECOND, START, fresh_id};

fn letter() -> Letter {
    Letter {
        id: fresh_id(),
        sealed: vec![0, 255, 13, 10],
        created_at: START,
        due_at: START,
        attempts: 0,
    }
}

pub(super) async fn a_letter_is_claimed_by_one_gateway_at_a_time(bed: &impl Bed) {
    let gateways = [bed.open().await.outbox, bed.open().await.outbox];
    let letters: Vec<Letter> = (0..20).map(|_| letter()).collect();
    for letter in &letters {
        gateways[0].post(letter).await.unwrap();
        gateways[1].post(letter).await.unwrap();
    }
    assert_eq!(gateways[1].waiting().await.unwrap(), 20);
    assert!(
        gateways[1]
            .claim(START.minus(SECOND), MINUTE, 30)
            .await
            .unwrap()
            .is_empty(),
        "not due"
    );
    let mut racers = JoinSet::new();
    for n in 0..10 {
        let outbox = gateways[n % 2].clone();
        racers.spawn(async move { outbox.claim(START, MINUTE, 3).await.unwrap() });
    }
    let mut claimed: Vec<Letter> = racers.join_all().await.into_iter().flatten().collect();
    // Who looks while others hold rows may come away with less than there is; the next look finds it.
    loop {
        let more = gateways[0].claim(START, MINUTE, 3).await.unwrap();
        if more.is_empty() {
            break;
        }
        claimed.extend(more);
    }
    let ids: BTreeSet<Uuid> = claimed.iter().map(|letter| letter.id).collect();
    assert_eq!((claimed.len(), ids.len()), (20, 20));
    assert!(
        claimed
            .iter()
            .all(|letter| letter.attempts == 1 && letter.sealed == letters[0].sealed)
    );
}

pub(super) async fn a_letter_that_nobody_took_out_is_due_again(bed: &impl Bed) {
    let outbox = bed.open().await.outbox;
    let (first, second) = (letter(), letter());
    for letter in [&first, &second] {
        outbox.post(letter).await.unwrap();
    }
    assert_eq!(outbox.claim(START, MINUTE, 9).await.unwrap().len(), 2);
    assert!(outbox.take_out(first.id).await.unwrap());
    assert!(!outbox.take_out(first.id).await.unwrap());
    assert!(
        outbox
            .claim(START.plus(MINUTE).minus(SECOND), MINUTE, 9)
            .await
            .unwrap()
            .is_empty()
    );
    let again = outbox.claim(START.plus(MINUTE), MINUTE, 9).await.unwrap();
    assert_eq!(
        again
            .iter()
            .map(|letter| (letter.id, letter.attempts))
            .collect::<Vec<_>>(),
        [(second.id, 2)]
    );
    assert!(outbox.put_off(second.id, START.plus(MINUTE * 60)).await.unwrap());
    assert!(!outbox.put_off(first.id, START).await.unwrap());
    assert!(
        outbox
            .claim(START.plus(MINUTE * 59), MINUTE, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(outbox.claim(START.plus(MINUTE * 60), MINUTE, 9).await.unwrap().len(), 1);
    assert_eq!(outbox.waiting().await.unwrap(), 1);
}

pub(super) async fn letters_outlive_the_process(bed: &impl Bed) {
    let letter = letter();
    bed.open().await.outbox.post(&letter).await.unwrap();
    let claimed = bed.open().await.outbox.claim(START, MINUTE, 9).await.unwrap();
    let due_at = START.plus(MINUTE);
    assert_eq!(
        claimed,
        [Letter {
            due_at,
            attempts: 1,
            ..letter
        }]
    );
}
