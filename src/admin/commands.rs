//! The commands of a page: emit, join, leave and disconnect, for one socket, a room or all.
//!
//! The events of the page enter; operators of the named namespace carry them out on all nodes. A
//! read-only server registers none of them, so a client that sends one gets the error of an unknown
//! event.

use crate::error::{EmitError, HandlerError};
use crate::handler::Event;
use crate::logging::Quoted;
use crate::server::{Namespace, SocketIo};
use crate::socket::{Broadcast, Socket};
use crate::socketio::{Args, ArgsError};

/// The features by which the page shows the commands.
pub(super) const FEATURES: [&str; 7] = [
    "EMIT",
    "JOIN",
    "LEAVE",
    "DISCONNECT",
    "MJOIN",
    "MLEAVE",
    "MDISCONNECT",
];

/// Registers the commands.
pub(super) fn register(admin: &Namespace) {
    admin
        .on("emit", emit)
        .on(
            "join",
            |page: Socket, io: SocketIo, event: Event| async move {
                let (target, room) = room(&io, &event)?;
                log(&page, &event, &target, Some(&room));
                target.sockets.sockets_join(room).await?;
                Ok::<(), HandlerError>(())
            },
        )
        .on(
            "leave",
            |page: Socket, io: SocketIo, event: Event| async move {
                let (target, room) = room(&io, &event)?;
                log(&page, &event, &target, Some(&room));
                target.sockets.sockets_leave(room).await?;
                Ok::<(), HandlerError>(())
            },
        )
        .on("_disconnect", disconnect);
}

async fn emit(page: Socket, io: SocketIo, event: Event) -> Result<(), HandlerError> {
    let (namespace, rest) = event.args().split_first::<String>()?;
    let (filter, rest) = rest.split_first::<Option<String>>()?;
    let (name, args) = rest.split_first::<String>()?;
    let target = Target::find(&io, namespace, filter)?;
    log(&page, &event, &target, Some(&name));
    let sent: Result<(), EmitError> = target.sockets.emit(&name, args).await;
    Ok(sent?)
}

async fn disconnect(page: Socket, io: SocketIo, event: Event) -> Result<(), HandlerError> {
    let (namespace, rest) = event.args().split_first::<String>()?;
    let (closes, rest) = rest.split_first::<Option<bool>>()?;
    let target = Target::find(&io, namespace, optional(&rest)?)?;
    log(&page, &event, &target, None);
    let closes = closes.unwrap_or_default();
    target.sockets.disconnect_sockets(closes).await?;
    Ok(())
}

/// Reads a namespace, a room to join or leave, and the recipients.
fn room(io: &SocketIo, event: &Event) -> Result<(Target, String), HandlerError> {
    let (namespace, rest) = event.args().split_first::<String>()?;
    let (room, rest) = rest.split_first::<String>()?;
    Ok((Target::find(io, namespace, optional(&rest)?)?, room))
}

/// Reads the last argument, which may be omitted.
fn optional(rest: &Args) -> Result<Option<String>, ArgsError> {
    if rest.is_empty() {
        Ok(None)
    } else {
        rest.read()
    }
}

/// The recipients of a command.
struct Target {
    namespace: String,
    filter: Option<String>,
    sockets: Broadcast,
}

impl Target {
    /// Finds the sockets of a namespace; with a filter those in a room, or the one with this id.
    fn find(
        io: &SocketIo,
        namespace: String,
        filter: Option<String>,
    ) -> Result<Self, HandlerError> {
        let Some(sockets) = io.everyone_of(&namespace) else {
            let namespace = Quoted(&namespace);
            return Err(HandlerError::new(format!("no namespace {namespace}")));
        };
        // The page sends an empty text for all.
        let filter = filter.filter(|filter| !filter.is_empty());
        Ok(Self {
            sockets: match &filter {
                Some(filter) => sockets.in_room(filter),
                None => sockets,
            },
            namespace,
            filter,
        })
    }
}

/// Logs who has changed something.
fn log(page: &Socket, event: &Event, target: &Target, object: Option<&str>) {
    let link = &page.state().link;
    let (command, namespace) = (event.name(), Quoted(&target.namespace));
    let object = Quoted(object.unwrap_or_default());
    match &target.filter {
        Some(filter) => {
            let filter = Quoted(filter);
            log::info!("Admin UI: {link}: {command} {object} for {filter} in {namespace}");
        }
        None => log::info!("Admin UI: {link}: {command} {object} for all of {namespace}"),
    }
}
