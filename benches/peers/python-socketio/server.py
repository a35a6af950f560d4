"""The events of the load benchmark on python-socketio and uvicorn, for comparison.

``PORT`` comes from the environment. ``WORKERS`` does not: several processes would need sticky
sessions and a message queue between them, which is another server than the one measured.
"""

import os

import socketio
import uvicorn

# The defaults but for the mode: heartbeat 25 s and 20 s, no logger, each event in a task of its own.
sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def echo(sid, *args):
    await sio.emit("echo", args, to=sid)


@sio.event
async def ack(sid, *args):
    return args


@sio.event
async def bcast(sid, *args):
    await sio.emit("bcast", args)


@sio.event
async def join(sid, room):
    await sio.enter_room(sid, room)


@sio.event
async def leave(sid, room):
    await sio.leave_room(sid, room)


@sio.event
async def rcast(sid, room, *args):
    await sio.emit("rcast", args, to=room)


if __name__ == "__main__":
    uvicorn.run(
        socketio.ASGIApp(sio),
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "3000")),
        # What uvicorn picks when they are installed; named so that a missing one is an error.
        loop="uvloop",
        http="httptools",
        # The implementation that is to replace the deprecated `websockets`; wsproto is slower.
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        # Engine.IO has a heartbeat of its own; a second one below it would be work for nothing.
        ws_ping_interval=None,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
