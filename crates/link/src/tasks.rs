//! Where a connection's tasks live, because HTTP/2 wants to spawn: they end with their connection.

use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Tasks of one connection. Clones share them; when the last clone is gone, tasks that are left are dropped.
#[derive(Debug, Clone)]
pub struct Tasks {
    spawner: Spawner,
    _guard: Arc<DropGuard>,
}

impl Tasks {
    /// No tasks yet. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        let stop = CancellationToken::new();
        let spawner =
            Spawner { tracker: TaskTracker::new(), stop: stop.clone(), runtime: Handle::current() };
        Self { spawner, _guard: Arc::new(stop.drop_guard()) }
    }

    /// Runs `task` until it ends or the connection's tasks are dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(task);
    }

    /// Waits until every task has ended.
    pub async fn ended(&self) {
        self.spawner.tracker.close();
        self.spawner.tracker.wait().await;
    }

    /// A spawner that does not keep the tasks alive, for the tasks themselves.
    pub(crate) fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

/// Spawns into a [`Tasks`] without keeping it alive; tasks may hold one.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    tracker: TaskTracker,
    stop: CancellationToken,
    runtime: Handle,
}

impl Spawner {
    /// Runs `task` until it ends or the connection's tasks are dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let bounded = async move {
            stop.run_until_cancelled(task).await;
        };
        self.tracker.spawn_on(bounded, &self.runtime);
    }
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn tasks_end_with_the_last_clone_of_their_owner() {
        let tasks = Tasks::new();
        let (alive, gone) = oneshot::channel::<()>();
        tasks.spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        let clone = tasks.clone();
        drop(tasks);
        tokio::task::yield_now().await;
        drop(clone);
        assert!(gone.await.is_err(), "the task was dropped");
    }
}
