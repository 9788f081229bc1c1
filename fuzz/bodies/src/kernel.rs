//! Records of the kernel program.

use model::Tick;
use trace::{Arch, Trace, Traced};

/// Records one behind the other, as the kernel would have written them.
///
/// Whatever stands in them, no text is longer than what came in (and each of its bytes spelled out), no record becomes
/// more than an event and a loss, and what is held back comes out at the end.
pub fn kernel(bytes: &[u8]) {
    let mut trace = Trace::new(Arch::X86_64, 1).in_mounts(Some(7));
    let (mut rest, mut records, mut now) = (bytes, 0_usize, 0_u64);
    while let Some(length) = trace::length(rest) {
        let (record, more) = rest.split_at(length);
        let _ = trace::owner(record);
        trace.handle(record, Tick(now));
        (rest, records, now) = (more, records + 1, now + 50);
        if records % 7 == 0 {
            trace.handle_timeout(Tick(now));
        }
    }
    trace.handle(rest, Tick(now));
    trace.finish(Tick(now));
    assert!(trace.poll_timeout().is_none(), "something is held back");
    let mut told = 0_usize;
    while let Some(traced) = trace.poll() {
        told += 1;
        if let Traced::Did(event) = traced {
            let text = serde_json::to_string(&event).expect("an event is JSON");
            assert!(text.len() <= 4096 + 12 * bytes.len(), "{} bytes", text.len());
            assert!(!event.to_string().is_empty() && event.times > 0);
        }
    }
    let divided = bytes.len() / (8 * 1024);
    assert!(told <= 2 * (records + 1) + divided, "{told} of {records}");
}
