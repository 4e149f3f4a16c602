//! Where the clients of an account want to be notified: XEP-0357 §5.

use std::time::SystemTime;

use bytes::Bytes;

use super::database::{Database, Row};
use super::{StoreError, to_millis};
use crate::jid::{BareJid, Jid};

/// One push service that a client has enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushService {
    /// The service's address.
    pub service: Jid,
    /// The node to publish to; empty if the client named none.
    pub node: String,
    /// The resource of the client that is notified: while it is connected, it needs no notification.
    pub resource: String,
    /// The form of publish options that goes along with each notification, as XML; empty for none.
    pub options: Bytes,
}

/// The push services of all accounts.
#[derive(Clone)]
pub struct PushServices {
    database: Database,
}

impl PushServices {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }

    /// The account's services, the one enabled first first.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(&self, account: &BareJid) -> Result<Vec<PushService>, StoreError> {
        const SQL: &str =
            "SELECT service, node, resource, options FROM push_services WHERE account = $1 ORDER BY enabled_at, service, node";
        let rows = self.database.fetch_all("load push services", SQL, &[account.as_str().into()]).await?;
        let mut services = Vec::with_capacity(rows.len());
        for row in &rows {
            match read(row) {
                Ok(service) => services.push(service),
                Err(error) => tracing::error!(%account, %error, "a push service is left out"),
            }
        }
        Ok(services)
    }

    /// Enables a service; the same service and node replace what was there.
    ///
    /// # Errors
    /// The database's, among them that the account is gone.
    pub async fn enable(&self, account: &BareJid, service: &PushService) -> Result<(), StoreError> {
        const SQL: &str =
            "INSERT INTO push_services (account, service, node, resource, options, enabled_at) VALUES ($1, $2, $3, $4, $5, $6)
                           ON CONFLICT (account, service, node) DO UPDATE SET resource = excluded.resource, options = excluded.options,
                               enabled_at = excluded.enabled_at";
        let (account, service, now) = (account.clone(), service.clone(), to_millis(SystemTime::now()));
        self.database
            .write("enable a push service", move |tx| {
                Box::pin(async move {
                    let values = [
                        account.as_str().into(),
                        service.service.as_str().into(),
                        service.node.as_str().into(),
                        service.resource.as_str().into(),
                        service.options.as_ref().into(),
                        now.into(),
                    ];
                    tx.execute(SQL, &values).await.map(drop)
                })
            })
            .await
    }

    /// Disables one node of a service, or all that the account has there.
    ///
    /// # Errors
    /// The database's.
    pub async fn disable(&self, account: &BareJid, service: &Jid, node: Option<&str>) -> Result<(), StoreError> {
        const ONE: &str = "DELETE FROM push_services WHERE account = $1 AND service = $2 AND node = $3";
        const ALL: &str = "DELETE FROM push_services WHERE account = $1 AND service = $2";
        let (account, service, node) = (account.clone(), service.clone(), node.map(str::to_owned));
        self.database
            .write("disable a push service", move |tx| {
                Box::pin(async move {
                    match node {
                        Some(node) => tx.execute(ONE, &[account.as_str().into(), service.as_str().into(), node.as_str().into()]).await,
                        None => tx.execute(ALL, &[account.as_str().into(), service.as_str().into()]).await,
                    }
                    .map(drop)
                })
            })
            .await
    }
}

fn read(row: &Row) -> Result<PushService, StoreError> {
    let service = Jid::parse(&row.text(0)?);
    Ok(PushService {
        service: service.map_err(|error| StoreError::Corrupt { place: "push_services.service", cause: error.to_string() })?,
        node: row.text(1)?,
        resource: row.text(2)?,
        options: Bytes::from(row.bytes(3)?),
    })
}
