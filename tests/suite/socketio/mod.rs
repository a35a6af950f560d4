//! Socket.IO, version 5: packets, namespaces and attachments. Version 4 in a chapter of its own.

mod binary;
mod connect;
mod events;
mod malformed;
mod v4;
