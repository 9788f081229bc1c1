//! A small file system of a test's own, below one of its folders; files of somebody else's that fill it; and what was sealed
//! before.

use crate::{Cluster, assert_success};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A mounted file system in memory, taken away when dropped.
pub struct SmallDisk {
    /// Where it is.
    pub path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `mib` MiB at `path`. `None`, after saying so, where this machine does not let the test mount.
    pub fn mount(path: &Path, mib: u32) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "scry-test"]);
        let out = mount.arg(path).output();
        match out {
            Ok(out) if out.status.success() => Some(Self { path: path.to_owned() }),
            other => {
                println!(
                    "skipped: this test mounts a small file system, which needs root: {other:?}"
                );
                None
            }
        }
    }

    /// The file of somebody else's that fills it.
    pub fn filler(&self) -> PathBuf {
        self.path.join("foreign")
    }

    /// Has that file take what is left, but for `but` bytes.
    pub fn fill(&self, but: u64) {
        let file = std::fs::File::options().create(true).append(true).open(self.filler());
        let mut file = file.expect("a file");
        for piece in [64 * 1024, 4096, 1] {
            let bytes = vec![0x5a; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        let len = file.metadata().expect("a file").len();
        file.set_len(len.saturating_sub(but)).expect("it can be cut");
    }

    /// Fills it, and whatever becomes free again at once, until what is answered is dropped.
    #[must_use]
    pub fn keep_full(&self) -> Filler {
        self.fill(0);
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let path = self.filler();
        let writer = std::thread::spawn(move || {
            let mut file = std::fs::File::options().append(true).open(path).expect("the file");
            while !seen.load(Ordering::Relaxed) {
                if file.write_all(&[0x5a; 4096]).is_err() {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
        });
        Filler { ended, writer: Some(writer) }
    }

    /// Takes that file away.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("the file that filled the disk");
    }
}

/// A recording that was sealed before a disk was full, and what its file was then.
pub struct Sealed {
    id: String,
    hash: blake3::Hash,
}

impl Sealed {
    /// Runs a command on the node, and waits until its recording is sealed and stored.
    pub fn of(cluster: &Cluster, command: &str) -> Self {
        assert_success(&cluster.ssh(command));
        let row = cluster.recording_of(command);
        let id = row["id"].as_str().expect("an id").to_owned();
        let hash = hash_of(cluster, &id);
        Self { id, hash }
    }

    /// It is byte for byte what it was.
    #[track_caller]
    pub fn check(&self, cluster: &Cluster) {
        assert_eq!(hash_of(cluster, &self.id), self.hash, "what was sealed before is what it was");
    }
}

fn hash_of(cluster: &Cluster, id: &str) -> blake3::Hash {
    blake3::hash(&std::fs::read(cluster.export(id, "scry")).expect("what was exported"))
}

/// Somebody who takes every byte that becomes free.
pub struct Filler {
    ended: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server of the test may still run on it.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
