//! The names and the number of the other nodes of a namespace.

use std::collections::HashSet;
use std::sync::Arc;

use crate::adapter::broker::{Broker, ListenerCount};
use crate::adapter::format::{Format, NodeDiscovery, Peers};
use crate::cluster::ClusterError;

/// Finds the other nodes.
#[derive(Debug)]
pub(crate) struct Roster {
    format: Arc<dyn Format>,
    broker: Arc<dyn Broker>,
}

impl Roster {
    pub(crate) fn new(format: &Arc<dyn Format>, broker: &Arc<dyn Broker>) -> Self {
        Self {
            format: Arc::clone(format),
            broker: Arc::clone(broker),
        }
    }

    /// Returns the other nodes of a namespace; `None` if the format or the broker does not know
    /// them.
    pub(crate) async fn peers(&self, namespace: &str) -> Result<Option<Peers>, ClusterError> {
        let Some((discovery, listeners)) = self.discovery(namespace) else {
            return Ok(None);
        };
        let (channels, count) = listeners
            .find(discovery.pattern(), discovery.everyone.clone())
            .await?;
        Ok(Some(discovery.others(self.format.uid(), &channels, count)))
    }

    /// Returns those of these nodes that still exist. Unlike [`peers`](Self::peers) it checks only
    /// their channels.
    pub(crate) async fn still_there(
        &self,
        namespace: &str,
        nodes: &HashSet<String>,
    ) -> Result<Option<Peers>, ClusterError> {
        let Some((discovery, listeners)) = self.discovery(namespace) else {
            return Ok(None);
        };
        let own = self.format.uid();
        let names = nodes.iter().map(String::as_str).chain([own]);
        let mut channels: Vec<_> = names.map(|name| discovery.channel(name)).collect();
        channels.push(discovery.everyone.clone());
        let mut counts = listeners.count(channels.clone()).await?;
        let everyone = counts.pop().unwrap_or_default();
        let there = channels
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0);
        let channels: Vec<_> = there.map(|(channel, _)| channel.into_name()).collect();
        Ok(Some(discovery.others(own, &channels, everyone)))
    }

    fn discovery(&self, namespace: &str) -> Option<(NodeDiscovery, &dyn ListenerCount)> {
        self.format
            .discovery(namespace)
            .zip(self.broker.listeners())
    }
}
