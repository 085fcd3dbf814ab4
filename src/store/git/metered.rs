//! The http that gix speaks, with what the server sends counted: how much is kept in memory, how much is a pack, and how
//! slowly it comes.

use std::any::Any;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse, reqwest::Remote,
};

use super::failure::GitFailure;
use super::limits::GitLimits;
use crate::answer::PaceWatch;

/// The digits of a packet line's length.
pub(super) const LENGTH: usize = 4;
/// The line after which a pack comes (protocol 2), with its end.
const PACKFILE: &[u8] = b"packfile\n";
/// What a pack begins with (protocols 0 and 1, in a line of the first side band or without lines).
const PACK: &[u8] = b"PACK";

/// What was taken of one repository.
pub(super) struct Meter {
    limits: GitLimits,
    state: Mutex<MeterState>,
}

#[derive(Default)]
struct MeterState {
    in_memory: u64,
    in_pack: u64,
    failure: Option<GitFailure>,
}

impl Meter {
    pub(super) fn new(limits: GitLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    pub(super) fn limits(&self) -> &GitLimits {
        &self.limits
    }

    /// Why the connection was given up, if it was.
    pub(super) fn failure(&self) -> Option<GitFailure> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.take()
    }

    pub(super) fn count(&self, bytes: u64, is_pack: bool) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, what, limit) = if is_pack {
            (&mut state.in_pack, "the commit", self.limits.pack)
        } else {
            (&mut state.in_memory, "the server's answer", self.limits.answer)
        };
        *counted += bytes;
        if *counted <= limit {
            return Ok(());
        }
        state.failure = Some(GitFailure::too_large(what, limit));
        Err(io::Error::other("more than the limit"))
    }

    fn is_too_slow(&self, why: &impl ToString) -> io::Error {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failure = Some(GitFailure::Refused(format!("the server {}", why.to_string())));
        io::Error::other("slower than the limit")
    }
}

/// gix's own client, metered.
pub(super) struct MeteredHttp {
    http: Remote,
    meter: Arc<Meter>,
}

impl MeteredHttp {
    pub(super) fn new(meter: &Arc<Meter>) -> Self {
        Self { http: Remote::default(), meter: Arc::clone(meter) }
    }

    fn metered<R: BufRead>(&self, body: R) -> MeteredBody<R> {
        let watch = PaceWatch::new(self.meter.limits.pace);
        MeteredBody { body, meter: Arc::clone(&self.meter), watch, lines: Lines::default(), seen: 0 }
    }
}

impl Http for MeteredHttp {
    type Headers = <Remote as Http>::Headers;
    type ResponseBody = MeteredBody<<Remote as Http>::ResponseBody>;
    type PostBody = <Remote as Http>::PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let GetResponse { headers, body } = self.http.get(url, base_url, headers)?;
        Ok(GetResponse { headers, body: self.metered(body) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let PostResponse { post_body, headers, body } = self.http.post(url, base_url, headers, body)?;
        Ok(PostResponse { post_body, headers, body: self.metered(body) })
    }

    fn configure(&mut self, config: &dyn Any) -> gix::Result {
        self.http.configure(config)
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.http.redirected_base_url()
    }
}

/// The body of an answer.
pub(super) struct MeteredBody<R> {
    body: R,
    meter: Arc<Meter>,
    watch: PaceWatch,
    lines: Lines,
    /// Bytes of the buffer that are counted already.
    seen: usize,
}

impl<R: BufRead> BufRead for MeteredBody<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let start = Instant::now();
        let length = self.body.fill_buf()?.len();
        if length > self.seen {
            let bytes = &self.body.fill_buf()?[self.seen..];
            self.seen = length;
            let slow = self.watch.add(start.elapsed(), bytes.len() as u64);
            slow.map_err(|slow| self.meter.is_too_slow(&slow))?;
            let before_pack = self.lines.before_pack(bytes);
            self.meter.count(before_pack as u64, false)?;
            self.meter.count((bytes.len() - before_pack) as u64, true)?;
        }
        self.body.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.seen = self.seen.saturating_sub(amount);
        self.body.consume(amount);
    }
}

impl<R: BufRead> Read for MeteredBody<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The packet lines of an answer, as far as it takes to find the pack.
#[derive(Default)]
struct Lines {
    /// The digits of the length of the next line that are known.
    digits: Vec<u8>,
    /// How long the line is, and what is left of it.
    length: usize,
    left: usize,
    /// The beginning of the line.
    start: Vec<u8>,
    is_pack: bool,
}

impl Lines {
    /// How many of these bytes come before the pack.
    fn before_pack(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_pack {
            if self.left > 0 {
                let part = self.left.min(bytes.len() - at);
                let room = PACKFILE.len().saturating_sub(self.start.len());
                self.start.extend_from_slice(&bytes[at..at + part.min(room)]);
                self.left -= part;
                at += part;
                let is_whole = self.left == 0;
                self.is_pack = is_whole && self.length == PACKFILE.len() && self.start == PACKFILE
                    || self.start.strip_prefix(&[1]).is_some_and(|band| band.starts_with(PACK));
                if is_whole {
                    self.start.clear();
                }
                continue;
            }
            self.digits.push(bytes[at]);
            at += 1;
            if self.digits.len() == LENGTH {
                self.is_pack = self.digits == PACK;
                let digits = std::str::from_utf8(&self.digits).unwrap_or_default();
                // What is no line is refused by who reads it.
                self.length = usize::from_str_radix(digits, 16).unwrap_or(0).saturating_sub(LENGTH);
                self.left = self.length;
                self.digits.clear();
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limits(answer: u64, pack: u64) -> GitLimits {
        GitLimits { answer, pack, ..GitLimits::within(Duration::from_secs(60)) }
    }

    fn read(answer: &[u8], limits: GitLimits) -> Option<String> {
        // In pieces that end anywhere.
        for piece in [1, 3, 7, 1000] {
            let meter = Meter::new(limits);
            let body = io::BufReader::with_capacity(piece, answer);
            let mut all = Vec::new();
            let read = MeteredHttp::new(&meter).metered(body).read_to_end(&mut all);
            if let Some(failure) = meter.failure() {
                assert!(read.is_err());
                let GitFailure::Refused(why) = failure else { panic!("{failure:?}") };
                return Some(why);
            }
            assert_eq!(all, answer);
        }
        None
    }

    #[test]
    fn what_comes_before_a_pack_has_a_limit_of_its_own() {
        let line = |text: &[u8]| [format!("{:04x}", text.len() + LENGTH).as_bytes(), text].concat();
        let shallow = line(b"shallow 0123456789012345678901234567890123456789");
        let band = line(&[b"\x01PACK", &[b'x'; 2000][..]].concat());
        for answer in [
            [&shallow[..], b"0001", &line(PACKFILE), &[b'x'; 2000]].concat(),
            [&shallow[..], &line(b"NAK\n"), &band].concat(),
            [&shallow[..], &line(b"NAK\n"), PACK, &[b'x'; 2000]].concat(),
        ] {
            assert_eq!(read(&answer, limits(1000, 10_000)), None);
            let why = read(&answer, limits(1000, 1024)).unwrap();
            assert_eq!(why, "the commit has more than 1 KiB, the limit");
        }
        // A line with the words in it is none.
        let sly = line(b"wanted-refs x000dpackfile\n");
        let answer = [&shallow[..], &sly, &shallow.repeat(100), b"0000"].concat();
        let why = read(&answer, limits(1024, u64::MAX)).unwrap();
        assert_eq!(why, "the server's answer has more than 1 KiB, the limit");
    }
}
