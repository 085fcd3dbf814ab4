//! What `factory diff` says of packages that are new: where it is known from, and the registry's part.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use time::macros::format_description;
use time::{Date, Duration, OffsetDateTime, Time};

use super::super::paths;
use super::super::session::Session;
use crate::audit::arrivals::{ArrivalRules, Arrivals, KnownFacts};
use crate::audit::{Diff, Release};
use crate::error::{Error, Result};
use crate::npm::registry::NpmRegistry;
use crate::store::CacheKind;
use crate::ui::count;

/// Options of `factory diff` about packages that are new.
#[derive(Clone, Debug, Args)]
pub struct ArrivalArgs {
    /// Say which licences and install scripts appeared, from the manifests of packages
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub package_facts: Option<FactsSource>,
    /// Show new packages that were published less than this many days ago (`7`, `7d`), or after a day (`2026-11-21`); the
    /// npm registry is asked
    #[arg(long, value_name = "DAYS")]
    pub newer_than: Option<NewerThan>,
    /// Ask no registry
    #[arg(long, env = "FACTORY_OFFLINE")]
    pub offline: bool,
}

/// Where manifests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FactsSource {
    /// In the archives of backends that the cache keeps
    Cache,
    /// There, and in the npm registry
    Registry,
}

/// An age, or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewerThan {
    /// Days before now.
    Days(u32),
    /// The beginning of a day, in UTC.
    Day(Date),
}

impl FromStr for NewerThan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(days) = text.strip_suffix('d').unwrap_or(text).parse() {
            return Ok(Self::Days(days));
        }
        let day = Date::parse(text, format_description!("[year]-[month padding:none]-[day padding:none]"));
        day.map(Self::Day).map_err(|_| "neither a number of days (`7`) nor a day (`2026-11-21`)".to_owned())
    }
}

impl NewerThan {
    /// The time after which something is newer.
    fn since(self, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Days(days) => now.checked_sub(Duration::days(days.into())).unwrap_or(OffsetDateTime::UNIX_EPOCH),
            Self::Day(day) => day.with_time(Time::MIDNIGHT).assume_utc(),
        }
    }
}

/// Adds what is to be known of packages that are new in these workspaces.
pub(super) async fn add(
    session: &Session<'_>,
    (args, workspaces): (&ArrivalArgs, &[String]),
    diff: &mut Diff,
    old: &Release,
    new: &Release,
) -> Result<()> {
    let asks = args.newer_than.is_some() || args.package_facts == Some(FactsSource::Registry);
    if args.package_facts.is_none() && !asks {
        return Ok(());
    }
    if asks && args.offline {
        let option = if args.newer_than.is_some() { "--newer-than" } else { "--package-facts registry" };
        return Err(Error::usage(
            format!("`{option}` asks the npm registry, which `--offline` forbids"),
            "leave out one of them; `--package-facts cache` needs no network",
        ));
    }
    let arrivals = Arrivals::find(old, new, workspaces)?;
    let mut facts = KnownFacts::default();
    if args.package_facts.is_some() {
        let builds = paths::cache_dir(session.global)?.join(CacheKind::Builds.as_str());
        facts.read_archives(&builds, old);
        facts.read_archives(&builds, new);
    }
    if asks {
        ask(session, &arrivals, &mut facts).await?;
    }
    let since = args.newer_than.map(|newer| newer.since(OffsetDateTime::now_utc()));
    diff.add_arrivals(&arrivals, &facts, ArrivalRules { facts: args.package_facts.is_some(), since });
    Ok(())
}

async fn ask(session: &Session<'_>, arrivals: &Arrivals, facts: &mut KnownFacts) -> Result<()> {
    let wanted = arrivals.wanted();
    facts.asked = true;
    if wanted.is_empty() {
        return Ok(());
    }
    let registry = NpmRegistry::of_machine(&paths::config_dir(session.global), &session.interrupt)?;
    let step = session.ui.step("registry", format!("ask about {}", count(wanted.len(), "package")));
    for (package, answer) in registry.package_facts(&wanted).await? {
        match answer {
            Err(why) => drop(facts.refused.insert(package, why)),
            Ok(found) => {
                let with_name = |version: String| (package.clone(), version);
                facts.published.extend(found.published.into_iter().map(|(version, time)| (with_name(version), time)));
                // An archive has what is shipped.
                for (version, said) in found.versions {
                    facts.manifests.entry(with_name(version)).or_insert(said);
                }
            }
        }
    }
    step.done("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_days_or_a_day() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_860_000).unwrap();
        let since = |text: &str| text.parse::<NewerThan>().map(|newer| newer.since(now).unix_timestamp());
        assert_eq!(since("7"), Ok(1_795_860_000 - 7 * 86_400));
        assert_eq!(since("7d"), since("7"));
        assert_eq!(since("2026-11-20"), Ok(1_795_132_800));
        assert_eq!(since("4294967295"), Ok(0));
        for wrong in ["", "d", "-7", "7w", "2026-13-01", "2026-11", "2026-11-20-1"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
