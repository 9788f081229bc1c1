//! Certificates from an ACME server (RFC 8555), which looks by TLS-ALPN-01 (RFC 8737) whether a name leads to this port.
//!
//! The messages are `instant-acme`'s; the connection under them is our own, so that there is one TLS and every answer has a bound.

mod https;
mod trouble;

pub use trouble::{Trouble, Unmet};

use crate::tls::{Challenges, TlsIdentity};
use https::Https;
use instant_acme::{
    Account as Asking, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use model::limit::ACME_LOOK_MS;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::time::Duration;
use zeroize::Zeroizing;

/// A server, by the address of its directory. Clones share what it has said last.
#[derive(Debug, Clone)]
pub struct Server {
    directory: String,
    https: Https,
}

/// Somebody whom a server knows.
pub struct Account {
    asking: Asking,
    server: Server,
}

/// What a server has given whom it did not know.
pub struct Registered {
    /// To ask with.
    pub account: Account,
    /// To be known again: a secret, JSON.
    pub credentials: Zeroizing<String>,
    /// Where the terms are to be read that were agreed to, if the server has any.
    pub terms: Option<String>,
}

impl Server {
    /// The server whose directory is at `directory` (`https://…`). What it shows must be signed by one of `authorities` (PEM),
    /// or without any, by one that this machine trusts.
    ///
    /// # Errors
    /// [`Trouble::Authorities`].
    pub fn new(directory: &str, authorities: Option<&str>) -> Result<Self, Trouble> {
        Ok(Self { directory: directory.to_owned(), https: Https::new(directory, authorities)? })
    }

    /// Makes an account, and agrees to the server's terms. `contact` is a `mailto:` address.
    ///
    /// # Errors
    /// Any [`Trouble`].
    pub async fn register(&self, contact: Option<&str>) -> Result<Registered, Trouble> {
        let contact: Vec<&str> = contact.into_iter().collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let made = Asking::builder_with_http(Box::new(self.https.clone()))
            .create(&wanted, self.directory.clone(), None)
            .await;
        let (asking, credentials) = made.map_err(|error| self.trouble(error))?;
        let credentials = serde_json::to_string(&credentials);
        let credentials = credentials.map_err(|error| Trouble::Odd(error.to_string()))?;
        Ok(Registered {
            account: Account { asking, server: self.clone() },
            credentials: Zeroizing::new(credentials),
            terms: self.https.terms(),
        })
    }

    /// The account of these credentials. Whether the server still knows it shows when it is asked for something.
    ///
    /// # Errors
    /// [`Trouble::Forgotten`] when they cannot be read; any other [`Trouble`].
    pub async fn account(&self, credentials: &str) -> Result<Account, Trouble> {
        let credentials: AccountCredentials =
            serde_json::from_str(credentials).map_err(|_| Trouble::Forgotten)?;
        let asking = Asking::builder_with_http(Box::new(self.https.clone()))
            .from_credentials(credentials)
            .await;
        let asking = asking.map_err(|error| match error {
            Error::KeyRejected => Trouble::Forgotten,
            error => self.trouble(error),
        })?;
        Ok(Account { asking, server: self.clone() })
    }

    fn trouble(&self, error: Error) -> Trouble {
        Trouble::of(error, &self.https)
    }
}

impl Account {
    /// Tells the server another address to write to.
    ///
    /// # Errors
    /// Any [`Trouble`].
    pub async fn write_to(&self, contact: Option<&str>) -> Result<(), Trouble> {
        let contact: Vec<&str> = contact.into_iter().collect();
        self.asking.update_contacts(&contact).await.map_err(|error| self.server.trouble(error))
    }

    /// A certificate for `name`, with a key of its own. While it is asked for, `challenges` answers the server's looks.
    ///
    /// # Errors
    /// Any [`Trouble`].
    pub async fn certificate(
        &self,
        name: &str,
        challenges: &Challenges,
    ) -> Result<TlsIdentity, Trouble> {
        let trouble = |error| self.server.trouble(error);
        let names = [Identifier::Dns(name.to_owned())];
        let mut order = self.asking.new_order(&NewOrder::new(&names)).await.map_err(trouble)?;
        self.prove(name, &mut order, challenges).await?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(odd)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(odd)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(odd)?;
        order.finalize_csr(request.der()).await.map_err(trouble)?;
        let chain = order.poll_certificate(&patience()).await.map_err(trouble)?;
        Ok(TlsIdentity::new(chain, key.serialize_pem()))
    }

    /// Until the server has seen that the name leads here.
    async fn prove(
        &self,
        name: &str,
        order: &mut Order,
        challenges: &Challenges,
    ) -> Result<(), Trouble> {
        let trouble = |error| self.server.trouble(error);
        // Answered until the server has made up its mind.
        let mut running = Vec::new();
        let mut asked = order.authorizations();
        while let Some(one) = asked.next().await {
            let mut one = one.map_err(trouble)?;
            if one.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = one.challenge(ChallengeType::TlsAlpn01);
            let mut challenge =
                challenge.ok_or_else(|| Trouble::NoWay { name: name.to_owned() })?;
            let digest = challenge.key_authorization().digest();
            running.push(challenges.begin(name, digest.as_ref()).map_err(odd)?);
            match challenge.set_ready().await {
                Err(Error::Api(problem)) if Unmet::of(&problem).is_some() => {
                    return Err(Trouble::unmet(name, &problem));
                }
                told => told.map_err(trouble)?,
            }
        }
        match order.poll_ready(&patience()).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            // The reason stands with the name, not with the order.
            outcome => match (self.reason(order).await, outcome) {
                (Some(problem), _) => Err(Trouble::unmet(name, &problem)),
                (None, Err(error)) => Err(trouble(error)),
                (None, Ok(status)) => Err(Trouble::Odd(format!("its order is {status:?}"))),
            },
        }
    }

    /// Why the server has not accepted what it saw.
    async fn reason(&self, order: &mut Order) -> Option<Problem> {
        let mut asked = order.authorizations();
        while let Some(one) = asked.next().await {
            let mut one = one.ok()?;
            let now = one.refresh().await.ok()?;
            let found = now.challenges.iter().find_map(|challenge| challenge.error.clone());
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

fn patience() -> RetryPolicy {
    RetryPolicy::new().timeout(Duration::from_millis(ACME_LOOK_MS))
}

fn odd(error: impl std::error::Error) -> Trouble {
    Trouble::Odd(error.to_string())
}

#[cfg(test)]
mod tests;
