//! Where bytes that came in wait until they are looked at.
//!
//! A connection has a buffer only while bytes flow: it takes one from its worker's stock and
//! gives it back when it is empty, so an idle connection holds none.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes read and not yet consumed.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// Reads what there is, behind what has not been consumed. `Ok(0)` is the end of the stream.
    ///
    /// Makes room for at least `want` unread bytes. Cancel safe.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.capacity() == 0 {
            self.bytes = take();
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let room = want.saturating_sub(self.bytes.len()).max(MIN_ROOM);
        self.bytes.reserve(room);
        let read = pin!(from.read_buf(&mut self.bytes));
        let polled = read.poll(cx);
        if self.bytes.is_empty() {
            give(std::mem::take(&mut self.bytes));
        }
        polled
    }

    /// Puts bytes behind what has not been consumed, as if they had been read.
    pub fn put(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            if self.bytes.capacity() == 0 {
                self.bytes = take();
            }
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// What has not been consumed.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Marks the first `len` unread bytes as done with; an empty buffer goes back to the stock.
    pub fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.start = 0;
            give(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.bytes));
    }
}

thread_local! {
    // One stock a worker thread: a lock would be dearer than the buffer.
    static STOCK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer from this thread's stock.
pub(super) fn take() -> Vec<u8> {
    STOCK
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(BUFFER_LEN))
}

/// Puts a buffer back, unless it has grown for a large message or the stock is full.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() == BUFFER_LEN {
        buffer.clear();
        // A thread that is ending has no stock any more; the buffer is then simply freed.
        let _ = STOCK.try_with(|stock| {
            let mut stock = stock.borrow_mut();
            if stock.len() < MAX_STOCK {
                stock.push(buffer);
            }
        });
    }
}

/// As much as one read brings when rows or COPY data stream; only touched pages cost memory.
const BUFFER_LEN: usize = 64 * 1024;
/// Buffers kept a thread: 16 MiB at most.
const MAX_STOCK: usize = 256;
/// Less room than this is not worth a read.
const MIN_ROOM: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn unread_bytes_survive_the_next_read() {
        let mut from: &[u8] = b"abcdef";
        let mut inbox = Inbox::default();
        let read = poll_fn(|cx| inbox.poll_fill(&mut from, 0, cx))
            .await
            .unwrap();
        assert_eq!(read, 6);
        inbox.consume(4);
        let mut from: &[u8] = b"gh";
        poll_fn(|cx| inbox.poll_fill(&mut from, 0, cx))
            .await
            .unwrap();
        assert_eq!(inbox.unread(), b"efgh");
    }

    #[tokio::test]
    async fn an_empty_inbox_holds_no_memory() {
        let mut from: &[u8] = b"abc";
        let mut inbox = Inbox::default();
        poll_fn(|cx| inbox.poll_fill(&mut from, 0, cx))
            .await
            .unwrap();
        inbox.consume(3);
        assert_eq!(inbox.bytes.capacity(), 0);
        poll_fn(|cx| inbox.poll_fill(&mut from, 0, cx))
            .await
            .unwrap();
        assert_eq!(
            inbox.bytes.capacity(),
            0,
            "not even after the end of the stream"
        );
    }

    #[tokio::test]
    async fn a_message_larger_than_the_buffer_fits() {
        let large = vec![7; 300_000];
        let mut from = &large[..];
        let mut inbox = Inbox::default();
        while inbox.unread().len() < large.len() {
            poll_fn(|cx| inbox.poll_fill(&mut from, 300_000, cx))
                .await
                .unwrap();
        }
        assert_eq!(inbox.unread(), large);
    }
}
