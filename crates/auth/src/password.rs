//! Passwords: what is accepted, hashing with argon2id, and checking without saying by time who exists.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use model::UserName;
use model::limit::{PASSWORD_BYTES, PASSWORD_HASHES};
use thiserror::Error;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Memory of one hash, in KiB (OWASP's first choice for argon2id: 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;

/// Why a password is not taken. For the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Too short.
    #[error("the password is too short: take at least {} characters", PASSWORD_BYTES.0)]
    Short,
    /// Too long.
    #[error("the password is too long: take at most {} characters", PASSWORD_BYTES.1)]
    Long,
    /// It holds the user's name.
    #[error("the password holds the user name: take another")]
    Name,
    /// One character again and again.
    #[error("the password is one character again and again: take another")]
    Repeated,
}

/// Whether a password may be set.
///
/// # Errors
/// [`Refused`], in words for the person.
pub fn accept(user: &UserName, password: &str) -> Result<(), Refused> {
    if password.chars().count() < PASSWORD_BYTES.0 {
        return Err(Refused::Short);
    }
    if password.len() > PASSWORD_BYTES.1 {
        return Err(Refused::Long);
    }
    if password.to_lowercase().contains(&user.as_str().to_lowercase()) {
        return Err(Refused::Name);
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Err(Refused::Repeated);
    }
    Ok(())
}

/// Hashes and checks passwords, at most [`PASSWORD_HASHES`] at once; the others wait.
pub struct Passwords {
    turns: Semaphore,
    /// A hash of something that nobody knows: what is checked for a user who is not there.
    nobody: String,
}

/// The machine could not hash: no memory, or it is stopping.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot hash a password: {0}")]
pub struct HashError(String);

impl Passwords {
    /// Ready to work; hashes once.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn new() -> Result<Self, HashError> {
        let mut passwords = Self { turns: Semaphore::new(PASSWORD_HASHES), nobody: String::new() };
        passwords.nobody = passwords.hash(Zeroizing::new(crate::secret::fresh())).await?;
        Ok(passwords)
    }

    /// The PHC text of a password.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, HashError> {
        self.work(move || {
            let hash = hasher()?.hash_password(password.as_bytes()).map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password is the one of this hash. Without a hash it takes as long and is `false`.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn check(
        &self,
        hash: Option<String>,
        password: Zeroizing<String>,
    ) -> Result<bool, HashError> {
        let known = hash.is_some();
        let text = hash.unwrap_or_else(|| self.nobody.clone());
        self.work(move || {
            let parsed = PasswordHash::new(&text).map_err(failed)?;
            let fits = hasher()?.verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(fits && known)
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let _turn = self.turns.acquire().await.map_err(failed)?;
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl std::fmt::Display) -> HashError {
    HashError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn a_password_is_long_enough_and_not_the_name() {
        let user: UserName = "alice".parse().unwrap();
        for (password, expected) in [
            ("", Err(Refused::Short)),
            ("123456789", Err(Refused::Short)),
            ("ääääääääää", Err(Refused::Repeated)),
            ("aaaaaaaaaaaa", Err(Refused::Repeated)),
            ("I am ALICE!", Err(Refused::Name)),
            ("correct horse", Ok(())),
            ("pass\u{0}word with a nul", Ok(())),
        ] {
            assert_eq!(accept(&user, password), expected, "{password:?}");
        }
        let long = "ab".repeat(600);
        assert_eq!(accept(&user, &long), Err(Refused::Long));
    }

    #[tokio::test]
    async fn the_right_password_fits_its_hash_and_no_other_does() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.check(Some(hash.clone()), secret("correct horse")).await.unwrap());
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert!(!passwords.check(Some(hash.clone()), secret(wrong)).await.unwrap());
        }
        assert!(!passwords.check(None, secret("correct horse")).await.unwrap());
        assert!(passwords.check(Some("no hash".into()), secret("x")).await.is_err());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_time_as_a_wrong_password() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        let mut least = [Duration::MAX; 2];
        // A busy machine makes single rounds slow; an answer that came without hashing never gets near.
        let alike = async {
            for _ in 0..40 {
                for (least, hash) in least.iter_mut().zip([Some(hash.clone()), None]) {
                    let begun = Instant::now();
                    passwords.check(hash, secret("wrong horse")).await.unwrap();
                    *least = begun.elapsed().min(*least);
                }
                let (known, unknown) = (least[0].as_secs_f64(), least[1].as_secs_f64());
                if unknown > known * 0.5 && unknown < known * 2.0 {
                    return true;
                }
            }
            false
        };
        assert!(alike.await, "{least:?}");
    }
}
