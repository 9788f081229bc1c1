//! The sftp server of sessions in which others approve each file: whatever a client sends it.

use host::{FileNews, rehearse_files};
use model::Wanted;
use std::fs;
use std::path::Path;

/// Contents of what nobody approved.
const PRECIOUS: &str = "precious";
/// The bytes of a packet that is answered at all, at most: a packet of contents, its handle and the rest.
const ANSWER_BYTES: usize = 300 * 1024;

/// What a client sends, packet by packet, in a folder in which everything but `kept` and what lies elsewhere is approved.
///
/// Each request has one answer, in turn, of a kind that belongs to it, until one is none; and what was not approved stays as
/// it is. And what such a process tells its node, which has the user's rights only, is read and written as the same.
pub fn files(bytes: &[u8]) {
    if let Ok(news) = postcard::from_bytes::<FileNews>(bytes) {
        let written = postcard::to_allocvec(&news).expect("what was read can be written");
        assert_eq!(postcard::from_bytes(&written), Ok(news));
    }
    let outer = tempfile::tempdir().expect("a folder");
    let home = outer.path().canonicalize().expect("a folder").join("home");
    furnish(&home);
    let before = std::env::current_dir().expect("a folder");
    // Paths of a corpus are relative: they must be the same wherever it is replayed.
    std::env::set_current_dir(&home).expect("a folder");
    let allows = |wanted: &Wanted| {
        let path = Path::new(&wanted.path);
        path.starts_with(&home) && path != home.join("kept")
    };
    let answers = rehearse_files(bytes, allows);
    std::env::set_current_dir(before).expect("a folder");
    check(&packets(bytes), &answers.expect("sockets"));
    for kept in [home.join("kept"), home.with_file_name("beside")] {
        assert_eq!(fs::read_to_string(&kept).ok().as_deref(), Some(PRECIOUS), "{}", kept.display());
    }
    let beside = fs::read_dir(outer.path()).expect("a folder").count();
    assert_eq!(beside, 2, "something was made where nothing was approved");
}

fn furnish(home: &Path) {
    let put = |name: &str, text: &str| fs::write(home.join(name), text).expect("a file");
    fs::create_dir_all(home.join("folder/below")).expect("a folder");
    put("shown", "as it was shown");
    put("kept", PRECIOUS);
    put("../beside", PRECIOUS);
    put("folder/a", "a");
    put("folder/b", "b");
    for (name, to) in [("link", "kept"), ("nowhere", "none"), ("out", "../beside")] {
        std::os::unix::fs::symlink(to, home.join(name)).expect("a link");
    }
}

/// The packets in a stream, without their lengths; what is no whole packet ends them.
fn packets(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((packet, behind)) = rest.split_at_checked(length) else { break };
        found.push(packet);
        stream = behind;
    }
    found
}

fn check(asked: &[&[u8]], stream: &[u8]) {
    let answers = packets(stream);
    assert_eq!(
        answers.iter().map(|one| one.len() + 4).sum::<usize>(),
        stream.len(),
        "half a packet"
    );
    assert!(answers.len() <= asked.len(), "{} answers to {}", answers.len(), asked.len());
    for (asked, answer) in asked.iter().zip(&answers) {
        assert!(answer.len() <= ANSWER_BYTES, "{} bytes", answer.len());
        let kind = asked.first().copied();
        if kind == Some(1) {
            assert_eq!(answer[..], [2, 0, 0, 0, 3]);
            continue;
        }
        assert_eq!(asked.get(1..5), answer.get(1..5), "the answer to another request");
        // What a request may be answered with besides a status (section 7).
        let own = match kind {
            Some(3 | 11) => 102,
            Some(5) => 103,
            Some(12 | 16 | 19) => 104,
            Some(7 | 8 | 17) => 105,
            _ => 101,
        };
        let told = answer.first().copied().expect("a kind");
        assert!(told == own || told == 101, "{kind:?} is answered with {told}");
        if told == 101 {
            let code = answer.get(5..9).expect("a status");
            assert!(code[..3] == [0; 3] && code[3] <= 8, "status {code:?}");
        }
    }
}
