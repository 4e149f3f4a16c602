//! Opening sockets: listening ones, once per worker on one port, and relayed ones.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

use super::system::{allow_fragments, forbid_fragments, keep_errors, receive_joined, tell_local_address};
use crate::endpoint::Endpoint;

/// What a listening socket asks the kernel to buffer; it gives less where `rmem_max` and `wmem_max` say so.
const LISTEN_BUFFER_BYTES: usize = 4 << 20;
const TCP_BACKLOG: i32 = 1024;
/// Connections of peers that wait to be accepted.
const RELAYED_BACKLOG: i32 = 16;

/// The sockets of one address to listen on: one per family and worker.
pub struct Listening {
    /// The address as configured, with its real port.
    pub local: SocketAddr,
    /// For each worker its sockets.
    pub workers: Vec<Vec<UdpSocket>>,
}

/// Opens a UDP address for `workers` workers. `[::]` stands for both families, on one port.
///
/// # Errors
/// The address is in use or not ours, with the kernel's word for it.
pub fn listen_udp(address: SocketAddr, workers: usize) -> io::Result<Listening> {
    both_families(address, |addresses| {
        let mut sockets: Vec<Vec<UdpSocket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut port = addresses[0].port();
        for &address in addresses {
            if port != 0 {
                // With SO_REUSEPORT two servers of one user could share a port unnoticed.
                drop(bind_udp(at_port(address, port), false)?);
            }
            for worker in &mut sockets {
                let socket = bind_udp(at_port(address, port), true)?;
                // The kernel may give less; media then has shorter queues.
                let _ = socket.set_recv_buffer_size(LISTEN_BUFFER_BYTES);
                let _ = socket.set_send_buffer_size(LISTEN_BUFFER_BYTES);
                let socket = UdpSocket::from(socket);
                // Without it datagrams come one by one.
                let _ = receive_joined(socket.as_fd());
                if address.ip().is_unspecified() {
                    tell_local_address(socket.as_fd(), address.is_ipv4())?;
                }
                port = socket.local_addr()?.port();
                worker.push(socket);
            }
        }
        Ok(Listening { local: at_port(addresses[0], port), workers: sockets })
    })
}

/// Opens a TCP address. `[::]` stands for both families, on one port.
///
/// # Errors
/// The address is in use or not ours, with the kernel's word for it.
pub fn listen_tcp(address: SocketAddr) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    both_families(address, |addresses| {
        let mut listeners = Vec::new();
        let mut port = addresses[0].port();
        for &address in addresses {
            let socket = open(address, Type::STREAM, Protocol::TCP)?;
            socket.set_reuse_address(true)?;
            socket.bind(&at_port(address, port).into())?;
            socket.listen(TCP_BACKLOG)?;
            let listener = TcpListener::from(socket);
            port = listener.local_addr()?.port();
            listeners.push(listener);
        }
        Ok((at_port(addresses[0], port), listeners))
    })
}

/// Opens a relayed socket, which hears of ICMP errors.
///
/// # Errors
/// The port is in use, the address is not ours, or there is no descriptor left.
pub fn bind_relayed(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind_udp(address, false)?;
    keep_errors(socket.as_fd(), address.is_ipv4())?;
    // Without it datagrams come one by one.
    let _ = receive_joined(socket.as_fd());
    Ok(socket.into())
}

/// Sends one datagram that nobody may fragment on its way (RFC 8656 §14); the next ones may be again.
///
/// # Errors
/// What the kernel says; `EMSGSIZE` where the first link is too narrow.
pub fn send_unfragmented(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
    forbid_fragments(socket.as_fd(), to.is_ipv4())?;
    // The first error may be what the network said of an earlier datagram.
    let sent = socket.send_to(bytes, to).or_else(|_| socket.send_to(bytes, to));
    allow_fragments(socket.as_fd(), to.is_ipv4())?;
    sent.map(drop)
}

/// Listens for TCP on a relayed address. Connections can be made from the same port (`connect_relayed_tcp`), while nobody else can listen
/// there: it is bound for itself, and shared only afterwards.
///
/// # Errors
/// The port is in use, the address is not ours, or there is no descriptor left.
pub fn listen_relayed_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // For connections that linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(RELAYED_BACKLOG)?;
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

/// A socket bound to a relayed address that listens, to connect to a peer.
///
/// # Errors
/// There is no descriptor left, or nothing listens there.
pub fn connect_relayed_tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Calls `bind` with the addresses that a configured one stands for. When the port is to be picked, the other family may have it in use:
/// then another one is tried. Without IPv6, `[::]` is 0.0.0.0.
fn both_families<T>(address: SocketAddr, bind: impl Fn(&[SocketAddr]) -> io::Result<T>) -> io::Result<T> {
    const PICKS: usize = 16;
    let address = SocketAddr::from(Endpoint::from(address));
    if address.ip() != IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) {
        return bind(&[address]);
    }
    let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    if let Err(error) = open(address, Type::DGRAM, Protocol::UDP) {
        tracing::warn!(%address, %error, "no IPv6 here, listening on 0.0.0.0 alone");
        return bind(&[v4]);
    }
    let mut result = bind(&[address, v4]);
    for _ in 1..PICKS {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 => result = bind(&[address, v4]),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                tracing::warn!(%address, %error, "no IPv6 here, listening on 0.0.0.0 alone");
                return bind(&[v4]);
            }
            _ => break,
        }
    }
    result
}

/// The same address, on the same link, with another port.
fn at_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn bind_udp(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    allow_fragments(socket.as_fd(), address.is_ipv4())?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A socket of one family that does not block.
fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_any_address_serves_both_families_on_one_port() {
        let listening = listen_udp("[::]:0".parse().unwrap(), 2).unwrap();
        assert_ne!(listening.local.port(), 0);
        for worker in &listening.workers {
            let ports: Vec<_> = worker.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
            assert_eq!(ports, [listening.local.port(); 2]);
        }
        let (local, listeners) = listen_tcp("[::]:0".parse().unwrap()).unwrap();
        assert_eq!((listeners.len(), local.ip().is_unspecified()), (2, true));
    }

    #[test]
    fn rfc6062_a_relayed_tcp_address_listens_alone_and_connects_from_its_port() {
        let listener = listen_relayed_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let bound = listener.local_addr().unwrap();
        assert_eq!(listen_relayed_tcp(bound).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        assert!(std::net::TcpListener::bind(bound).is_err());
        let peers: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        for peer in &peers {
            let socket = Socket::from(connect_relayed_tcp(bound).unwrap());
            socket.set_nonblocking(false).unwrap();
            socket.connect(&peer.local_addr().unwrap().into()).unwrap();
            assert_eq!(peer.accept().unwrap().1, bound);
        }
        // Its own connections do not take what comes to the listener.
        let caller = TcpStream::connect(bound).unwrap();
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().unwrap().1, caller.local_addr().unwrap());
    }

    #[test]
    fn a_port_in_use_is_not_shared() {
        let first = listen_udp("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let error = listen_udp(first.local, 2).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let (local, _listeners) = listen_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_eq!(listen_tcp(local).err().unwrap().kind(), io::ErrorKind::AddrInUse);
    }
}
