//! A log-in and the end of the session: TCP, STARTTLS with a whole TLS 1.3 handshake (X25519, AES-128-GCM, a P-256 certificate),
//! SCRAM-SHA-1, binding, a roster of 20 items, initial presence, a ping whose answer says that all of it has been handled, and the
//! stream's close. The unit is one of these. The iteration count of SCRAM is the server's own and costs only the client.

use std::time::Instant;

use anyhow::ensure;

use super::Load;
use crate::client::{Client, Target};
use crate::servers::Server;

/// The account that logs in.
pub struct LogIns {
    target: Target,
    /// The iteration count in use.
    pub rounds: u32,
}

const ACCOUNT: &str = "u2";

impl LogIns {
    /// Fills the roster.
    pub async fn to(server: &Server, tls: bool) -> anyhow::Result<Self> {
        let target = server.target(tls);
        let mut client = Client::log_in(&target, ACCOUNT, "setup").await?;
        for contact in 0..20 {
            client
                .send(&format!(
                    "<iq type='set' id='add{contact}'><query xmlns='jabber:iq:roster'>\
                     <item jid='contact{contact}@localhost' name='Contact {contact}'><group>Friends</group></item></query></iq>"
                ))
                .await?;
            client.answer(&format!("add{contact}")).await?;
        }
        let rounds = client.rounds;
        client.close().await?;
        Ok(Self { target, rounds })
    }
}

impl Load for LogIns {
    async fn round(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut count = 0;
        while Instant::now() < end {
            let client = Client::log_in(&self.target, ACCOUNT, "device").await?;
            ensure!(client.roster == 20, "{} items of 20", client.roster);
            client.close().await?;
            count += 1;
        }
        Ok(count)
    }
}
