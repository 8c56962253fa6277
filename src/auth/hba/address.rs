//! The addresses a rule is about.

use std::net::IpAddr;

use ipnet::IpNet;

/// Where the clients of a rule come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Addresses {
    All,
    Network(IpNet),
}

impl Addresses {
    pub(super) fn contain(self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            // A client that came by IPv4 to a socket of both kinds is one of IPv4.
            Self::Network(network) => network.contains(&address.to_canonical()),
        }
    }

    /// An address with `/bits`.
    pub(super) fn with_bits(text: &str) -> Result<Self, String> {
        let (address, bits) = text
            .split_once('/')
            .ok_or("expected a mask behind the address")?;
        let address: IpAddr = parse_address(address)?;
        let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = digits.then(|| bits.parse().ok()).flatten();
        let network = bits.and_then(|bits: u8| IpNet::new(address, bits).ok());
        checked(network.ok_or_else(|| format!("\"{text}\" has no usable number of bits"))?)
    }

    /// An address and a mask of the same family.
    pub(super) fn with_mask(address: &str, mask: &str) -> Result<Self, String> {
        let (base, bits) = (parse_address(address)?, parse_address(mask)?);
        let same_family = base.is_ipv4() == bits.is_ipv4(); // IpNet does not ask
        let network = IpNet::with_netmask(base, bits).ok().filter(|_| same_family);
        checked(network.ok_or_else(|| format!("\"{mask}\" is no mask for {address}"))?)
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("\"{text}\" is no IP address; host names are not supported"))
}

/// PgBouncer only warns of bits that no client can have, and its rule then matches nobody.
fn checked(network: IpNet) -> Result<Addresses, String> {
    if network.addr() != network.network() {
        return Err(format!(
            "{network} has bits set outside its mask; expected {}",
            network.trunc()
        ));
    }
    Ok(Addresses::Network(network))
}
