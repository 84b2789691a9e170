//! What the kinds that listen share: a bound socket, and a task that ends with its channel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::trouble::ChannelError;

/// A task that is stopped when this is dropped.
#[derive(Debug)]
pub struct Task(pub JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens, and says where.
pub async fn bind(kind: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ChannelError> {
    let failed = |cause| ChannelError::Bind { kind, address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let mut bound = listener.local_addr().map_err(failed)?;
    if bound.ip().is_unspecified() {
        // Reached by another name from outside; from here, by the loopback interface.
        bound.set_ip(if bound.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    Ok((listener, bound))
}

/// A secret that lets the deployment in and nobody else: 32 random letters and digits.
pub fn password() -> String {
    use rand::RngExt as _;
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(32).map(char::from).collect()
}
