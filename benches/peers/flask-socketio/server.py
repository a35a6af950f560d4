"""The events of the load benchmark on Flask-SocketIO and gevent, for comparison.

``PORT`` comes from the environment. ``WORKERS`` does not: several processes would need sticky
sessions and a message queue between them, which is another server than the one measured.
"""

import os

from flask import Flask
from flask_socketio import SocketIO, emit, join_room, leave_room

app = Flask(__name__)
# The defaults but for the mode: heartbeat 25 s and 20 s, no logger. gevent is the mode that the
# documentation prefers for production; WebSocket comes from simple-websocket, a dependency already.
# Nothing here blocks and there is no message queue, so the standard library needs no monkey patching.
socketio = SocketIO(app, async_mode="gevent")


@socketio.event
def echo(*args):
    emit("echo", args)


@socketio.event
def ack(*args):
    return args


@socketio.event
def bcast(*args):
    emit("bcast", args, broadcast=True)


@socketio.event
def join(room):
    join_room(room)


@socketio.event
def leave(room):
    leave_room(room)


@socketio.event
def rcast(room, args):
    emit("rcast", args, to=room)


if __name__ == "__main__":
    # Starts gevent's own web server, with log_output off for what it would say of each request.
    socketio.run(
        app,
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "3000")),
        log_output=False,
    )
