//! What is spoken through the ssh program or with the `git` of this machine, with the lines counted that are kept in
//! memory: refs, and what is said before a pack. The pack itself is watched on disk (`pack_watch`).

use std::any::Any;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use gix::bstr::BStr;
use gix::protocol::transport::client::blocking_io::{
    ExtendedBufRead, HandleProgress, ReadlineBufRead, RequestWriter, SetServiceResponse, Transport,
};
use gix::protocol::transport::client::{Error, MessageKind, TransportWithoutIO, WriteMode};
use gix::protocol::transport::packetline::PacketLineRef;
use gix::protocol::transport::{Protocol, Service};

use super::metered::{LENGTH, Meter};

/// gix's own transport, metered.
pub(super) struct MeteredTransport {
    transport: Box<dyn Transport + Send>,
    meter: Arc<Meter>,
}

impl MeteredTransport {
    pub(super) fn new(transport: Box<dyn Transport + Send>, meter: &Arc<Meter>) -> Self {
        Self { transport, meter: Arc::clone(meter) }
    }
}

impl TransportWithoutIO for MeteredTransport {
    fn set_identity(&mut self, identity: gix::sec::identity::Account) -> Result<(), Error> {
        self.transport.set_identity(identity)
    }

    fn to_url(&self) -> Cow<'_, BStr> {
        self.transport.to_url()
    }

    fn supported_protocol_versions(&self) -> &[Protocol] {
        self.transport.supported_protocol_versions()
    }

    fn connection_persists_across_multiple_requests(&self) -> bool {
        self.transport.connection_persists_across_multiple_requests()
    }

    fn configure(&mut self, config: &dyn Any) -> gix::Result {
        self.transport.configure(config)
    }
}

impl Transport for MeteredTransport {
    fn handshake<'a>(
        &mut self,
        service: Service,
        extra_parameters: &'a [(&'a str, Option<&'a str>)],
    ) -> Result<SetServiceResponse<'_>, Error> {
        let meter = &self.meter;
        let response = self.transport.handshake(service, extra_parameters)?;
        let refs = response.refs.map(|lines| Box::new(MeteredLines::new(lines, meter)) as Box<dyn ReadlineBufRead>);
        Ok(SetServiceResponse { refs, ..response })
    }

    fn request(
        &mut self,
        write_mode: WriteMode,
        on_into_read: MessageKind,
        trace: bool,
    ) -> Result<RequestWriter<'_>, Error> {
        let (writer, lines) = self.transport.request(write_mode, on_into_read, trace)?.into_parts();
        let lines = Box::new(MeteredLines::new(lines, &self.meter));
        Ok(RequestWriter::new_from_bufread(writer, lines, write_mode, on_into_read, trace))
    }
}

/// The lines of an answer.
struct MeteredLines<L> {
    lines: L,
    meter: Arc<Meter>,
}

impl<L> MeteredLines<L> {
    fn new(lines: L, meter: &Arc<Meter>) -> Self {
        Self { lines, meter: Arc::clone(meter) }
    }
}

impl<L: Read> Read for MeteredLines<L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.lines.read(buffer)
    }
}

impl<L: BufRead> BufRead for MeteredLines<L> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.lines.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.lines.consume(amount);
    }
}

impl<L: ReadlineBufRead> ReadlineBufRead for MeteredLines<L> {
    fn readline(&mut self) -> Option<io::Result<gix::Result<PacketLineRef<'_>>>> {
        let line = self.lines.readline()?;
        if let Ok(Ok(line)) = &line {
            let length = LENGTH + line.as_slice().map_or(0, <[u8]>::len);
            if let Err(error) = self.meter.count(length as u64, false) {
                return Some(Err(error));
            }
        }
        Some(line)
    }

    fn readline_str(&mut self, line: &mut String) -> io::Result<usize> {
        let length = self.lines.readline_str(line)?;
        self.meter.count((LENGTH + length) as u64, false)?;
        Ok(length)
    }
}

impl<'a, L: ExtendedBufRead<'a>> ExtendedBufRead<'a> for MeteredLines<L> {
    fn set_progress_handler(&mut self, handle_progress: Option<HandleProgress<'a>>) {
        self.lines.set_progress_handler(handle_progress);
    }

    fn peek_data_line(&mut self) -> Option<io::Result<Result<&[u8], Error>>> {
        self.lines.peek_data_line()
    }

    fn reset(&mut self, version: Protocol) {
        self.lines.reset(version);
    }

    fn stopped_at(&self) -> Option<MessageKind> {
        self.lines.stopped_at()
    }
}
