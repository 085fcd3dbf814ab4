//! What a server answers: no larger than it may be, and not slow for long.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::Response;
use tokio_util::bytes::Bytes;

/// How slowly a server may send. Only the time counts in which it is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bytes a second: a server that sends less over a whole window is given up.
    pub slowest: u64,
    /// Over how long that is measured.
    pub window: Duration,
    /// The longest that all of it may take.
    pub total: Duration,
}

/// What is taken of one answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// The most bytes of its body, after decompression.
    pub bytes: u64,
    /// How slowly they may come.
    pub pace: Pace,
}

/// A server that is slower than its [`Pace`].
#[derive(Clone, Copy, Debug)]
pub enum TooSlow {
    /// Less than that over a window.
    Rate(Pace),
    /// Not finished after all that time.
    Total(Duration),
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(pace) => {
                write!(f, "sent less than {} a second for {}", size(pace.slowest), duration(pace.window))
            }
            Self::Total(total) => write!(f, "did not finish within {}", duration(*total)),
        }
    }
}

/// Measures a transfer against its [`Pace`].
#[derive(Debug)]
pub struct PaceWatch {
    pace: Pace,
    waited: Duration,
    waited_in_window: Duration,
    bytes_in_window: u64,
}

impl PaceWatch {
    /// Nothing has come yet.
    pub fn new(pace: Pace) -> Self {
        Self { pace, waited: Duration::ZERO, waited_in_window: Duration::ZERO, bytes_in_window: 0 }
    }

    /// How long the next bytes may be waited for; without any, [`PaceWatch::add`] decides.
    pub fn patience(&self) -> Duration {
        let in_window = self.pace.window.saturating_sub(self.waited_in_window);
        in_window.min(self.pace.total.saturating_sub(self.waited))
    }

    /// `bytes` came, maybe none, after a wait.
    pub fn add(&mut self, waited: Duration, bytes: u64) -> Result<(), TooSlow> {
        self.waited += waited;
        self.waited_in_window += waited;
        self.bytes_in_window += bytes;
        if self.waited >= self.pace.total {
            return Err(TooSlow::Total(self.pace.total));
        }
        if self.waited_in_window >= self.pace.window {
            let expected = u128::from(self.pace.slowest) * self.waited_in_window.as_millis() / 1000;
            if u128::from(self.bytes_in_window) < expected {
                return Err(TooSlow::Rate(self.pace));
            }
            (self.waited_in_window, self.bytes_in_window) = (Duration::ZERO, 0);
        }
        Ok(())
    }
}

/// The body of a response, read within its limits.
pub struct BoundedAnswer {
    response: Response,
    limits: AnswerLimits,
    watch: PaceWatch,
    taken: u64,
}

/// Why a body could not be read.
#[derive(Debug)]
pub enum AnswerFailure {
    /// It is larger than these bytes.
    TooLarge(u64),
    /// It comes too slowly.
    TooSlow(TooSlow),
    /// The connection broke.
    Torn(reqwest::Error),
}

impl BoundedAnswer {
    /// Reads `response` within these limits.
    pub fn new(response: Response, limits: AnswerLimits) -> Self {
        Self { response, limits, watch: PaceWatch::new(limits.pace), taken: 0 }
    }

    /// The response, for its head.
    pub fn head(&self) -> &Response {
        &self.response
    }

    /// The next bytes; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, AnswerFailure> {
        let limit = self.limits.bytes;
        if self.taken == 0 && self.response.content_length().is_some_and(|length| length > limit) {
            return Err(AnswerFailure::TooLarge(limit));
        }
        loop {
            let start = Instant::now();
            let chunk = tokio::time::timeout(self.watch.patience(), self.response.chunk()).await;
            let chunk = match chunk {
                Ok(chunk) => Some(chunk.map_err(AnswerFailure::Torn)?),
                Err(_) => None,
            };
            let Some(chunk) = chunk else {
                self.watch.add(start.elapsed(), 0).map_err(AnswerFailure::TooSlow)?;
                continue;
            };
            let Some(bytes) = chunk else { return Ok(None) };
            self.taken += bytes.len() as u64;
            if self.taken > limit {
                return Err(AnswerFailure::TooLarge(limit));
            }
            self.watch.add(start.elapsed(), bytes.len() as u64).map_err(AnswerFailure::TooSlow)?;
            return Ok(Some(bytes));
        }
    }

    /// All of it.
    pub async fn whole(mut self) -> Result<Vec<u8>, AnswerFailure> {
        let mut all = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all)
    }
}

/// The end of a sentence that begins with the server.
impl fmt::Display for AnswerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "sent more than {}, the limit", size(*limit)),
            Self::TooSlow(slow) => slow.fmt(f),
            Self::Torn(error) => error.fmt(f),
        }
    }
}

/// `64 MiB`, `8 KiB`, `300 bytes`: the greatest unit that is exact.
pub fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.into_iter().find(|(bits, _)| bytes != 0 && bytes.is_multiple_of(1 << bits));
    exact.map_or_else(|| format!("{bytes} bytes"), |(bits, unit)| format!("{} {unit}", bytes >> bits))
}

/// `2 hours`, `10 minutes`, `60 seconds`, `50 ms`: the greatest unit that is exact and more than one.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_millis() != 0 || seconds == 0 {
        return format!("{} ms", time.as_millis());
    }
    match (seconds / 3600, seconds / 60) {
        (hours @ 2.., _) if seconds.is_multiple_of(3600) => format!("{hours} hours"),
        (_, minutes @ 2..) if seconds.is_multiple_of(60) => format!("{minutes} minutes"),
        _ => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { slowest: 1024, window: Duration::from_secs(60), total: Duration::from_secs(2 * 3600) };

    #[test]
    fn a_byte_a_second_is_given_up_after_a_window() {
        let mut watch = PaceWatch::new(PACE);
        let slow = (0..).find_map(|second| watch.add(Duration::from_secs(1), 1).err().map(|slow| (second, slow)));
        let (second, slow) = slow.unwrap();
        assert_eq!((second, slow.to_string().as_str()), (59, "sent less than 1 KiB a second for 60 seconds"));
    }

    #[test]
    fn a_slow_and_honest_link_goes_on_until_the_time_is_up() {
        let mut watch = PaceWatch::new(PACE);
        // Twenty seconds of nothing are made up for in the same window.
        for _ in 0..2 * 3600 / 60 - 1 {
            watch.add(Duration::from_secs(20), 0).unwrap();
            assert_eq!(watch.patience(), Duration::from_secs(40));
            watch.add(Duration::from_secs(40), 60 * 1024).unwrap();
        }
        let slow = watch.add(Duration::from_secs(60), 1 << 30).unwrap_err();
        assert_eq!(slow.to_string(), "did not finish within 2 hours");
    }

    #[test]
    fn sizes_and_times_are_in_their_greatest_exact_unit() {
        let sizes = [(0, "0 bytes"), (300, "300 bytes"), (8 << 10, "8 KiB"), (64 << 20, "64 MiB"), (1 << 30, "1 GiB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        for (millis, text) in [(50, "50 ms"), (60_000, "60 seconds"), (600_000, "10 minutes"), (7_200_000, "2 hours")] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
