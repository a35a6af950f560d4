"""A Flask-SocketIO node of a cluster that does what a test asks of it, by `POST /control`.

Enters: `PORT` and `REDIS_URL`. It is the counterpart of the Rust server `cluster_probe` in the mode
`bus`.
"""

import os
import threading

from binary import unmarked
from flask import Flask, jsonify, request
from flask_socketio import Namespace, SocketIO, emit, join_room, leave_room

app = Flask(__name__)
io = SocketIO(app, message_queue=os.environ["REDIS_URL"], async_mode="threading")


class Probe(Namespace):
    def on_connect(self, auth=None):
        for room in request.args.get("rooms", "").split(","):
            if room:
                join_room(room)
        emit("ready", request.sid)

    def on_join(self, room):
        join_room(room)

    def on_leave(self, room):
        leave_room(room)

    def on_bcast(self, value):
        io.emit("bcast", value, namespace=self.namespace)


for name in ("/", "/chat"):
    io.on_namespace(Probe(name))


def ask(order, args):
    """Emits to one socket with a callback, which may be another node's."""
    answered, answers = threading.Event(), []

    def callback(*values):
        answers.append(values[0] if values else None)
        answered.set()

    io.server.emit(
        order["event"], tuple(args), namespace=order["nsp"], to=order["rooms"][0], callback=callback
    )
    answered.wait(order.get("timeout", 5000) / 1000)
    return {"answers": answers, "timedOut": not answers}


def obey(order):
    op, nsp = order["op"], order.get("nsp", "/")
    rooms, args = order.get("rooms") or [], unmarked(order.get("args") or [])
    to = rooms or None
    if op == "emit":
        skip = order.get("except") or None
        # Several arguments are a tuple there, and none is no argument at all.
        data = args if len(args) == 1 else ([tuple(args)] if args else [])
        own = order.get("local", False)
        io.emit(order["event"], *data, namespace=nsp, to=to, skip_sid=skip, ignore_queue=own)
        return None
    if op == "emitMany":
        for number in range(order["count"]):
            io.emit(order["event"], number, namespace=nsp, to=to)
        return None
    if op == "ask":
        return ask(order, args)
    if op == "join":
        for sid in rooms:
            for room in order["targets"]:
                io.server.enter_room(sid, room, namespace=nsp)
        return None
    if op == "leave":
        for sid in rooms:
            for room in order["targets"]:
                io.server.leave_room(sid, room, namespace=nsp)
        return None
    if op == "disconnect":
        for sid in rooms:
            io.server.disconnect(sid, namespace=nsp)
        return None
    if op == "closeRoom":
        for room in rooms:
            io.close_room(room, namespace=nsp)
        return None
    raise ValueError("unsupported")


@app.post("/control")
def control():
    try:
        return jsonify(ok=obey(request.get_json()))
    except Exception as error:  # The test reads it.
        return jsonify(error=str(error))


io.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), allow_unsafe_werkzeug=True)
