"""A TLS front for a PostgreSQL without TLS: takes direct TLS, with ALPN as PostgreSQL 17 asks for, and SSLRequest."""

import socket
import ssl
import struct
import sys
import threading

port, upstream, certificate, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
SSL_REQUEST = struct.pack("!II", 8, 80877103)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.set_alpn_protocols(["postgresql"])


def pump(source, target):
    try:
        while data := source.recv(16384):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    direct = client.recv(8, socket.MSG_PEEK | socket.MSG_WAITALL) != SSL_REQUEST
    if not direct:
        client.recv(8)
        client.sendall(b"S")
    try:
        client = context.wrap_socket(client, server_side=True)
    except OSError:
        return
    if direct and client.selected_alpn_protocol() != "postgresql":
        return
    server = socket.create_connection(("127.0.0.1", upstream))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


listener = socket.create_server(("127.0.0.1", port))
while True:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
