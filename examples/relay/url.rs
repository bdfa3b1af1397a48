//! Where media comes from and goes to: parses the addresses of the command line, and finds those
//! that cannot work together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::PathBuf;

/// One end of the relay, and how the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) kind: Kind,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Udp(Udp),
    File(PathBuf),
    /// stdin as an input, stdout as the output.
    Pipe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Udp {
    /// Where to listen, or where to send.
    pub(crate) addr: SocketAddr,
    /// The interface to use, by one of its addresses.
    pub(crate) localaddr: Option<Ipv4Addr>,
    /// Hops of what is sent.
    pub(crate) ttl: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Output,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Endpoint {
    /// An input, as written after `--input`.
    pub(crate) fn input(text: &str) -> Result<Self, String> {
        parse(text, Role::Input)
    }

    /// The output, as written after `--output`.
    pub(crate) fn output(text: &str) -> Result<Self, String> {
        parse(text, Role::Output)
    }

    /// A UDP end that needs no text of the user's. Port 0 lets the system choose.
    pub(crate) fn udp(addr: SocketAddr) -> Self {
        let udp = Udp { addr, localaddr: None, ttl: None };
        Self { kind: Kind::Udp(udp), text: format!("udp://{addr}") }
    }

    pub(crate) fn is_pipe(&self) -> bool {
        self.kind == Kind::Pipe
    }
}

fn parse(text: &str, role: Role) -> Result<Endpoint, String> {
    let kind = match text.split_once("://") {
        Some(("udp", rest)) => Kind::Udp(parse_udp(rest, role)?),
        Some(("rtp", rest)) if role == Role::Input => Kind::Udp(parse_udp(rest, role)?),
        Some(("rtp", rest)) => {
            return Err(format!("the output is plain MPEG-TS over UDP: write udp://{rest}"));
        }
        Some(("file", rest)) => Kind::File(parse_file(rest)?),
        Some((scheme, _)) => {
            return Err(format!(
                "unknown scheme '{scheme}': use udp://HOST:PORT (MPEG-TS over UDP or RTP), a file, \
                 or - for {}",
                if role == Role::Input { "stdin" } else { "stdout" }
            ));
        }
        None if text == "-" => Kind::Pipe,
        None if text.is_empty() => return Err("the address is empty".to_owned()),
        None if text.parse::<SocketAddr>().is_ok() => {
            return Err(format!("the scheme is missing: write udp://{text}"));
        }
        None => Kind::File(PathBuf::from(text)),
    };
    Ok(Endpoint { kind, text: text.to_owned() })
}

/// `[@]host:port[?localaddr=IP&ttl=N]`
fn parse_udp(rest: &str, role: Role) -> Result<Udp, String> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.strip_suffix('/').unwrap_or(place);
    let place = match place.split_once('@') {
        None => place,
        Some(("", place)) => place,
        Some((source, _)) => {
            return Err(format!(
                "a source address ('{source}@') is not supported: write udp://@GROUP:PORT"
            ));
        }
    };
    let Some((host, port)) = place.rsplit_once(':').filter(|(host, _)| !host.ends_with(':')) else {
        return Err(format!("the port is missing: write udp://{place}:PORT"));
    };
    let port: u16 = match port.parse() {
        Ok(0) | Err(_) => return Err(format!("'{port}' is not a port: use 1 to 65535")),
        Ok(port) => port,
    };
    let addr = match (host, role) {
        ("" | "*", Role::Input) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ("" | "*", Role::Output) => return Err("the output needs a host to send to".to_owned()),
        (host, _) => resolve(host, port)?,
    };
    if role == Role::Output && addr.ip().is_unspecified() {
        return Err(format!("{} is no address to send to", addr.ip()));
    }
    let mut udp = Udp { addr, localaddr: None, ttl: None };
    for (key, value) in query.split('&').filter(|p| !p.is_empty()).map(split_parameter) {
        match key {
            "localaddr" if addr.ip().is_multicast() && addr.is_ipv4() => {
                udp.localaddr = Some(value.parse().map_err(|_| {
                    format!("localaddr '{value}' is not an IPv4 address of this machine")
                })?);
            }
            "localaddr" => {
                return Err(format!(
                    "localaddr chooses the interface of an IPv4 multicast group, and {} is none",
                    addr.ip()
                ));
            }
            "ttl" if role == Role::Output => {
                let ttl = value.parse().ok().filter(|ttl| (0..=255).contains(ttl));
                udp.ttl = Some(ttl.ok_or(format!("ttl '{value}' is not a number from 0 to 255"))?);
            }
            _ => {
                let known = if role == Role::Input { "localaddr" } else { "localaddr and ttl" };
                return Err(format!("unknown parameter '{key}': known here: {known}"));
            }
        }
    }
    Ok(udp)
}

fn split_parameter(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

/// Names are looked up once, at the start; IPv4 is preferred.
fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|why| format!("cannot find the host '{host}': {why}"))?
        .collect();
    found
        .iter()
        .find(|addr| addr.is_ipv4())
        .or(found.first())
        .copied()
        .ok_or_else(|| format!("the host '{host}' has no address"))
}

/// What follows `file://`: an absolute path, perhaps with `%20` and the like.
fn parse_file(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(format!("write file:///PATH, or just the path: {rest}"));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        let escaped = rest
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        left = if escaped.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8(bytes).map(PathBuf::from).map_err(|_| "the path is not UTF-8".to_owned())
}

/// Finds inputs that are the same, or overlap, and an output that would feed the relay itself.
/// Inputs are numbered as the user counts them, from 1.
pub(crate) fn check_together(inputs: &[Endpoint], output: &Endpoint) -> Result<(), String> {
    for (n, late) in inputs.iter().enumerate() {
        for (m, early) in inputs[..n].iter().enumerate() {
            match overlap(early, late) {
                Some(Overlap::Same) => {
                    return Err(format!(
                        "inputs {} and {} are the same address ({late}): give each its own",
                        m + 1,
                        n + 1
                    ));
                }
                Some(Overlap::Port(port)) => {
                    return Err(format!(
                        "inputs {} and {} ({early}, {late}) both take port {port}: give each its own",
                        m + 1,
                        n + 1
                    ));
                }
                None => {}
            }
        }
        if feeds(output, late) {
            return Err(format!(
                "the output {output} is input {} ({late}): the relay would feed itself",
                n + 1
            ));
        }
    }
    Ok(())
}

enum Overlap {
    Same,
    Port(u16),
}

fn overlap(a: &Endpoint, b: &Endpoint) -> Option<Overlap> {
    match (&a.kind, &b.kind) {
        (Kind::Udp(a), Kind::Udp(b)) if a.addr == b.addr => {
            // One group heard on two interfaces is a usual way to be redundant.
            let two_interfaces =
                a.localaddr.is_some() && b.localaddr.is_some() && a.localaddr != b.localaddr;
            (!two_interfaces).then_some(Overlap::Same)
        }
        (Kind::Udp(a), Kind::Udp(b)) => {
            let any = a.addr.ip().is_unspecified() || b.addr.ip().is_unspecified();
            (any && a.addr.port() == b.addr.port()).then_some(Overlap::Port(a.addr.port()))
        }
        (Kind::Pipe, Kind::Pipe) => Some(Overlap::Same),
        (Kind::File(a), Kind::File(b)) => same_file(a, b).then_some(Overlap::Same),
        _ => None,
    }
}

/// Whether what is written to the output would arrive at the input.
fn feeds(output: &Endpoint, input: &Endpoint) -> bool {
    match (&output.kind, &input.kind) {
        (Kind::Udp(out), Kind::Udp(inp)) => {
            let port = out.addr.port() == inp.addr.port();
            let interfaces_differ = inp.localaddr.is_some()
                && out.localaddr.is_some()
                && inp.localaddr != out.localaddr;
            let same = out.addr.ip() == inp.addr.ip() && !interfaces_differ;
            port && (same || (inp.addr.ip().is_unspecified() && is_local(out.addr.ip())))
        }
        (Kind::File(out), Kind::File(inp)) => same_file(out, inp),
        // stdin and stdout are two pipes, although both are written "-".
        _ => false,
    }
}

/// Only an address of this machine can be bound.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || (!ip.is_multicast() && UdpSocket::bind((ip, 0)).is_ok())
}

fn same_file(a: &PathBuf, b: &PathBuf) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(text: &str) -> Udp {
        match Endpoint::input(text).unwrap().kind {
            Kind::Udp(udp) => udp,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refused(text: &str) -> String {
        Endpoint::input(text).unwrap_err()
    }

    fn together(inputs: &[&str], output: &str) -> Result<(), String> {
        let inputs: Vec<_> = inputs.iter().map(|i| Endpoint::input(i).unwrap()).collect();
        check_together(&inputs, &Endpoint::output(output).unwrap())
    }

    #[test]
    fn every_way_to_write_an_input() {
        assert_eq!(udp("udp://127.0.0.1:5001").addr, "127.0.0.1:5001".parse().unwrap());
        assert_eq!(udp("udp://@239.1.1.1:5000").addr, "239.1.1.1:5000".parse().unwrap());
        assert_eq!(udp("rtp://@:5004").addr, "0.0.0.0:5004".parse().unwrap());
        assert_eq!(udp("udp://[::1]:5000").addr, "[::1]:5000".parse().unwrap());
        let joined = udp("udp://239.1.1.1:5000?localaddr=192.0.2.7");
        assert_eq!(joined.localaddr, Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(Endpoint::input("-").unwrap().kind, Kind::Pipe);
        let file = |text: &str| Endpoint::input(text).unwrap().kind;
        assert_eq!(file("file:///a%20b/c%.ts"), Kind::File("/a b/c%.ts".into()));
        assert_eq!(file("slates/black.ts"), Kind::File("slates/black.ts".into()));
    }

    #[test]
    fn refusals_say_what_to_write() {
        assert!(refused("srt://127.0.0.1:9000").contains("unknown scheme 'srt'"));
        assert!(refused("127.0.0.1:5001").contains("udp://127.0.0.1:5001"));
        assert!(refused("udp://127.0.0.1").contains("port is missing"));
        assert!(refused("udp://127.0.0.1:0").contains("not a port"));
        assert!(refused("udp://127.0.0.1:99999").contains("not a port"));
        assert!(refused("udp://192.0.2.1@232.1.1.1:5000").contains("not supported"));
        assert!(refused("udp://127.0.0.1:5000?localaddr=127.0.0.1").contains("multicast"));
        assert!(refused("udp://@239.1.1.1:5000?fifo_size=7").contains("'fifo_size'"));
        assert!(refused("").contains("empty"));
        assert!(Endpoint::output("rtp://10.0.0.1:5").unwrap_err().contains("udp://10.0.0.1:5"));
        assert!(Endpoint::output("udp://@:6000").is_err());
        assert!(Endpoint::output("udp://239.1.1.1:6000?ttl=300").is_err());
    }

    #[test]
    fn what_cannot_work_together_is_named() {
        let out = "udp://127.0.0.1:6000";
        assert!(together(&["udp://127.0.0.1:1", "udp://127.0.0.1:2"], out).is_ok());
        let same = together(&["udp://127.0.0.1:1", "udp://127.0.0.1:1"], out).unwrap_err();
        assert!(same.contains("inputs 1 and 2 are the same address"), "{same}");
        let port = together(&["udp://@:7", "udp://127.0.0.1:7"], out).unwrap_err();
        assert!(port.contains("both take port 7"), "{port}");
        let itself = together(&["-", out], out).unwrap_err();
        assert!(itself.contains("input 2") && itself.contains("feed itself"), "{itself}");
        assert!(together(&["udp://@:6000"], out).is_err());
        assert!(together(&["-"], "-").is_ok());
        assert!(together(&["a.ts"], "a.ts").is_err());
        assert!(together(&["a.ts", "a.ts"], out).is_err());
    }

    #[test]
    fn one_group_on_two_interfaces_is_two_inputs() {
        let on = |ip: &str| format!("udp://239.1.1.1:5000?localaddr={ip}");
        let (a, b) = (on("10.0.0.1"), on("10.0.1.1"));
        assert!(together(&[&a, &b], "-").is_ok());
        assert!(together(&[&a, &a], "-").is_err());
        assert!(together(&[&a], &b).is_ok());
        assert!(together(&[&a], "udp://239.1.1.1:5000").is_err());
    }
}
