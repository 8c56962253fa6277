//! What one read brought, on its way to the other side: passed on as it is, or edited.

use std::io;
use std::task::Context;

use tokio::io::AsyncWrite;

use crate::wire::outbox::Outbox;

/// Follows a scan over the bytes of one read. Bytes that are passed on unchanged are never
/// copied: the longest run of them goes to the socket straight from where they were read.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    input: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Edit<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            start: 0,
            end: 0,
        }
    }

    /// What has not been looked at.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.input[self.end..]
    }

    /// Passes on the next `len` bytes.
    pub(super) fn pass(&mut self, len: usize) {
        self.end += len;
    }

    /// Drops the next `len` bytes.
    pub(super) fn skip(&mut self, len: usize, out: &mut Outbox) {
        self.put_run(out);
        self.end += len;
        self.start = self.end;
    }

    /// Puts something between what was passed on and what comes next.
    pub(super) fn insert(&mut self, out: &mut Outbox, put: impl FnOnce(&mut Vec<u8>)) {
        self.put_run(out);
        put(out.buffer());
    }

    /// Sends all of it. Returns how many bytes of the input are done with.
    pub(super) fn send<W: AsyncWrite + Unpin>(
        self,
        out: &mut Outbox,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> io::Result<usize> {
        let run = &self.input[self.start..self.end];
        if !run.is_empty() {
            if out.waiting() > 0 {
                out.buffer().extend_from_slice(run);
            } else {
                out.send(to, run, cx)?;
                return Ok(self.end);
            }
        }
        match out.poll_flush(to, cx) {
            std::task::Poll::Ready(Err(error)) => Err(error),
            std::task::Poll::Ready(Ok(())) | std::task::Poll::Pending => Ok(self.end),
        }
    }

    fn put_run(&mut self, out: &mut Outbox) {
        if self.start < self.end {
            out.buffer()
                .extend_from_slice(&self.input[self.start..self.end]);
            self.start = self.end;
        }
    }
}
