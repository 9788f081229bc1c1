//! What browsers are shown in place of the cluster's certificate: one that somebody else has signed, those that an ACME server
//! gives, or nothing.

use crate::settings::Settings;
use crate::web_acme::Keeper;
use crate::web_certificate::{Kept, host};
use anyhow::{Result, bail};
use link::tls::{Challenges, WebBadge};
use std::path::Path;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The certificates of a proxy that is about to serve.
pub struct Shown {
    /// The first that is for a name is shown.
    pub badges: Vec<WebBadge>,
    /// What ACME servers are answered.
    pub challenges: Option<Challenges>,
    own: Option<Kept>,
    acme: Option<Keeper>,
}

impl Shown {
    /// Reads what there is. `folder` is the proxy's own.
    pub fn begin(settings: &Settings, folder: &Path) -> Result<Self> {
        let acme = settings.acme.as_ref();
        let names: Vec<&str> =
            acme.iter().flat_map(|acme| acme.names.iter().map(|name| name.as_str())).collect();
        // Whoever is told to come by a name that no certificate is for would meet a warning.
        let public = settings.public_address.as_deref().and_then(host);
        let public = public.filter(|host| !names.contains(&host.to_ascii_lowercase().as_str()));
        let (mut badges, mut own) = (Vec::new(), None);
        if let Some(files) = &settings.web_certificate {
            let (badge, kept) = files.begin(public)?;
            let twice = badge.current().and_then(|shown| {
                names.iter().find(|name| shown.is_for(name)).map(|name| (*name).to_owned())
            });
            if let Some(name) = twice {
                bail!(
                    "the certificate in {} (--web-cert) is for {name}, and --web-acme asks for one for it as well: leave one out",
                    files.chain.display()
                );
            }
            badges.push(badge);
            own = Some(kept);
        } else if let (Some(host), false) = (public, names.is_empty()) {
            bail!(
                "--web-acme is for {}, and people are told to come to {host} (--public-address)",
                names.join(", ")
            );
        }
        let challenges = acme.map(|_| Challenges::default());
        let keeper = acme.zip(challenges.as_ref());
        let keeper = keeper.map(|(acme, challenges)| Keeper::begin(acme, folder, challenges));
        let acme = keeper.transpose()?;
        badges.extend(acme.iter().flat_map(Keeper::badges));
        Ok(Self { badges, challenges, own, acme })
    }

    /// Renews it all until `stop`, once the port is there by which an ACME server looks.
    pub fn keep(self, stop: &CancellationToken, services: &mut JoinSet<Result<&'static str>>) {
        if let Some(own) = self.own {
            services.spawn(own.keep(stop.child_token()));
        }
        if let Some(acme) = self.acme {
            services.spawn(acme.keep(stop.child_token()));
        }
    }
}
