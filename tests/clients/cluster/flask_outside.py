"""A process beside the servers, as a Celery task is, that emits through Flask-SocketIO's queue.

Enters: `REDIS_URL`, and in `SID` the id of a socket.
"""

import os

import socketio
from flask_socketio import SocketIO

url, sid = os.environ["REDIS_URL"], os.environ["SID"]
io = SocketIO(message_queue=url)
io.emit("progress", (50, {"of": 100}))
io.emit("picture", b"\x01\x02\x03", to="a")
io.emit("to own1", 1, to="own1")
io.emit("to one", "x", to=sid)
manager = socketio.RedisManager(url, channel="flask-socketio", write_only=True)
manager.enter_room(sid, "/", "entered")
