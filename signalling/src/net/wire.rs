//! The two framings of a client stream behind one face: bytes in, frames out, and back. Pure.

use super::websocket::{Broken, Codec, Incoming};
use crate::stanza::{Framing, Stanza};
use crate::stream::error::StreamError;
use crate::xml::{Frame, Framer, Limits};

/// One connection's framing, with the bytes that wait to be written.
#[derive(Debug)]
pub enum Wire {
    /// RFC 6120 over TCP or TLS.
    Xml {
        /// What finds the elements.
        framer: Framer,
        /// What is to be written.
        output: Vec<u8>,
    },
    /// RFC 7395.
    WebSocket {
        /// What finds the messages.
        codec: Box<Codec>,
        /// The client has closed the WebSocket without having closed its stream.
        cut: bool,
    },
}

impl Wire {
    /// A stream of RFC 6120.
    pub fn xml(limits: Limits) -> Self {
        Self::Xml { framer: Framer::new(limits), output: Vec::new() }
    }

    /// A stream of RFC 7395, after the WebSocket handshake.
    pub fn websocket(limits: Limits) -> Self {
        Self::WebSocket { codec: Box::new(Codec::new(limits)), cut: false }
    }

    /// How stanzas are written.
    pub fn framing(&self) -> Framing {
        match self {
            Self::Xml { .. } => Framing::Stream,
            Self::WebSocket { .. } => Framing::Alone,
        }
    }

    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Xml { framer, .. } => framer.push(bytes),
            Self::WebSocket { codec, .. } => codec.push(bytes),
        }
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What ends the stream.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, StreamError> {
        match self {
            Self::Xml { framer, .. } => Ok(framer.next()?),
            Self::WebSocket { codec, cut, .. } => match codec.next_incoming() {
                Ok(Some(Incoming::Frame(frame))) => Ok(Some(frame)),
                Ok(Some(Incoming::Closed)) => {
                    *cut = true;
                    Ok(Some(Frame::Close))
                }
                Ok(None) => Ok(None),
                Err(Broken { error, .. }) => Err(error),
            },
        }
    }

    /// The stream is opened anew under these limits. Bytes already received belong to the new stream.
    pub fn restart(&mut self, limits: Limits) {
        match self {
            Self::Xml { framer, .. } => {
                framer.reset();
                framer.set_limits(limits);
            }
            Self::WebSocket { codec, .. } => codec.set_limits(limits),
        }
    }

    /// Bytes received that no frame has been made of yet.
    pub fn pending(&self) -> usize {
        match self {
            Self::Xml { framer, .. } => framer.pending(),
            Self::WebSocket { .. } => 0,
        }
    }

    /// Queues a part of the negotiation: a header, an element, a closing tag.
    pub fn send(&mut self, bytes: &[u8]) {
        match self {
            Self::Xml { output, .. } => output.extend_from_slice(bytes),
            Self::WebSocket { codec, .. } => codec.send(bytes),
        }
    }

    /// Queues a stanza.
    pub fn send_stanza(&mut self, stanza: &Stanza) {
        match self {
            Self::Xml { output, .. } => {
                output.reserve(stanza.size_bytes());
                stanza.write(output, Framing::Stream);
            }
            Self::WebSocket { codec, .. } => {
                // Its length comes before it.
                let mut message = Vec::with_capacity(stanza.size_bytes());
                stanza.write(&mut message, Framing::Alone);
                codec.send(&message);
            }
        }
    }

    /// Queues a sign of life: RFC 6120 §4.6.1, RFC 7395 §3.8.
    pub fn keepalive(&mut self) {
        match self {
            Self::Xml { output, .. } => output.push(b' '),
            Self::WebSocket { codec, .. } => codec.ping(),
        }
    }

    /// Whether the frame that closed the stream was none of the stream: RFC 7395 §3.6, "implicitly closed".
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::WebSocket { cut: true, .. })
    }

    /// Queues the end of the connection, where the framing has one of its own.
    pub fn close(&mut self) {
        if let Self::WebSocket { codec, .. } = self {
            codec.close();
        }
    }

    /// What waits to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Xml { output, .. } => output,
            Self::WebSocket { codec, .. } => codec.output(),
        }
    }

    /// All output has been written. Its buffer is given back: streams that rest hold nothing, and a new one is where the processor has just been.
    pub fn clear_output(&mut self) {
        *self.output() = Vec::new();
    }
}
