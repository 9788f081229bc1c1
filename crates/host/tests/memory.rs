//! What was needed for a while goes back to the system. A process of its own, so that nothing else is measured.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_threads_needed_for_a_while_is_given_back_though_what_came_last_is_still_used() {
    let mut keeping = JoinSet::new();
    keeping.spawn(host::give_back_at_rest());
    let mut used = Vec::new();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (kept, keep) = mpsc::channel();
            used.push(keep);
            thread::spawn(move || {
                let mut all: Vec<_> = (0..32 * 1024).map(|_| vec![1u8; 1000]).collect();
                kept.send(all.pop()).unwrap();
            })
        })
        .collect();
    let used: Vec<_> = used.iter().map(|keep| keep.recv().unwrap()).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let behind = held();
    assert!(behind > 40 * MIB, "the allocator keeps it: {behind} bytes");
    let smaller = async {
        while held() > behind - 40 * MIB {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(20), smaller).await.unwrap();
    assert_eq!(used.len(), 2);
    assert!(keeping.try_join_next().is_none(), "it goes on looking");
}

fn held() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
