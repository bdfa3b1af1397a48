//! UDP sockets: bound, joined to their group, with large buffers, and with errors that tell what
//! to do.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::url::Udp;

/// What is asked for to ride out a moment without CPU: over 6 s at 10 Mbit/s. The system may
/// grant less (`net.core.rmem_max`).
const RECEIVE_BUFFER: usize = 8 << 20;
/// How often a receiver that gets nothing looks whether it is to end.
pub(crate) const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);

/// A socket to receive on, and how large its buffer really is.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) socket: UdpSocket,
    pub(crate) buffer: usize,
}

impl Receiver {
    pub(crate) fn open(udp: &Udp) -> Result<Self, String> {
        let socket = receiving(udp).map_err(|why| explain_bind(udp.addr, &why))?;
        if udp.addr.ip().is_multicast() {
            join(&socket, udp).map_err(|why| explain_join(udp, &why))?;
        }
        let buffer = socket.recv_buffer_size().unwrap_or(0);
        Ok(Self { socket: socket.into(), buffer })
    }

    /// Whether the system granted less than was asked for.
    pub(crate) fn is_buffer_small(&self) -> bool {
        self.buffer < RECEIVE_BUFFER
    }
}

fn receiving(udp: &Udp) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(udp.addr), Type::DGRAM, Some(Protocol::UDP))?;
    let group = udp.addr.ip().is_multicast();
    if group {
        // Several programs may hear one group. On a unicast port it would let a second program
        // steal the packets instead of failing.
        socket.set_reuse_address(true)?;
        // A socket bound to the group hears it on every interface that any program of this
        // machine has joined it on; an input is to hear it on its own.
        #[cfg(target_os = "linux")]
        if udp.addr.is_ipv4() {
            socket.set_multicast_all_v4(false)?;
        }
    }
    // Less than that is no error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    // Bound to the group itself, the socket does not hear other groups on the same port. Windows
    // cannot do that.
    let at = match udp.addr {
        SocketAddr::V4(addr) if group && cfg!(windows) => {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()))
        }
        SocketAddr::V6(addr) if group && cfg!(windows) => {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, addr.port()))
        }
        addr => addr,
    };
    socket.bind(&at.into())?;
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    Ok(socket)
}

fn join(socket: &Socket, udp: &Udp) -> io::Result<()> {
    match udp.addr {
        SocketAddr::V4(addr) => {
            socket.join_multicast_v4(addr.ip(), &udp.localaddr.unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        SocketAddr::V6(addr) => socket.join_multicast_v6(addr.ip(), addr.scope_id()),
    }
}

/// A socket to send from. It is not connected: a connected one loses a packet for every "nobody
/// listens" that comes back, and a receiver may well start after the relay.
pub(crate) fn sender(udp: &Udp) -> Result<UdpSocket, String> {
    let open = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(udp.addr), Type::DGRAM, Some(Protocol::UDP))?;
        let any = match udp.addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        socket.bind(&any.into())?;
        match (udp.addr.ip().is_multicast(), udp.addr.is_ipv4(), udp.ttl) {
            (true, true, ttl) => {
                if let Some(interface) = udp.localaddr {
                    socket.set_multicast_if_v4(&interface)?;
                }
                socket.set_multicast_ttl_v4(ttl.unwrap_or(1))?;
            }
            (true, false, ttl) => socket.set_multicast_hops_v6(ttl.unwrap_or(1))?,
            (false, true, Some(ttl)) => socket.set_ttl_v4(ttl)?,
            (false, false, Some(ttl)) => socket.set_unicast_hops_v6(ttl)?,
            (false, _, None) => {}
        }
        Ok(socket)
    };
    open().map(Into::into).map_err(|why| format!("cannot open a socket for {}: {why}", udp.addr))
}

fn explain_bind(addr: SocketAddr, why: &io::Error) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    match why.kind() {
        ErrorKind::AddrInUse => format!(
            "UDP port {port} on {ip} is in use by another program: end that program ({} shows \
             it), or choose another port",
            if cfg!(target_os = "linux") {
                format!("`ss -ulpn sport = :{port}`")
            } else {
                "netstat".to_owned()
            }
        ),
        ErrorKind::AddrNotAvailable => format!(
            "{ip} is no address of this machine: an input listens, so write an address of this \
             machine, or udp://@:{port} for all of them"
        ),
        ErrorKind::PermissionDenied => format!(
            "no permission to listen on port {port}: choose one above 1023, or give the program \
             the right to use it"
        ),
        _ => format!("cannot listen on {addr}: {why}"),
    }
}

fn explain_join(udp: &Udp, why: &io::Error) -> String {
    let group = udp.addr.ip();
    match udp.localaddr {
        Some(ip) => format!(
            "cannot join the group {group} on the interface with the address {ip}: {why}; \
             localaddr must be an address of this machine"
        ),
        None => {
            format!("cannot join the group {group}: {why}; choose the interface with ?localaddr=IP")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(addr: &str, localaddr: Option<Ipv4Addr>) -> Udp {
        Udp { addr: addr.parse().unwrap(), localaddr, ttl: None }
    }

    #[test]
    fn a_port_is_taken_once() {
        let first = Receiver::open(&udp("127.0.0.1:0", None)).unwrap();
        let addr = first.socket.local_addr().unwrap();
        let text = Receiver::open(&udp(&addr.to_string(), None)).unwrap_err();
        assert!(text.contains(&format!("UDP port {} ", addr.port())), "{text}");
        assert!(text.contains("in use"), "{text}");
    }

    #[test]
    fn a_foreign_address_is_explained() {
        // 192.0.2.0/24 is reserved for documentation: nobody has it.
        let text = Receiver::open(&udp("192.0.2.1:5000", None)).unwrap_err();
        assert!(text.contains("no address of this machine"), "{text}");
    }

    /// Two listeners of one group on the loopback interface both hear what is sent to it.
    #[test]
    fn a_group_has_several_listeners() {
        let lo = Some(Ipv4Addr::LOCALHOST);
        let port = {
            let free = Receiver::open(&udp("127.0.0.1:0", None)).unwrap();
            free.socket.local_addr().unwrap().port()
        };
        let group = udp(&format!("239.255.77.77:{port}"), lo);
        let listeners = [Receiver::open(&group).unwrap(), Receiver::open(&group).unwrap()];
        let out = sender(&group).unwrap();
        out.send_to(b"to the group", group.addr).unwrap();
        for listener in listeners {
            listener.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut buffer = [0; 64];
            let count = listener.socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"to the group");
        }
    }
}
