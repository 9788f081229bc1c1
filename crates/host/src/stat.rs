//! What the kernel says of a process or a thread (proc_pid_stat(5), proc_pid_comm(5)).

/// The fields that are of use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    state: char,
    /// Number of the process that began it.
    pub(crate) parent: i32,
    /// Session id (`setsid`).
    pub(crate) session: i32,
    threads: u32,
    /// When it began, in ticks since the machine started: with its number it names a process for good.
    pub(crate) start: u64,
}

impl Stat {
    /// Of a process, by its number or `self`.
    pub(crate) fn of(process: impl std::fmt::Display) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{process}/stat")).ok()?;
        Self::read(&String::from_utf8_lossy(&text))
    }

    /// Of each thread of a process; none of one that has ended.
    pub(crate) fn of_threads(process: i32) -> Vec<Self> {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
        threads
            .filter_map(|thread| {
                let text = std::fs::read(thread.ok()?.path().join("stat")).ok()?;
                Self::read(&String::from_utf8_lossy(&text))
            })
            .collect()
    }

    /// Of the text of such a file.
    pub fn read(text: &str) -> Option<Self> {
        // The second field is a name of the process's own choice: what counts begins behind the last bracket.
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        Some(Self {
            state: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            session: fields.nth(1)?.parse().ok()?,
            threads: fields.nth(13)?.parse().ok()?,
            start: fields.nth(1)?.parse().ok()?,
        })
    }

    /// Whether the process is more than a zombie. One whose first thread has ended looks like one, and runs.
    pub(crate) fn lives(&self) -> bool {
        self.threads > 1 || !self.has_ended()
    }

    /// Whether a thread runs no more until somebody lets it.
    pub(crate) fn is_still(&self) -> bool {
        matches!(self.state, 'T' | 't') || self.has_ended()
    }

    /// Whether a thread waits within the kernel, where no signal reaches it before it is through.
    pub(crate) fn is_within(&self) -> bool {
        self.state == 'D'
    }

    /// Whether a thread is on a processor or waits for one.
    pub(crate) fn is_running(&self) -> bool {
        self.state == 'R'
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// A process's name (`comm`), of its own choice; control characters are replaced. Empty once it is gone.
pub(crate) fn name(pid: i32) -> String {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    let printable = |letter: char| if letter.is_control() { '?' } else { letter };
    name.trim_end_matches('\n').chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_calls_itself_and_a_zombie_with_threads_runs() {
        let rest = "1 7 9 0 -1 4194304 0 0 0 0 0 0 0 0 20 0";
        let line = |name: &str, state: char, threads: u32| {
            format!("7 ({name}) {state} {rest} {threads} 0 4711 0 0")
        };
        for (name, state, threads, lives, still) in [
            ("sh", 'S', 1, true, false),
            ("a) R 1 (b", 'T', 1, true, true),
            ("tmux: server", 't', 3, true, true),
            ("sh", 'Z', 1, false, true),
            ("sh", 'Z', 2, true, true),
            ("sh", 'X', 0, false, true),
            ("sh", 'D', 1, true, false),
            ("", 'R', 1, true, false),
        ] {
            let stat = Stat::read(&line(name, state, threads)).unwrap();
            assert_eq!((stat.session, stat.threads, stat.start), (9, threads, 4711), "{name}");
            assert_eq!((stat.lives(), stat.is_still()), (lives, still), "{name} {state}");
        }
        for nonsense in ["", "7", "7 (sh)", "7 (sh) S 1 2", "7 (sh) SS 1 7 9 0 -1"] {
            assert_eq!(Stat::read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn this_process_is_there_and_has_threads() {
        let own = std::process::id().cast_signed();
        let stat = Stat::of(own).unwrap();
        assert_eq!(Some(stat.start), Stat::of("self").map(|stat| stat.start));
        assert!(stat.lives() && !Stat::of_threads(own).is_empty());
    }
}
