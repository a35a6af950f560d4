"""Bytes in the orders of a test, which are JSON: `{"$binary": base64}`."""

import base64


def unmarked(value):
    if isinstance(value, list):
        return [unmarked(inner) for inner in value]
    if isinstance(value, dict):
        if "$binary" in value:
            return base64.b64decode(value["$binary"])
        return {key: unmarked(inner) for key, inner in value.items()}
    return value
