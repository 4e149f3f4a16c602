//! A byte stream of which the first bytes have been read already: whoever takes it over reads them again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream; writing goes straight through.
#[derive(Debug)]
pub struct Replay<S> {
    /// Not read again yet; gone once it is.
    first: Box<[u8]>,
    at: usize,
    io: S,
}

impl<S> Replay<S> {
    /// `first` was read from `io`.
    pub fn new(first: &[u8], io: S) -> Self {
        Self { first: first.into(), at: 0, io }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replay<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let rest = &this.first[this.at..];
        if rest.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        this.at += count;
        if this.at == this.first.len() {
            (this.first, this.at) = (Box::default(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replay<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_was_read_is_read_again_and_then_the_rest() {
        for first in [&b""[..], b"a", b"abcdef"] {
            let (mut near, far) = tokio::io::duplex(64);
            near.write_all(b"the rest").await.unwrap();
            let mut replay = Replay::new(first, far);
            let mut read = Vec::new();
            let mut two = [0; 2];
            while read.len() < first.len() + 8 {
                let count = replay.read(&mut two).await.unwrap();
                read.extend_from_slice(&two[..count]);
            }
            assert_eq!(read, [first, b"the rest"].concat());
            replay.write_all(b"back").await.unwrap();
            let mut back = [0; 4];
            near.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"back");
        }
    }
}
