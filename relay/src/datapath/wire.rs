//! Socket addresses and control messages as the kernel reads and writes them: for `batch.rs` alone.
#![allow(unsafe_code)]

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use crate::endpoint::{Endpoint, Ip};

/// Room for IP_PKTINFO or IPV6_PKTINFO, and for UDP_SEGMENT or UDP_GRO.
pub(super) const CONTROL_BYTES: usize = 96;

/// A buffer for control messages.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control([u8; CONTROL_BYTES]);

impl Control {
    /// An empty one.
    pub(super) const NONE: Self = Self([0; CONTROL_BYTES]);
}

/// A socket address of either family.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

pub(super) fn read_name(name: &Name) -> Endpoint {
    // SAFETY: `name` was zeroed and then written by us or by the kernel, which wrote the structure of the family that it states.
    unsafe {
        match libc::c_int::from(name.family) {
            libc::AF_INET => Endpoint {
                ip: IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(name.v4.sin_addr.s_addr))).into(),
                port: u16::from_be(name.v4.sin_port),
            },
            libc::AF_INET6 => Endpoint {
                ip: Ip::from(IpAddr::V6(Ipv6Addr::from(name.v6.sin6_addr.s6_addr))).on_link(name.v6.sin6_scope_id),
                port: u16::from_be(name.v6.sin6_port),
            },
            _ => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0).into(),
        }
    }
}

/// Writes an address in its own family; all our sockets are of one family. Returns its length.
pub(super) fn write_name(name: &mut Name, to: Endpoint) -> libc::socklen_t {
    match IpAddr::from(to.ip) {
        IpAddr::V4(ip) => {
            name.v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port.to_be(),
                sin_addr: libc::in_addr { s_addr: ip.to_bits().to_be() },
                sin_zero: [0; 8],
            };
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        IpAddr::V6(ip) => {
            name.v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: to.port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
                sin6_scope_id: to.ip.link(),
            };
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// What the kernel told along with a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// The local address it came to (IP_PKTINFO, IPV6_PKTINFO).
    pub local: Option<Ip>,
    /// It is several datagrams of this many bytes, the last one of what is left (UDP_GRO).
    pub segment_bytes: Option<usize>,
}

/// Reads the control messages of a received datagram.
pub(super) fn read_control(header: &libc::msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: the kernel set `msg_controllen` to what it wrote into `msg_control`, which is aligned for `cmsghdr`; the CMSG macros stay
    // within it.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    told.local = Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr))).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    let ip = Ip::from(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                    told.local = Some(ip.on_link(info.ipi6_ifindex as u32));
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let bytes: libc::c_int = ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                    told.segment_bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes > 0);
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    told
}

/// Writes the control messages that set the source address (`from`) and cut what is sent into datagrams of `segment_bytes`. Returns their
/// length, 0 without any.
pub(super) fn write_control(control: &mut Control, from: Option<Ip>, segment_bytes: Option<u16>) -> usize {
    let mut length = 0;
    if let Some(from) = from {
        length += match IpAddr::from(from) {
            IpAddr::V4(ip) => {
                let address = libc::in_addr { s_addr: ip.to_bits().to_be() };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: libc::in_addr { s_addr: 0 } };
                append(control, length, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: from.link() as _ };
                append(control, length, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
        };
    }
    if let Some(bytes) = segment_bytes {
        length += append(control, length, libc::SOL_UDP, libc::UDP_SEGMENT, bytes);
    }
    length
}

/// Writes one control message at `at`; returns the bytes it takes.
fn append<T: Copy>(control: &mut Control, at: usize, level: libc::c_int, kind: libc::c_int, value: T) -> usize {
    // SAFETY: a computation.
    let (length, space) = unsafe { (libc::CMSG_LEN(mem::size_of::<T>() as u32), libc::CMSG_SPACE(mem::size_of::<T>() as u32) as usize) };
    assert!(at + space <= CONTROL_BYTES, "there is room for one of each kind");
    // SAFETY: `control` is aligned for `cmsghdr`, `at` is a sum of CMSG_SPACE and so a multiple of that alignment, and the message fits.
    unsafe {
        let message: *mut libc::cmsghdr = (&raw mut control.0).cast::<u8>().add(at).cast();
        (*message).cmsg_len = length as _;
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), value);
    }
    space
}
