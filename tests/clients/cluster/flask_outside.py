"""A process beside the servers, as a Celery task is, that emits through Flask-SocketIO's queue.

Enters: `REDIS_URL`, and orders, each a line of JSON, on the standard input. Leaves: for each a line,
empty where it was obeyed, else the error.
"""

import json
import os
import sys

import socketio
from binary import unmarked
from flask_socketio import SocketIO

url = os.environ["REDIS_URL"]
io = SocketIO(message_queue=url)
manager = socketio.RedisManager(url, channel="flask-socketio", write_only=True)


def obey(order):
    op, nsp, to = order["op"], order.get("nsp", "/"), order.get("to")
    if op == "emit":
        args = unmarked(order.get("args", []))
        # Several arguments are a tuple there, and none is no argument at all.
        data = args if len(args) == 1 else ([tuple(args)] if args else [])
        io.emit(order["event"], *data, namespace=nsp, to=to, skip_sid=order.get("skip"))
    elif op == "managerEmit":
        manager.emit(order["event"], unmarked(order["args"])[0], nsp, room=to)
    elif op == "enter":
        manager.enter_room(to, nsp, order["room"])
    elif op == "leave":
        manager.leave_room(to, nsp, order["room"])
    elif op == "close":
        manager.close_room(order["room"], nsp)
    elif op == "disconnect":
        # The manager's own `disconnect` asks the server first, which a write-only one does not have.
        io.server.disconnect(to, namespace=nsp)


for line in sys.stdin:
    try:
        obey(json.loads(line))
        print(flush=True)
    except Exception as error:  # The test reads it.
        print(repr(error), flush=True)
