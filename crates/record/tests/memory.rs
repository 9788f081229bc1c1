//! What a quiet session costs. A process of its own, so that nothing else is measured.
#![allow(clippy::unwrap_used, reason = "tests fail loudly")]

mod kit;

use kit::{heading, node_key, output};
use model::Tick;
use record::Writer;

#[test]
fn two_hundred_quiet_sessions_take_few_hundred_kibibytes_each_and_less_when_idle() {
    let before = resident_kib();
    let mut writers = Vec::new();
    for _ in 0..200 {
        let mut writer = Writer::begin(&heading(1), node_key(), Tick(0));
        for line in 0..20u64 {
            writer.handle(output(&format!("web-01:~# {line}\r\n")), Tick(line * 1_100));
            while writer.poll().is_some() {}
        }
        writers.push(writer);
    }
    let open = (resident_kib() - before) / 200;
    for writer in &mut writers {
        while let Some(due) = writer.poll_timeout() {
            writer.handle_timeout(due);
        }
        while writer.poll().is_some() {}
        assert!(writer.poll_timeout().is_none(), "an idle writer holds no group");
    }
    println!("{open} KiB with an open group");
    assert!(open <= 500, "{open} KiB");
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

#[test]
fn writers_and_readers_may_move_between_threads() {
    fn check<T: Send>() {}
    check::<Writer>();
    check::<record::Chain>();
    check::<record::Recording<Vec<u8>>>();
    check::<record::Entries<'_, Vec<u8>>>();
    check::<record::export::Transcript>();
}
