//! What a peer has not taken yet.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::wire::buffer;

/// Bytes that wait for a socket to take them. Empty, and without memory, nearly always.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream keeps bytes of its own (TLS records) that it has not written.
    unflushed: bool,
}

impl Outbox {
    /// Whether the peer has taken everything.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where to append messages; [`Self::poll_flush`] sends them.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = buffer::take();
        }
        &mut self.bytes
    }

    /// Sends `bytes`, after what waits already, as far as the peer takes them; keeps the rest.
    ///
    /// # Errors
    /// The socket's.
    pub fn send<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        bytes: &[u8],
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut rest = bytes;
        if self.bytes.is_empty() {
            while !rest.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(n)) => rest = &rest[n..],
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => break,
                }
            }
            self.unflushed = true;
        }
        if !rest.is_empty() {
            self.buffer().extend_from_slice(rest);
        }
        match self.poll_flush(to, cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Sends what waits. Cancel safe.
    ///
    /// # Errors
    /// The socket's.
    #[inline]
    pub fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_empty() && self.bytes.capacity() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush_rest(to, cx)
    }

    fn poll_flush_rest<W: AsyncWrite + Unpin>(
        &mut self,
        to: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            match Pin::new(&mut *to).poll_write(cx, &self.bytes[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.sent += n;
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.bytes.capacity() > 0 {
            self.sent = 0;
            self.bytes.clear();
            buffer::give(std::mem::take(&mut self.bytes));
        }
        if self.unflushed {
            match Pin::new(to).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                unfinished @ (Poll::Pending | Poll::Ready(Err(_))) => return unfinished,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what waits. Cancel safe.
    ///
    /// # Errors
    /// The socket's.
    pub async fn flush<W: AsyncWrite + Unpin>(&mut self, to: &mut W) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(to, cx)).await
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        buffer::give(std::mem::take(&mut self.bytes));
    }
}
