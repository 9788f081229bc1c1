//! Places where a crash is tried: tests stop the work behind a step, open everything again, and look what is there.

use crate::error::Error;

/// Counts steps in tests; is nothing otherwise.
#[derive(Debug, Default)]
pub struct Steps {
    #[cfg(test)]
    left: std::sync::Mutex<Option<u32>>,
}

impl Steps {
    /// A step is done. In a test this may be the last one.
    #[cfg(test)]
    pub fn step(&self, what: &'static str) -> Result<(), Error> {
        let mut left = self.left.lock().unwrap();
        match left.as_mut() {
            Some(0) => Err(Error::Stopped { behind: what }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A step is done.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests stop here")]
    #[inline]
    pub fn step(&self, _what: &'static str) -> Result<(), Error> {
        Ok(())
    }

    /// Lets `steps` steps pass, then every further one fails.
    #[cfg(test)]
    pub fn stop_after(&self, steps: u32) {
        *self.left.lock().unwrap() = Some(steps);
    }

    /// Lets every step pass again.
    #[cfg(test)]
    pub fn go_on(&self) {
        *self.left.lock().unwrap() = None;
    }
}
