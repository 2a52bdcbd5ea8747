#!/usr/bin/env python3
"""An upstream from docs/upstreams.md alone: Python's standard library and a socket to NATS.

Command 40 answers in capitals; 41 joins the asking connection to the topic in its body; 42 pushes
to that topic and to the asking connection; 43 refuses. Every event is told on standard output.
"""
import json
import socket
import sys
from urllib.parse import quote, unquote

sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
stream = sock.makefile("rb")


def publish(subject, headers, body=b"", reply=""):
    block = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    block = (block + "\r\n").encode()
    line = f"HPUB {subject} {reply} {len(block)} {len(block) + len(body)}\r\n"
    sock.sendall(line.encode() + block + body + b"\r\n")


def messages():
    for line in stream:
        word, *rest = line.decode().split()
        if word == "PING":
            sock.sendall(b"PONG\r\n")
        elif word == "-ERR":
            sys.exit(line.decode())
        elif word in ("MSG", "HMSG"):
            sizes = 2 if word == "HMSG" else 1
            data = stream.read(int(rest[-1]) + 2)[:-2]
            split = int(rest[-2]) if word == "HMSG" else 0
            pairs = [one.split(": ", 1) for one in data[:split].decode().split("\r\n") if ": " in one]
            reply = rest[2] if len(rest) == 3 + sizes else ""
            yield rest[0], reply, dict(pairs), data[split:]


def answer(reply, headers, body):
    command, seat = int(headers["Holdfast-Command"]), headers["Holdfast-Seat"]
    if command == 40:
        greeting = f"{unquote(headers['Holdfast-Account'])}: {body.decode().upper()}"
        publish(reply, {}, greeting.encode())
    elif command == 41:
        publish(reply, {"Holdfast-Join": body.decode()})
    elif command == 42:
        push = {"Holdfast-Command": 50}
        publish(f"hf.topic.{body.decode()}", push, b"to the topic")
        node = seat.split("/")[0]
        publish(f"hf.node.{node}", {**push, "Holdfast-Seat": seat}, b"to the seat", "python.outcome")
        publish(reply, {})
    else:
        words = quote("no such thing: ü")
        publish(reply, {"Holdfast-Status": 3, "Holdfast-Code": 301600, "Holdfast-Message": words})


sock.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true,"name":"python"}\r\n')
for number, subject in enumerate(["hf.cmd.40", "hf.cmd.41", "hf.cmd.42", "hf.cmd.43"]):
    sock.sendall(f"SUB {subject} python {number}\r\n".encode())
sock.sendall(b"SUB hf.event.*.* 10\r\nSUB python.outcome 11\r\nSUB python.ready 12\r\n")
publish("python.ready", {})
for subject, reply, headers, body in messages():
    if subject.startswith("hf.cmd."):
        answer(reply, headers, body)
    else:
        print(subject, json.dumps(json.loads(body or b"{}")), flush=True)
