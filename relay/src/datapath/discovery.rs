//! The sockets for RFC 5780 §6: each of two addresses with each of two ports, those of them used that are listened on anyway.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::socket::listen_udp;
use crate::turn::server::discovery::{Discovery, Place};

/// Opens what is missing at the end of each worker's listening sockets, which are the same for all of them.
///
/// # Errors
/// An address cannot be listened on: which, and the kernel's word for it.
pub fn listen([first, second]: [SocketAddr; 2], workers: &mut [Vec<UdpSocket>]) -> Result<Discovery, (SocketAddr, io::Error)> {
    let mut place = |local: SocketAddr| {
        let number = match find(local, workers.first().map_or(&[], Vec::as_slice)) {
            Some(number) => number,
            None => {
                let listening = listen_udp(local, workers.len()).map_err(|error| (local, error))?;
                workers.iter_mut().zip(listening.workers).for_each(|(all, new)| all.extend(new));
                workers.first().map_or(0, Vec::len) - 1
            }
        };
        Ok(Place { number: number as u16, local: local.into() })
    };
    let mut row = |ip| Ok([place(SocketAddr::new(ip, first.port()))?, place(SocketAddr::new(ip, second.port()))?]);
    Ok(Discovery([row(first.ip())?, row(second.ip())?]))
}

/// The socket that gets what is sent to an address: its own, else the one that listens on all of them.
fn find(local: SocketAddr, sockets: &[UdpSocket]) -> Option<usize> {
    let is_bound = |socket: &UdpSocket, to: &dyn Fn(SocketAddr) -> bool| socket.local_addr().is_ok_and(to);
    let own = sockets.iter().position(|socket| is_bound(socket, &|bound| bound == local));
    let any = |bound: SocketAddr| bound.ip().is_unspecified() && bound.is_ipv4() == local.is_ipv4() && bound.port() == local.port();
    own.or_else(|| sockets.iter().position(|socket| is_bound(socket, &any)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(discovery: Discovery) -> [[u16; 2]; 2] {
        discovery.0.map(|row| row.map(|place| place.number))
    }

    fn free_port() -> u16 {
        UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn s6_what_is_listened_on_is_used_and_the_rest_is_opened() {
        let (first_port, second_port) = (free_port(), free_port());
        let pair = |text: &str, port| SocketAddr::new(text.parse().unwrap(), port);
        let addresses = [pair("127.0.0.1", first_port), pair("127.0.0.2", second_port)];
        // Nothing yet: four sockets for each worker.
        let mut workers = vec![Vec::new(), Vec::new()];
        assert_eq!(numbers(listen(addresses, &mut workers).unwrap()), [[0, 1], [2, 3]]);
        assert!(workers.iter().all(|sockets| sockets.len() == 4));
        drop(workers);
        // The first port is served on all addresses of both families.
        let mut workers = listen_udp(SocketAddr::new([0u16; 8].into(), first_port), 2).unwrap().workers;
        assert_eq!(numbers(listen(addresses, &mut workers).unwrap()), [[1, 2], [1, 3]]);
        drop(workers);
        // One of them has a socket already.
        let mut workers = listen_udp(addresses[1], 1).unwrap().workers;
        assert_eq!(numbers(listen(addresses, &mut workers).unwrap()), [[1, 2], [3, 0]]);
        let (address, error) = listen([pair("127.0.0.1", first_port), pair("203.0.113.1", second_port)], &mut workers).unwrap_err();
        assert_eq!((address.ip().to_string(), error.kind()), ("203.0.113.1".into(), io::ErrorKind::AddrNotAvailable));
    }
}
