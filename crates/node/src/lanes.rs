//! Threads for connections: all that belongs to one connection runs on one thread, in turns.
//!
//! A byte on its way from a program to its owner passes several tasks. Spread over threads, each hand-over wakes a sleeping
//! one, which costs more than the work itself; sshd, with a process for each connection, does not pay that either.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Name of the threads, for tools that list them.
const NAME: &str = "lane";

/// A thread for each processor.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Lane>);

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// Connections on it.
    busy: Arc<AtomicUsize>,
    /// The thread ends when this is dropped.
    _open: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread, or no descriptor for it.
    pub fn open() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(|_| Lane::open()).collect::<io::Result<_>>().map(Self)
    }

    /// Runs a connection on the thread that has the fewest.
    pub fn spawn(
        &self,
        connections: &mut JoinSet<()>,
        serve: impl Future<Output = ()> + Send + 'static,
    ) {
        let Some(lane) = self.0.iter().min_by_key(|lane| lane.busy.load(Ordering::Relaxed)) else {
            return;
        };
        let place = Place::on(lane);
        let serve = async move {
            serve.await;
            drop(place);
        };
        connections.spawn_on(serve, &lane.runtime);
    }
}

impl Lane {
    fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, (open, closed)) = (runtime.handle().clone(), oneshot::channel());
        thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            let _ = runtime.block_on(closed);
            // What still blocks is not waited for: it belongs to connections that were given up.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, busy: Arc::default(), _open: open })
    }
}

/// A connection's place on its thread.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn on(lane: &Lane) -> Self {
        lane.busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&lane.busy))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use tokio::sync::Barrier;

    #[tokio::test]
    async fn connections_are_spread_and_each_stays_on_its_thread() {
        let lanes = Lanes((0..3).map(|_| Lane::open().unwrap()).collect());
        let (together, seen) = (Arc::new(Barrier::new(6)), Arc::new(Mutex::new(Vec::new())));
        let mut connections = JoinSet::new();
        for _ in 0..6 {
            let (together, seen) = (Arc::clone(&together), Arc::clone(&seen));
            lanes.spawn(&mut connections, async move {
                together.wait().await;
                let mut tasks = JoinSet::new();
                tasks.spawn(async { thread::current().id() });
                let task = tasks.join_next().await.unwrap().unwrap();
                assert_eq!(task, thread::current().id());
                seen.lock().unwrap().push(format!("{task:?}"));
            });
        }
        while let Some(done) = connections.join_next().await {
            done.unwrap();
        }
        let seen = seen.lock().unwrap().clone();
        assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (6, 3));
        assert!(lanes.0.iter().all(|lane| lane.busy.load(Ordering::Relaxed) == 0));
    }
}
