//! Tests of the elastic queue.

use super::*;
use std::os::unix::fs::FileExt;
use tempfile::TempDir;
use tokio::time::timeout;

const SMALL: Limits =
    Limits { memory_bytes: 4096, channel_bytes: 64 * 1024, stall_ms: 200, patience_ms: 0 };
const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(20);

fn queue(limits: Limits) -> (TempDir, Quota, Push, Pull) {
    let dir = tempfile::tempdir().unwrap();
    let quota = Quota::default();
    let (push, pull) = Elastic::with_limits(dir.path(), quota.clone(), limits);
    (dir, quota, push, pull)
}

/// The `n`th piece of a stream that repeats nowhere.
fn piece(n: u64, count: usize) -> Bytes {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

async fn drain(pull: &mut Pull, hasher: &mut blake3::Hasher) -> u64 {
    let mut count = 0;
    while let Some(bytes) = timeout(LATE, pull.pull()).await.unwrap().unwrap() {
        hasher.update(&bytes);
        count += as_u64(bytes.len());
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_come_out_as_they_went_in() {
    let (_dir, quota, mut push, mut pull) = queue(Limits::default());
    let pushing = async move {
        let mut hasher = blake3::Hasher::new();
        for n in 0..3200_u64 {
            let bytes = piece(n, 32 * 1024 - usize::try_from(n % 1000).unwrap());
            hasher.update(&bytes);
            push.push(bytes).await.unwrap();
        }
        push.finish();
        hasher.finalize()
    };
    let pulling = async move {
        // Long enough behind to lie on disk, then in step.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut hasher = blake3::Hasher::new();
        let count = drain(&mut pull, &mut hasher).await;
        (hasher.finalize(), count)
    };
    let (put, (got, count)) = tokio::join!(pushing, pulling);
    assert_eq!(put, got);
    assert!(count > 100_000_000, "{count}");
    assert_eq!(quota.used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_border_of_memory_and_file_is_crossed_many_times_without_a_trace() {
    let (_dir, quota, mut push, mut pull) = queue(SMALL);
    let (mut put, mut got) = (blake3::Hasher::new(), blake3::Hasher::new());
    for round in 0..40_u64 {
        let mut count = 0;
        for n in 0..=(round % 8) * 7 {
            let bytes = piece(round * 100 + n, usize::try_from(n * 37 % 1500 + 1).unwrap());
            put.update(&bytes);
            count += bytes.len();
            timeout(LATE, push.push(bytes)).await.unwrap().unwrap();
        }
        // Every other round leaves something behind.
        while count > if round % 2 == 0 { 0 } else { 2000 } {
            let bytes = timeout(LATE, pull.pull()).await.unwrap().unwrap().unwrap();
            count = count.saturating_sub(bytes.len());
            got.update(&bytes);
        }
    }
    push.finish();
    drain(&mut pull, &mut got).await;
    assert_eq!(put.finalize(), got.finalize());
    assert_eq!(quota.used(), 0);
}

#[tokio::test]
async fn a_flood_of_single_bytes_is_merged() {
    let (_dir, _quota, mut push, mut pull) = queue(Limits::default());
    for n in 0..100_000_u32 {
        push.push(Bytes::copy_from_slice(&n.to_le_bytes()[..1])).await.unwrap();
    }
    push.finish();
    let mut pieces = 0;
    let mut next = 0_u32;
    while let Some(bytes) = pull.pull().await.unwrap() {
        pieces += 1;
        for byte in bytes {
            assert_eq!(byte, next.to_le_bytes()[0]);
            next += 1;
        }
    }
    assert_eq!(next, 100_000);
    assert!(pieces < 100, "{pieces} pieces");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_bound_a_push_waits_until_something_is_pulled() {
    let (_dir, _quota, mut push, mut pull) = queue(Limits { stall_ms: 60_000, ..SMALL });
    for held in 0..64 {
        timeout(LATE, push.push(piece(held, 1024))).await.unwrap().unwrap();
    }
    let more = timeout(SOON, push.push(piece(64, 1024))).await;
    assert!(more.is_err(), "64 pieces of 1 KiB fit into 64 KiB");
    assert!(push.stalled_for_ms() > 0);
    let waiting = async {
        push.push(piece(99, 1024)).await.unwrap();
        push
    };
    let pulling = async {
        tokio::time::sleep(SOON).await;
        let mut got = 0;
        while got < 4096 {
            got += pull.pull().await.unwrap().unwrap().len();
        }
        pull
    };
    let (push, _pull) = timeout(LATE, async { tokio::join!(waiting, pulling) }).await.unwrap();
    assert_eq!(push.stalled_for_ms(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_that_nobody_reads_ends_with_a_clear_line() {
    let (_dir, quota, mut push, _pull) = queue(SMALL);
    let error = loop {
        if let Err(error) = timeout(LATE, push.push(piece(0, 4000))).await.unwrap() {
            break error;
        }
    };
    assert!(matches!(error, ElasticError::Stalled { held: 64_000, .. }), "{error:?}");
    assert!(error.to_string().contains("has read nothing"), "{error}");
    drop(push);
    assert_eq!(quota.used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_not_a_stalled_one() {
    let (_dir, _quota, mut push, mut pull) = queue(Limits { stall_ms: 300, ..SMALL });
    let pushing = async {
        for n in 0..100 {
            push.push(piece(n, 1024)).await.unwrap();
        }
        push.finish();
    };
    let pulling = async {
        let mut count = 0;
        while let Some(bytes) = pull.pull().await.unwrap() {
            count += bytes.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(count, 100 * 1024);
    };
    timeout(LATE, async { tokio::join!(pushing, pulling) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_queues_share_their_users_account_and_the_idle_one_is_not_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let quota = Quota::new(10_000);
    let (mut push_a, mut pull_a) = Elastic::with_limits(dir.path(), quota.clone(), SMALL);
    let (mut push_b, mut pull_b) = Elastic::with_limits(dir.path(), quota.clone(), SMALL);
    push_a.push(piece(1, 10_000)).await.unwrap();
    // Longer than the stall time: B holds nothing, so it only waits.
    assert!(timeout(SOON * 8, push_b.push(piece(2, 100))).await.is_err());
    let waiting = async {
        push_b.push(piece(2, 100)).await.unwrap();
        pull_b.pull().await.unwrap().unwrap()
    };
    let freeing = async {
        tokio::time::sleep(SOON).await;
        let mut got = 0;
        while got < 10_000 {
            got += pull_a.pull().await.unwrap().unwrap().len();
        }
    };
    let (got, ()) = timeout(LATE, async { tokio::join!(waiting, freeing) }).await.unwrap();
    assert_eq!(got, piece(2, 100));
    assert_eq!(quota.used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bytes_on_disk_are_not_the_plain_bytes_and_have_no_name() {
    let (dir, _quota, mut push, _pull) = queue(SMALL);
    for _ in 0..32 {
        push.push(Bytes::from(vec![b'A'; 1024])).await.unwrap();
    }
    let spill = loop {
        if let Some(spill) = push.shared.lock().file.clone() {
            break spill;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut disk = [0; 1024];
    spill.file().read_exact_at(&mut disk, 0).unwrap();
    assert!(disk.iter().filter(|byte| **byte == b'A').count() < 50);
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    let mode = std::os::unix::fs::MetadataExt::mode(&spill.file().metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_directory_is_told_to_both_ends_and_what_was_before_comes_out() {
    let (dir, quota, mut push, mut pull) = queue(SMALL);
    dir.close().unwrap();
    let mut pushed = 0;
    let error = loop {
        match timeout(LATE, push.push(piece(pushed, 512))).await.unwrap() {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ElasticError::Disk { doing: "create", .. }), "{error:?}");
    assert!(error.to_string().contains("check that the directory exists"), "{error}");
    let mut got = Vec::new();
    let error = loop {
        match timeout(LATE, pull.pull()).await.unwrap() {
            Ok(Some(bytes)) => got.extend_from_slice(&bytes),
            Ok(None) => panic!("an end that nobody put"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ElasticError::Disk { .. }));
    let all: Vec<u8> = (0..pushed).flat_map(|n| piece(n, 512)).collect();
    assert!(!got.is_empty() && all.starts_with(&got));
    assert_eq!(quota.used(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_to_the_pusher() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let (_dir, _quota, mut push, mut pull) = queue(SMALL);
    let full = std::fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    push.shared.lock().file = Some(Arc::new(Spill::of(full)));
    let error = loop {
        if let Err(error) = timeout(LATE, push.push(piece(0, 1000))).await.unwrap() {
            break error;
        }
    };
    let ElasticError::Disk { doing: "write", source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    while let Ok(bytes) = timeout(LATE, pull.pull()).await.unwrap() {
        assert!(bytes.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_either_end_frees_everything_and_tells_the_other() {
    for drop_push in [true, false] {
        for pieces in [1_u64, 40] {
            let (_dir, quota, mut push, mut pull) = queue(SMALL);
            for n in 0..pieces {
                push.push(piece(n, 1024)).await.unwrap();
            }
            let shared = Arc::clone(&push.shared);
            if drop_push {
                drop(push);
                let answer = timeout(LATE, pull.pull()).await.unwrap();
                assert!(matches!(answer, Err(ElasticError::Abandoned)), "{answer:?}");
            } else {
                drop(pull);
                let answer = timeout(LATE, push.push(piece(0, 1))).await.unwrap();
                assert!(matches!(answer, Err(ElasticError::Closed)), "{answer:?}");
            }
            assert_eq!(quota.used(), 0);
            assert!(shared.lock().file.is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_pull_loses_nothing() {
    let (_dir, _quota, mut push, mut pull) = queue(SMALL);
    let mut put = Vec::new();
    for n in 0..60 {
        let bytes = piece(n, 1000);
        put.extend_from_slice(&bytes);
        push.push(bytes).await.unwrap();
    }
    push.finish();
    let mut got = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => tokio::time::sleep(Duration::from_micros(50)).await,
            answer = pull.pull() => match answer.unwrap() {
                Some(bytes) => got.extend_from_slice(&bytes),
                None => break,
            },
        }
        if let Ok(Ok(answer)) = timeout(Duration::from_micros(20), pull.pull()).await {
            match answer {
                Some(bytes) => got.extend_from_slice(&bytes),
                None => break,
            }
        }
    }
    assert!(put == got);
}

/// Numbers that look random and are the same in every run with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ends_at_any_pace_agree_on_every_byte() {
    for seed in 0..60_u64 {
        let limits =
            Limits { memory_bytes: 2048, channel_bytes: 20_000, stall_ms: 20_000, patience_ms: 1 };
        let (_dir, quota, mut push, mut pull) = queue(limits);
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let (mut dice, mut hasher) = (Dice(seed), blake3::Hasher::new());
            for n in 0..200 {
                let bytes = piece(n, usize::try_from(dice.roll(1500) + 1).unwrap());
                hasher.update(&bytes);
                push.push(bytes).await.unwrap();
                assert!(push.held() <= 20_000, "seed {seed}");
                if dice.roll(30) == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            push.finish();
            hasher.finalize()
        });
        tasks.spawn(async move {
            let (mut dice, mut hasher) = (Dice(seed + 1000), blake3::Hasher::new());
            while let Some(bytes) = pull.pull().await.unwrap() {
                hasher.update(&bytes);
                if dice.roll(10) == 0 {
                    tokio::time::sleep(Duration::from_micros(dice.roll(2000))).await;
                }
            }
            hasher.finalize()
        });
        let hashes = timeout(LATE, tasks.join_all()).await.unwrap();
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
        assert_eq!(quota.used(), 0, "seed {seed}");
    }
}

#[test]
fn space_that_cannot_be_given_back_counts_towards_the_bound() {
    let queue = Queue { read: 700, written: 1000, base: 200, ..Queue::default() };
    assert_eq!((queue.held(), queue.weight()), (300, 800));
    let queue = Queue { punched: Some(0), ..queue };
    assert_eq!((queue.held(), queue.weight()), (300, 300));
}

/// Files of queues that are open in this process: they have no name in `dir`, but descriptors show them.
fn spilled(dir: &TempDir) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .any(|link| link.starts_with(dir.path()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_at_work_is_waited_for_and_nothing_is_written() {
    let (dir, _quota, mut push, mut pull) = queue(Limits { patience_ms: 20_000, ..SMALL });
    let pulling = async {
        let mut count = 0;
        while let Some(bytes) = pull.pull().await.unwrap() {
            count += bytes.len();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        count
    };
    let dir = &dir;
    let pushing = async move {
        for n in 0..100 {
            push.push(piece(n, 1000)).await.unwrap();
            assert!(!spilled(dir), "piece {n} went to a file");
        }
        push.finish();
    };
    assert_eq!(tokio::join!(pulling, pushing).0, 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_sleeps_is_waited_for_once() {
    let (dir, _quota, mut push, mut pull) = queue(Limits { patience_ms: 100, ..SMALL });
    let began = Instant::now();
    for n in 0..40 {
        push.push(piece(n, 1000)).await.unwrap();
    }
    let took = began.elapsed();
    assert!(spilled(&dir));
    assert!(took >= Duration::from_millis(100), "{took:?}");
    // Each of the 38 that found no room would have waited; a busy machine is given most of that.
    assert!(took < Duration::from_millis(2500), "{took:?}");
    push.finish();
    let mut hasher = blake3::Hasher::new();
    assert_eq!(drain(&mut pull, &mut hasher).await, 40_000);
}
