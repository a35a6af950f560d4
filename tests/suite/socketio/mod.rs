//! Socket.IO, version 5: packets, namespaces and attachments.

mod binary;
mod connect;
mod events;
mod malformed;
