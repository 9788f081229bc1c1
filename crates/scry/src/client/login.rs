//! Signing up, in and out.

use super::by_browser::{self, Wish};
use super::profile::{self, Address, Keys, Profile};
use super::reach;
use crate::cli::{Invitation, Login_, Show, Where};
use crate::show;
use anyhow::{Context as _, Result, bail};
use link::http::CallError;
use model::UserName;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use store::keys::ClientDir;
use wire::Fault;
use wire::people::{ReadInvitation, SignIn, SignUp};
use wire::web::Shown;

/// Columns of a message of auth's.
const SENTENCE_COLUMNS: usize = 500;

/// `scry signup`: reads the invitation, asks for a password twice, signs in.
pub async fn signup(invitation: &Invitation) -> Result<()> {
    if wire::node::Part::of_token(&invitation.code).is_some() {
        bail!(
            "this invites a machine, not a person: on the machine run \
             `scry start --roles node --join {invitation}`"
        );
    }
    let at = Address { address: invitation.address.clone(), pin: invitation.pin.clone() };
    let (client, home) = (reach::stranger(&at).await?, profile::home()?);
    let facts = read(&client, &at, &invitation.code, &home).await?;
    show::remark(format!("Welcome to {}, {}.", facts.cluster, facts.user));
    let password = new_password()?;
    let profile = sign_up_with(invitation, &password, &home).await?;
    into_agent(&profile)?;
    greet(&profile);
    Ok(())
}

/// Takes up an invitation and signs in, keeping what is needed under `home`.
pub async fn sign_up_with(
    invitation: &Invitation,
    password: &str,
    home: &ClientDir,
) -> Result<Profile> {
    let at = Address { address: invitation.address.clone(), pin: invitation.pin.clone() };
    let client = reach::stranger(&at).await?;
    let facts = read(&client, &at, &invitation.code, home).await?;
    let password = password.to_owned();
    client.call(&SignUp { code: invitation.code.clone(), password: password.clone() }).await?;
    sign_in(&at, facts.user, password, None, home).await
}

/// Whom an invitation is for. Refused, before it is used up, where what it leads to could not be kept.
async fn read(
    client: &reach::Auth,
    at: &Address,
    code: &str,
    home: &ClientDir,
) -> Result<wire::people::Invitation> {
    let facts = client.call(&ReadInvitation { code: code.to_owned() }).await?;
    profile::free(home, at, &facts.cluster)?;
    Ok(facts)
}

/// `scry login`.
pub async fn login(args: &Login_) -> Result<()> {
    let known = Profile::load(&args.place).ok();
    let address = match (&args.address, &known) {
        (Some(address), _) => address.clone(),
        (None, Some(known)) => known.address.clone(),
        (None, None) => bail!("say where to sign in: scry login HOST:PORT --pin PIN"),
    };
    let same = known.as_ref().filter(|known| known.address == address);
    let pin = args.pin.clone().or_else(|| same.map(|known| known.pin.clone())).context(
        "this machine does not know that cluster yet: give its pin, --pin HEX \
         (an admin sees it with `scry status`)",
    )?;
    let user = match (&args.user, same) {
        (Some(user), _) => user.clone(),
        (None, Some(known)) => known.user.clone(),
        (None, None) => own_name().context("say who you are: --user NAME")?,
    };
    let (at, home) = (Address { address, pin }, profile::home()?);
    let profile = match args.browser {
        true => {
            let (life_ms, open, json) = (args.life_ms, !args.no_open, args.json);
            by_browser::sign_in(&at, &Wish { user, life_ms, open, json }, &home).await?
        }
        false => {
            let password = password(&format!("Password of {user}: "))?;
            sign_in(&at, user, password, args.life_ms, &home).await?
        }
    };
    if !args.no_agent {
        into_agent(&profile)?;
    }
    match args.json {
        true => show::json(&told(&profile)?)?,
        false => greet(&profile),
    }
    Ok(())
}

/// `scry logout`.
pub fn logout(place: &Where) -> Result<()> {
    let profile = Profile::load(place)?;
    let key = profile.files().ssh_key();
    if agent_runs() && key.exists() {
        // An agent that never had the key refuses; that is no failure of signing out.
        let _ = Command::new("ssh-add").arg("-qd").arg(&key).stderr(Stdio::null()).status();
    }
    profile.forget()?;
    show::remark(format!("Signed out of {}.", profile.cluster.name));
    Ok(())
}

/// `scry status`.
pub fn status(show_: &Show) -> Result<()> {
    let profile = Profile::load(&show_.place)?;
    let left = profile.expires.0.saturating_sub(show::now().0);
    if show_.json {
        show::json(&told(&profile)?)?;
        return Ok(());
    }
    show::line(format!("cluster   {} at {}", profile.cluster.name, profile.address));
    show::line(format!("user      {}", profile.user));
    let life = match u64::try_from(left) {
        Ok(left) if left > 0 => {
            format!("until {} ({} left)", show::moment(profile.expires), show::length(left))
        }
        _ => "not signed in; use `scry login`".to_owned(),
    };
    show::line(format!("session   {life}"));
    show::line(format!("pin       {}", profile.pin));
    for key in &profile.cluster.seal_keys {
        show::line(format!("seal key  {key}"));
    }
    Ok(())
}

/// A profile for programs, and whether it still counts.
fn told(profile: &Profile) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(profile)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("signed_in".into(), (profile.expires > show::now()).into());
    }
    Ok(value)
}

async fn sign_in(
    at: &Address,
    user: UserName,
    password: String,
    life_ms: Option<u64>,
    home: &ClientDir,
) -> Result<Profile> {
    let client = reach::stranger(at).await?;
    let (keys, tls_request) = make_keys()?;
    let mut request = SignIn {
        user,
        password,
        ssh_key: keys.ssh_public.clone(),
        tls_request,
        wanted_ms: life_ms.and_then(|ms| i64::try_from(ms).ok()),
        second: None,
    };
    loop {
        match client.call(&request).await {
            Ok(got) => return Profile::save(home, at, &keys, got),
            Err(CallError::Refused(failure)) if failure.fault == Fault::SecondFactor => {
                show::remark(sentence(&failure.message));
                request.second = Some(second(&secret("Code: ", "code")?));
            }
            // Whoever mistyped the code tries again; a script has one line for it.
            Err(CallError::Refused(failure))
                if request.second.is_some()
                    && failure.fault == Fault::Unauthenticated
                    && std::io::stdin().is_terminal() =>
            {
                show::remark(sentence(&failure.message));
                request.second = Some(second(&secret("Code: ", "code")?));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Six digits are an app's; anything else is a recovery code.
fn second(code: &str) -> Shown {
    let plain: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    match plain.len() == 6 && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Shown::Totp(plain),
        false => Shown::Recovery(code.trim().to_owned()),
    }
}

/// A message of auth's as a sentence in one line.
pub fn sentence(message: &str) -> String {
    let message = show::clean(message, SENTENCE_COLUMNS);
    let mut letters = message.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// An Ed25519 key for SSH and a P-256 key for TLS: one key, one purpose.
pub fn make_keys() -> Result<(Keys, String)> {
    let seed: [u8; 32] = rand::random();
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&seed);
    let private = ssh_key::PrivateKey::new(ssh_key::private::KeypairData::Ed25519(pair), "scry")?;
    let ssh_key = private.to_openssh(ssh_key::LineEnding::LF)?.to_string();
    let ssh_public = private.public_key().to_openssh()?;
    let tls = link::tls::KeyRequest::make()?;
    Ok((Keys { ssh_key, ssh_public, tls_key: tls.key.to_string() }, tls.request))
}

fn greet(profile: &Profile) {
    let until = show::moment(profile.expires);
    let name = &profile.cluster.name;
    show::remark(format!("Signed in to {name} as {} until {until}.", profile.user));
    show::remark("Next: `scry nodes`, `scry ssh NODE`, `scry config` for plain ssh.");
}

/// Puts key and certificate into a running agent, for as long as the certificate lives.
fn into_agent(profile: &Profile) -> Result<()> {
    if !agent_runs() {
        return Ok(());
    }
    let seconds = profile.expires.0.saturating_sub(show::now().0) / 1000;
    let key = profile.files().ssh_key();
    let status = Command::new("ssh-add")
        .args(["-q", "-t", &seconds.max(1).to_string()])
        .arg(key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        show::remark(
            "The running ssh-agent did not take the key; the key file works all the same.",
        );
    }
    Ok(())
}

fn agent_runs() -> bool {
    std::env::var_os("SSH_AUTH_SOCK").is_some_and(|socket| !socket.is_empty())
}

/// What this machine is called, for whoever is asked to let it in.
pub fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok());
    name.unwrap_or_default().trim().to_owned()
}

fn own_name() -> Option<UserName> {
    std::env::var("USER").ok().and_then(|name| name.parse().ok())
}

fn new_password() -> Result<String> {
    let least = model::limit::PASSWORD_BYTES.0;
    let first = password(&format!("Choose a password (at least {least} characters): "))?;
    if first.len() < least {
        bail!("the password is too short; at least {least} characters are needed");
    }
    if std::io::stdin().is_terminal() && password("Once more: ")? != first {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

fn password(prompt: &str) -> Result<String> {
    secret(prompt, "password")
}

/// Asks without echo; a script gives each as one line of standard input.
fn secret(prompt: &str, what: &str) -> Result<String> {
    let trouble = || format!("cannot read a {what}");
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password(prompt).with_context(trouble);
    }
    let mut line = String::new();
    std::io::stderr().flush()?;
    std::io::stdin().lock().read_line(&mut line).with_context(trouble)?;
    let given = line.trim_end_matches(['\r', '\n']).to_owned();
    if given.is_empty() {
        bail!("no {what} was given on standard input");
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_an_apps_and_anything_else_is_a_recovery_code() {
        for (typed, shown) in [
            ("123456", Shown::Totp("123456".into())),
            (" 123 456 ", Shown::Totp("123456".into())),
            ("12345", Shown::Recovery("12345".into())),
            ("abcd-0123-4567-89ab", Shown::Recovery("abcd-0123-4567-89ab".into())),
        ] {
            assert_eq!(second(typed), shown, "{typed:?}");
        }
        assert_eq!(sentence("a second factor is wanted"), "A second factor is wanted.");
        assert_eq!(sentence("\u{1b}[2J\nsigned in"), "·[2J·signed in.");
    }
}
